"""The life of a trigger job: claimed, held, ended; lost, given back with growing waits, dead."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ai_assets.store import inbox, site_jobs


def give_back(inbox_of, job, **how):
    with inbox_of.engine.begin() as connection:
        return site_jobs.give_back(
            connection, job, **{"attempts": job.attempts, "max_attempts": 3, "error": "lost", **how}
        )


def due(inbox_of) -> list[int]:
    with inbox_of.engine.connect() as connection:
        return [job.id for job in site_jobs.due_site_jobs(connection)]


def lost(inbox_of) -> list[int]:
    with inbox_of.engine.connect() as connection:
        return [job.id for job in site_jobs.lost_site_jobs(connection)]


def heartbeat(inbox_of, job_id, owner="run:1") -> bool:
    with inbox_of.engine.begin() as connection:
        return site_jobs.heartbeat(connection, job_id, owner=owner, lease_s=60.0)


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


def test_a_heartbeat_holds_a_job_on_for_its_owner_only(inbox_of):
    job = inbox_of.fire("dws_completed")
    assert not heartbeat(inbox_of, job.id), "nobody runs it"
    inbox_of.claim(job.id)
    inbox_of.end_lease(job.id)
    assert lost(inbox_of) == [job.id]
    assert not heartbeat(inbox_of, job.id, "run:2")
    assert heartbeat(inbox_of, job.id)
    assert lost(inbox_of) == []
    inbox_of.finish(job.id)
    assert not heartbeat(inbox_of, job.id)


def test_a_lost_attempt_is_made_again_after_growing_waits_and_the_last_one_is_dead(inbox_of):
    job = inbox_of.fire("dws_completed")
    waits = []
    for attempt in range(1, 5):
        claimed = inbox_of.claim(job.id, f"run:{attempt}")
        assert claimed.attempts == attempt
        inbox_of.end_lease(job.id)
        assert lost(inbox_of) == [job.id]
        if attempt == 4:
            break
        assert give_back(inbox_of, claimed, max_attempts=4) == "pending"
        assert due(inbox_of) == [], "its time has not come"
        waits.append(
            float(
                inbox_of.value(
                    "select extract(epoch from not_before - clock_timestamp()) from biz.ai_trigger_jobs"
                )
            )
        )
        inbox_of.run("update biz.ai_trigger_jobs set not_before = now() - interval '1 s'")
        assert due(inbox_of) == [job.id]
    assert waits == [pytest.approx(2, abs=1.5), pytest.approx(8, abs=5), pytest.approx(32, abs=9)]
    assert give_back(inbox_of, claimed, max_attempts=4, error="the process was killed") == "dead"
    dead = inbox_of.job(job.id)
    assert (dead.status, dead.attempts, dead.error_message) == ("dead", 4, "the process was killed")
    assert dead.finished_at is not None
    assert due(inbox_of) == lost(inbox_of) == []
    assert give_back(inbox_of, claimed, max_attempts=4) is None, "one alert is enough"


def test_an_attempt_that_was_never_claimed_can_be_lost_too(inbox_of):
    job = inbox_of.fire("dws_completed")
    assert give_back(inbox_of, job, attempts=1) == "pending"
    assert inbox_of.job(job.id).attempts == 1
    assert give_back(inbox_of, job, attempts=3) == "dead"


def test_giving_back_what_another_has_put_right_meanwhile_changes_nothing(inbox_of):
    job = inbox_of.fire("dws_completed")
    first = inbox_of.claim(job.id)
    inbox_of.end_lease(job.id)
    assert give_back(inbox_of, first) == "pending"
    second = inbox_of.claim(job.id, "run:2")
    assert give_back(inbox_of, first) is None, "another attempt runs and its lease is good"
    inbox_of.end_lease(job.id)
    assert give_back(inbox_of, second) == "pending"
    assert give_back(inbox_of, first) is None, "an older count does not overwrite a newer one"
    assert inbox_of.job(job.id).attempts == 2


def test_a_finish_after_a_takeover_changes_nothing(inbox_of):
    job = inbox_of.fire("dws_completed")
    first = inbox_of.claim(job.id, "run:1")
    inbox_of.end_lease(job.id)
    give_back(inbox_of, first)
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


@pytest.mark.parametrize(
    ("state", "ended"), [("pending", True), ("lost", True), ("running", False), ("completed", False)]
)
def test_only_a_job_that_nobody_works_on_is_ended_from_outside(inbox_of, state, ended):
    job = inbox_of.fire("dws_completed")
    if state != "pending":
        inbox_of.claim(job.id)
    if state == "lost":
        inbox_of.end_lease(job.id)
    if state == "completed":
        inbox_of.finish(job.id)
    with inbox_of.engine.begin() as connection:
        site_jobs.end(connection, job.id, status="failed", error="the run was cancelled")
    after = inbox_of.job(job.id)
    assert (after.status, after.error_message) == (
        ("failed", "the run was cancelled") if ended else (state, None)
    )
    if ended:
        assert inbox_of.fire("dws_completed").status == "pending", "it holds no key"


def test_due_site_jobs_come_forced_first_then_older_and_only_those_of_sites(inbox_of):
    older, newer = inbox_of.fire("dws_completed"), inbox_of.fire("dws_completed", site_id=1002)
    forced = inbox_of.fire("dws_completed", site_id=1002, is_forced=True)
    inbox_of.fire("consumption", member_id=5)
    inbox_of.fire("dws_completed")
    assert due(inbox_of) == [forced.id, older.id, newer.id]
    inbox_of.claim(older.id)
    assert due(inbox_of) == [forced.id, newer.id]


def test_a_job_that_there_is_not_is_none(inbox_of):
    with inbox_of.engine.connect() as connection:
        assert inbox.job(connection, 4711) is None


def test_the_error_of_a_job_is_cut_where_it_is_given_back_too(inbox_of):
    job = inbox_of.fire("dws_completed")
    give_back(inbox_of, replace(job), attempts=1, error="e" * 900)
    assert len(inbox_of.job(job.id).error_message) == 500
