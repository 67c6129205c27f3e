"""The guard's tables can be emptied while nothing runs, each alone and in any combination."""

from __future__ import annotations

import threading
from itertools import combinations

import pytest

TABLES = (
    "ai_breakers",
    "ai_breaker_outcomes",
    "ai_rate_limits",
    "ai_rate_places",
    "ai_rate_queue",
    "ai_budgets",
    "ai_leases",
)
MORE = ("ai_clock", "ai_estimates")
DAY = ("all", "day")


@pytest.mark.parametrize("size", range(len(TABLES) + 1))
def test_any_of_the_guards_tables_can_be_emptied(bench, size):
    for emptied in combinations(TABLES, size):
        _use(bench, emptied)


@pytest.mark.parametrize("table", MORE)
def test_what_the_guard_remembers_beside_them_can_be_emptied(bench, table):
    _use(bench, (table,))


def _use(bench, emptied: tuple[str, ...]) -> None:
    for table in (*TABLES, *MORE, "ai_run_logs", "ai_cache"):
        bench.run(f"delete from biz.{table}")
    bench.limit(daily_tokens=None)
    bench.made("made")
    bench.failed("failed")
    in_flight = bench.admit("in flight")
    bench.run(
        "insert into biz.ai_rate_queue (site_id, turn_at, batch, looks_at) "
        "values (1, clock_timestamp(), false, clock_timestamp())"
    )

    for table in emptied:
        bench.run(f"delete from biz.{table}")

    used, _ = bench.budgets().get(DAY, (0, 0))
    live = bench.value("select coalesce(sum(reserved_tokens), 0) from biz.ai_leases")
    # just enough for one more call: what no lease reserves any more must not refuse it
    bench.limit(daily_tokens=used + int(live) + 1600)
    admission = bench.admit("after")
    bench.guard().take_place(bench.call("after"), 1.0, threading.Event())
    assert bench.succeed(admission).settled
    assert bench.settle(in_flight, "counts").settled is ("ai_leases" not in emptied)
