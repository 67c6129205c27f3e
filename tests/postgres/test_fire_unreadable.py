"""What Postgres holds and Python cannot read: refused at the door, and no harm where it stands in a row already."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ai_assets.store import claims, inbox, leases, site_jobs
from ai_assets.store.payloads import readable, sendable
from ai_assets.store.trigger_jobs import TriggerJob

BEFORE_CHRIST = "0001-01-01T00:00:00+14:00"


def nested(levels: int, inside: str = "1") -> str:
    """A payload of so many lists and objects within each other."""
    return '{"x": ' + "[" * (levels - 1) + inside + "]" * (levels - 1) + "}"


def deep(levels: int) -> dict:
    content: dict = {}
    for _ in range(levels - 1):
        content = {"x": content}
    return content


def sent(inbox_of, payload: str, event: str = "consumption"):
    """The job of an event that a backend sends with this JSON, in SQL."""
    with inbox_of.engine.begin() as connection:
        job_id = connection.execute(
            text("select biz.fire_ai_event(:event, 1001, 5, cast(:payload as jsonb))"),
            {"event": event, "payload": payload},
        ).scalar_one()
    return inbox_of.job(job_id)


# the door


@pytest.mark.parametrize(
    ("payload", "said", "dropped"),
    [
        (nested(65), "payload is nested deeper than 64", 136),
        (nested(65, "").replace("[]", "{}"), "payload is nested deeper than 64", 135),
        (nested(2000), "payload is nested deeper than 64", 4006),
        ("[" * 65 + "]" * 65, "payload is nested deeper than 64", 130),
        ('{"x": 1e400}', "payload holds a number of more than 400 digits", 408),
        ('{"x": -1e400}', "payload holds a number of more than 400 digits", 409),
        ('{"x": 1e5000}', "payload holds a number of more than 400 digits", 5008),
        ('{"x": [{"y": 1e-400}]}', "payload holds a number of more than 400 digits", 418),
        (f'{{"x": {"1" * 200}.{"2" * 201}}}', "payload holds a number of more than 400 digits", 409),
        ("1e5000", "payload holds a number of more than 400 digits", 5001),
        (json.dumps({"x": "字" * 100_000}), "payload is over 256 kB", 300_009),
    ],
)
@pytest.mark.parametrize("event", ["consumption", "dws_completed", "ai_dws_prewarm"])
def test_a_payload_that_python_could_not_read_is_refused_and_its_row_keeps_the_size(
    inbox_of, event, payload, said, dropped
):
    job = sent(inbox_of, payload, event)
    assert job.status == "failed"
    assert job.error_message.startswith(said)
    assert job.payload == {"dropped_bytes": dropped}
    assert inbox_of.count("biz.ai_trigger_jobs") == 1


@pytest.mark.parametrize(
    "payload",
    [
        nested(64),
        nested(64, "{}").replace("[{}]", "{}"),
        '{"x": 1e399}',
        '{"x": -1e399}',
        '{"x": 1e-399}',
        json.dumps({"x": "1" * 5000}),
        json.dumps({"9" * 500: "127.0.0.1" * 100, "y": [1, 2.5, -3]}),
        json.dumps({"x": "[{" * 5000, "y": [[]] * 500}),
        json.dumps({"x": [10**399] * 3}),
    ],
)
def test_what_only_looks_deep_or_long_is_taken_in_as_it_is(inbox_of, payload):
    job = sent(inbox_of, payload)
    assert (job.status, job.error_message) == ("pending", None)
    assert job.payload == json.loads(inbox_of.value("select payload::text from biz.ai_trigger_jobs"))
    assert "unreadable" not in job.payload


@pytest.mark.parametrize(
    "moment", [BEFORE_CHRIST, "0001-01-01", "1899-12-31", "1899-12-31T15:00:00Z", "1899-12-31T23:59:59"]
)
def test_a_business_date_before_1900_is_refused_and_the_row_has_none(inbox_of, moment):
    job = inbox_of.fire("consumption", member_id=5, payload={"occurred_at": moment})
    assert job.status == "failed"
    assert job.error_message == "payload.occurred_at is outside 1900-01-01 to 2999-12-31"
    assert inbox_of.value("select business_date from biz.ai_trigger_jobs") is None


@pytest.mark.parametrize("finished", ["infinity", "3000-01-01 00:00:00+08", "0044-03-15 00:00:00+00 BC"])
def test_a_batch_that_finished_at_no_time_is_refused(inbox_of, finished):
    inbox_of.run(
        "insert into dws.etl_batch (batch_id, site_id, biz_date, status, finished_at) "
        "values (7, 1001, '2026-08-18', 'success', :finished)",
        finished=finished,
    )
    job = inbox_of.fire("dws_completed")
    assert job.status == "failed"
    assert "outside 1900-01-01 to 2999-12-31" in job.error_message
    assert (job.business_date, job.payload["batch_id"]) == (None, "7")


# the door from Python


CYCLE: dict = {}
CYCLE["x"] = CYCLE
NO_JSON = {"x": {10**5000: 1}}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (deep(65), "payload is nested deeper than 64"),
        (deep(900), "payload is nested deeper than 64"),
        (deep(100_000), "payload is nested deeper than 64"),
        (CYCLE, "payload is nested deeper than 64"),
        ({"x": [10**400]}, "payload holds a number of more than 400 digits"),
        ({"x": -(10**5000)}, "payload holds a number of more than 400 digits"),
        ({"x": 10**200_000}, "payload holds a number of more than 400 digits"),
        ({"x": "x" * 5_000_000}, "payload is over 256 kB"),
        (NO_JSON, "payload cannot be written as JSON"),
    ],
    ids=["65", "900", "100,000", "within itself", "401 digits", "5,001", "200,001", "5 MB", "a key"],
)
def test_what_python_cannot_send_is_recorded_as_failed(inbox_of, payload, said):
    job = inbox_of.fire("consumption", member_id=5, payload=payload)
    assert job.status == "failed"
    assert job.error_message.startswith(said)
    assert list(job.payload) == ["dropped_bytes"]
    assert job.payload["dropped_bytes"] > 0


def test_the_size_of_what_was_dropped_is_about_right(inbox_of):
    job = inbox_of.fire("consumption", member_id=5, payload={"x": 10**5000, "字": "节" * 1000})
    assert job.payload["dropped_bytes"] == pytest.approx(8020, abs=20)


def test_a_sender_in_python_may_go_up_to_the_limits(inbox_of):
    for number, payload in enumerate((deep(64), {"x": 10**400 - 1}, {"x": 5e-324}, {"x": 17 * 10**307})):
        job = inbox_of.fire("consumption", member_id=number + 1, payload=payload)
        assert (job.status, job.payload) == ("pending", payload)
    assert float(inbox_of.fire("consumption", member_id=9, payload={"x": 1.7e308}).payload["x"]) == 1.7e308


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=5))
@settings(deadline=None, max_examples=60)
def test_what_is_sent_is_what_is_read(content):
    assert "dropped_for" not in json.loads(sendable(content))
    assert readable(json.dumps(content)) == content


# rows that stand there already


BAD_ROWS = [
    (BEFORE_CHRIST[:10] + " BC", "{}", {}),
    ("0001-01-01", "{}", {}),
    ("infinity", "{}", {}),
    ("-infinity", "{}", {}),
    ("294276-12-31", "{}", {}),
    ("5874897-12-31", "{}", {}),
    ("2026-08-18", '{"x": 1e5000}', {"x": "1" + "0" * 5000}),
    ("2026-08-18", '{"x": [-1e131071, 1.5]}', {"x": ["-1" + "0" * 131_071, 1.5]}),
    ("2026-08-18", f'{{"x": {"9" * 400}.5}}', {"x": "9" * 400 + ".5"}),
    ("2026-08-18", nested(2000), {"unreadable": "payload is nested deeper than 64"}),
    ("2026-08-18", nested(500), {"unreadable": "payload is nested deeper than 64"}),
    ("2026-08-18", nested(66), {"unreadable": "payload is nested deeper than 64"}),
    ("2026-08-18", "[1]", {"unreadable": "payload is not a JSON object"}),
    ("2026-08-18", "null", {"unreadable": "payload is not a JSON object"}),
]


def insert(inbox_of, event: str, *, status: str = "pending", members: bool = True) -> None:
    """A row of each bad kind, and a good one after them."""
    rows = [*BAD_ROWS, ("2026-08-18", '{"good": 1}', {"good": 1})]
    for number, (day, payload, _read) in enumerate(rows, start=1):
        inbox_of.run(
            "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, business_date, payload, status, "
            "lease_owner, lease_until, app_chain) values (:event, :site, :member, cast(:day as date), "
            "cast(:payload as jsonb), :status, case when :status = 'running' then 'w0' end, "
            "case when :status = 'running' then now() - interval '1 s' end, 'app3→app8→app7')",
            event=event,
            # a site's jobs run one after the other
            site=1001 if members else 1000 + number,
            member=number if members else None,
            day=day,
            payload=payload,
            status=status,
        )


def check(jobs: list[TriggerJob]) -> None:
    jobs = sorted(jobs, key=lambda job: job.id)
    assert [job.payload for job in jobs] == [*(read for _day, _payload, read in BAD_ROWS), {"good": 1}]
    days = [date(2026, 8, 18) if day == "2026-08-18" else None for day, _payload, _read in BAD_ROWS]
    assert [job.business_date for job in jobs] == [*days, date(2026, 8, 18)]


def test_rows_that_cannot_be_read_fail_no_batch_of_claims(inbox_of):
    insert(inbox_of, "consumption")
    with inbox_of.engine.begin() as connection:
        check(
            claims.claim_member_jobs(
                connection, owner="w1", run_id=None, lease_s=60.0, limit=50, after_site=None
            )
        )


def test_rows_that_cannot_be_read_are_taken_over_with_the_others(inbox_of):
    insert(inbox_of, "consumption", status="running")
    with inbox_of.engine.begin() as connection:
        check(leases.requeue_expired(connection, max_attempts=3))


def test_rows_that_cannot_be_read_stop_no_tick_of_the_sites_sensor(inbox_of):
    insert(inbox_of, "dws_completed", members=False)
    with inbox_of.engine.begin() as connection:
        due = site_jobs.due_site_jobs(connection, limit=200)
        check(due)
        check([job for job in (inbox.job(connection, one.id) for one in due) if job])
    claimed = [inbox_of.claim(job.id) for job in due]
    check([job for job in claimed if job])
    inbox_of.run("update biz.ai_trigger_jobs set lease_until = now() - interval '1 s'")
    with inbox_of.engine.begin() as connection:
        check(leases.expired_site_jobs(connection))


def test_a_business_date_is_read_the_same_in_any_session(inbox_of):
    job = inbox_of.fire("consumption", member_id=5, payload={"occurred_at": "2026-08-09T10:00:00"})
    with inbox_of.engine.begin() as connection:
        connection.execute(text("set local timezone = 'America/Lima'"))
        assert inbox.job(connection, job.id).business_date == date(2026, 8, 9)
