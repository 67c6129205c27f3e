"""The life of a trigger job: claimed by its id, ended, due. What becomes of its lease: `test_leases`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from ai_assets.store import inbox, leases, site_jobs


def due(inbox_of, limit: int = 200) -> list[int]:
    with inbox_of.engine.connect() as connection:
        return [job.id for job in site_jobs.due_site_jobs(connection, limit=limit)]


def test_a_job_is_claimed_run_and_ended_with_its_steps(inbox_of):
    waiting = inbox_of.fire("dws_completed")
    running = inbox_of.claim(waiting.id)
    assert (running.status, running.attempts, running.run_id) == ("running", 1, "run-1")
    assert running.started_at is not None
    steps = [{"app": "app2_finance", "outcome": "failed", "message": "NUL \x00 in it", "n": float("inf")}]
    assert inbox_of.finish(waiting.id, status="partial", step_results=steps, error="e" * 600 + "\x00")
    ended = inbox_of.job(waiting.id)
    assert (ended.status, ended.error_message) == ("partial", "e" * 500)
    assert ended.step_results == [
        {"app": "app2_finance", "outcome": "failed", "message": "NUL \ufffd in it", "n": None}
    ]
    assert ended.created_at <= ended.started_at <= ended.finished_at <= datetime.now(UTC)
    lease = inbox_of.one("select lease_owner, lease_until from biz.ai_trigger_jobs")
    assert (lease["lease_owner"], lease["lease_until"]) == (None, None)


def test_a_job_is_claimed_once(inbox_of):
    job = inbox_of.fire("dws_completed")
    assert inbox_of.claim(job.id, "run:1")
    assert inbox_of.claim(job.id, "run:2") is None
    assert inbox_of.claim(job.id, "run:2", again=True) is None
    assert inbox_of.claim(4711) is None


def test_of_ten_that_claim_at_once_one_gets_it(inbox_of):
    job = inbox_of.fire("dws_completed")
    start = threading.Barrier(10)

    def claim(number):
        start.wait(20)
        return inbox_of.claim(job.id, f"run:{number}")

    with ThreadPoolExecutor(10) as pool:
        claims = list(pool.map(claim, range(10)))
    assert sum(claimed is not None for claimed in claims) == 1
    assert inbox_of.job(job.id).attempts == 1


@pytest.mark.parametrize(
    ("status", "again", "claimed"),
    [
        ("completed", False, False),
        ("completed", True, True),
        ("partial", True, True),
        ("failed", True, True),
        ("failed", False, False),
        ("dead", True, True),
        ("duplicate", True, False),
    ],
)
def test_one_that_has_ended_is_claimed_again_only_where_that_is_asked(inbox_of, status, again, claimed):
    job = inbox_of.fire("dws_completed")
    inbox_of.run(
        "update biz.ai_trigger_jobs set status = :status, error_message = 'old', finished_at = now()",
        status=status,
    )
    found = inbox_of.claim(job.id, again=again)
    assert (found is not None) is claimed
    if found:
        assert (found.status, found.error_message, found.finished_at) == ("running", None, None)


def test_two_chains_of_one_member_of_a_site_never_run_at_once(inbox_of):
    first = inbox_of.fire("consumption", member_id=5)
    second = inbox_of.fire("note_created", member_id=5, payload={"note_content": "x"})
    other_member = inbox_of.fire("consumption", member_id=6)
    other_site = inbox_of.fire("consumption", member_id=5, site_id=1002)
    assert inbox_of.claim(first.id)
    assert inbox_of.claim(second.id, "run:2") is None
    assert inbox_of.claim(other_member.id, "run:2")
    assert inbox_of.claim(other_site.id, "run:2")
    inbox_of.finish(first.id)
    assert inbox_of.claim(second.id, "run:2")


def test_two_that_claim_two_chains_of_one_member_at_the_same_instant_do_not_both_get_one(inbox_of):
    for round_ in range(5):
        jobs = [
            inbox_of.fire("note_created", member_id=5, payload={"note_content": f"{round_} {number}"})
            for number in range(6)
        ]
        start = threading.Barrier(6)

        def claim(job, start=start):
            start.wait(20)
            return inbox_of.claim(job.id, f"run:{job.id}")

        with ThreadPoolExecutor(6) as pool:
            claims = [claimed for claimed in pool.map(claim, jobs) if claimed]
        assert len(claims) == 1
        assert inbox_of.finish(claims[0].id, f"run:{claims[0].id}")


def test_a_finish_after_a_takeover_changes_nothing(inbox_of):
    job = inbox_of.fire("dws_completed")
    inbox_of.claim(job.id, "run:1")
    inbox_of.end_lease(job.id)
    with inbox_of.engine.begin() as connection:
        assert len(leases.requeue_expired(connection, max_attempts=3, sites=True)) == 1
    assert not inbox_of.finish(job.id, "run:1", status="failed", error="late")
    inbox_of.claim(job.id, "run:2")
    assert not inbox_of.finish(job.id, "run:1", status="failed", error="late")
    assert inbox_of.job(job.id).status == "running"
    assert inbox_of.finish(job.id, "run:2", step_results=[{"app": "x"}])
    assert not inbox_of.finish(job.id, "run:2", status="failed"), "and ending twice changes nothing"
    ended = inbox_of.job(job.id)
    assert (ended.status, ended.step_results, ended.error_message) == ("completed", [{"app": "x"}], None)


def test_a_late_finish_within_an_ended_lease_counts_while_nobody_took_over(inbox_of):
    job = inbox_of.fire("dws_completed")
    inbox_of.claim(job.id)
    inbox_of.end_lease(job.id)
    assert inbox_of.finish(job.id)


def test_one_due_job_of_each_site_comes_forced_first_then_older_while_none_of_the_site_runs(inbox_of):
    older, newer = inbox_of.fire("dws_completed"), inbox_of.fire("dws_completed", site_id=1002)
    forced = inbox_of.fire("dws_completed", site_id=1002, is_forced=True)
    second = inbox_of.fire("dws_completed", payload={"batch_id": "another"})
    inbox_of.fire("consumption", member_id=5)
    inbox_of.fire("dws_completed")
    assert due(inbox_of) == [forced.id, older.id]
    assert due(inbox_of, limit=1) == [forced.id]
    inbox_of.claim(older.id)
    assert due(inbox_of) == [forced.id]
    inbox_of.finish(older.id)
    assert due(inbox_of) == [forced.id, second.id]
    # one that waits for its next attempt does not hold up the others
    inbox_of.run("update biz.ai_trigger_jobs set not_before = 'infinity' where id = :id", id=forced.id)
    assert due(inbox_of) == [newer.id, second.id]


def fill_queue(inbox_of, pending: int, *, site: int = 1001) -> None:
    for number in range(pending):
        assert (
            inbox_of.fire("dws_completed", site_id=site, payload={"batch_id": f"b{number}"}).status
            == "pending"
        )


def test_a_site_has_at_most_100_pending_events_of_batches_and_the_next_says_why(inbox_of):
    fill_queue(inbox_of, 100)
    for event in ({"payload": {"batch_id": "one more"}}, {"payload": {"batch_id": "b5"}, "is_forced": True}):
        job = inbox_of.fire("dws_completed", **event)
        assert job.status == "failed"
        assert "100 pending" in job.error_message
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'pending'") == 100
    # the forced one that failed did not take the place of the one before it
    assert inbox_of.fire("dws_completed", payload={"batch_id": "b5"}).status == "duplicate"
    assert inbox_of.fire("dws_completed", site_id=1002).status == "pending"
    (first,) = due(inbox_of, limit=1)
    inbox_of.claim(first)
    assert inbox_of.fire("dws_completed", payload={"batch_id": "one more"}).status == "pending"


def test_a_prewarm_beyond_a_sites_limit_says_so_and_serves_the_other_sites(inbox_of):
    fill_queue(inbox_of, 100)
    job = inbox_of.fire("ai_dws_prewarm", site_id=None)
    made = [inbox_of.job(step["trigger_job_id"]).status for step in job.step_results]
    assert (job.status, made) == ("partial", ["failed", "pending"])


def test_the_events_of_members_have_no_such_limit(inbox_of):
    for number in range(101):
        job = inbox_of.fire("note_created", member_id=5, payload={"note_content": f"note {number}"})
        assert job.status == "pending"


def test_a_job_that_there_is_not_is_none(inbox_of):
    with inbox_of.engine.connect() as connection:
        assert inbox.job(connection, 4711) is None
