"""What a claim can see of the members' queues: every head, whatever locks and late commits do to who noted what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ai_assets.store import claims, inbox, job_control, leases

INSERT = text(
    "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, is_forced) "
    "values ('note_created', :site, :member, :forced) returning id"
)


class Queue:
    """Members' jobs by SQL, and claims of them."""

    def __init__(self, db):
        self.db = db
        self.engine = db.engine

    def do(self, what, *given, **how):
        with self.engine.begin() as connection:
            return what(connection, *given, **how)

    def add(self, member=5, *, site=1, forced=False, connection=None) -> int:
        values = {"site": site, "member": member, "forced": forced}
        if connection is not None:
            return connection.execute(INSERT, values).scalar_one()
        with self.engine.begin() as own:
            return own.execute(INSERT, values).scalar_one()

    def claim(self, limit=16) -> list[int]:
        jobs = self.do(
            claims.claim_member_jobs, owner="w", run_id=None, lease_s=60.0, limit=limit, after_site=None
        )
        return [job.id for job in jobs]

    def finish(self, job_id) -> None:
        ended = {"owner": "w", "status": "completed", "step_results": [], "error": None}
        assert self.do(inbox.finish, job_id, **ended)

    def behind(self) -> set[int]:
        return {row["id"] for row in self.db.all("select id from biz.ai_trigger_jobs where queued_behind")}


@pytest.fixture
def queue(db) -> Queue:
    return Queue(db)


def test_an_event_behind_another_of_its_member_is_seen_when_that_one_is_claimed(queue):
    first, second, third = (queue.add() for _ in range(3))
    forced = queue.add(forced=True)
    assert queue.behind() == {second, third}
    assert queue.claim() == [first]
    assert queue.behind() == {third}
    for job in (first, second, third, forced):
        queue.finish(job)
        queue.claim()
    assert queue.db.count("biz.ai_trigger_jobs", "status = 'completed'") == 4


def test_a_cancelled_head_lets_the_next_be_seen(queue):
    first, second, third = (queue.add() for _ in range(3))
    assert queue.do(job_control.cancel_job, first, why="x") == "cancelled"
    assert queue.behind() == {third}
    assert queue.claim() == [second]


def test_a_head_that_is_requeued_comes_before_what_came_after_it(queue):
    first, second = queue.add(), queue.add()
    assert queue.claim() == [first]
    assert queue.do(leases.requeue, [first], owner="w", error="x") == 1
    assert queue.claim() == [first]
    queue.finish(first)
    assert queue.claim() == [second]


def test_an_event_committed_after_the_one_before_it_has_ended_is_promoted(queue):
    first = queue.add()
    with queue.engine.begin() as backend:
        late = queue.add(connection=backend)
        assert queue.claim() == [first]
        queue.finish(first)
    assert queue.claim() == [], "nobody saw it when the one before it ended"
    assert queue.do(claims.promote_stuck) is None
    assert queue.claim() == [late]


def test_a_head_that_a_backend_has_locked_is_promoted_later_and_nobody_waits_for_it(queue):
    first, second = queue.add(), queue.add()
    with queue.engine.begin() as backend:
        backend.execute(text("select from biz.ai_trigger_jobs where id = :id for update"), {"id": second})
        with queue.engine.begin() as connection:
            connection.execute(text("set local lock_timeout = '5s'"))
            assert claims.claim_job(connection, first, owner="w", lease_s=60, run_id=None)
            claims.promote_stuck(connection)
            inbox.finish(connection, first, owner="w", status="completed", step_results=[], error=None)
    queue.do(claims.promote_stuck)
    assert queue.claim() == [second]


def test_an_event_that_changes_to_forced_or_back_keeps_its_place(queue):
    first, second = queue.add(), queue.add(forced=True)
    queue.db.run("update biz.ai_trigger_jobs set is_forced = false where id = :id", id=second)
    assert queue.behind() == {second}
    queue.db.run("update biz.ai_trigger_jobs set is_forced = true where id = :id", id=second)
    assert queue.behind() == set()
    assert queue.claim() == [first]


def test_looking_for_stuck_heads_goes_on_where_it_stopped(queue):
    for member in range(1, 8):
        queue.add(member)
        queue.add(member)
    at, members = None, []
    while at := queue.do(claims.promote_stuck, at, members=2):
        members.append(at)
    assert members == [(1, 2), (1, 4), (1, 6)]


@settings(max_examples=25, deadline=None)
@given(
    sent=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), st.booleans()), max_size=14),
    ends=st.lists(st.sampled_from(["finish", "requeue", "cancel"]), max_size=40),
)
def test_every_event_is_claimed_in_the_end_whatever_becomes_of_those_before_it(module_engine, sent, ends):
    from tests.postgres.conftest import EMPTY, Database

    with module_engine.begin() as connection:
        connection.execute(EMPTY)
    queue = Queue(Database(module_engine))
    for site, member, forced in sent:
        queue.add(member, site=site, forced=forced)
    fates = iter(ends)
    ran: list[int] = []
    while jobs := queue.claim(2):
        for job in jobs:
            fate = next(fates, "finish")
            if fate == "requeue":
                queue.do(leases.requeue, [job], owner="w", error="x")
                continue
            if fate == "cancel":
                queue.do(job_control.cancel_job, job, why="x")
            queue.finish(job)
            ran.append(job)
    assert len(ran) == len(set(ran)) == len(sent)
