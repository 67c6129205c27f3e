"""Who waits for a place in a site's rate: first come is first served, live before batch, the dead hold nobody up."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ai_assets.guard.admission import Admission, AdmissionCancelledError, Guard

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
TURN = text(
    """
    select wait_s, p_ticket as ticket
    from biz.ai_rate_turn(:site, :batch, :turn, :patience, cast(:limits as jsonb), :ticket)
    """
)
TAKE = text("select biz.ai_rate_leave(:site, :turn, :ticket), biz.ai_rate_take(:site, :batch)")


@dataclass
class Waiter:
    """A caller of a site that came at `came` minutes after EARLY; it looks when it is told to."""

    queue: Queue
    came: int
    batch: bool = False
    site: int = 1
    ticket: int | None = None

    def look(self, patience: float = 1e6) -> float:
        """Seconds to wait; 0: it took a place."""
        given_ = {"site": self.site, "batch": self.batch, "turn": EARLY + timedelta(minutes=self.came)}
        with self.queue.bench.engine.begin() as connection:
            row = connection.execute(
                TURN,
                {**given_, "patience": patience, "ticket": self.ticket, "limits": self.queue.limits()},
            ).one()
            self.ticket = row.ticket
            if row.wait_s == 0:
                connection.execute(TAKE, {**given_, "ticket": self.ticket})
        return float(row.wait_s)


class Queue:
    """The queue of a site under a bench's limits."""

    def __init__(self, bench):
        self.bench = bench

    def limits(self) -> str:
        return json.dumps(self.bench.limits.as_json())

    def caller(self, came: int, **more) -> Waiter:
        return Waiter(self, came, **more)

    def taken(self, places: int, *, batch: bool = False) -> None:
        for place in range(places):
            assert self.caller(-1000 + place, batch=batch).look() == 0
            self.bench.pass_time(1.01)


@pytest.fixture
def queue(bench) -> Queue:
    return Queue(bench)


def test_who_waits_is_told_the_time_of_its_own_place_and_not_that_of_the_first(queue):
    queue.bench.limit(rate_per_minute=3)
    queue.taken(3)
    waits = [queue.caller(number).look() for number in range(7)]
    # the three of the last minute come free one after the other, then the same again a minute later
    assert waits == sorted(waits)
    assert [wait // 60 for wait in waits] == [0, 0, 0, 1, 1, 1, 2]
    assert waits[3] - waits[0] == pytest.approx(60, abs=0.5)


def test_a_place_that_comes_free_goes_to_who_waited_longest_and_not_to_who_asks_first(queue):
    queue.bench.limit(rate_per_minute=1)
    queue.taken(1)
    first, second = queue.caller(0), queue.caller(1)
    wait = first.look()
    second.look()
    queue.bench.pass_time(wait + 0.1)
    newcomer = queue.caller(2)
    assert newcomer.look() > 0
    assert second.look() > 0
    assert first.look() == 0


def test_a_live_call_goes_before_batches_that_came_earlier(queue):
    queue.bench.limit(rate_per_minute=2, batch_rate_share=1.0)
    queue.taken(2)
    # a batch stands where a live call would that came half of its patience later
    batch, live = queue.caller(5, batch=True), queue.caller(1)
    batch.look()
    wait = live.look()
    queue.bench.pass_time(wait + 0.01)
    assert batch.look() > 0
    assert live.look() == 0


def test_a_batch_that_has_waited_half_of_its_patience_is_served_before_a_later_live_call(bench):
    bench.limit(rate_per_minute=1, batch_rate_share=1.0, batch_admission_wait_s=600.0)
    bench.admit("taken")
    turns = []

    def remember(_seconds, _cancelled):
        row = bench.one("select turn_at, batch from biz.ai_rate_queue")
        turns.append((row["turn_at"] - datetime.now(UTC)).total_seconds())
        return True

    with pytest.raises(AdmissionCancelledError):
        bench.guard(remember).admit(bench.call("b", trigger_type="batch"), threading.Event())
    bench.limit(admission_wait_s=120.0)
    with pytest.raises(AdmissionCancelledError):
        bench.guard(remember).admit(bench.call("l"), threading.Event())
    assert turns == [pytest.approx(300, abs=20), pytest.approx(0, abs=20)]


def test_batches_that_have_had_their_share_hold_no_live_call_up(queue):
    queue.bench.limit(rate_per_minute=10, batch_rate_share=0.5)
    queue.taken(5, batch=True)
    batch, live = queue.caller(0, batch=True), queue.caller(1)
    assert batch.look() > 0
    assert live.look() == 0


def test_a_waiter_whose_process_died_holds_the_others_up_for_two_seconds_at_most(queue):
    queue.bench.limit(rate_per_minute=1)
    queue.taken(1)
    dead, next_one = queue.caller(0), queue.caller(1)
    wait = dead.look()
    next_one.look()
    queue.bench.pass_time(wait + 1.0)
    assert next_one.look() > 0
    queue.bench.pass_time(1.5)
    assert next_one.look() == 0


def test_one_that_comes_too_late_for_its_ticket_has_its_old_turn_again(queue):
    queue.bench.limit(rate_per_minute=1)
    queue.taken(1)
    late, other = queue.caller(0), queue.caller(1)
    late.look()
    other.look()
    queue.bench.run("delete from biz.ai_rate_queue where id = :id", id=late.ticket)
    wait = late.look()
    queue.bench.pass_time(wait + 0.01)
    assert other.look() > 0
    assert late.look() == 0


def test_a_wait_longer_than_its_patience_is_not_begun_and_leaves_no_ticket(queue):
    queue.bench.limit(rate_per_minute=1)
    queue.taken(1)
    assert queue.caller(0).look(patience=10) > 10
    assert queue.bench.count("biz.ai_rate_queue") == 0


def test_patience_is_held_against_the_whole_queue_before_it(queue):
    queue.bench.limit(rate_per_minute=1)
    queue.taken(1)
    assert [queue.caller(number).look(patience=130) > 130 for number in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    assert queue.bench.count("biz.ai_rate_queue") == 2


def test_the_queues_of_two_sites_know_nothing_of_each_other(queue):
    queue.bench.limit(rate_per_minute=1)
    queue.taken(1)
    queue.caller(0).look()
    assert queue.caller(1, site=2).look() == 0


def test_a_further_attempt_of_an_admitted_call_goes_before_all_that_wait(bench):
    bench.limit(rate_per_minute=1, admission_wait_s=600.0)
    call = bench.call("admitted")
    bench.admit("admitted")
    waiting = Queue(bench).caller(0)
    wait = waiting.look()
    waits = []

    def pause(seconds, _cancelled):
        waits.append(seconds)
        bench.pass_time(wait + 0.01)
        # the waiting one looks first, and is told that it is not its turn
        assert waiting.look() > 0
        return False

    bench.guard(pause).take_place(call, 100.0, threading.Event())
    assert len(waits) == 1
    assert bench.count("biz.ai_rate_places", "taken_at > clock_timestamp() - interval '1 s'") == 1


def test_who_waits_for_a_cooldown_stands_in_nobodys_way(bench):
    bench.limit(rate_per_minute=10, admission_wait_s=600.0)
    bench.settle(bench.admit("t"), "cooldown", cooldown_s=100.0)
    bench.pass_time(2)
    looked = []

    def pause(seconds, _cancelled):
        looked.append((seconds, bench.count("biz.ai_rate_queue")))
        bench.admit("other", app="app_b")
        bench.pass_time(101)
        return False

    assert isinstance(bench.guard(pause).admit(bench.call("t"), threading.Event()), Admission)
    assert looked == [(pytest.approx(98, abs=1), 0)]


def test_a_cancelled_waiter_gives_its_ticket_back(bench):
    bench.limit(rate_per_minute=1, admission_wait_s=120.0)
    bench.admit("first")
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(AdmissionCancelledError):
        Guard(bench.engine, bench.limits).admit(bench.call("late"), cancelled)
    assert bench.count("biz.ai_rate_queue") == 0


@pytest.mark.parametrize("limits", [{"daily_tokens": 1}, {"breaker_min_calls": 1}])
def test_one_that_is_refused_when_its_turn_comes_gives_its_ticket_back(bench, limits):
    bench.limit(rate_per_minute=1, admission_wait_s=120.0)
    bench.admit("first")

    def pause(_seconds, _cancelled):
        bench.limits = replace(bench.limits, **limits)
        guard.limits = bench.limits
        if "daily_tokens" not in limits:
            bench.run("update biz.ai_breakers set state = 'open', open_until = 'infinity'")
        bench.pass_time(61)
        return False

    guard = bench.guard(pause)
    with pytest.raises(Exception, match=r"budget_exceeded:day|circuit_open"):
        guard.admit(bench.call("late"), threading.Event())
    assert bench.count("biz.ai_rate_queue") == 0
    assert bench.count("biz.ai_rate_places", "taken_at > clock_timestamp() - interval '60 s'") == 0


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 40)), min_size=1, max_size=14),
    st.integers(1, 8),
    st.sampled_from([0.3, 0.7, 1.0]),
)
def test_all_that_wait_are_served_in_the_order_of_their_turns_and_never_above_the_rate(
    module_engine, callers, rate, share
):
    from tests.postgres.conftest import EMPTY, Bench, Clock

    bench = Bench(module_engine)
    bench.run(str(EMPTY))
    bench.limit(rate_per_minute=rate, batch_rate_share=share)
    queue = Queue(bench)
    waiting = [queue.caller(came, batch=batch) for batch, came in callers]
    # a stopped clock: a waiter that looks 2 s late on a busy machine is passed by others, as it should be
    clock = Clock(module_engine)
    try:
        began = clock.now()
        looks = {id(waiter): began for waiter in waiting}
        served: list[tuple[Waiter, datetime]] = []
        for _ in range(400):
            if not waiting:
                break
            # the next to look is the one whose time it is; among equals, the one that came last asks first
            waiter = min(waiting, key=lambda w: (looks[id(w)], -w.came))
            now = looks[id(waiter)]
            clock.set(now)
            wait = waiter.look()
            if wait == 0:
                waiting.remove(waiter)
                served.append((waiter, now))
            else:
                looks[id(waiter)] = now + timedelta(seconds=wait + 0.005)
    finally:
        clock.restore()
    assert not waiting
    # within each kind, those that were waiting together are served in the order of their turns
    for batch in (False, True):
        later = [w.came for w, _ in served if w.batch is batch and w.ticket is not None]
        assert later == sorted(later)
    times = [at for _, at in served]
    assert all(
        later - earlier >= timedelta(seconds=60) for earlier, later in zip(times, times[rate:], strict=False)
    )


def test_twenty_threads_that_wait_are_served_in_order_and_look_only_a_few_times(bench):
    bench.limit(rate_per_minute=100, admission_wait_s=60.0)
    Queue(bench).taken(1)
    order, looks = [], []
    lock = threading.Lock()
    gate = threading.Semaphore(0)

    def caller(number):
        mine = []

        def pause(seconds, cancelled):
            mine.append(seconds)
            if len(mine) == 1:
                gate.release()
            return cancelled.wait(seconds)

        guard = bench.guard(pause)
        admission = guard.admit(bench.call(f"{number}"), threading.Event())
        with lock:
            order.append((admission.run_log_id, number))
            looks.append(len(mine))
            if not mine:
                gate.release()

    with ThreadPoolExecutor(60) as pool:
        futures = []
        for number in range(60):
            futures.append(pool.submit(caller, number))
            # the next comes when this one stands in the queue or is served
            assert gate.acquire(timeout=20)
        for future in futures:
            future.result(60)
    served = [number for _, number in sorted(order)]
    # the twenty places of one instant may go to their twenty holders in any order
    assert max(abs(place - number) for place, number in enumerate(served)) < 20
    assert max(looks) <= 4
    assert sum(looks) / len(looks) <= 2
