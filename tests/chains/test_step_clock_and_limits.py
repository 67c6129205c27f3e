"""A worker whose clock is wrong by hours, and limits that change while it runs: the guard holds all the same."""

from __future__ import annotations

import ast
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import ai_assets
from ai_assets.chains.outcome import Outcome
from ai_assets.dashscope.client import DashScopeClient
from ai_assets.guard.admission import Guard

HOUR_S = 3600.0
WALL_CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
}


@pytest.mark.parametrize("package", ["guard", "chains", "store", "dashscope", "apps", "warehouse"])
def test_nothing_of_the_core_reads_the_workers_clock(package):
    """Of the inbox, leases, breakers, rates and budgets, Postgres tells the time; of waiting, the monotonic clock.

    The one reading left serves a Retry-After that is a date, of a server that sends no Date of its own.
    """
    found = [
        f"{path.name}:{node.value.id}.{node.attr}"
        for path in sorted((Path(ai_assets.__file__).parent / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in WALL_CLOCKS
    ]
    assert found == (["client.py:datetime.now"] if package == "dashscope" else [])


@pytest.fixture(params=[-5 * HOUR_S, 5 * HOUR_S], ids=["slow", "fast"])
def wrong_clock(request, monkeypatch) -> float:
    """This process's wall clock is wrong by so many seconds."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + request.param)
    return request.param


def seconds_left(bench: Any, column: str, table: str) -> float:
    return bench.one(f"select extract(epoch from {column} - clock_timestamp())::float as s from biz.{table}")[
        "s"
    ]


def test_a_wrong_clock_lengthens_no_lease_and_ends_none(bench, simulator, wrong_clock):
    seen: list[float] = []

    def also_write(_connection, _result) -> None:
        # in the middle of settling: the lease is still there
        seen.append(seconds_left(bench, "expires_at", "ai_leases"))

    results = [
        bench.step(bench.runtime(step_timeout_s=20.0), also_write=also_write),
        bench.step(bench.runtime(step_timeout_s=20.0)),
    ]
    assert [result.outcome for result in results] == [Outcome.SUCCESS, Outcome.REUSED]
    assert 10 < seen[0] <= 25
    assert bench.assert_the_books_agree() == results[0].tokens_used
    (row,) = bench.rows("select created_at, finished_at, clock_timestamp() as now from biz.ai_run_logs")
    assert row["now"] - timedelta(seconds=60) < row["created_at"] <= row["finished_at"] <= row["now"]


def test_a_wrong_clock_spends_the_budget_of_the_databases_day(bench, simulator, wrong_clock):
    bench.step(bench.runtime())
    today = bench.one("select to_char(clock_timestamp() at time zone 'Asia/Shanghai', 'YYYY-MM-DD') as d")[
        "d"
    ]
    days = {
        row["period"] for row in bench.rows("select period from biz.ai_budgets where period like 'day:%'")
    }
    assert days == {f"day:{today}"}


def test_a_wrong_clock_neither_takes_a_place_of_the_rate_twice_nor_waits_for_hours(
    bench, simulator, wrong_clock
):
    runtime = bench.runtime(rate_per_minute=10, admission_wait_s=0.0)
    outcomes = [bench.step(runtime, member).outcome for member in range(4)]
    # a fifth of the rate at one instant
    assert outcomes[:2] == [Outcome.SUCCESS] * 2
    assert outcomes.count(Outcome.SUCCESS) <= 3


def test_a_retry_after_that_is_a_date_is_read_by_the_servers_clock(bench, serve, wrong_clock):
    theirs = datetime.now(UTC)
    headers = {
        "Date": format_datetime(theirs, usegmt=True),
        "Retry-After": format_datetime(theirs + timedelta(seconds=40), usegmt=True),
    }
    server = serve(lambda peer, _request: peer.fail(429, "Throttling", headers=headers))
    runtime = bench.runtime(base_url=server.base_url)
    wrong = DashScopeClient(
        api_key=SecretStr("sk-marked-secret"),
        base_url=server.base_url,
        now=lambda: datetime.now(UTC) + timedelta(seconds=wrong_clock),
    )
    with wrong:
        bench.step(replace(runtime, client=wrong))
    assert 10 < seconds_left(bench, "cooldown_until", "ai_breakers") <= 40


def with_limits(runtime, **limits: Any):
    """The same process under changed limits."""
    changed = replace(runtime.guard.limits, **limits)
    return replace(runtime, guard=Guard(runtime.engine, changed, apps=runtime.guard._apps))


def test_a_budget_that_is_lowered_and_raised_while_a_process_runs_holds_at_its_next_step(bench, simulator):
    runtime = bench.runtime(daily_tokens=1_000_000)
    assert bench.step(runtime, 1).outcome is Outcome.SUCCESS
    spent = bench.assert_the_books_agree()
    lowered = bench.step(with_limits(runtime, daily_tokens=spent), 2)
    assert (lowered.outcome, lowered.reason) == (Outcome.REFUSED, "budget_exceeded:day")
    assert bench.step(with_limits(runtime, daily_tokens=10 * spent), 3).outcome is Outcome.SUCCESS
    none = with_limits(runtime, daily_tokens=None)
    assert bench.step(none, 4).outcome is Outcome.SUCCESS
    # what was spent without a limit counts when there is one again
    assert bench.step(with_limits(runtime, daily_tokens=2 * spent), 5).reason == "budget_exceeded:day"
    bench.assert_the_books_agree()


def test_a_rate_that_is_lowered_and_raised_while_a_process_runs_holds_at_its_next_step(bench, simulator):
    runtime = bench.runtime(rate_per_minute=1000, admission_wait_s=0.0)
    assert {bench.step(runtime, member).outcome for member in range(5)} == {Outcome.SUCCESS}
    lowered = bench.step(with_limits(runtime, rate_per_minute=5), 6)
    assert (lowered.outcome, lowered.reason) == (Outcome.REFUSED, "rate_limited")
    assert bench.step(with_limits(runtime, rate_per_minute=1000), 7).outcome is Outcome.SUCCESS
    assert len(bench.rows("select 1 from biz.ai_rate_places")) == 6


def test_a_limit_that_is_lowered_while_a_call_is_in_flight_lets_that_call_settle(bench, simulator):
    runtime = bench.runtime(daily_tokens=1_000_000, rate_per_minute=1000)
    lowered = with_limits(runtime, daily_tokens=1, rate_per_minute=1, admission_wait_s=0.0)
    seen = []

    def also_write(_connection, _result) -> None:
        # this call is not at its end yet
        seen.append(bench.step(lowered, 2, app="app7_customer").outcome)

    first = bench.step(runtime, 1, also_write=also_write)
    assert (first.outcome, seen) == (Outcome.SUCCESS, [Outcome.REFUSED])
    assert bench.assert_the_books_agree() == first.tokens_used
