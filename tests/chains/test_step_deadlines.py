"""A whole step ends within its time whatever the server does, and leaves the books in order; so does a chain."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from ai_assets.chains.cells import Cell, cells_of_site
from ai_assets.chains.outcome import Outcome, StepResult, Trigger
from ai_assets.chains.site import run_cells
from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import WorkerLimits

DEAREST_IN = Decimal("0.0024")
"""CNY for 1,000 tokens in, of the dearest model."""
STEP_S = 1.0
GENEROUS_S = 10.0
SITE = 1001
BATCH = Trigger("dws_completed", "batch")

HEAD = b"HTTP/1.1 200 OK\r\n"


def never_answers(peer, _request):
    peer.hang()


def drips_the_status_line(peer, _request):
    peer.send(b"HTTP/1.1 200 O")
    peer.drip(b"K")


def drips_one_header(peer, _request):
    peer.send(HEAD + b"X-Slow: ")
    peer.drip(b"a")


def drips_many_headers(peer, _request):
    peer.send(HEAD)
    peer.drip(b"X-A: b\r\n", 0.1)


def says_continue_for_ever(peer, _request):
    peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def hangs_after_its_headers(peer, _request):
    peer.send(HEAD + b"Content-Length: 100\r\n\r\n")
    peer.hang()


def drips_its_body(peer, _request):
    peer.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
    peer.drip(b" ")


def drips_small_chunks(peer, _request):
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\n \r\n")


def never_ends_an_event_stream(peer, _request):
    peer.send(HEAD + b"Content-Type: text/event-stream\r\n\r\n")
    peer.drip(b":keep-alive\n\n")


def answers_without_a_length_and_never_closes(peer, _request):
    peer.send(HEAD + b'\r\n{"output":{"text":"x"}}')
    peer.hang()


def sends_a_body_without_end(peer, _request):
    peer.send(HEAD + b"Content-Length: 100000000000\r\n\r\n")
    peer.drip(b" " * 4_000_000, 0.0)


def closes_at_once(_peer, _request):
    return False


def closes_in_the_middle_of_its_body(peer, _request):
    peer.respond(b'{"output":', declared=1000)
    return False


def resets_at_once(peer, _request):
    peer.reset()
    return False


TIMEOUT = (Outcome.TIMEOUT, "timeout", 1)
LOST = (Outcome.FAILED, "connection", 3)


@pytest.mark.parametrize(
    ("behaviour", "ending"),
    [
        (never_answers, TIMEOUT),
        (drips_the_status_line, TIMEOUT),
        (drips_one_header, TIMEOUT),
        (drips_many_headers, TIMEOUT),
        (says_continue_for_ever, TIMEOUT),
        (hangs_after_its_headers, TIMEOUT),
        (drips_its_body, TIMEOUT),
        (drips_small_chunks, TIMEOUT),
        (never_ends_an_event_stream, TIMEOUT),
        (answers_without_a_length_and_never_closes, TIMEOUT),
        (sends_a_body_without_end, (Outcome.FAILED, "reply_too_large", 1)),
        (closes_at_once, LOST),
        (closes_in_the_middle_of_its_body, LOST),
        (resets_at_once, LOST),
    ],
)
def test_a_step_ends_in_time_settled_and_counted_once_whatever_the_server_does(
    bench, serve, behaviour, ending
):
    server = serve(behaviour)
    runtime = bench.runtime(base_url=server.base_url, step_timeout_s=STEP_S)
    began = time.monotonic()
    result = bench.step(runtime)
    assert time.monotonic() - began < STEP_S + GENEROUS_S
    log = bench.one("select * from biz.ai_run_logs")
    outcome, reason, attempts = ending
    assert (result.outcome, result.reason) == (outcome, reason)
    assert (log["status"], log["reason"]) == (outcome.value, reason)
    assert len(server.requests) == result.attempts == attempts
    # each attempt may have been billed, and none told what it used
    estimate = len(log["request_prompt"]) + 1500
    assert bench.assert_the_books_agree() == result.tokens_used == attempts * estimate
    assert result.tokens_estimated
    assert result.latency_ms == log["latency_ms"] <= 1000 * (STEP_S + GENEROUS_S)
    assert bench.outcomes_counted() == (0, 1)
    assert bench.alerts() == [outcome.value]


def test_a_server_that_accepts_and_says_nothing_is_left_in_time(bench):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        result = bench.step(bench.runtime(base_url=url, step_timeout_s=STEP_S))
    assert (result.outcome, result.reason) == (Outcome.TIMEOUT, "timeout")
    assert bench.assert_the_books_agree() == result.tokens_used > 0


def test_where_nobody_listens_nothing_was_billed_and_nothing_is_charged(bench):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api/v1"
    result = bench.step(bench.runtime(base_url=url, step_timeout_s=STEP_S))
    assert (result.outcome, result.reason, result.tokens_used) == (Outcome.FAILED, "connection", 0)
    assert bench.assert_the_books_agree() == 0
    assert bench.outcomes_counted() == (0, 1)


def test_a_whole_answer_counts_though_its_server_never_closes(bench, serve, raw):
    def answers_and_hangs(peer, _request):
        peer.answer('{"clues": []}')
        peer.hang()

    server = serve(answers_and_hangs)
    result = bench.step(bench.runtime(base_url=server.base_url, step_timeout_s=STEP_S))
    assert (result.outcome, result.tokens_used) == (Outcome.SUCCESS, 172)
    assert bench.assert_the_books_agree() == 172
    assert bench.outcomes_counted() == (1, 0)


def test_attempts_that_may_have_been_billed_are_charged_on_top_of_the_answer(bench, serve, raw):
    def drops_twice_then_answers(peer, request):
        return peer.answer('{"clues": []}') if request.number == 3 else False

    server = serve(drops_twice_then_answers)
    result = bench.step(bench.runtime(base_url=server.base_url))
    log = bench.one("select * from biz.ai_run_logs")
    estimate = len(log["request_prompt"]) + 1500
    assert (result.outcome, result.attempts) == (Outcome.SUCCESS, 3)
    assert (log["tokens_in"], log["tokens_out"], log["tokens_estimated"]) == (121, 51, True)
    assert bench.assert_the_books_agree() == 172 + 2 * estimate
    # the dearest price of a token, for nobody knows which model it was
    assert result.cost_cny > 2 * estimate * DEAREST_IN / 1000


def test_a_wait_for_another_attempt_ends_with_the_steps_time(bench, serve):
    server = serve(lambda peer, _request: peer.fail(429, "Throttling", headers={"Retry-After": "3600"}))
    began = time.monotonic()
    result = bench.step(bench.runtime(base_url=server.base_url, step_timeout_s=STEP_S))
    assert time.monotonic() - began < STEP_S + GENEROUS_S
    assert (result.outcome, result.reason, result.attempts) == (Outcome.FAILED, "throttled", 1)
    assert bench.assert_the_books_agree() == 0


def test_an_attempt_that_finds_no_place_in_the_rate_ends_with_the_steps_time(bench, serve):
    server = serve(lambda peer, _request: peer.fail(500, "InternalError"))
    runtime = bench.runtime(base_url=server.base_url, step_timeout_s=STEP_S, rate_per_minute=1)
    began = time.monotonic()
    result = bench.step(runtime)
    assert time.monotonic() - began < STEP_S + GENEROUS_S
    assert (result.outcome, result.reason) == (Outcome.FAILED, "rate_limited")
    assert len(server.requests) == 1
    assert bench.assert_the_books_agree() == 0


@dataclass
class Cancelled:
    """Cells that a test cancels once `calls` of them hang at the server."""

    seen: list[StepResult]
    seconds: float


def cancel_when_they_hang(runtime, simulator, cells: list[Cell], calls: int, cancel: Callable) -> Cancelled:
    cancelled = threading.Event()
    seen: list[StepResult] = []

    def work() -> None:
        run_cells(
            runtime,
            cells,
            trigger=BATCH,
            as_of=None,
            on_result=lambda _cell, result: seen.append(result),
            cancelled=cancelled,
        )

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 60
    while simulator.stats()["in_flight"] < calls:
        assert time.monotonic() < until
        time.sleep(0.01)
    began = time.monotonic()
    cancel(cancelled)
    thread.join(60)
    assert not thread.is_alive()
    return Cancelled(seen, time.monotonic() - began)


def test_cells_that_are_cancelled_in_the_middle_give_up_their_calls_and_free_their_leases(
    make_runtime, events, simulator
):
    simulator.configure(kind="hang", fail=1.0)
    runtime = make_runtime(concurrency=4, step_timeout_s=60.0)
    ended = cancel_when_they_hang(runtime, simulator, cells_of_site(SITE)[:12], 4, lambda event: event.set())
    assert ended.seconds < GENEROUS_S
    assert [result.reason for result in ended.seen] == ["cancelled"] * 12
    assert simulator.stats()["total"] == 4
    assert events.rows("select 1 from biz.ai_leases") == []
    assert events.rows("select 1 from biz.ai_alerts where alert_type <> 'budget_warning'") == []
    assert {row[0] for row in events.rows("select reserved from biz.ai_budgets")} == {0}
    # the four may have been billed: their estimates are charged, and no failure is counted
    assert {row[0] for row in events.rows("select used from biz.ai_budgets")} == {
        sum(result.tokens_used for result in ended.seen)
    }
    assert sum(result.tokens_used > 0 for result in ended.seen) == 4
    assert events.rows("select 1 from biz.ai_breaker_outcomes where failed > 0") == []


def test_cells_out_of_their_chains_time_say_so_and_free_their_leases(
    make_runtime, events, simulator, monkeypatch
):
    cells = cells_of_site(SITE)[:6]
    step_s = 60.0
    monkeypatch.setattr("ai_assets.chains.site.CHAIN_MARGIN_S", 5.0 - len(cells) * step_s)
    simulator.configure(kind="hang", fail=1.0)
    runtime = make_runtime(concurrency=2, step_timeout_s=step_s)
    ended = cancel_when_they_hang(runtime, simulator, cells, 2, lambda _event: None)
    assert ended.seconds < GENEROUS_S
    assert [result.reason for result in ended.seen] == ["chain_timeout"] * 6
    assert simulator.stats()["total"] == 2
    assert events.rows("select 1 from biz.ai_leases") == []
    assert {row[0] for row in events.rows("select reserved from biz.ai_budgets")} == {0}


def worker_of(runtime, events, **how) -> Worker:
    limits = WorkerLimits(**{"until_empty": True, "ends_in_failure": False, "lease_s": 30.0, **how})
    return Worker(runtime, limits, events.shown, worker_id="test-worker")


def wait_for_calls(simulator, calls: int) -> None:
    until = time.monotonic() + 60
    while simulator.stats()["in_flight"] < calls:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_worker_that_is_stopped_gives_up_its_calls_and_frees_their_leases(
    make_runtime, events, simulator, monkeypatch
):
    monkeypatch.setattr("ai_assets.chains.worker.STOP_S", 0.2)
    simulator.configure(kind="hang", fail=1.0)
    jobs = [events.consumption(), events.fire("consumption", member=556)]
    worker = worker_of(make_runtime(step_timeout_s=60.0), events)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    wait_for_calls(simulator, 2)
    began = time.monotonic()
    stop.set()
    thread.join(60)
    assert time.monotonic() - began < GENEROUS_S
    assert [events.job(job).status for job in jobs] == ["pending", "pending"]
    assert events.rows("select 1 from biz.ai_leases") == []
    assert {row[0] for row in events.rows("select reserved from biz.ai_budgets")} == {0}
    assert events.rows("select distinct reason from biz.ai_run_logs") == [("cancelled",)]


def test_a_chain_that_runs_out_of_time_gives_up_its_call_and_frees_its_lease(
    make_runtime, events, simulator, monkeypatch
):
    monkeypatch.setattr("ai_assets.chains.worker.STEPS_OF_TIME", 0.02)
    simulator.configure(kind="hang", fail=1.0)
    job = events.consumption()
    worker = worker_of(make_runtime(step_timeout_s=60.0), events)
    began = time.monotonic()
    worker.run()
    assert time.monotonic() - began < 2 * GENEROUS_S
    ended = events.job(job)
    assert ended.status == "failed"
    assert {step["reason"] for step in ended.step_results} == {"chain_timeout"}
    assert simulator.stats()["total"] == 1
    assert events.rows("select 1 from biz.ai_leases") == []
    assert {row[0] for row in events.rows("select reserved from biz.ai_budgets")} == {0}
    assert ("timeout",) in events.rows("select alert_type from biz.ai_alerts")
