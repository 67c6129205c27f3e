"""Trigger jobs of type manual: a fill queues them, nothing else does, once while they wait; replayed as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai_assets.store import manual_jobs
from ai_assets.store.job_control import Replayed, cancel_job, replay_job
from ai_assets.store.job_filter import JobFilter
from ai_assets.store.job_list import find_jobs
from ai_assets.store.manual_jobs import ManualJob

MEMBER = ManualJob(1001, 555, "app3→app7", {})
PAIR = ManualJob(1001, 555, "app4→app5", {"assistant_id": 7})
SITE = ManualJob(1001, None, "app2", {"areas": ["all"], "windows": ["this_week", "last_week"]})


def queue(inbox_of, *jobs: ManualJob, forced: bool = False) -> list[int]:
    with inbox_of.engine.begin() as connection:
        return manual_jobs.queue(connection, jobs, forced=forced, queued_by="run:1")


def replay(inbox_of, job_id: int, *, forced: bool = False):
    with inbox_of.engine.begin() as connection:
        return replay_job(connection, job_id, forced=forced)


def test_jobs_are_queued_in_their_order_and_say_who_queued_them(inbox_of):
    ids = queue(inbox_of, MEMBER, PAIR, SITE, forced=True)
    assert ids == sorted(ids)
    found = [inbox_of.job(job_id) for job_id in ids]
    assert [(job.event_type, job.status, job.is_forced, job.app_chain, job.member_id) for job in found] == [
        ("manual", "pending", True, job.app_chain, job.member_id) for job in (MEMBER, PAIR, SITE)
    ]
    assert found[1].payload == {"assistant_id": 7, "queued_by": "run:1"}


@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        (MEMBER, True),
        (ManualJob(1001, 555, "app7", {}), True),
        (ManualJob(1001, 555, "app3→app8", {}), False),
        (ManualJob(1002, 555, "app3→app7", {}), False),
        (ManualJob(1001, 556, "app3→app7", {}), False),
        (PAIR, True),
        (ManualJob(1001, 555, "app4", {"assistant_id": 8}), False),
        (SITE, True),
        (ManualJob(1001, None, "app2", {"areas": ["all"], "windows": ["last_week"]}), True),
        (ManualJob(1001, None, "app2", {"areas": ["all"], "windows": ["last_month"]}), False),
        (ManualJob(1001, None, "app2a", {"areas": ["vip"], "windows": ["last_week"]}), False),
    ],
)
def test_a_job_is_not_queued_while_a_pending_one_covers_it(inbox_of, asked, covered):
    waiting = queue(inbox_of, MEMBER, PAIR, SITE)
    assert bool(queue(inbox_of, asked)) is not covered
    # what runs may have read its data already
    inbox_of.run("update biz.ai_trigger_jobs set status = 'completed' where id = any(:ids)", ids=waiting)
    assert bool(queue(inbox_of, asked)) is covered


def test_a_forced_job_covers_one_that_is_not_and_is_covered_by_no_such_job(inbox_of):
    assert queue(inbox_of, MEMBER)
    assert queue(inbox_of, MEMBER, forced=True)
    assert not queue(inbox_of, MEMBER, forced=True)
    assert not queue(inbox_of, MEMBER)


def test_an_event_of_the_same_member_covers_nothing(inbox_of):
    inbox_of.fire("consumption", member_id=555)
    assert queue(inbox_of, MEMBER)


def test_two_fills_at_once_queue_a_job_once(inbox_of):
    start = threading.Barrier(4)

    def fill(_number: int) -> int:
        start.wait(30)
        return len(queue(inbox_of, MEMBER, PAIR))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(fill, range(4))) == 2


def test_nobody_can_send_it_as_an_event(inbox_of):
    job = inbox_of.fire("manual", member_id=555, payload={"assistant_id": 7})
    assert (job.status, job.app_chain) == ("failed", None)
    assert replay(inbox_of, job.id).outcome is Replayed.FAILED


@pytest.mark.parametrize("job", [MEMBER, PAIR, SITE])
def test_its_replay_is_queued_as_it_was(inbox_of, job):
    (old,) = queue(inbox_of, job)
    assert replay(inbox_of, old).outcome is Replayed.PENDING
    inbox_of.run("update biz.ai_trigger_jobs set status = 'failed' where id = :id", id=old)
    made = replay(inbox_of, old, forced=True)
    new = inbox_of.job(made.replay)
    assert made.outcome is Replayed.REPLAYED
    assert (new.event_type, new.status, new.is_forced) == ("manual", "pending", True)
    assert (new.site_id, new.member_id, new.app_chain) == (job.site_id, job.member_id, job.app_chain)
    assert new.payload == {**job.payload, "queued_by": "run:1"}
    assert replay(inbox_of, old).outcome is Replayed.REPLAYED_BEFORE


def test_it_is_listed_by_its_type_and_cancelled_like_any_other(inbox_of):
    (job_id,) = queue(inbox_of, MEMBER)
    inbox_of.fire("consumption", member_id=555)
    with inbox_of.engine.begin() as connection:
        wanted = JobFilter(event_types=("manual",))
        assert [listed.job.id for listed in find_jobs(connection, wanted, limit=9)] == [job_id]
        assert cancel_job(connection, job_id, why="no") == "cancelled"
    assert inbox_of.job(job_id).status == "failed"
