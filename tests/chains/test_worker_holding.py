"""A worker holds its jobs through what goes on around it: open transactions, locks, errors, a stop at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ai_assets.chains import worker as worker_module
from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import WorkerLimits
from ai_assets.store import claims, inbox, leases, workers

PATIENCE_S = 60.0


def a_worker(runtime, events, worker_id="one", **limits):
    settings = {"lease_s": 30.0, "linger_s": 0.0, "ends_in_failure": False, **limits}
    return Worker(runtime, WorkerLimits(**settings), events.shown, worker_id=worker_id)


def wait_until(seen: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("forced", [False, True])
def test_a_backends_open_transaction_about_a_running_event_costs_the_worker_no_job(
    make_runtime, events, simulator, monkeypatch, forced
):
    monkeypatch.setattr(worker_module, "UPKEEP_S", 0.2)
    simulator.configure(app="app3", latency=6.0)
    members = [m for (m,) in events.rows("select member_id from biz.members where site_id = 1001 limit 3")]
    at = "2026-06-30T20:00:00+08:00"
    jobs = [events.fire("consumption", member=member, occurred_at=at) for member in members]
    done: dict[str, object] = {}
    threads = [
        threading.Thread(
            target=lambda name=name: done.update(
                {name: a_worker(make_runtime(), events, name, lease_s=1.5, until_empty=True).run()}
            )
        )
        for name in ("one", "two")
    ]
    threads[0].start()
    wait_until(lambda: len(simulator.calls("app3")) == 3)
    first = events.rows("select max(lease_until) from biz.ai_trigger_jobs where id = :id", id=jobs[0])[0][0]
    with events.engine.connect() as backend, backend.begin():
        inbox.fire(
            backend,
            "consumption",
            site_id=1001,
            member_id=members[0],
            payload={"occurred_at": at},
            is_forced=forced,
        )
        threads[1].start()
        # until the lease that stood then is over, and some heartbeats have passed
        wait_until(
            lambda: events.rows("select clock_timestamp() > :at + interval '1 second'", at=first)[0][0]
        )
        wait_until(lambda: events.rows("select count(*) from biz.ai_workers")[0][0] == 2)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [(events.job(job).status, events.job(job).attempts) for job in jobs] == [("completed", 1)] * 3
    calls = len(simulator.calls("app3"))
    assert calls == 3 + forced, "the forced one makes its own, and no other is made twice"


def test_a_heartbeat_that_asks_while_a_claim_is_made_loses_no_chain(make_runtime, events, monkeypatch):
    job_id = events.consumption()
    worker = a_worker(make_runtime(), events)
    asked, beat, claim = threading.Event(), workers.heartbeat, claims.claim_member_jobs

    def slow_beat(*args, **kwargs):
        found = beat(*args, **kwargs)
        if threading.current_thread().name == "beside":
            # it has asked, and does not know of the claim that is about to be committed
            asked.set()
            wait_until(lambda: worker._running)
        return found

    def claim_while_asked(connection, **kwargs):
        jobs = claim(connection, **kwargs)
        if jobs:
            threading.Thread(target=worker._heartbeat.send, name="beside").start()
            assert asked.wait(PATIENCE_S)
        return jobs

    monkeypatch.setattr(workers, "heartbeat", slow_beat)
    monkeypatch.setattr(claims, "claim_member_jobs", claim_while_asked)
    summary = worker.run()
    assert summary.lost == 0
    assert (events.job(job_id).status, events.job(job_id).attempts) == ("completed", 1)


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("forced", [False, True])
def test_a_chain_that_was_handed_back_repeats_no_step_that_has_ended(
    make_runtime, events, simulator, monkeypatch, forced, failing
):
    monkeypatch.setattr(worker_module, "STOP_S", 0.1)
    simulator.configure(app="app8", latency=60.0)
    if failing:
        simulator.configure(app="app3", fail=1.0)
    job_id = events.fire("consumption", forced=forced)
    stop = threading.Event()
    events.shown.on_step = lambda _job, _step: stop.set()
    a_worker(make_runtime(step_timeout_s=120.0), events).run(stop)
    assert events.job(job_id).status == "pending"
    simulator.reset()
    events.shown.on_step = lambda _job, _step: None
    events.work(make_runtime())
    assert simulator.calls("app3") == []
    assert events.outcomes(job_id)["app3_clue"] == ("failed" if failing else "success")


def test_a_stop_ends_a_chain_that_waits_for_a_locked_table(make_runtime, events, monkeypatch):
    monkeypatch.setattr(worker_module, "STOP_S", 0.2)
    job_id = events.consumption()
    stop = threading.Event()
    summaries = []
    worker = a_worker(make_runtime(), events)
    thread = threading.Thread(target=lambda: summaries.append(worker.run(stop)))
    with events.engine.connect() as etl, etl.begin():
        etl.execute(text("lock table biz.members in access exclusive mode"))
        thread.start()
        wait_until(lambda: etl.execute(text("select 1 from pg_locks where not granted")).first())
        stop.set()
        thread.join(10)
        assert not thread.is_alive(), "with the table still locked"
    assert summaries[0].handed_back == 1
    assert (events.job(job_id).status, events.job(job_id).attempts) == ("pending", 0)


def test_an_error_of_the_database_in_a_claim_is_borne(make_runtime, events, monkeypatch):
    job_id = events.consumption()
    claim = claims.claim_member_jobs
    left = [1, 1]

    def failing(connection, **kwargs):
        if left:
            left.pop()
            raise OperationalError("select", {}, Exception("something is wrong"))
        return claim(connection, **kwargs)

    monkeypatch.setattr(claims, "claim_member_jobs", failing)
    a_worker(make_runtime(), events, linger_s=1.5).run()
    assert events.job(job_id).status == "completed"


def test_a_stop_in_the_last_moment_is_told(make_runtime, events, monkeypatch):
    stop = threading.Event()
    gone = workers.delete

    def gone_while_stopped(*args):
        stop.set()
        gone(*args)

    monkeypatch.setattr(workers, "delete", gone_while_stopped)
    assert a_worker(make_runtime(), events).run(stop).stopped


def test_a_job_that_could_not_be_ended_is_let_go_when_its_worker_ends(make_runtime, events, monkeypatch):
    job_id = events.consumption()
    finish = inbox.finish

    def failing(*_args, **_kwargs):
        raise OperationalError("update", {}, Exception("something is wrong"))

    monkeypatch.setattr(inbox, "finish", failing)
    # as long as its lease lasts, it tries to
    summary = a_worker(make_runtime(), events, lease_s=2.0).run()
    assert summary.lost == 1
    [(due,)] = events.rows("select lease_until <= clock_timestamp() from biz.ai_trigger_jobs")
    assert due, "its member waits for no lease"
    monkeypatch.setattr(inbox, "finish", finish)
    monkeypatch.setattr(leases, "RETRY_BASE_S", 0.1)
    events.work(make_runtime())
    assert (events.job(job_id).status, events.job(job_id).attempts) == ("completed", 2)
