"""A long history must not slow the guard: admission and settling never read a large table from end to end."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ai_assets.store import upkeep

HISTORY = (
    """
    insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, tokens_used, prompt_hash)
    select 'app_' || chr(97 + n % 3), n % 20, 'old ' || n % 5000, 'batch',
        case when n % 10 = 0 then 'failed' else 'success' end, 100 + n % 900, md5(n::text)
    from generate_series(1, 40000) n
    """,
    """
    insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)
    select 'cache_a', n % 20, 'old ' || n % 5000, '{}', 'x', n, md5(n::text) from generate_series(1, 20000) n
    """,
    """
    insert into biz.ai_rate_places (site_id, place, taken_at)
    select s, p, clock_timestamp() - make_interval(secs => 40 - p / 1000.0)
    from generate_series(1, 3) s, generate_series(1, 10000) p
    """,
    "insert into biz.ai_rate_limits (site_id, last_place) select s, 10000 from generate_series(1, 3) s",
    """
    insert into biz.ai_budgets (scope, period)
    select 'site:' || s, 'day:' || d from generate_series(1, 50) s, generate_series(1, 400) d
    """,
)
LARGE = ("ai_run_logs", "ai_cache", "ai_rate_places", "ai_budgets")


@pytest.fixture
def history(bench):
    for statement in HISTORY:
        bench.run(statement)
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in LARGE:
            connection.execute(text(f"analyze biz.{table}"))
    return bench


def scans(bench) -> dict[str, int]:
    """Sequential scans of each large table so far, as Postgres itself counts them."""
    # every connection tells its counts when it closes
    bench.engine.dispose()
    rows = bench.all(
        "select relname, seq_scan from pg_stat_user_tables where schemaname = 'biz' and relname = any(:large)",
        large=list(LARGE),
    )
    return {row["relname"]: row["seq_scan"] for row in rows}


def test_admitting_reusing_refusing_reaping_and_settling_stay_on_their_indexes(history):
    bench = history
    before = scans(bench)
    for number in range(12):
        bench.made(f"new {number}")
        bench.ask(f"new {number}")
        bench.admit("dies", lease_s=-1.0)
        bench.settle(bench.admit("live", site_id=2), "neutral", tokens=None)
    bench.limit(daily_tokens=1)
    for number in range(12):
        assert bench.refusal(f"refused {number}") == "budget_exceeded:day"
    assert scans(bench) == before


def test_the_estimate_of_a_long_history_is_its_last_twenty(history):
    newest = history.all(
        "select tokens_used from biz.ai_run_logs where app_type = 'app_b' and status = 'success' "
        "order by id desc limit 20"
    )
    assert history.admit("t", app="app_b").reserved_tokens == sorted(row["tokens_used"] for row in newest)[-3]


def test_an_app_that_is_seldom_called_does_not_walk_the_calls_of_the_others(history):
    usage = "select idx_scan from pg_stat_user_indexes where indexrelname = 'ai_run_logs_usage'"
    history.engine.dispose()
    before = history.value(usage)
    for number in range(12):
        history.admit(f"{number}", app="seldom")
    history.engine.dispose()
    assert history.value(usage) - before >= 12


def test_a_sweep_of_a_long_history_ends(history):
    history.pass_time(3600)
    assert upkeep.sweep(history.engine)["old rate places"] == 30_000
