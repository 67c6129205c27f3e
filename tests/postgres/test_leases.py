"""Leases of trigger jobs: the same rules for a worker's jobs and for a site run's."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ai_assets.store import claims, inbox, job_control, leases, workers


class Leases:
    """Jobs of one kind: a member's, or a site's."""

    def __init__(self, inbox_of, *, sites: bool) -> None:
        self.inbox = inbox_of
        self.sites = sites
        self.engine = inbox_of.engine

    def do(self, what, *given, **how):
        with self.engine.begin() as connection:
            return what(connection, *given, **how)

    def fire(self):
        if self.sites:
            return self.inbox.fire("dws_completed", is_forced=True)
        return self.inbox.fire("consumption", member_id=5)

    def claimed(self, owner="holder"):
        return self.claim(self.fire().id, owner)

    def claim(self, job_id, owner="holder"):
        job = self.do(claims.claim_job, job_id, owner=owner, lease_s=60.0, run_id="run-1")
        assert job is not None
        return job

    def heartbeat(self, owner="holder", lease_s=60.0):
        return self.do(
            workers.heartbeat, worker_id=owner, kind="k", run_id=None, host="h", pid=1, running=1,
            draining=False, lease_s=lease_s,
        )  # fmt: skip

    def expire(self, job, *, and_holder=True):
        self.inbox.end_lease(job.id)
        if and_holder:
            self.inbox.run("update biz.ai_workers set heartbeat_at = heartbeat_at - interval '61 s'")

    def requeue_expired(self, connection=None, max_attempts=3):
        if connection is not None:
            connection.execute(text("set local lock_timeout = '5s'"))
            return leases.requeue_expired(connection, max_attempts=max_attempts, sites=self.sites)
        return self.do(leases.requeue_expired, max_attempts=max_attempts, sites=self.sites)


@pytest.fixture(params=[False, True], ids=["member job", "site job"])
def jobs(inbox_of, request) -> Leases:
    return Leases(inbox_of, sites=request.param)


def test_a_heartbeat_renews_the_leases_of_its_sender_and_of_no_other(jobs):
    job = jobs.claimed()
    jobs.expire(job)
    assert jobs.heartbeat("another") == {}
    assert jobs.heartbeat() == {job.id: 1}
    jobs.inbox.run("delete from biz.ai_workers")
    assert jobs.requeue_expired() == [], "the lease itself is in force again"


def test_a_holder_that_is_alive_keeps_a_job_whose_row_a_backend_has_locked(jobs):
    job = jobs.claimed()
    jobs.heartbeat()
    with jobs.engine.begin() as backend:
        backend.execute(text("select from biz.ai_trigger_jobs where id = :id for update"), {"id": job.id})
        # neither waits for the lock
        with jobs.engine.begin() as connection:
            connection.execute(text("set local lock_timeout = '5s'"))
            owned = workers.heartbeat(
                connection, worker_id="holder", kind="k", run_id=None, host="h", pid=1, running=1,
                draining=False, lease_s=60.0,
            )  # fmt: skip
            assert jobs.requeue_expired(connection) == []
        assert owned == {job.id: 1}
    jobs.expire(job, and_holder=False)
    assert jobs.requeue_expired() == [], "its lease could not be renewed, but its holder is alive"
    jobs.expire(job)
    assert [requeued.id for requeued in jobs.requeue_expired()] == [job.id]


def test_a_clock_that_is_set_forward_ends_no_lease_of_a_holder_that_is_alive(jobs, clock):
    job = jobs.claimed()
    jobs.heartbeat()
    clock.step(7200)
    assert jobs.requeue_expired() == []
    assert jobs.do(workers.expired) == []
    assert jobs.heartbeat() == {job.id: 1}
    for _ in range(8):
        clock.step(10)
        jobs.do(workers.expired)
    assert [requeued.id for requeued in jobs.requeue_expired()] == [job.id], "time that was looked at counts"


def test_an_expired_job_that_somebody_has_locked_is_left_to_the_next_call(jobs):
    job = jobs.claimed()
    jobs.expire(job)
    with jobs.engine.begin() as backend:
        backend.execute(text("select from biz.ai_trigger_jobs where id = :id for update"), {"id": job.id})
        with jobs.engine.begin() as connection:
            assert jobs.requeue_expired(connection) == []
    assert len(jobs.requeue_expired()) == 1


def test_a_lost_attempt_counts_and_the_last_one_makes_the_job_dead(jobs):
    job = jobs.fire()
    for attempt in (1, 2, 3):
        assert jobs.claim(job.id, f"holder {attempt}").attempts == attempt
        jobs.expire(job)
        (lost,) = jobs.requeue_expired()
        jobs.inbox.run("update biz.ai_trigger_jobs set not_before = '-infinity'")
        assert lost.status == ("dead" if attempt == 3 else "pending")
    assert lost.finished_at is not None
    assert jobs.requeue_expired() == [], "one alert is enough"


def test_a_holder_that_is_asked_to_stop_requeues_its_job_without_counting_the_attempt(jobs):
    job = jobs.claimed()
    assert jobs.do(leases.requeue, [job.id], owner="another", error="x") == 0
    assert jobs.do(leases.requeue, [job.id], owner="holder", error="asked to stop") == 1
    back = jobs.inbox.job(job.id)
    assert (back.status, back.attempts, back.launches) == ("pending", 0, 1)
    again = jobs.claim(job.id)
    assert (again.attempts, again.launches) == (1, 2), "each launch has a number of its own"


def test_a_late_end_of_a_lost_attempt_changes_nothing(jobs):
    first = jobs.claimed()
    jobs.expire(first)
    assert len(jobs.requeue_expired()) == 1
    end = {"owner": "holder", "status": "failed", "step_results": [], "error": "late"}
    assert not jobs.do(inbox.finish, first.id, **end)
    second = jobs.claim(first.id)
    # the same process has it again: the attempt tells the two apart
    assert not jobs.do(inbox.finish, first.id, attempts=first.attempts, **end)
    assert jobs.do(leases.expire_lease, first.id, owner="holder", attempts=first.attempts) == 0
    assert jobs.do(inbox.finish, second.id, attempts=second.attempts, **end)


def test_each_kind_is_requeued_by_those_who_look_after_it(inbox_of):
    member_job, site_job = Leases(inbox_of, sites=False), Leases(inbox_of, sites=True)
    jobs = {kind: kind.claimed() for kind in (member_job, site_job)}
    for kind, job in jobs.items():
        kind.expire(job)
    assert [job.id for job in site_job.do(leases.expired_site_jobs)] == [jobs[site_job].id]
    for kind, job in jobs.items():
        assert [requeued.id for requeued in kind.requeue_expired()] == [job.id]


def test_a_run_that_ended_before_it_claimed_its_job_is_a_lost_attempt_once(jobs):
    job = jobs.fire()
    lost = jobs.do(leases.lose_start, job, max_attempts=3)
    assert (lost.status, lost.attempts, lost.launches) == ("pending", 1, 1)
    assert jobs.do(leases.lose_start, job, max_attempts=3) is None, "it is another launch's turn by now"
    running = jobs.claim(job.id)
    assert jobs.do(leases.lose_start, running, max_attempts=3) is None, "a run has it"
    jobs.do(leases.requeue, [job.id], owner="holder", error="x")
    again = jobs.do(leases.lose_start, jobs.inbox.job(job.id), max_attempts=2)
    assert (again.status, again.run_alone) == (("dead", False) if jobs.sites else ("pending", True))


def test_a_pending_job_that_somebody_has_locked_is_left_by_the_sensor(jobs):
    job = jobs.fire()
    with jobs.engine.begin() as backend:
        backend.execute(text("select from biz.ai_trigger_jobs where id = :id for update"), {"id": job.id})
        with jobs.engine.begin() as connection:
            connection.execute(text("set local lock_timeout = '5s'"))
            assert leases.lose_start(connection, job, max_attempts=3) is None
            assert job_control.cancel_unlocked_job(connection, job.id, why="the run was cancelled") is None
    assert jobs.do(job_control.cancel_unlocked_job, job.id, why="the run was cancelled") == "cancelled"
    ended = jobs.inbox.job(job.id)
    assert (ended.status, ended.error_message) == ("failed", "the run was cancelled")


def test_rows_of_an_older_version_number_their_next_launch_after_their_attempts(jobs):
    job = jobs.fire()
    jobs.inbox.run("update biz.ai_trigger_jobs set attempts = 2, launches = 0")
    assert jobs.inbox.job(job.id).launches == 2
    assert jobs.claim(job.id).launches == 3
