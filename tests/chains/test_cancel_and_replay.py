"""Cancelling a chain that runs, and replaying one: real workers, the simulator, Postgres."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import WorkerLimits
from ai_assets.store.job_control import cancel_job, replay_job

PATIENCE_S = 60.0


def wait_until(seen: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < ends
        time.sleep(0.02)


def replay(events, job_id: int, *, forced: bool = False) -> int:
    with events.engine.begin() as connection:
        made = replay_job(connection, job_id, forced=forced).replay
    assert made is not None
    return made


def test_a_chain_that_runs_stops_in_its_call_at_the_next_heartbeat_and_keeps_what_it_had_made(
    make_runtime, events, simulator
):
    simulator.configure(app="app8", latency=30.0)
    cancelled, behind = events.consumption(), events.task()
    limits = WorkerLimits(lease_s=3.0, linger_s=0.0, ends_in_failure=False, until_empty=True)
    worker = Worker(make_runtime(step_timeout_s=60.0), limits, events.shown, worker_id="one")
    thread = threading.Thread(target=worker.run)
    thread.start()
    wait_until(lambda: simulator.calls("app8"))
    began = time.monotonic()
    with events.engine.begin() as connection:
        assert cancel_job(connection, cancelled, why="cancelled by kim: a mistake") == "asked"
    wait_until(lambda: events.job(cancelled).status != "running")
    # a heartbeat is a third of the lease
    assert time.monotonic() - began < 10
    thread.join(PATIENCE_S)
    job = events.job(cancelled)
    assert (job.status, job.error_message) == ("failed", "cancelled by kim: a mistake")
    # the step before it stands, the one it was in gave nothing, the ones after were not begun
    assert events.rows("select count(*) from biz.ai_cache where cache_type = 'app3_clue'")[0][0] == 1
    assert [row[0] for row in events.rows(
        "select status || ':' || reason from biz.ai_run_logs where app_type = 'app8_consolidation'"
    )] == ["failed:cancelled"]  # fmt: skip
    assert simulator.calls("app7") == []
    # and the member's next chain went on
    assert events.job(behind).status == "completed"


def test_a_replay_of_a_partial_job_calls_only_for_what_has_no_answer_and_a_forced_one_for_all(
    make_runtime, events, simulator
):
    runtime = make_runtime()
    simulator.configure(app="app7", fail=1.0, kind="data_inspection")
    first = events.consumption()
    events.work(runtime)
    assert events.job(first).status == "partial"
    simulator.reset()
    second = replay(events, first)
    events.work(runtime)
    assert events.outcomes(second) == {
        "app3_clue": "reused", "app8_consolidation": "reused", "app7_customer": "success"
    }  # fmt: skip
    assert {name: len(simulator.calls(name)) for name in ("app3", "app8", "app7")} == {
        "app3": 0,
        "app8": 0,
        "app7": 1,
    }
    third = replay(events, second, forced=True)
    events.work(runtime)
    assert set(events.outcomes(third).values()) == {"success"}
    assert events.job(third).business_date == events.job(first).business_date
