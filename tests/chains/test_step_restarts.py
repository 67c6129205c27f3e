"""Postgres restarted, killed, its connections terminated while calls are in flight: each settles once, when it is back.

On a cluster of this module's own, with its durability on: what was told as committed must be there afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.store import embedded
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade

CALLS = 10


class Cluster:
    """A private Postgres; `restart` ends its postmaster with a signal, waits for the end, and starts it again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = embedded.start(home)

    def restart(self, how: signal.Signals) -> None:
        pid = int((embedded.data_folder(self.home).path / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, how)
        until = time.monotonic() + 60
        while embedded.running(self.home) is not None:
            assert time.monotonic() < until
            time.sleep(0.02)
        embedded.start(self.home)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    home = Path(tempfile.mkdtemp(prefix="ai_assets_restart_", dir="/tmp"))
    home.chmod(0o755)
    try:
        yield Cluster(home)
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def bench(cluster: Cluster, bench_on: Callable[..., Any], simulator) -> Any:
    """A bench on the private cluster, on a database of this test's own."""
    name = f"restarts_{time.monotonic_ns()}"
    admin = create_engine(cluster.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    admin.dispose()
    url = embedded.with_database(cluster.url, name)
    upgrade(url)
    made = bench_on(url, simulator.base_url)
    made.look.dispose()
    made.look = make_engine(url)
    return made


def wait_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def in_flight_when(bench, simulator, runtime, then: Callable[[], None], **how: Any) -> list[StepResult]:
    """Steps that are all at the server when `then` happens."""
    with ThreadPoolExecutor(CALLS) as pool:
        running = [pool.submit(bench.step, runtime, member, **how) for member in range(CALLS)]
        wait_until(lambda: simulator.stats()["in_flight"] == CALLS)
        then()
        return [step.result(60) for step in running]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_calls_in_flight_settle_once_within_their_lease_when_postgres_was_restarted(
    bench, cluster, simulator, how
):
    # the first answers come while it stops, the last ones after it is back
    simulator.configure(latency=[0.5, 4.0])
    results = in_flight_when(
        bench, simulator, bench.runtime(step_timeout_s=30.0), lambda: cluster.restart(how)
    )
    assert {result.outcome for result in results} == {Outcome.SUCCESS}
    assert bench.assert_the_books_agree() == sum(result.tokens_used for result in results)
    cached = bench.rows("select target_id, run_log_id from biz.ai_cache order by run_log_id")
    assert len({row["target_id"] for row in cached}) == len(cached) == CALLS
    assert [row["run_log_id"] for row in cached] == sorted(result.run_log_id for result in results)
    assert simulator.stats()["total"] == CALLS
    assert bench.outcomes_counted() == (CALLS, 0)
    assert bench.rows("select * from biz.ai_run_logs where tokens_estimated") == []


def test_failures_in_flight_settle_and_count_once_when_postgres_was_restarted(bench, cluster, simulator):
    simulator.configure(kind="hang", fail=1.0)
    results = in_flight_when(
        bench,
        simulator,
        bench.runtime(step_timeout_s=4.0, breaker_min_calls=1000),
        lambda: cluster.restart(signal.SIGQUIT),
    )
    assert {(result.outcome, result.reason) for result in results} == {(Outcome.TIMEOUT, "timeout")}
    assert bench.assert_the_books_agree() == sum(result.tokens_used for result in results) > 0
    assert bench.outcomes_counted() == (0, CALLS)
    assert bench.rows("select status, count(*) as n from biz.ai_run_logs group by status") == [
        {"status": "timeout", "n": CALLS}
    ]


class Terminator:
    """Terminates every connection of ours again and again, until its block ends."""

    def __init__(self, bench: Any, every_s: float) -> None:
        self._engine = create_engine(bench.url, isolation_level="AUTOCOMMIT")
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go)
        self.terminated = 0

    def __enter__(self) -> Terminator:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._engine.dispose()

    def _go(self) -> None:
        with self._engine.connect() as connection:
            while not self._ended.wait(self._every_s):
                self.terminated += connection.execute(
                    text(
                        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                        "where datname = current_database() and pid <> pg_backend_pid()"
                    )
                ).scalar_one()


def test_connections_terminated_while_calls_are_in_flight_cost_nothing(bench, simulator):
    simulator.configure(latency=0.5)

    def terminate() -> None:
        with Terminator(bench, 0.01) as terminator:
            wait_until(lambda: terminator.terminated)

    results = in_flight_when(bench, simulator, bench.runtime(), terminate)
    assert {result.outcome for result in results} == {Outcome.SUCCESS}
    assert bench.assert_the_books_agree() == sum(result.tokens_used for result in results)
    assert len(bench.rows("select 1 from biz.ai_cache")) == CALLS


def test_under_connections_that_are_terminated_all_the_time_no_call_is_charged_or_written_twice(
    bench, simulator
):
    simulator.configure(latency=[0.0, 0.3])
    runtime = bench.runtime(step_timeout_s=20.0)
    with ThreadPoolExecutor(CALLS) as pool, Terminator(bench, 0.05) as terminator:
        results = list(pool.map(lambda member: bench.step(runtime, member), range(10 * CALLS)))
        assert terminator.terminated > 0
    made = [result for result in results if result.outcome is Outcome.SUCCESS]
    # who found no Postgres before the call called nothing; who was cut while being admitted left a lease
    assert {result.reason for result in results} <= {None, "database_unavailable"}
    assert made
    wait_until(lambda: not _busy(bench))
    leased = {row["run_log_id"] for row in bench.rows("select run_log_id from biz.ai_leases")}
    assert not leased & {result.run_log_id for result in made}
    bench.run("update biz.ai_leases set expires_at = clock_timestamp() - interval '1 s'")
    bench.run("select biz.ai_reap_expired()")
    spent = bench.assert_the_books_agree()
    unknown = bench.rows("select tokens_used from biz.ai_run_logs where reason = 'outcome_unknown'")
    assert spent == sum(r.tokens_used for r in made) + sum(row["tokens_used"] for row in unknown)
    cached = bench.rows("select run_log_id from biz.ai_cache order by run_log_id")
    assert [row["run_log_id"] for row in cached] == sorted(result.run_log_id for result in made)


def _busy(bench: Any) -> bool:
    try:
        return bool(
            bench.rows(
                "select 1 from pg_stat_activity where datname = current_database() "
                "and pid <> pg_backend_pid() and state <> 'idle'"
            )
        )
    except DBAPIError:
        # a connection of the test's own that was terminated while it lay in its pool
        return True


def test_steps_that_begin_after_a_restart_meet_no_connection_of_before_it(bench, cluster, simulator):
    runtime = bench.runtime()
    assert {step.outcome for step in bench.side_by_side(runtime, range(CALLS))} == {Outcome.SUCCESS}
    cluster.restart(signal.SIGINT)
    after = bench.side_by_side(runtime, range(100, 100 + CALLS))
    assert {step.outcome for step in after} == {Outcome.SUCCESS}, [step.message for step in after]
    assert bench.assert_the_books_agree() > 0
