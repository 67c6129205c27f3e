"""Events of the warehouse: the site's batch, corrected ones, and the prewarm of all sites."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from ai_assets.store import site_jobs

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


def test_batches_without_an_event_are_told_from_those_with_one(inbox_of):
    later = FINISHED + timedelta(minutes=1)
    inbox_of.batch(8, FINISHED)
    inbox_of.batch(9, FINISHED, site=1002)
    inbox_of.batch(10, None)
    inbox_of.fire("dws_completed", payload={"batch_id": "8"})
    inbox_of.fire("dws_completed", payload={"batch_id": "10"})
    batches = [(1001, "8", FINISHED), (1001, "8", later), (1002, "9", FINISHED), (1001, "10", None)]
    with inbox_of.engine.connect() as connection:
        assert site_jobs.unknown_batches(connection, batches) == [1, 2]
        assert site_jobs.unknown_batches(connection, []) == []


def test_a_batch_whose_event_failed_is_not_sent_again_by_itself(inbox_of):
    # otherwise each look of the sensor would leave a failed row, every ten seconds
    inbox_of.batch(8, FINISHED, site=4711)
    inbox_of.site(1007, "Mars/Olympus")
    inbox_of.batch(9, FINISHED, site=1007)
    for site, batch in ((4711, "8"), (1007, "9")):
        assert inbox_of.fire("dws_completed", site_id=site, payload={"batch_id": batch}).status == "failed"
    with inbox_of.engine.connect() as connection:
        assert site_jobs.unknown_batches(connection, [(4711, "8", FINISHED), (1007, "9", FINISHED)]) == []


def test_when_a_batch_finished_is_the_warehouses_to_say_not_the_senders(inbox_of):
    inbox_of.batch(8, FINISHED)
    job = inbox_of.fire("dws_completed", payload={"batch_id": "8", "batch_finished": "nonsense"})
    assert float(job.payload["batch_finished"]) == FINISHED.timestamp()
    made_up = inbox_of.fire("dws_completed", payload={"batch_id": "x", "batch_finished": "nonsense"})
    assert made_up.payload == {"batch_id": "x"}
    with inbox_of.engine.connect() as connection:
        assert site_jobs.unknown_batches(connection, [(1001, "8", FINISHED), (1001, "x", FINISHED)]) == [1]


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
