"""What the guard adds to a call: 50 callers in four processes, with calls of a second and without any pause.

Here: milliseconds of admission and settling, calls a second, deadlocks. Not here: whether the limits hold
(`bench.guard_limits`), the call itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from ai_assets.catalog import CATALOG
from bench import figures
from bench.guard_crew import Crew, crew, divided
from bench.guard_worker import PLAIN_TABLE

CALLERS = 50
SECONDS = 12.0
PRESS_SECONDS = 8.0
SITES = 10
ROWS = 100_000
TARGET_MS = 5.0

# every limit is set, so that every check is made, and none is ever reached
LIMITS = {
    "rate_per_minute": 1_000_000,
    "daily_tokens": 10**12,
    "monthly_tokens": 10**12,
    "site_daily_tokens": 10**12,
    "site_monthly_tokens": 10**12,
}
_LIFE = {"apps": list(CATALOG), "sites": list(range(1, SITES + 1))}
_WORST = {"apps": list(CATALOG)[:1], "sites": [1]}

_LEDGER = text(
    """
    insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, request_prompt, tokens_used,
        finished_at)
    select (cast(:apps as text[]))[1 + n % :count], 1 + n % :sites, n::text, 'event', 'success', 'p', 1500,
        clock_timestamp()
    from generate_series(1, :rows) n
    """
)
_DEADLOCKS = text("select deadlocks from pg_stat_database where datname = current_database()")

Times = list[tuple[float, float]]


def speed(url: str, engine: Engine) -> list[figures.Figure]:
    """The figures of 50 callers, as in life and at worst, beside plain inserts from as many."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(PLAIN_TABLE))
        ledger = {"apps": list(CATALOG), "count": len(CATALOG), "sites": SITES, "rows": ROWS}
        connection.execute(_LEDGER, ledger)
        connection.execute(text("vacuum analyze biz.ai_run_logs"))
        connection.execute(text("checkpoint"))
    found: list[figures.Figure] = []
    with crew(url, max(divided(CALLERS))) as workers:
        _calls(workers, _LIFE, 1.0, 2.0)
        for name, where in (("life", _LIFE), ("worst", _WORST)):
            found += _paced(name, _calls(workers, where, 1.0, SECONDS))
        alone = _calls(workers, _WORST, 0.0, 3.0, [1, 0, 0, 0])
        found += _told("1 caller, no pause", alone, 3.0)
        rates = {}
        for name, where in (("life", _LIFE), ("worst", _WORST)):
            times = _calls(workers, where, 0.0, PRESS_SECONDS)
            rates[name] = len(times) / PRESS_SECONDS
            found += _told(f"{CALLERS} callers, no pause, {_WHERE[name]}", times, PRESS_SECONDS)
        workers.begin(divided(CALLERS), {"role": "inserts", "seconds": 4.0})
        plain = [time for times in workers.results() for time in times]
    inserts = len(plain) / 4.0
    print(f"guard: plain inserts: {inserts:.0f} a second", flush=True)
    found.append(
        figures.told(
            "guard", f"{CALLERS} callers: plain committed inserts of a prompt", f"{inserts:.0f} a second"
        )
    )
    found += [
        figures.told(
            "guard",
            f"one call (two commits), {_WHERE[name]}, costs as many plain inserts",
            f"{inserts / rate:.2f}",
        )
        for name, rate in rates.items()
    ]
    with engine.connect() as connection:
        deadlocks = connection.execute(_DEADLOCKS).scalar_one()
    return [*found, figures.exactly("guard", "deadlocks in all that, as Postgres counts them", deadlocks, 0)]


_WHERE = {"life": f"{SITES} sites, {len(CATALOG)} apps", "worst": "one site, one app"}


def _calls(
    workers: Crew, where: dict[str, Any], call_s: float, seconds: float, callers: list[int] | None = None
) -> Times:
    job = {"role": "calls", "call_s": call_s, "seconds": seconds, "limits": LIMITS, **where}
    workers.begin(callers or divided(CALLERS), job)
    results = workers.results()
    errors = [error for result in results for error in result["errors"]]
    if errors:
        raise SystemExit(f"guard: {len(errors)} calls failed, the first: {errors[0]}")
    return [time for result in results for time in result["times"]]


def _paced(name: str, times: Times) -> list[figures.Figure]:
    what = f"{CALLERS} callers, calls of 1 s, {_WHERE[name]}"
    both = [admit + settle for admit, settle in times]
    p95 = figures.percentile(both, 0.95)
    print(f"guard: {what}: admit + settle p95 {p95:.2f} ms of {len(both)} calls", flush=True)
    return [
        *_told(what, times, SECONDS),
        figures.at_most("guard", f"{what}: admit + settle p95", p95, TARGET_MS, " ms"),
    ]


def _told(what: str, times: Times, seconds: float) -> list[figures.Figure]:
    parts = {
        "admit": [admit for admit, _ in times],
        "settle": [settle for _, settle in times],
        "admit + settle": [admit + settle for admit, settle in times],
    }
    rate = f"{len(times) / seconds:.0f} calls a second"
    told = " · ".join(
        f"{part} {figures.percentile(values, 0.5):.1f} / {figures.percentile(values, 0.95):.1f}"
        for part, values in parts.items()
    )
    print(f"guard: {what}: {rate}, ms p50 / p95: {told}", flush=True)
    return [
        figures.told("guard", f"{what}: {part} p50 / p95",
                     f"{figures.percentile(values, 0.5):.1f} / {figures.percentile(values, 0.95):.1f} ms")
        for part, values in parts.items()
    ] + [figures.told("guard", f"{what}: made", rate)]  # fmt: skip
