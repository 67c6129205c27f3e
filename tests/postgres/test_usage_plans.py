"""A long history must not slow a forecast: it looks at an index for each app and each cell, never at whole tables."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ai_assets.store import usage
from ai_assets.store.usage import Wanted

HISTORY = (
    """
    insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, tokens_used, prompt_hash)
    select 'app_' || chr(97 + n % 3), n % 20, 'target ' || n % 5000, 'batch',
        case when n % 10 = 0 then 'failed' else 'success' end, n, md5(n::text)
    from generate_series(1, 40000) n
    """,
    """
    insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)
    select 'cache_a', n % 20, 'target ' || n % 5000, '{}', 'x', n, 'hash ' || n from generate_series(1, 20000) n
    """,
)
LARGE = ["ai_run_logs", "ai_cache"]


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
        large=LARGE,
    )
    return {row["relname"]: row["seq_scan"] for row in rows}


def test_what_a_forecast_reads_stays_on_indexes(history):
    before = scans(history)
    # the newest of site 1 (n % 20) is the last n of each target; then an older one, and one of another site
    wanted = [
        Wanted("app_a", "cache_a", f"target {n % 5000}", f"hash {n}")
        for n in (*range(15001, 16421, 20), 11501, 15099)
    ]
    with history.engine.connect() as connection:
        past = usage.past_calls(connection, ["app_a", "app_b", "never called"])
        reusable = usage.reusable_targets(connection, 1, wanted)
    assert scans(history) == before
    # the newest 20 that succeeded, of every third call
    assert set(past) == {"app_a", "app_b"}
    assert len(past["app_a"].tokens) == 20
    assert past["app_a"].tokens[0] == 39_999
    assert min(past["app_a"].tokens) > 39_900
    assert reusable == {f"target {n % 5000}" for n in range(15001, 16421, 20)}
