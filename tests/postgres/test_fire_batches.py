"""Events of the warehouse: the site's batch, corrected ones, and the prewarm of all sites."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from ai_assets.store.batch_events import RecordedBatch, batches_recorded_after, batches_without_event

FINISHED = datetime(2026, 8, 19, 4, 30, tzinfo=UTC)


def today(zone: str = "Asia/Shanghai") -> date:
    return datetime.now(ZoneInfo(zone)).date()


def test_a_warehouse_event_names_the_sites_newest_successful_batch(inbox_of):
    inbox_of.batch(7, FINISHED, day="2026-08-17")
    inbox_of.batch(8, FINISHED - timedelta(hours=1), day="2026-08-18")
    inbox_of.batch(9, FINISHED, site=1002, day="2026-08-19")
    inbox_of.run("insert into dws.etl_batch values (10, 1001, '2026-08-19', 'failed', now())")
    job = inbox_of.fire("dws_completed")
    assert job.payload["batch_id"] == "8"
    assert inbox_of.fire("dws_completed", payload={"batch_id": 8}).duplicate_of == job.id
    assert inbox_of.fire("dws_completed", payload={"batch_id": "8"}, member_id=4).duplicate_of == job.id
    assert inbox_of.fire("dws_completed", payload={"batch_id": 7}).status == "pending"


def test_an_event_of_one_batch_is_the_same_the_next_morning(inbox_of):
    inbox_of.batch(8, FINISHED)
    job = inbox_of.fire("dws_completed", payload={"batch_id": 8})
    assert job.business_date == date(2026, 8, 19), "the day on which the batch finished, in the site's zone"
    # the daily event of any later day, as long as there is no newer batch
    assert inbox_of.fire("dws_completed").duplicate_of == job.id


def test_occurred_at_stands_above_the_time_of_the_batch(inbox_of):
    inbox_of.batch(8, FINISHED)
    job = inbox_of.fire("dws_completed", payload={"occurred_at": "2026-08-25T12:00:00"})
    assert job.business_date == date(2026, 8, 25)
    assert inbox_of.fire("dws_completed").status == "pending"


def test_a_corrected_batch_is_made_anew(inbox_of):
    inbox_of.batch(8, FINISHED)
    first = inbox_of.fire("dws_completed", payload={"batch_id": 8})
    inbox_of.batch(8, FINISHED + timedelta(minutes=1))
    corrected = inbox_of.fire("dws_completed", payload={"batch_id": 8})
    assert corrected.status == "pending"
    assert corrected.id != first.id
    assert inbox_of.fire("dws_completed", payload={"batch_id": 8}).duplicate_of == corrected.id


def test_a_batch_without_a_finish_or_a_day_or_unknown_to_the_warehouse_is_no_trouble(inbox_of):
    inbox_of.batch(8, None)
    inbox_of.run("alter table dws.etl_batch alter biz_date drop not null")
    inbox_of.run("insert into dws.etl_batch values (11, 1001, null, 'success', now())")
    job = inbox_of.fire("dws_completed")
    assert (job.status, job.payload["batch_id"], job.business_date) == ("pending", "8", today())
    assert inbox_of.fire("dws_completed", payload={"batch_id": "unknown"}).status == "pending"


def test_a_site_whose_warehouse_has_no_batch_table_still_gets_its_event(inbox_of):
    with inbox_of.engine.connect() as connection:
        connection.execute(text("alter table dws.etl_batch rename to elsewhere"))
        job = inbox_of.sql_fire(connection, "'dws_completed', 1001")
        connection.execute(text("drop schema dws cascade"))
        other = inbox_of.sql_fire(connection, "'dws_completed', 1001, null, '{\"batch_id\": 5}'")
        connection.rollback()
    assert (job.status, other.status) == ("pending", "pending")


def without_event(inbox_of, since: datetime | None = FINISHED, limit: int = 100) -> list[tuple[int, str]]:
    with inbox_of.engine.connect() as connection:
        found = batches_without_event(connection, since, limit=limit)
    return [(batch.site_id, batch.batch_id) for batch in found]


def test_batches_without_an_event_come_in_the_order_they_finished(inbox_of):
    later = FINISHED + timedelta(minutes=1)
    for batch, finished, site in (
        (8, FINISHED, 1001),
        (9, later, 1002),
        (10, FINISHED, 1002),
        (11, None, 1001),
    ):
        inbox_of.batch(batch, finished, site=site)
    inbox_of.batch(7, FINISHED - timedelta(seconds=1))
    assert without_event(inbox_of) == [(1001, "8"), (1002, "10"), (1002, "9")]
    assert without_event(inbox_of, limit=2) == [(1001, "8"), (1002, "10")]
    inbox_of.fire("dws_completed", payload={"batch_id": "8"})
    assert without_event(inbox_of) == [(1002, "10"), (1002, "9")]


def test_a_batch_that_was_finished_again_or_dated_anew_has_no_event_yet(inbox_of):
    inbox_of.batch(8, FINISHED)
    inbox_of.fire("dws_completed", payload={"batch_id": "8"})
    assert without_event(inbox_of) == []
    inbox_of.batch(8, FINISHED + timedelta(milliseconds=1))
    assert without_event(inbox_of) == [(1001, "8")]
    inbox_of.fire("dws_completed", payload={"batch_id": "8"})
    inbox_of.run("update dws.etl_batch set biz_date = '2026-08-17'")
    assert without_event(inbox_of) == [(1001, "8")]
    inbox_of.fire("dws_completed", payload={"batch_id": "8"})
    assert without_event(inbox_of) == []


def test_at_the_first_start_only_the_newest_usable_batch_of_an_active_site_counts(inbox_of):
    inbox_of.site(1003, active=False)
    inbox_of.batch(7, FINISHED, day="2026-08-17")
    inbox_of.batch(8, FINISHED, day="2026-08-18")
    inbox_of.batch(9, FINISHED, day="2062-08-18")
    inbox_of.batch(10, FINISHED, site=1003)
    inbox_of.batch(11, None, site=1002)
    assert without_event(inbox_of, None) == [(1001, "8"), (1002, "11")]


def test_a_batch_whose_event_failed_is_not_sent_again_by_itself(inbox_of):
    # otherwise each look of the sensor would leave a failed row, every ten seconds
    inbox_of.batch(8, FINISHED, site=4711)
    inbox_of.site(1007, "Mars/Olympus")
    inbox_of.batch(9, FINISHED, site=1007)
    inbox_of.batch(10, FINISHED, day="2062-08-18")
    for site, batch in without_event(inbox_of):
        assert inbox_of.fire("dws_completed", site_id=site, payload={"batch_id": batch}).status == "failed"
    assert inbox_of.count("biz.ai_trigger_jobs") == 3
    assert without_event(inbox_of) == []


def test_what_a_batch_is_is_the_warehouses_to_say_not_the_senders(inbox_of):
    inbox_of.batch(8, FINISHED)
    claimed = {"batch_finished": "nonsense", "batch_date": "nonsense", "batch_unusable": True}
    job = inbox_of.fire("dws_completed", payload={"batch_id": "8", **claimed})
    assert float(job.payload.pop("batch_finished")) == FINISHED.timestamp()
    assert job.payload == {"batch_id": "8", "batch_date": "2026-08-18"}
    assert inbox_of.fire("dws_completed", payload={"batch_id": "x", **claimed}).payload == {"batch_id": "x"}


def test_an_event_of_a_batch_dated_after_the_sites_tomorrow_fails_and_others_use_the_newest_before_it(
    inbox_of,
):
    inbox_of.batch(8, FINISHED)
    inbox_of.batch(9, FINISHED, day="2062-08-18")
    job = inbox_of.fire("dws_completed", payload={"batch_id": 9})
    assert (job.status, job.payload["batch_unusable"]) == ("failed", True)
    assert "biz_date" in job.error_message
    assert inbox_of.fire("dws_completed").payload["batch_id"] == "8"
    # corrected in place, it is used
    inbox_of.run("update dws.etl_batch set biz_date = '2026-08-19' where batch_id = 9")
    assert inbox_of.fire("dws_completed", payload={"batch_id": 9}).status == "pending"
    assert inbox_of.fire("dws_completed").payload["batch_id"] == "9"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_tomorrow_is_the_sites_own_by_the_clock_of_postgres(inbox_of, zone):
    inbox_of.site(1005, zone)
    latest, tomorrow = inbox_of.one(
        "select biz.ai_latest_batch_date(1005), (statement_timestamp() at time zone :zone)::date + 1",
        zone=zone,
    ).values()
    assert latest - tomorrow in {timedelta(0), timedelta(days=1)}, "midnight may pass in between"
    inbox_of.batch(1, FINISHED, site=1005, day=latest.isoformat())
    inbox_of.batch(2, FINISHED, site=1005, day=(latest + timedelta(days=2)).isoformat())
    assert inbox_of.fire("dws_completed", site_id=1005).payload["batch_id"] == "1"


def recorded(inbox_of, after: int | None = None, limit: int = 100, since: datetime = FINISHED):
    with inbox_of.engine.begin() as connection:
        return batches_recorded_after(connection, after, since=since, limit=limit)


def test_a_batch_is_recorded_once_whoever_sent_its_events_and_how_often(inbox_of):
    inbox_of.batch(8, FINISHED)
    inbox_of.batch(9, FINISHED, site=1002, day="2062-08-18")
    first = inbox_of.fire("dws_completed", payload={"batch_id": "8"})
    inbox_of.fire("dws_completed")
    inbox_of.fire("dws_completed", is_forced=True)
    inbox_of.fire("dws_completed", payload={"batch_id": "unknown"})
    bad = inbox_of.fire("dws_completed", site_id=1002, payload={"batch_id": "9"})
    inbox_of.fire("dws_completed", site_id=1002, payload={"batch_id": "9"})
    assert recorded(inbox_of) == [
        RecordedBatch(first.id, 1001, "8", "2026-08-18", FINISHED.timestamp(), is_usable=True),
        RecordedBatch(bad.id, 1002, "9", "2062-08-18", FINISHED.timestamp(), is_usable=False),
    ]
    assert [batch.trigger_job_id for batch in recorded(inbox_of, limit=1)] == [first.id]
    assert [batch.trigger_job_id for batch in recorded(inbox_of, first.id)] == [bad.id]
    assert recorded(inbox_of, bad.id) == []
    assert recorded(inbox_of, since=datetime.now(UTC) + timedelta(days=1)) == []
    # the cursor is ahead of a database that was restored
    inbox_of.batch(8, FINISHED + timedelta(hours=1))
    again = inbox_of.fire("dws_completed")
    assert recorded(inbox_of, again.id + 1000) == []


def test_nothing_is_recorded_while_a_transaction_is_open_that_may_yet_commit_an_earlier_event(inbox_of):
    inbox_of.batch(8, FINISHED)
    inbox_of.batch(9, FINISHED, site=1002)
    with inbox_of.engine.connect() as backend:
        early = inbox_of.sql_id(backend, "'dws_completed', 1001")
        late = inbox_of.fire("dws_completed", site_id=1002)
        assert early < late.id
        assert recorded(inbox_of) == []
        backend.commit()
    assert [batch.trigger_job_id for batch in recorded(inbox_of)] == [early, late.id]


def test_a_prewarm_is_an_event_for_each_active_site_and_says_which(inbox_of):
    inbox_of.site(1003, active=False)
    inbox_of.batch(8, FINISHED)
    known = inbox_of.fire("dws_completed")
    job = inbox_of.fire("ai_dws_prewarm", site_id=None)
    assert (job.status, job.event_type, job.app_chain, job.error_message) == (
        "completed",
        "ai_dws_prewarm",
        "app2",
        None,
    )
    assert [step["site_id"] for step in job.step_results] == [1001, 1002]
    made = [inbox_of.job(step["trigger_job_id"]) for step in job.step_results]
    assert [(m.event_type, m.status, m.duplicate_of) for m in made] == [
        ("dws_completed", "duplicate", known.id),
        ("dws_completed", "pending", None),
    ]
    forced = inbox_of.fire("ai_dws_prewarm", site_id=None, is_forced=True)
    assert [inbox_of.job(step["trigger_job_id"]).status for step in forced.step_results] == ["pending"] * 2


def test_one_sites_trouble_in_a_prewarm_never_stops_the_others_and_is_said(inbox_of):
    inbox_of.site(1000, "Mars/Olympus")
    job = inbox_of.fire("ai_dws_prewarm", site_id=None)
    made = [inbox_of.job(step["trigger_job_id"]) for step in job.step_results]
    assert [m.status for m in made] == ["failed", "pending", "pending"]
    assert job.status == "partial"
    assert job.error_message.startswith("1 of 3 sites")


def test_a_prewarm_of_no_site_at_all_is_a_clear_error(inbox_of):
    inbox_of.run("delete from biz.sites")
    job = inbox_of.fire("ai_dws_prewarm", site_id=None)
    assert (job.status, job.error_message) == ("failed", "there is no active site in biz.sites")
