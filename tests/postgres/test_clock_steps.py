"""The database's clock is set forward or back, or nobody looks at it for a while: leases stay valid, rates go on."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text


@pytest.fixture
def look(db):
    """Look at the clock once; returns the step that was corrected, in seconds, or None."""

    def look() -> float | None:
        with db.engine.begin() as connection:
            step = connection.execute(text("select biz.ai_follow_clock()")).scalar_one()
        return None if step is None else step.total_seconds()

    return look


@pytest.fixture
def running(db, clock, look):
    """A call's lease, a job's lease and a worker, each valid for a minute from the stopped clock's time."""
    until = clock.now() + timedelta(seconds=60)
    db.run(
        "insert into biz.ai_leases (app_type, site_id, target_id, day, month, admitted_at, expires_at) "
        "values ('app_a', 1, 't', 'day:x', 'month:x', biz.ai_now(), :until)",
        until=until,
    )
    db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, status, lease_owner, lease_until) "
        "values ('dws_completed', 1, 'running', 'w', :until)",
        until=until,
    )
    db.run(
        "insert into biz.ai_workers (id, kind, host, pid, lease_s, heartbeat_at) "
        "values ('w', 'command', 'h', 1, 60, biz.ai_now())"
    )
    look()
    return db


def left(db) -> list[float]:
    """Seconds that each lease is still valid."""
    return [
        float(row["s"])
        for row in db.all(
            "select extract(epoch from expires_at - biz.ai_now()) as s from biz.ai_leases "
            "union all select extract(epoch from lease_until - biz.ai_now()) from biz.ai_trigger_jobs "
            "union all select extract(epoch from heartbeat_at + make_interval(secs => lease_s) - biz.ai_now()) "
            "from biz.ai_workers"
        )
    ]


@pytest.mark.parametrize("step_s", [16, 3600, 86_400 * 365])
def test_a_step_forward_takes_at_most_fifteen_seconds_from_a_valid_lease(running, clock, look, step_s):
    clock.step(step_s)
    assert look() == step_s - 15
    assert left(running) == [45, 45, 45]
    assert look() is None


@pytest.mark.parametrize("step_s", [16, 3600, 86_400 * 365])
def test_a_step_back_leaves_every_lease_as_long_as_it_was(running, clock, look, step_s):
    clock.step(-step_s)
    assert look() == -step_s
    assert left(running) == [60, 60, 60]
    assert look() is None


@pytest.mark.parametrize("step_s", [1, 5, 15, -1, -15])
def test_time_that_passes_between_two_looks_changes_no_lease(running, clock, look, step_s):
    clock.step(step_s)
    assert look() is None
    assert left(running) == [60 - step_s] * 3


def test_leases_end_as_time_passes(running, clock, look):
    for _ in range(6):
        clock.step(10)
        assert look() is None
    assert left(running) == [0, 0, 0]


def test_a_lease_that_had_ended_at_the_last_look_is_not_extended(running, clock, look):
    for _ in range(7):
        clock.step(10)
        look()
    clock.step(3600)
    assert look() == 3585
    assert max(left(running)) < 0


def test_a_dead_lease_ends_also_where_someone_looks_only_once_an_hour(running, clock, look):
    looks = 0
    while max(left(running)) > 0:
        clock.step(3600)
        look()
        looks += 1
    assert looks == 4


def test_a_job_that_waits_for_its_next_attempt_waits_no_longer_after_a_step_back(running, clock, look):
    running.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, status, not_before) values "
        "('consumption', 1, 'pending', biz.ai_now() + interval '10 s'), ('consumption', 1, 'pending', '-infinity')"
    )
    clock.step(-3600)
    look()
    waits = [
        row["s"]
        for row in running.all(
            "select extract(epoch from not_before - biz.ai_now()) as s from biz.ai_trigger_jobs "
            "where status = 'pending' and isfinite(not_before)"
        )
    ]
    assert waits == [10]


def test_a_row_that_somebody_holds_keeps_nobody_from_following_the_clock(running, clock, look):
    with running.engine.begin() as connection:
        connection.execute(text("select * from biz.ai_trigger_jobs for update"))
        connection.execute(text("select * from biz.ai_leases for update"))
        clock.step(3600)
        assert look() == 3585
    assert sorted(left(running)) == [-3540, -3540, 45]


def test_only_one_of_two_that_see_a_step_corrects_it(running, clock, look):
    clock.step(3600)
    with running.engine.begin() as first:
        first.execute(text("select biz.ai_follow_clock()"))
        # a look within the first one's transaction sees its correction
        assert first.execute(text("select biz.ai_follow_clock()")).scalar_one() is None
    assert look() is None
    assert left(running) == [45, 45, 45]


def test_the_row_of_the_clock_may_be_emptied(running, clock, look):
    running.run("delete from biz.ai_clock")
    clock.step(3600)
    assert look() is None
    assert running.count("biz.ai_clock") == 1


# the guard


@pytest.mark.parametrize("step_s", [16, 3600])
def test_a_step_forward_ends_no_call_in_flight(bench, clock, step_s):
    in_flight = bench.admit("t")
    clock.step(step_s)
    bench.admit("other")
    assert bench.settle(in_flight).settled


def test_a_lease_whose_holder_died_is_settled_as_time_passes(bench, clock):
    bench.admit("dead")
    for number in range(19):
        clock.step(10)
        bench.made(f"other {number}")
    assert bench.count("biz.ai_run_logs", "reason = 'outcome_unknown'") == 1


@pytest.mark.parametrize("step_s", [20, 3600, 86_400])
def test_a_step_back_makes_the_rate_refuse_no_longer_than_a_minute(bench, clock, step_s):
    bench.limit(rate_per_minute=3, admission_wait_s=600.0)
    for number in range(3):
        bench.made(f"{number}")
        clock.step(2)
    clock.step(-step_s)
    wait = bench.wait("t")
    assert 50 < wait <= 60
    clock.step(wait)
    bench.admit("t")


def test_who_waits_while_the_clock_is_set_back_is_served_within_the_minute(bench, clock):
    bench.limit(rate_per_minute=1, admission_wait_s=600.0)
    bench.made("first")
    waits = []

    def pause(seconds, _cancelled):
        waits.append(seconds)
        clock.step(-3600 if len(waits) == 1 else seconds)
        return False

    bench.guard(pause).admit(bench.call("waits"), threading.Event())
    assert len(waits) == 2
    assert waits[1] < 61
    assert bench.count("biz.ai_rate_queue") == 0


@pytest.mark.parametrize(("effect", "most_s"), [("opens", 60), ("cooldown", 100)])
def test_a_step_back_keeps_no_breaker_open_and_no_cooldown_on_for_longer(bench, clock, effect, most_s):
    bench.settle(bench.admit("t"), effect, cooldown_s=100.0)
    clock.step(-3600)
    bench.limit(admission_wait_s=0.0)
    assert bench.refusal("u") in {"circuit_open", "rate_limited"}
    until = bench.value(
        "select extract(epoch from coalesce(cooldown_until, open_until) - biz.ai_now()) from biz.ai_breakers"
    )
    assert until == most_s
