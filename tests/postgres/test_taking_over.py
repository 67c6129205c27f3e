"""What becomes of a worker's jobs: handed back, let go, taken over when it was killed; what the next attempt knows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text

from ai_assets.guard.ending import Answer, Ending
from ai_assets.store import claims, inbox, leases, upkeep, workers
from ai_assets.store.queue_depth import QueueDepth, queue_depth
from ai_assets.store.run_log import CallRecord

MADE = Ending(CallRecord("success", tokens_used=7), "passed")


@pytest.fixture
def life(inbox_of):
    return Life(inbox_of)


class Life:
    """Jobs of members of site 1001, claimed and lost."""

    def __init__(self, inbox_of):
        self.inbox = inbox_of
        self.engine = inbox_of.engine

    def fire(self, member=5, **event):
        return self.inbox.fire("consumption", member_id=member, **event)

    def claim(self, owner="w1", limit=16):
        with self.engine.begin() as connection:
            return claims.claim_member_jobs(
                connection, owner=owner, run_id="run-1", lease_s=60.0, limit=limit, after_site=None
            )

    def claim_alone(self, owner="w1"):
        return self.do(claims.claim_alone_job, owner=owner, run_id="run-1", lease_s=60.0)

    def running(self, member=5, owner="w1"):
        self.fire(member)
        (job,) = self.claim(owner)
        return job

    def do(self, what, *given, **how):
        with self.engine.begin() as connection:
            return what(connection, *given, **how)

    def take_over(self, max_attempts=3):
        return self.do(leases.requeue_expired, max_attempts=max_attempts)

    def wait_s(self, job_id):
        return self.inbox.value(
            "select extract(epoch from not_before - clock_timestamp())::float8 from biz.ai_trigger_jobs where id = :id",
            id=job_id,
        )

    def its_time_comes(self):
        self.inbox.run("update biz.ai_trigger_jobs set not_before = '-infinity'")


def test_a_job_handed_back_is_pending_at_once_and_its_attempt_does_not_count(life):
    job = life.running()
    assert life.do(leases.requeue, [job.id], owner="w1", error="asked to stop\x00") == 1
    back = life.inbox.job(job.id)
    assert (back.status, back.attempts, back.error_message) == ("pending", 0, "asked to stop\ufffd")
    assert life.inbox.one("select lease_owner, lease_until from biz.ai_trigger_jobs") == {
        "lease_owner": None,
        "lease_until": None,
    }
    assert [again.id for again in life.claim("w2")] == [job.id]


def test_only_jobs_that_are_still_the_workers_own_are_handed_back(life):
    mine, ended = life.running(1), life.running(2)
    theirs = life.running(3, owner="w2")
    life.inbox.finish(ended.id, "w1")
    assert life.do(leases.requeue, [mine.id, ended.id, theirs.id, 4711], owner="w1", error="x") == 1
    assert life.do(leases.requeue, [], owner="w1", error="x") == 0
    assert [life.inbox.job(job.id).status for job in (mine, ended, theirs)] == [
        "pending",
        "completed",
        "running",
    ]


def test_a_lost_attempt_waits_longer_each_time_and_the_last_one_is_dead(life):
    life.fire()
    waits = []
    for attempt in range(1, 7):
        # the last one alone in a worker
        (job,) = life.claim(f"w{attempt}") if attempt < 6 else [life.claim_alone(f"w{attempt}")]
        assert job.attempts == attempt
        assert life.take_over(6) == [], "its lease is good"
        life.inbox.end_lease(job.id)
        (after,) = life.take_over(6)
        if attempt == 6:
            break
        assert (after.id, after.status, after.finished_at) == (job.id, "pending", None)
        assert f"attempt {attempt} was lost" in after.error_message
        waits.append(life.wait_s(job.id))
        if waits[-1] > 5:
            assert life.claim() == [], "its time has not come"
        life.its_time_comes()
    assert [low - 2 < wait < 2 * low + 2 for low, wait in zip((2, 8, 32, 128, 512), waits, strict=True)] == [
        True
    ] * 5
    assert (after.status, after.attempts) == ("dead", 6)
    assert after.error_message == "given up after 6 attempts: its process was killed or lost Postgres"
    assert after.finished_at is not None
    assert life.take_over(6) == life.claim() == []
    assert life.fire().status == "pending", "a dead job holds no key"


def test_the_wait_before_another_attempt_ends_somewhere(life):
    job = life.running()
    life.inbox.run("update biz.ai_trigger_jobs set attempts = 2000000000")
    life.inbox.end_lease(job.id)
    life.do(leases.requeue_expired, max_attempts=2**31 - 1)
    assert leases.RETRY_LONGEST_S - 5 < life.wait_s(job.id) < 2 * leases.RETRY_LONGEST_S


def test_two_that_take_over_at_once_take_each_job_once(life):
    jobs = [life.running(member) for member in range(1, 41)]
    life.inbox.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s'")
    start = threading.Barrier(4)

    def take(_number):
        start.wait(20)
        return [job.id for job in life.take_over()]

    with ThreadPoolExecutor(4) as pool:
        taken = [job_id for ids in pool.map(take, range(4)) for job_id in ids]
    assert sorted(taken) == [job.id for job in jobs]


def test_a_lost_job_that_is_being_ended_at_this_moment_is_passed_over(life):
    first, second = life.running(1), life.running(2)
    life.inbox.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s'")
    with life.engine.begin() as ending:
        inbox.finish(ending, first.id, owner="w1", status="completed", step_results=[], error=None)
        with life.engine.begin() as connection:
            connection.execute(text("set local lock_timeout = '5s'"))
            assert [job.id for job in leases.requeue_expired(connection, max_attempts=3)] == [second.id]
    assert life.inbox.job(first.id).status == "completed"


def test_a_job_that_is_let_go_is_taken_over_at_once_and_its_heartbeat_does_not_hold_it_again(life):
    job = life.running()
    assert life.do(leases.expire_lease, job.id, owner="w2") == 0
    assert life.do(leases.expire_lease, job.id, owner="w1") == 1
    assert beat(life) == {}
    (after,) = life.take_over()
    assert (after.id, after.status, after.attempts) == (job.id, "pending", 1)


def beat(life, worker="w1", **how):
    told = {"kind": "event_worker", "run_id": None, "host": "h", "pid": 1, "running": 1, "draining": False}
    return life.do(workers.heartbeat, worker_id=worker, **{**told, "lease_s": 60.0, **how})


def in_flight(bench, job, target, **call):
    return bench.admit(target, trigger_job_id=job.id, **call)


def test_what_the_dead_attempt_had_in_flight_is_settled_as_unknown_at_its_estimate(life, bench):
    lost, live = life.running(1), life.running(2)
    admission = in_flight(bench, lost, "555")
    other = in_flight(bench, live, "556")
    by_hand = bench.admit("557", site_id=2)
    life.inbox.end_lease(lost.id)
    life.take_over()
    log = bench.one("select * from biz.ai_run_logs where id = :id", id=admission.run_log_id)
    assert (log["status"], log["reason"], log["tokens_used"]) == ("failed", "outcome_unknown", 1600)
    assert log["tokens_estimated"]
    assert log["finished_at"] is not None
    assert bench.budgets() == {
        ("site:1", "day"): (1600, 1600),
        ("site:1", "month"): (1600, 1600),
        ("site:2", "day"): (0, 1600),
        ("site:2", "month"): (0, 1600),
        ("all", "month"): (1600, 3200),
        ("all", "day"): (1600, 3200),
    }
    kept = bench.all("select id from biz.ai_leases order by id")
    assert [row["id"] for row in kept] == [other.lease_id, by_hand.lease_id]
    # the next attempt need not wait for the lease to end, and what comes late changes nothing
    bench.admit("555")
    assert not bench.settle(admission, tokens=5).settled


def test_calls_of_several_sites_and_days_in_flight_are_all_settled(life, bench):
    jobs = [life.running(member) for member in range(1, 7)]
    for job in jobs:
        in_flight(bench, job, f"t{job.id}", site_id=job.id % 3)
    bench.run("update biz.ai_leases set day = 'day:2020-01-01', month = 'month:2020-01' where id % 2 = 0")
    life.inbox.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s'")
    assert len(life.take_over()) == 6
    assert bench.count("biz.ai_leases") == 0
    assert bench.value("select sum(used) from biz.ai_budgets where scope = 'all'") == 2 * 6 * 1600
    assert bench.value("select sum(used) from biz.ai_budgets where scope <> 'all'") == 2 * 6 * 1600
    assert (
        bench.value("select used from biz.ai_budgets where scope = 'all' and period = 'day:2020-01-01'")
        == 3 * 1600
    )


def test_a_call_that_is_being_settled_at_this_moment_is_left_to_its_holder(life, bench):
    job = life.running()
    admission = in_flight(bench, job, "555")
    life.inbox.end_lease(job.id)
    with bench.engine.begin() as connection:
        # what ending a call does first
        connection.execute(
            text("select from biz.ai_leases where id = :id for update"), {"id": admission.lease_id}
        )
        with bench.engine.begin() as other:
            other.execute(text("set local lock_timeout = '5s'"))
            assert [taken.id for taken in leases.requeue_expired(other, max_attempts=3)] == [job.id]
        assert bench.guard().end(connection, admission, MADE).settled
    assert bench.value("select status from biz.ai_run_logs") == "success"
    assert bench.budgets()["all", "day"] == (7, 0)


def test_while_taking_over_waits_for_a_sites_budget_it_holds_none_that_all_sites_share(life, bench):
    for site in (1, 2):
        in_flight(bench, life.running(site), "555", site_id=site)
    life.inbox.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s'")
    with bench.engine.connect() as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(text("select from biz.ai_budgets where scope = 'site:2' for update"))
        taking = pool.submit(life.take_over)
        for _ in range(1000):
            if bench.count(
                "pg_stat_activity", "wait_event_type = 'Lock' and query like '%ai_requeue_expired%'"
            ):
                break
            threading.Event().wait(0.01)
        assert not taking.done()
        # what an admission at site 2 locks next
        holder.execute(text("select from biz.ai_budgets where scope = 'all' for update nowait"))
        holder.rollback()
        assert len(taking.result(10)) == 2


def test_taking_over_beside_calls_of_the_same_sites_never_ends_in_a_deadlock(life, bench):
    for member in range(1, 61):
        job = life.running(member)
        in_flight(bench, job, f"lost {member}", site_id=member % 4)
    life.inbox.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s'")
    start = threading.Barrier(6)

    def take(_number):
        start.wait(20)
        return len(life.take_over())

    def call(number):
        start.wait(20)
        for turn in range(12):
            bench.made(f"live {number} {turn}", site_id=(number + turn) % 4)
        return 0

    with ThreadPoolExecutor(6) as pool:
        takers = [pool.submit(take, number) for number in range(2)]
        callers = [pool.submit(call, number) for number in range(4)]
        assert sum(taker.result(60) for taker in takers) == 60
        assert [caller.result(60) for caller in callers] == [0] * 4
    assert bench.count("biz.ai_leases") == 0
    assert bench.budgets()["all", "day"][1] == 0
    known = bench.value("select sum(tokens_used) from biz.ai_run_logs")
    assert bench.budgets()["all", "day"][0] == known


def test_dead_leases_are_settled_a_hundred_at_a_time(bench):
    for number in range(103):
        bench.admit(f"dead {number}", site_id=number % 3)
    bench.pass_time(186)
    with bench.engine.begin() as connection:
        assert connection.execute(text("select biz.ai_reap_expired()")).scalar_one() == 100
    assert bench.count("biz.ai_leases") == 3
    assert upkeep.sweep(bench.engine)["dead leases"] == 3
    with bench.engine.begin() as connection:
        assert connection.execute(text("select biz.ai_reap_expired()")).scalar_one() == 0
    assert bench.budgets()["all", "day"] == (103 * 1600, 0)


def test_the_next_attempt_learns_what_the_earlier_ones_made_the_newest_of_each_step(life, bench):
    job = life.running()
    failed = in_flight(bench, job, "555")
    bench.settle(failed, "counts", record=CallRecord("failed", reason="bad_answer"))
    made = in_flight(bench, job, "555")
    record = CallRecord(
        "success", tokens_in=3, tokens_out=4, tokens_used=7, cost_cny=Decimal("0.25"), latency_ms=12
    )
    answer = Answer("cache_a", {"clues": [1]}, "consumption")
    cache_id = bench.settle(made, record=record, answer=answer).cache_id
    timed_out = in_flight(bench, job, "555", app="app_b", forced=True)
    bench.settle(timed_out, "counts", record=CallRecord("timeout", reason="timeout"))
    bench.made("of another job", app="app_c")

    with life.engine.connect() as connection:
        first, second = claims.earlier_steps(connection, job.id)
        assert claims.earlier_steps(connection, 4711) == []
    assert (first.app, first.target_id, first.status, first.reason) == ("app_a", "555", "success", None)
    assert (first.run_log_id, first.cache_id, first.result_json) == (
        made.run_log_id,
        cache_id,
        {"clues": [1]},
    )
    assert (first.prompt, first.tokens_in, first.tokens_out, first.tokens_used) == ("p" * 100, 3, 4, 7)
    assert (first.cost_cny, first.latency_ms) == (Decimal("0.25"), 12)
    assert first.made_at is not None
    assert (second.app, second.status, second.reason, second.cache_id) == (
        "app_b",
        "timeout",
        "timeout",
        None,
    )
    assert (second.result_json, second.made_at) == (None, None)


def test_what_waits_is_counted_due_later_and_running(life):
    assert life.do(queue_depth) == QueueDepth(0, 0, 0, 0, 0, 0, 0.0)
    life.inbox.fire("dws_completed")
    life.running(1)
    life.fire(2)
    later = life.fire(3)
    life.inbox.run(
        "update biz.ai_trigger_jobs set not_before = clock_timestamp() + interval '60 s' where id = :id",
        id=later.id,
    )
    waiting = life.do(queue_depth)
    assert (waiting.due, waiting.later, waiting.running, waiting.startable) == (1, 1, 1, 1)
    # a second event of a member, whether it runs or waits, is no further chain
    for member in (1, 2):
        life.inbox.fire("note_created", member_id=member, payload={"note_content": "more"})
    again = life.do(queue_depth)
    assert (again.due, again.startable) == (3, 1)
    assert 0 < waiting.oldest_due_s < 60


def test_how_long_the_oldest_waits_leaves_out_what_stands_behind_another_of_its_member(life):
    for member in (1, 2):
        life.inbox.fire("note_created", member_id=member, payload={"note_content": "first"})
    running, later = (job.id for job in life.claim())
    life.do(leases.requeue, [later], owner="w1", error="x")
    for member in (1, 2):
        life.inbox.fire("note_created", member_id=member, payload={"note_content": "second"})
    life.inbox.run("update biz.ai_trigger_jobs set created_at = created_at - interval '1 hour'")
    life.inbox.run(
        "update biz.ai_trigger_jobs set not_before = clock_timestamp() + interval '60 s' where id = :id",
        id=later,
    )
    waiting = life.do(queue_depth)
    assert (waiting.due, waiting.oldest_due_s) == (2, 0.0)
    life.inbox.finish(running, "w1")
    assert life.do(queue_depth).oldest_due_s == pytest.approx(3600, abs=30)
    # one that waited for its time is late only since then
    life.inbox.run("update biz.ai_trigger_jobs set not_before = clock_timestamp() - interval '5 s'")
    assert life.do(queue_depth).oldest_due_s == pytest.approx(5, abs=4)


def test_a_job_of_a_worker_that_lives_is_not_lost_though_it_could_not_be_prolonged(life):
    job = life.running()
    beat = {"kind": "event_worker", "run_id": None, "host": "h", "pid": 1, "running": 1, "draining": False}
    life.do(workers.heartbeat, worker_id="w1", lease_s=60.0, **beat)
    life.inbox.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s'")
    assert life.do(leases.requeue_expired, max_attempts=3) == []
    life.inbox.run("update biz.ai_workers set heartbeat_at = heartbeat_at - interval '61 s'")
    assert [lost.id for lost in life.do(leases.requeue_expired, max_attempts=3)] == [job.id]
