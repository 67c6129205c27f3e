"""How long the page of a day takes: 100,000 calls of 20 sites in a ledger that holds a month of them.

Here: the page as `ai-assets report` makes it, figures and drawing, in this process. Not here: starting a command.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, text

from ai_assets.report.page import page
from ai_assets.store.day_figures import day_figures
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import places

CALLS = 100_000
OTHER_DAYS = 4
SITES = 20
TARGET_S = 5.0
RUNS = 3
DAY = date(2026, 6, 17)
ZONE = ZoneInfo("Asia/Shanghai")

# prompts of 4 kB, as they are: what is added up must not read them. More calls by day than by night
_CALLS = text(
    """
    insert into biz.ai_run_logs (trigger_job_id, app_type, site_id, member_id, target_id, trigger_type, status, reason,
        request_prompt, tokens_in, tokens_out, tokens_used, tokens_estimated, cost_cny, latency_ms, created_at)
    select n, a.app, 1001 + n % :sites, n % 5000, n % 5000, 'event', s.status,
        case s.status when 'failed' then (array['content_filtered', 'answer_not_json', 'unavailable'])[1 + n % 3]
            when 'refused' then 'rate_limited' when 'timeout' then 'timeout' end,
        repeat(md5(n::text), 125), 3000 + n % 2000, 400 + n % 300, 3400 + n % 2300, n % 200 = 0,
        case when s.status = 'refused' then 0 else (0.003 + n % 7 * 0.001) end,
        case when s.status = 'refused' then null else 2000 + n % 9000 end,
        cast(:day as timestamptz) + make_interval(secs => 43200 + 40000 * sin(n) * abs(sin(n * 0.7)))
    from generate_series(1, :calls) n
    cross join lateral (select (array['app3_clue', 'app8_consolidation', 'app7_customer', 'app6_note', 'app4_analysis',
        'app5_tactics', 'app3_clue', 'app3_clue'])[1 + n % 8] as app) a
    cross join lateral (select case when n % 50 = 0 then 'failed' when n % 170 = 0 then 'timeout'
        when n % 90 = 0 then 'refused' else 'success' end as status) s
    """
)
_JOBS = text(
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain, status, step_results, created_at,
        started_at, finished_at)
    select 'consumption', 1001 + n % :sites, n, 'app3→app8→app7',
        case when n % 40 = 0 then 'partial' else 'completed' end,
        '[{"app": "app3_clue", "target_id": "5", "outcome": "success"},
          {"app": "app8_consolidation", "target_id": "5", "outcome": "reused"},
          {"app": "app7_customer", "target_id": "5", "outcome": "success"}]',
        at, at + interval '2 s', at + interval '20 s'
    from generate_series(1, :calls / 3) n
    cross join lateral (select cast(:day as timestamptz) + make_interval(secs => 2 * n) as at) a
    """
)
_GRID = (
    """
    insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, reason, tokens_in, tokens_out,
        tokens_used, cost_cny, latency_ms, created_at)
    select case when a = 'all' then 'app2_finance' else 'app2a_finance_area' end, s, w || '__' || a, 'batch',
        case when (s * 7 + length(w) * 3 + length(a)) % 41 = 0 then 'failed' else 'success' end, null,
        4000, 500, 4500, 0.01, 6000, cast(:day as timestamptz) + interval '10 hours'
    from generate_series(1001, 1000 + :sites) s, unnest(cast(:windows as text[])) w, unnest(cast(:areas as text[])) a
    """,
    """
    insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash,
        created_at)
    select g.app_type, g.site_id, g.target_id, '{}', 'dws_completed', g.id, 'h', g.created_at
    from biz.ai_run_logs g where g.trigger_type = 'batch' and g.status = 'success'
    """,
)
_CHANGES = text(
    """
    insert into biz.ai_breaker_changes (app_type, state_before, state_after, epoch, relapses, reason, changed_by,
        open_until, created_at)
    select 'app6_note', b, a, n, 0, r, 'guard', null, cast(:day as timestamptz) + (600 + n * 5) * interval '1 min'
    from unnest(array['closed', 'open', 'half_open'], array['open', 'half_open', 'closed'],
        array['6 of 10 calls failed', null, null]) with ordinality x (b, a, r, n)
    """
)


def measure() -> list[figures.Figure]:
    """Seconds for the figures and the page of a day of 100,000 calls: the median of three."""
    with places() as place:
        engine = make_engine(place.database(), pool_size=1)
        fill(engine, CALLS, other_days=OTHER_DAYS)
        times, size = [], 0
        for _ in range(RUNS):
            began = time.perf_counter()
            of_day = day_figures(engine, DAY, ZONE)
            added = time.perf_counter() - began
            size = len(page(of_day, made_at=datetime.now(UTC)))
            times.append(time.perf_counter() - began)
            print(f"report: figures {added:.2f} s, whole page {times[-1]:.2f} s", flush=True)
        engine.dispose()
    what = f"page of a day of {of_day.total.calls + of_day.total.refusals:,} calls, {size / 1e3:.0f} kB"
    return [figures.at_most("report", what, median(times), TARGET_S, " s")]


def fill(engine: Engine, calls: int, *, other_days: int = 0) -> None:
    """A ledger with so many calls on DAY, and as many on each of some days before."""
    from ai_assets.warehouse.areas import AREAS
    from ai_assets.warehouse.windows import WINDOWS

    with engine.begin() as connection:
        for before in range(other_days + 1):
            midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=ZONE) - timedelta(days=before)
            of_day = {"day": midnight, "calls": calls, "sites": SITES}
            connection.execute(_CALLS, of_day)
            connection.execute(_JOBS, of_day)
        grid = {
            "day": midnight + timedelta(days=other_days),
            "sites": SITES,
            "windows": list(WINDOWS),
            "areas": list(AREAS),
        }
        connection.execute(text(_GRID[0]), grid)
        connection.execute(text(_GRID[1]))
        connection.execute(_CHANGES, {"day": grid["day"]})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))
