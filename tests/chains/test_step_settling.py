"""Connections to Postgres that are cut while a step settles: it settles once, and what it reports is so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import text

from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.store import clues
from ai_assets.store.engine import make_engine

SITE, MEMBER = 1001, 555
GENEROUS_S = 10.0


@pytest.fixture
def proxy(database_url: str, cutting: Any) -> Iterator[Any]:
    made = cutting.CuttingProxy(database_url)
    yield made
    made.close()


@pytest.fixture
def cut_bench(bench, proxy, bench_on):
    """A bench whose steps go through the proxy; it looks at the tables past it."""
    made = bench_on(proxy.url, bench.base_url)
    made.look.dispose()
    made.look = make_engine(bench.url)
    return made


def set_clues(connection, _result) -> int | None:
    found = [{"category": "消费习惯", "summary": "周末来", "detail": "", "providers": []}]
    return clues.replace(connection, SITE, MEMBER, source="ai_consumption", clues=found)


def wait_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


# each statement of the transaction that ends a call that succeeded and sets clues, in its order
STATEMENTS = [
    (b"member_retention_clue",),
    (b"member_retention_clue", b"biz.ai_end_call"),
    (b"biz.ai_end_call", b"COMMIT"),
]


@pytest.mark.parametrize("words", STATEMENTS, ids=lambda words: words[-1].decode().split(".")[-1])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_an_answer_is_written_and_charged_once_wherever_the_connection_is_cut(
    cut_bench, proxy, cutting, simulator, words, before
):
    proxy.cut = cutting.Cut(words, before=before)
    result = cut_bench.step(cut_bench.runtime(), MEMBER, also_write=set_clues)
    assert proxy.cut.done.is_set()
    assert result.outcome is Outcome.SUCCESS, result.message
    cached = cut_bench.one("select id, run_log_id from biz.ai_cache")
    log = cut_bench.one("select * from biz.ai_run_logs")
    assert (log["status"], log["id"]) == ("success", cached["run_log_id"])
    # also where the answer of the commit was lost
    assert (result.cache_id, result.clues_set) == (cached["id"], 1)
    assert len(cut_bench.rows("select 1 from biz.member_retention_clue")) == 1
    assert cut_bench.assert_the_books_agree() == result.tokens_used == log["tokens_in"] + log["tokens_out"]
    assert cut_bench.outcomes_counted() == (1, 0)
    assert simulator.stats()["total"] == 1
    assert cut_bench.alerts() == []


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_an_answer_alone_is_one_statement_and_written_once_wherever_it_is_cut(
    cut_bench, proxy, cutting, simulator, before
):
    proxy.cut = cutting.Cut((b"biz.ai_end_call",), before=before)
    result = cut_bench.step(cut_bench.runtime(), MEMBER)
    assert proxy.cut.done.is_set()
    assert result.outcome is Outcome.SUCCESS, result.message
    cached = cut_bench.one("select id, run_log_id from biz.ai_cache")
    assert (result.cache_id, result.run_log_id) == (cached["id"], cached["run_log_id"])
    assert cut_bench.assert_the_books_agree() == result.tokens_used
    assert cut_bench.outcomes_counted() == (1, 0)
    assert simulator.stats()["total"] == 1
    assert cut_bench.alerts() == []


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_failure_is_settled_counted_and_told_once_wherever_its_commit_is_cut(
    cut_bench, proxy, cutting, simulator, before
):
    simulator.configure(kind="request_timeout", fail=1.0)
    proxy.cut = cutting.Cut((b"biz.ai_end_call", b"COMMIT"), before=before)
    result = cut_bench.step(cut_bench.runtime(breaker_min_calls=1))
    assert proxy.cut.done.is_set()
    log = cut_bench.one("select * from biz.ai_run_logs")
    assert (result.outcome, result.reason) == (Outcome.FAILED, "server_timeout")
    assert (log["status"], log["reason"]) == ("failed", "server_timeout")
    assert cut_bench.assert_the_books_agree() == result.tokens_used > 0
    # this one failure opened the breaker, and it is told that it did
    (change,) = cut_bench.rows("select state_before, state_after from biz.ai_breaker_changes")
    assert change == {"state_before": "closed", "state_after": "open"}
    assert cut_bench.alerts() == ["failed", "circuit_open"]


def test_a_result_whose_lease_was_taken_over_while_postgres_was_away_is_reported_lost(
    cut_bench, proxy, cutting
):
    class TakenOver(threading.Event):
        """The pause before the next try: meanwhile the lease ends and the next comer settles it."""

        def wait(self, timeout: float | None = None) -> bool:
            cut_bench.run("update biz.ai_leases set expires_at = clock_timestamp() - interval '1 s'")
            cut_bench.run("select biz.ai_reap_expired()")
            return super().wait(timeout)

    proxy.cut = cutting.Cut((b"biz.ai_end_call",), before=True)
    cancelled = TakenOver()
    result = cut_bench.step(cut_bench.runtime(), cancelled=cancelled)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "lease_lost")
    log = cut_bench.one("select * from biz.ai_run_logs")
    assert (log["status"], log["reason"], log["tokens_estimated"]) == ("failed", "outcome_unknown", True)
    assert cut_bench.rows("select 1 from biz.ai_cache") == []
    assert cut_bench.assert_the_books_agree() == len(log["request_prompt"]) + 1500
    assert cut_bench.alerts() == ["failed"]


def while_it_is_called(bench, simulator, runtime, then: Callable[[], None], **how: Any) -> StepResult:
    """A step whose call is at the server when `then` happens."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.step, runtime, **how)
        wait_until(lambda: simulator.stats()["in_flight"])
        then()
        return running.result(60)


def test_an_answer_that_came_while_postgres_was_away_is_written_when_it_is_back(cut_bench, proxy, simulator):
    simulator.configure(latency=0.8)

    def away_for_a_while() -> None:
        proxy.take_down()
        wait_until(lambda: simulator.stats()["in_flight"] == 0)
        time.sleep(1.0)
        assert cut_bench.rows("select status from biz.ai_run_logs") == [{"status": "running"}]
        proxy.bring_back()

    result = while_it_is_called(cut_bench, simulator, cut_bench.runtime(), away_for_a_while)
    assert result.outcome is Outcome.SUCCESS
    assert cut_bench.assert_the_books_agree() == result.tokens_used


def test_a_failed_attempt_before_which_postgres_went_away_is_settled_when_it_is_back(
    cut_bench, proxy, simulator
):
    simulator.configure(kind="request_timeout", fail=1.0, latency=0.8)

    def away_for_a_while() -> None:
        proxy.take_down()
        wait_until(lambda: simulator.stats()["in_flight"] == 0)
        time.sleep(1.0)
        proxy.bring_back()

    result = while_it_is_called(cut_bench, simulator, cut_bench.runtime(), away_for_a_while)
    log = cut_bench.one("select * from biz.ai_run_logs")
    # no place could be asked for another attempt; the one that was made may have been billed
    assert (result.outcome, result.reason) == (Outcome.FAILED, "database_unavailable")
    assert (log["status"], log["reason"]) == ("failed", "database_unavailable")
    assert simulator.stats()["total"] == 1
    assert cut_bench.assert_the_books_agree() == result.tokens_used == len(log["request_prompt"]) + 1500
    # it says nothing of the app
    assert cut_bench.outcomes_counted() == (0, 0)


def assert_the_lease_ends_by_itself(bench, result: StepResult) -> None:
    assert (result.outcome, result.reason) == (Outcome.FAILED, "database_unavailable")
    assert "its lease ends by itself in" in result.message
    assert "charged at its estimate" in result.message
    log = bench.one("select * from biz.ai_run_logs")
    assert (log["status"], log["id"]) == ("running", result.run_log_id)
    assert len(bench.rows("select 1 from biz.ai_leases")) == 1
    bench.run("update biz.ai_leases set expires_at = clock_timestamp() - interval '1 s'")
    bench.run("select biz.ai_reap_expired()")
    assert bench.assert_the_books_agree() == len(log["request_prompt"]) + 1500
    assert bench.one("select status, reason from biz.ai_run_logs") == {
        "status": "failed",
        "reason": "outcome_unknown",
    }


def test_a_run_that_is_cancelled_while_postgres_is_away_ends_soon_and_says_that_the_lease_ends_by_itself(
    cut_bench, proxy, simulator
):
    simulator.configure(kind="hang", fail=1.0)
    cancelled = threading.Event()
    began = []

    def cancel() -> None:
        proxy.take_down()
        began.append(time.monotonic())
        cancelled.set()

    result = while_it_is_called(
        cut_bench, simulator, cut_bench.runtime(step_timeout_s=60.0), cancel, cancelled=cancelled
    )
    assert time.monotonic() - began[0] < GENEROUS_S
    assert "before the run was cancelled" in result.message
    proxy.bring_back()
    assert_the_lease_ends_by_itself(cut_bench, result)


def test_a_run_that_is_cancelled_while_it_waits_for_postgres_to_come_back_ends_soon(
    cut_bench, proxy, simulator
):
    simulator.configure(latency=0.8)
    cancelled = threading.Event()

    def cancel() -> None:
        proxy.take_down()
        wait_until(lambda: simulator.stats()["in_flight"] == 0)
        time.sleep(0.7)
        cancelled.set()

    result = while_it_is_called(
        cut_bench, simulator, cut_bench.runtime(step_timeout_s=60.0), cancel, cancelled=cancelled
    )
    proxy.bring_back()
    assert_the_lease_ends_by_itself(cut_bench, result)


def test_a_postgres_that_stays_away_for_longer_than_the_lease_is_waited_for_no_longer(
    cut_bench, proxy, simulator, monkeypatch
):
    monkeypatch.setattr("ai_assets.chains.step.LEASE_MARGIN_S", 1.0)
    simulator.configure(latency=0.8)
    began = time.monotonic()
    result = while_it_is_called(cut_bench, simulator, cut_bench.runtime(step_timeout_s=2.5), proxy.take_down)
    assert time.monotonic() - began < 3.5 + GENEROUS_S
    assert "within its lease" in result.message
    proxy.bring_back()
    assert_the_lease_ends_by_itself(cut_bench, result)


def test_nothing_is_called_while_postgres_is_away(cut_bench, proxy, simulator):
    runtime = cut_bench.runtime()
    proxy.take_down()
    result = cut_bench.step(runtime)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "database_unavailable")
    assert simulator.stats()["total"] == 0


def test_eight_steps_on_a_pool_of_one_connection_all_come_through(bench, simulator):
    simulator.configure(latency=0.2)
    engine = make_engine(bench.url, pool_size=1)
    results = bench.side_by_side(bench.runtime(engine=engine), range(8))
    assert {result.outcome for result in results} == {Outcome.SUCCESS}
    assert bench.assert_the_books_agree() == sum(result.tokens_used for result in results)
    engine.dispose()


def test_answers_that_find_the_pool_exhausted_are_written_when_it_has_connections_again(
    bench, simulator, monkeypatch
):
    engine = make_engine(bench.url, pool_size=4)
    # patience of the pool itself: long enough for the steps to begin, short enough for them to be told no
    monkeypatch.setattr(engine.pool, "_timeout", 0.3)
    simulator.configure(latency=0.5)
    runtime = bench.runtime(engine=engine)
    with ThreadPoolExecutor(8) as pool, ExitStack() as hogs:
        running = [pool.submit(bench.step, runtime, member) for member in range(8)]
        wait_until(lambda: simulator.stats()["in_flight"] == 8)
        for _ in range(8):
            hogs.enter_context(engine.connect()).execute(text("select 1"))
        wait_until(lambda: simulator.stats()["in_flight"] == 0)
        time.sleep(1.0)
        assert not any(step.done() for step in running)
        hogs.close()
        results = [step.result(60) for step in running]
    assert {result.outcome for result in results} == {Outcome.SUCCESS}
    assert bench.assert_the_books_agree() == sum(result.tokens_used for result in results)
    assert len(bench.rows("select 1 from biz.ai_cache")) == 8
    engine.dispose()
