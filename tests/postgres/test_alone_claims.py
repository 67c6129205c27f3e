"""Jobs that lost attempts beside others: they run alone, one at a time in all, and only so become dead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ai_assets.store import claims, inbox, leases
from ai_assets.store.queue_depth import queue_depth


class Suspects:
    """Members' jobs of one site that a killed worker left."""

    def __init__(self, db):
        self.db = db
        self.engine = db.engine

    def do(self, what, *given, **how):
        with self.engine.begin() as connection:
            return what(connection, *given, **how)

    def add(self, members=1) -> list[int]:
        with self.engine.begin() as connection:
            return list(
                connection.execute(
                    text(
                        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) "
                        "select 'note_created', 1, m from generate_series(1, :n) m returning id"
                    ),
                    {"n": members},
                ).scalars()
            )

    def claim(self, owner="w") -> list[int]:
        jobs = self.do(
            claims.claim_member_jobs, owner=owner, run_id=None, lease_s=60.0, limit=16, after_site=None
        )
        return [job.id for job in jobs]

    def claim_alone(self, owner="w", **how):
        return self.do(claims.claim_alone_job, owner=owner, run_id=None, lease_s=60.0, **how)

    def kill(self, max_attempts=3):
        """Whoever holds a lease is killed; the waits after it are over."""
        self.db.run(
            "update biz.ai_trigger_jobs set lease_until = biz.ai_now() - interval '1 s' where status = 'running'"
        )
        jobs = self.do(leases.requeue_expired, max_attempts=max_attempts)
        self.db.run("update biz.ai_trigger_jobs set not_before = '-infinity'")
        return jobs


@pytest.fixture
def suspects(db) -> Suspects:
    return Suspects(db)


@pytest.mark.parametrize(("max_attempts", "shared"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_the_last_attempt_runs_alone_and_the_number_of_attempts_is_bounded(suspects, max_attempts, shared):
    suspects.add(3)
    for _ in range(shared):
        assert len(suspects.claim()) == 3
        assert {job.status for job in suspects.kill(max_attempts)} == {"pending"}
    assert suspects.claim() == [], "no shared worker may be killed by one of them again"
    for _ in range(3):
        assert suspects.claim_alone() is not None
        assert [job.status for job in suspects.kill(max_attempts)] == ["dead"]
    assert suspects.claim_alone() is None
    assert {row["attempts"] for row in suspects.db.all("select attempts from biz.ai_trigger_jobs")} == {
        max(2, max_attempts)
    }


def test_the_waits_of_jobs_that_lost_their_worker_together_spread(suspects):
    suspects.add(16)
    suspects.claim()
    suspects.db.run("update biz.ai_trigger_jobs set lease_until = biz.ai_now() - interval '1 s'")
    suspects.do(leases.requeue_expired, max_attempts=3)
    waits = suspects.db.one(
        "select extract(epoch from max(not_before) - min(not_before))::float8 as spread, "
        "count(distinct not_before) as moments from biz.ai_trigger_jobs"
    )
    assert waits["moments"] == 16
    assert 0.2 < waits["spread"] < 2.5


def test_one_job_at_a_time_runs_alone_also_where_many_ask_at_once(suspects):
    suspects.add(8)
    suspects.claim()
    suspects.kill(max_attempts=1)
    with ThreadPoolExecutor(6) as pool:
        got = [job for job in pool.map(lambda n: suspects.claim_alone(f"w{n}"), range(6)) if job]
    assert len(got) <= 1
    running = got or [suspects.claim_alone()]
    assert suspects.claim_alone("another") is None
    assert suspects.do(inbox.finish, running[0].id, owner=suspects.db.value(
        "select lease_owner from biz.ai_trigger_jobs where status = 'running'"
    ), status="completed", step_results=[], error=None)  # fmt: skip
    assert suspects.claim_alone("another") is not None


def test_an_event_of_a_member_waits_for_the_suspect_before_it_and_others_do_not(suspects):
    [suspect] = suspects.add(1)
    suspects.claim()
    suspects.kill(max_attempts=1)
    _behind, other = suspects.add(2)
    depth = suspects.do(queue_depth)
    assert (depth.startable, depth.alone, depth.due) == (1, 1, 3)
    assert suspects.claim() == [other]
    assert suspects.claim_alone().id == suspect


def test_a_suspect_of_a_site_without_room_in_its_rate_waits(suspects):
    suspects.add(1)
    suspects.claim()
    suspects.kill(max_attempts=1)
    suspects.db.run("insert into biz.ai_rate_limits (site_id, last_place) values (1, 5)")
    suspects.db.run(
        "insert into biz.ai_rate_places (site_id, place, taken_at) select 1, n, now() from generate_series(1, 5) n"
    )
    assert suspects.claim_alone(rate_per_minute=5) is None
    assert suspects.claim_alone() is not None


def test_an_isolated_worker_that_is_asked_to_stop_spends_no_attempt_and_the_job_still_runs_alone(suspects):
    suspects.add(1)
    suspects.claim()
    suspects.kill(max_attempts=1)
    job = suspects.claim_alone()
    assert suspects.do(leases.requeue, [job.id], owner="w", error="x") == 1
    assert suspects.claim() == []
    assert suspects.claim_alone().attempts == job.attempts
