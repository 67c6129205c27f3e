"""What an operator does to trigger jobs: finding them, replaying one, cancelling one. By what Postgres then holds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ai_assets.store import leases, site_jobs
from ai_assets.store.job_control import Replayed, asked_to_stop, cancel_job, replay_job
from ai_assets.store.job_filter import JobFilter
from ai_assets.store.job_list import find_jobs, ids_to_replay, job_details


def replay(inbox_of, job_id: int, *, forced: bool = False):
    with inbox_of.engine.begin() as connection:
        return replay_job(connection, job_id, forced=forced)


def cancel(inbox_of, job_id: int, why: str = "cancelled by kim"):
    with inbox_of.engine.begin() as connection:
        return cancel_job(connection, job_id, why=why)


def ended(inbox_of, status: str, member: int = 555, **event) -> int:
    """A consumption that ran and ended so."""
    job = inbox_of.fire("consumption", member_id=member, **event)
    assert inbox_of.claim(job.id) is not None
    inbox_of.finish(job.id, status=status, error=None if status == "completed" else "app3_clue: it timed out")
    return job.id


def chosen(inbox_of, limit: int | None = None, **conditions) -> list[int]:
    with inbox_of.engine.connect() as connection:
        return ids_to_replay(connection, JobFilter(**conditions), limit=limit)


def found(inbox_of, **conditions) -> list[int]:
    with inbox_of.engine.connect() as connection:
        return [listed.job.id for listed in find_jobs(connection, JobFilter(**conditions), limit=100)]


# --- replaying


@pytest.mark.parametrize("status", ["completed", "partial", "failed", "dead"])
def test_the_replay_of_an_ended_job_is_a_new_pending_one_of_the_same_event_and_business_date(
    inbox_of, status
):
    old = ended(inbox_of, status, payload={"settlement_id": 9, "has_assistant": True, "assistant_id": 7})
    inbox_of.run(
        "update biz.ai_trigger_jobs set created_at = created_at - interval '9 days', "
        "business_date = business_date - 9 where id = :id", id=old,
    )  # fmt: skip
    made = replay(inbox_of, old)
    before, new = inbox_of.job(old), inbox_of.job(made.replay)
    assert made.outcome is Replayed.REPLAYED
    assert (new.status, new.is_forced, new.attempts) == ("pending", False, 0)
    assert (new.event_type, new.site_id, new.member_id, new.app_chain) == (
        "consumption", 1001, 555, "app3→app8→app7→app4→app5"
    )  # fmt: skip
    assert new.business_date == before.business_date
    assert new.payload["settlement_id"] == 9
    # the old one tells what became of it, and is otherwise as it was
    assert before.status == status
    with inbox_of.engine.connect() as connection:
        assert job_details(connection, old).listed.replayed_as == new.id
        assert job_details(connection, new.id).listed.replay_of == old


def test_a_job_has_one_replay_however_often_and_from_however_many_sides_it_is_asked_for(inbox_of):
    old = ended(inbox_of, "dead")
    start = threading.Barrier(8)

    def ask(_number: int):
        start.wait(30)
        return replay(inbox_of, old)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ask, range(8)))
    assert sorted(one.outcome for one in made) == ["replayed", *["replayed_before"] * 7]
    assert len({one.replay for one in made}) == 1
    assert inbox_of.count("biz.ai_trigger_jobs") == 2


def test_a_replay_that_failed_may_be_replayed_itself(inbox_of):
    old = ended(inbox_of, "failed")
    first = replay(inbox_of, old).replay
    inbox_of.claim(first)
    inbox_of.finish(first, status="failed", error="again")
    assert chosen(inbox_of, states=("failed",)) == [first]
    assert replay(inbox_of, first).outcome is Replayed.REPLAYED


def test_a_replay_holds_the_events_key_so_that_the_event_sent_again_is_its_duplicate(inbox_of):
    for status in ("completed", "failed"):
        old = ended(inbox_of, status, member={"completed": 1, "failed": 2}[status])
        new = replay(inbox_of, old).replay
        again = inbox_of.fire("consumption", member_id=inbox_of.job(old).member_id)
        assert (again.status, again.duplicate_of) == ("duplicate", new)


def test_where_the_same_event_came_again_and_went_well_a_replay_does_not_run_unless_forced(inbox_of):
    failed = ended(inbox_of, "failed")
    later = ended(inbox_of, "completed")
    made = replay(inbox_of, failed)
    assert made.outcome is Replayed.DUPLICATE
    assert inbox_of.job(made.replay).duplicate_of == later
    other = ended(inbox_of, "failed", member=777)
    ended(inbox_of, "completed", member=777)
    forced = replay(inbox_of, other, forced=True)
    assert forced.outcome is Replayed.REPLAYED
    assert inbox_of.job(forced.replay).is_forced


def test_a_duplicate_replayed_by_hand_runs_and_is_not_forced_for_that(inbox_of):
    first = ended(inbox_of, "completed")
    duplicate = inbox_of.fire("consumption", member_id=555)
    assert duplicate.status == "duplicate"
    made = replay(inbox_of, duplicate.id)
    assert made.outcome is Replayed.REPLAYED
    assert not inbox_of.job(made.replay).is_forced
    assert inbox_of.fire("consumption", member_id=555).duplicate_of == made.replay
    assert inbox_of.job(first).status == "completed"


def test_what_waits_or_runs_is_not_replayed_and_what_is_not_there_neither(inbox_of):
    job = inbox_of.fire("consumption", member_id=555)
    assert replay(inbox_of, job.id).outcome is Replayed.PENDING
    inbox_of.claim(job.id)
    assert replay(inbox_of, job.id).outcome is Replayed.RUNNING
    assert replay(inbox_of, 987654).outcome is Replayed.MISSING
    assert inbox_of.count("biz.ai_trigger_jobs") == 1


def test_an_event_refused_for_a_site_that_was_missing_runs_once_the_site_is_there(inbox_of):
    refused = inbox_of.fire("consumption", site_id=1003, payload={"member_id": 555})
    assert refused.status == "failed"
    inbox_of.run("update biz.ai_trigger_jobs set created_at = created_at - interval '3 days'")
    still = replay(inbox_of, refused.id)
    assert still.outcome is Replayed.FAILED
    assert "site_id is not in biz.sites" in inbox_of.job(still.replay).error_message
    inbox_of.site(1003)
    made = replay(inbox_of, still.replay)
    new = inbox_of.job(made.replay)
    assert (made.outcome, new.status, new.member_id) == (Replayed.REPLAYED, "pending", 555)
    # it happened when it first came
    came = inbox_of.value(
        "select (created_at at time zone 'Asia/Shanghai')::date from biz.ai_trigger_jobs where id = :id",
        id=refused.id,
    )
    assert new.business_date == came


def test_an_event_whose_payload_was_refused_is_never_run_without_it(inbox_of):
    large = inbox_of.fire("consumption", member_id=555, payload={"text": "x" * 300_000})
    assert replay(inbox_of, large.id).outcome is Replayed.PAYLOAD_LOST
    assert inbox_of.count("biz.ai_trigger_jobs") == 1


def test_the_replay_of_a_sites_batch_is_of_that_batch(inbox_of):
    inbox_of.batch(31, datetime(2026, 8, 19, 2, tzinfo=UTC))
    job = inbox_of.fire("dws_completed")
    inbox_of.claim(job.id)
    inbox_of.finish(job.id, status="partial", error="1 of 72")
    made = replay(inbox_of, job.id)
    new = inbox_of.job(made.replay)
    assert (new.payload["batch_id"], new.business_date) == ("31", inbox_of.job(job.id).business_date)
    with inbox_of.engine.connect() as connection:
        assert [due.id for due in site_jobs.due_site_jobs(connection, limit=200)] == [new.id]


# --- choosing and finding


def test_a_replay_by_state_takes_what_ended_badly_in_the_order_it_came_and_once(inbox_of):
    ids = {status: ended(inbox_of, status, member=n) for n, status in enumerate(
        ("completed", "dead", "failed", "partial"), start=1)}  # fmt: skip
    inbox_of.fire("consumption", member_id=1)  # a duplicate
    inbox_of.fire("consumption", member_id=9)  # pending
    assert chosen(inbox_of, sites=(1001,)) == [ids["dead"], ids["failed"], ids["partial"]]
    assert chosen(inbox_of, limit=1, sites=(1001,)) == [ids["dead"]]
    assert chosen(inbox_of, states=("completed",)) == [ids["completed"]]
    replay(inbox_of, ids["failed"])
    assert chosen(inbox_of, sites=(1001,)) == [ids["dead"], ids["partial"]]


def test_what_a_person_cancelled_is_replayed_only_by_its_id(inbox_of):
    job = inbox_of.fire("consumption", member_id=555)
    cancel(inbox_of, job.id)
    assert chosen(inbox_of, states=("failed",)) == []
    assert replay(inbox_of, job.id).outcome is Replayed.REPLAYED


def test_filters_hold_together_and_an_errors_text_is_a_text(inbox_of):
    failed = ended(inbox_of, "failed", member=1)
    ended(inbox_of, "failed", member=2, site_id=1002)
    completed = ended(inbox_of, "completed", member=3)
    inbox_of.run("update biz.ai_trigger_jobs set error_message = '100% of app_3' where id = :id", id=failed)
    assert found(inbox_of, sites=(1001,)) == [completed, failed]
    assert found(inbox_of, error="00% OF") == [failed]
    # signs of patterns are signs of the text
    assert found(inbox_of, error="1%f") == []
    assert found(inbox_of, error="app-3") == found(inbox_of, error="app\\3") == []
    assert found(inbox_of, states=("failed",), sites=(1001,), member_id=1) == [failed]
    assert found(inbox_of, event_types=("note_created",)) == []
    now = datetime.now(UTC)
    assert len(found(inbox_of, since=now - timedelta(minutes=5), until=now + timedelta(minutes=5))) == 3
    assert found(inbox_of, until=now - timedelta(minutes=5)) == []


# --- cancelling


def test_a_waiting_job_is_cancelled_at_once_says_who_and_why_and_holds_no_key(inbox_of):
    job = inbox_of.fire("consumption", member_id=555)
    assert cancel(inbox_of, job.id, "cancelled by kim: a test, phone 13812345678") == "cancelled"
    after = inbox_of.job(job.id)
    assert (after.status, after.finished_at is not None) == ("failed", True)
    assert after.error_message.startswith("cancelled by kim: a test")
    assert "13812345678" not in after.error_message
    assert inbox_of.claim(job.id) is None
    assert inbox_of.fire("consumption", member_id=555).status == "pending"
    assert cancel(inbox_of, job.id) == "failed"
    assert cancel(inbox_of, 987654) is None


def test_a_running_job_keeps_its_member_until_its_holder_lets_it_go_and_is_never_tried_again(inbox_of):
    job = inbox_of.fire("consumption", member_id=555)
    behind = inbox_of.fire("task_assigned", member_id=555, payload={"assistant_id": 7})
    inbox_of.claim(job.id, owner="w1")
    assert cancel(inbox_of, job.id) == "asked"
    # two chains of one member never run at once
    assert inbox_of.job(job.id).status == "running"
    assert inbox_of.claim(behind.id) is None
    with inbox_of.engine.begin() as connection:
        assert asked_to_stop(connection, owner="w1") == {(job.id, 1)}
        assert asked_to_stop(connection, owner="w2") == set()
        assert leases.requeue(connection, [job.id], owner="w1", error="its worker was asked to stop") == 1
    after = inbox_of.job(job.id)
    assert (after.status, after.error_message) == ("failed", "cancelled by kim")
    assert inbox_of.claim(behind.id) is not None


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_cancelled_job_whose_worker_was_killed_is_neither_tried_again_nor_dead(inbox_of, attempts):
    job = inbox_of.fire("consumption", member_id=555)
    inbox_of.claim(job.id)
    inbox_of.run("update biz.ai_trigger_jobs set attempts = :n", n=attempts)
    cancel(inbox_of, job.id)
    inbox_of.end_lease(job.id)
    with inbox_of.engine.begin() as connection:
        (taken,) = leases.requeue_expired(connection, max_attempts=3)
    assert (taken.id, taken.status, taken.error_message) == (job.id, "failed", "cancelled by kim")


def test_a_sites_run_hears_at_its_heartbeat_that_it_was_cancelled_and_ends_with_what_it_made(inbox_of):
    inbox_of.batch(31, datetime(2026, 8, 19, 2, tzinfo=UTC))
    job = inbox_of.fire("dws_completed")
    inbox_of.claim(job.id)
    cancel(inbox_of, job.id, "cancelled by kim: too dear")
    with inbox_of.engine.begin() as connection:
        assert asked_to_stop(connection, owner="run:1") == {(job.id, 1)}
    assert inbox_of.finish(job.id, status="partial", error="cancelled x 40")
    after = inbox_of.job(job.id)
    assert (after.status, after.error_message) == ("partial", "cancelled by kim: too dear; cancelled x 40")
    # its run, re-executed by a person, begins without that
    assert inbox_of.claim(job.id, again=True) is not None
    with inbox_of.engine.begin() as connection:
        assert asked_to_stop(connection, owner="run:1") == set()


def test_a_job_that_came_to_its_end_before_it_could_be_stopped_is_completed(inbox_of):
    job = inbox_of.fire("consumption", member_id=555)
    inbox_of.claim(job.id)
    cancel(inbox_of, job.id)
    inbox_of.finish(job.id, status="completed")
    after = inbox_of.job(job.id)
    assert (after.status, after.error_message) == ("completed", None)


def test_looking_for_what_ended_badly_among_many_that_went_well_walks_no_ledger(inbox_of):
    inbox_of.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain, status, error_message) "
        "select 'consumption', 1001, n, 'app3', case when n % 1000 = 0 then 'failed' else 'completed' end, 'x' "
        "from generate_series(1, 30000) n"
    )
    inbox_of.run("analyze biz.ai_trigger_jobs")
    with inbox_of.engine.connect() as connection:
        connection.execute(text("set plan_cache_mode = force_generic_plan"))
    plan_of = []

    class Explaining:
        """The connection, with each statement explained instead."""

        def __init__(self, connection) -> None:
            self.connection = connection

        def execute(self, statement, parameters):
            plan_of.append(
                "\n".join(self.connection.execute(text(f"explain {statement.text}"), parameters).scalars())
            )
            return self.connection.execute(statement, parameters)

    with inbox_of.engine.connect() as connection:
        assert len(find_jobs(Explaining(connection), JobFilter(states=("failed",)), limit=50)) == 30
        assert len(ids_to_replay(Explaining(connection), JobFilter(sites=(1001,)), limit=None)) == 30
    assert all("ai_trigger_jobs_ended_badly" in plan for plan in plan_of), plan_of
    assert not any("Seq Scan" in plan for plan in plan_of), plan_of
