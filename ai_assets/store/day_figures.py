"""The figures of one day: calls, cost, tokens, reuse, failures, latencies, breakers, and the sites' grids of 72 cells.

Here: SQL that only reads and adds up in Postgres: of 100,000 calls a few hundred rows come back. Not here: pages and
words (`ai_assets.report`). A day is one of AI_TIMEZONE, as the budgets' are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, text

from ai_assets.store.engine import reachable
from ai_assets.warehouse.areas import ALL, AREAS
from ai_assets.warehouse.windows import WINDOWS

CHANGES_SHOWN = 200
APP2, APP2A = "app2_finance", "app2a_finance_area"
"""The apps of the grid, which are also the cache types of their texts."""

# percentiles of what was answered or not in time: a refusal takes no time of the app's
_CALLS = text(
    """
    select grouping(g.app_type, g.site_id, h.hour) as grouped, g.app_type as app, g.site_id as site, h.hour,
        count(*) filter (where g.status <> 'refused') as calls,
        count(*) filter (where g.status = 'success') as successes,
        count(*) filter (where g.status = 'failed') as failures,
        count(*) filter (where g.status = 'timeout') as timeouts,
        count(*) filter (where g.status = 'refused') as refusals,
        coalesce(sum(g.tokens_in), 0)::bigint as tokens_in,
        coalesce(sum(g.tokens_out), 0)::bigint as tokens_out,
        coalesce(sum(g.tokens_used), 0)::bigint as tokens,
        count(*) filter (where g.tokens_estimated) as estimated,
        coalesce(sum(g.cost_cny), 0) as cost_cny,
        percentile_cont(0.5) within group (order by g.latency_ms) filter (where g.status <> 'refused') as p50_ms,
        percentile_cont(0.95) within group (order by g.latency_ms) filter (where g.status <> 'refused') as p95_ms,
        max(g.latency_ms) filter (where g.status <> 'refused') as longest_ms
    from biz.ai_run_logs g
    cross join lateral (select extract(hour from g.created_at at time zone :zone)::integer as hour) h
    where g.created_at >= :begins and g.created_at < :ends and g.status not in ('pending', 'running')
    group by grouping sets ((), (g.app_type), (g.site_id), (h.hour))
    """
)
_FAILURES = text(
    """
    select app_type as app, status, coalesce(reason, status) as reason, count(*) as times
    from biz.ai_run_logs
    where created_at >= :begins and created_at < :ends and status in ('failed', 'timeout', 'refused')
    group by app_type, status, coalesce(reason, status) order by times desc, app, reason
    """
)
# a step that used a text again is in its job's results alone; a job ends within a day of its coming, or nearly
_REUSED = text(
    """
    select grouping(s.app, j.site_id, h.hour) as grouped, s.app, j.site_id as site, h.hour, count(*) as times
    from biz.ai_trigger_jobs j
    cross join lateral (select extract(hour from j.finished_at at time zone :zone)::integer as hour) h
    cross join lateral (
        select x ->> 'app' as app from jsonb_array_elements(
            case when jsonb_typeof(j.step_results) = 'array' then j.step_results else '[]' end) x
        where jsonb_typeof(x) = 'object' and x ->> 'outcome' = 'reused' and x ? 'app') s
    where j.created_at >= cast(:begins as timestamptz) - interval '2 days' and j.created_at < :ends
      and j.finished_at >= :begins and j.finished_at < :ends
    group by grouping sets ((), (s.app), (j.site_id), (h.hour))
    """
)
_EVENTS = text(
    """
    select event_type as event, status, count(*) as times,
        percentile_cont(0.95) within group (order by extract(epoch from started_at - created_at)) as waited_p95_s
    from biz.ai_trigger_jobs where created_at >= :begins and created_at < :ends
    group by event_type, status order by event_type, status
    """
)
_CHANGES = text(
    """
    select app_type as app, state_before, state_after, reason, changed_by, created_at as at,
        case when isfinite(open_until) then open_until end as open_until
    from biz.ai_breaker_changes where created_at >= :begins and created_at < :ends
    order by id desc limit :shown
    """
)
# the state that each breaker was in when the day began
_BREAKERS_AT = text(
    """
    select distinct on (app_type) app_type as app, state_after as state from biz.ai_breaker_changes
    where created_at < :begins order by app_type, id desc
    """
)
_ALERTS = text(
    """
    select alert_type as alert, sum(count)::bigint as times from biz.ai_alerts
    where last_at >= :begins and created_at < :ends group by alert_type order by times desc, alert_type
    """
)
_CELLS = text(
    """
    with recursive site as (
        select t.cache_type, (select min(c.site_id) from biz.ai_cache c where c.cache_type = t.cache_type) as site_id
            from unnest(cast(:types as text[])) t (cache_type)
        union all
        select s.cache_type, (select min(c.site_id) from biz.ai_cache c
                where c.cache_type = s.cache_type and c.site_id > s.site_id)
            from site s where s.site_id is not null),
    called as (
        select distinct on (g.site_id, g.target_id) g.site_id, g.target_id, g.status, g.reason
        from biz.ai_run_logs g
        where g.app_type = any(:types) and g.created_at >= :begins and g.created_at < :ends
          and g.status not in ('pending', 'running')
        order by g.site_id, g.target_id, g.id desc),
    used_again as (
        select distinct j.site_id, x ->> 'target_id' as target_id
        from biz.ai_trigger_jobs j
        cross join lateral jsonb_array_elements(
            case when jsonb_typeof(j.step_results) = 'array' then j.step_results else '[]' end) x
        where j.event_type = 'dws_completed' and j.created_at >= cast(:begins as timestamptz) - interval '2 days'
          and j.created_at < :ends and j.finished_at >= :begins and j.finished_at < :ends
          and x ->> 'outcome' = 'reused'),
    cell as (
        select s.site_id, t.cache_type, t.target_id
        from (select site_id from site where site_id is not null union select site_id from called) s
        cross join unnest(cast(:cell_types as text[]), cast(:cell_targets as text[])) t (cache_type, target_id))
    select e.site_id as site, e.target_id as target, c.status, c.reason, u.target_id is not null as reused, n.made_at
    from cell e
    left join lateral (
        select v.created_at as made_at from biz.ai_cache v
        where v.cache_type = e.cache_type and v.site_id = e.site_id and v.target_id = e.target_id
          and v.created_at < :ends
        order by v.run_log_id desc limit 1) n on true
    left join called c on c.site_id = e.site_id and c.target_id = e.target_id
    left join used_again u on u.site_id = e.site_id and u.target_id = e.target_id
    where n.made_at is not null or c.status is not null or u.target_id is not null
    order by site, target
    """
)

# bits of grouping(app, site, hour) that are not grouped by
_TOTAL, _BY_APP, _BY_SITE, _BY_HOUR = 7, 3, 5, 6


_CELL_KEYS = {
    "types": [APP2, APP2A],
    "cell_types": [APP2 if area == ALL else APP2A for area in AREAS for _ in WINDOWS],
    "cell_targets": [f"{window}__{area}" for area in AREAS for window in WINDOWS],
}


@dataclass(frozen=True)
class Calls:
    """Calls of a day, or of one app, site or hour of it. `calls` are those that were admitted; refusals come beside.

    Tokens in and out as the apps said, `tokens` as charged; `estimated` calls were charged at their estimate. Cost in
    CNY, latencies in milliseconds, None where there was none. `reused`: steps that took a text again and cost nothing.
    """

    calls: int = 0
    successes: int = 0
    failures: int = 0
    timeouts: int = 0
    refusals: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens: int = 0
    estimated: int = 0
    cost_cny: Decimal = Decimal(0)
    p50_ms: float | None = None
    p95_ms: float | None = None
    longest_ms: int | None = None
    reused: int = 0

    @property
    def reuse_share(self) -> float | None:
        """Of the steps that had a result, those that cost nothing: 0 to 1; None where there was none."""
        return self.reused / (self.reused + self.successes) if self.reused + self.successes else None


@dataclass(frozen=True)
class Failures:
    """How often an app's calls ended so. `status`: failed, timeout or refused."""

    app: str
    status: str
    reason: str
    times: int


@dataclass(frozen=True)
class Events:
    """Events that came, by type and the state they are in now; seconds that 95 % waited at most to begin."""

    event: str
    status: str
    times: int
    waited_p95_s: float | None


@dataclass(frozen=True)
class BreakerChange:
    """One change of a circuit breaker."""

    app: str
    state_before: str
    state_after: str
    reason: str | None
    changed_by: str
    at: datetime
    open_until: datetime | None


@dataclass(frozen=True)
class CellState:
    """One cell of a site's grid at the end of the day; `target`: `this_month__all`.

    `outcome`: what the day's newest call of it came to (a run log's status), `reused` where a text was taken again,
    None where nothing was asked. `made_at`: of the newest text, None: there is none.
    """

    site: int
    target: str
    outcome: str | None
    reason: str | None
    made_at: datetime | None


@dataclass(frozen=True)
class DayFigures:
    """All of one day. Times are aware."""

    day: date
    zone: ZoneInfo
    begins: datetime
    ends: datetime
    total: Calls
    by_app: Mapping[str, Calls]
    by_site: Mapping[int, Calls]
    by_hour: Mapping[int, Calls]
    """Hours 0 to 23 of the zone."""
    failures: tuple[Failures, ...]
    events: tuple[Events, ...]
    breaker_changes: tuple[BreakerChange, ...]
    """The newest CHANGES_SHOWN, newest first."""
    breakers_at_begin: Mapping[str, str]
    """State by app as the day began; one that never changed is not there, and closed."""
    alerts: Mapping[str, int]
    cells: tuple[CellState, ...]


def day_figures(engine: Engine, day: date, zone: ZoneInfo) -> DayFigures:
    """The figures of `day` in `zone`, all of one state of the ledger. Raises DatabaseUnavailableError."""
    begins = datetime(day.year, day.month, day.day, tzinfo=zone)
    # by the calendar: where clocks change, a day has 23 or 25 hours
    after = day + timedelta(days=1)
    ends = datetime(after.year, after.month, after.day, tzinfo=zone)
    span = {"begins": begins, "ends": ends}
    with (
        reachable("adding up a day"),
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
    ):
        calls = _grouped(connection, {**span, "zone": zone.key})
        return DayFigures(
            day=day,
            zone=zone,
            begins=begins,
            ends=ends,
            total=calls[_TOTAL].get(None, Calls()),
            by_app=calls[_BY_APP],
            by_site=calls[_BY_SITE],
            by_hour=calls[_BY_HOUR],
            failures=tuple(Failures(**row) for row in _rows(connection, _FAILURES, span)),
            events=tuple(Events(**row) for row in _rows(connection, _EVENTS, span)),
            breaker_changes=tuple(
                BreakerChange(**row) for row in _rows(connection, _CHANGES, {**span, "shown": CHANGES_SHOWN})
            ),
            breakers_at_begin={
                row["app"]: row["state"] for row in _rows(connection, _BREAKERS_AT, {"begins": begins})
            },
            alerts={row["alert"]: row["times"] for row in _rows(connection, _ALERTS, span)},
            cells=tuple(_cell(row) for row in _rows(connection, _CELLS, {**span, **_CELL_KEYS})),
        )


def _grouped(connection: Connection, parameters: Mapping[str, Any]) -> dict[int, dict[Any, Calls]]:
    """By what they are grouped by, then by its key: calls, and the steps that cost none."""
    reused = {(row["grouped"], _key(row)): row["times"] for row in _rows(connection, _REUSED, parameters)}
    found: dict[int, dict[Any, Calls]] = {grouped: {} for grouped in (_TOTAL, _BY_APP, _BY_SITE, _BY_HOUR)}
    for row in _rows(connection, _CALLS, parameters):
        key = _key(row)
        values = {name: row[name] for name in Calls.__dataclass_fields__ if name != "reused"}
        found[row["grouped"]][key] = Calls(**values, reused=reused.pop((row["grouped"], key), 0))
    for (grouped, key), times in reused.items():
        # where nothing but used texts was
        found[grouped][key] = Calls(reused=times)
    return {
        grouped: dict(sorted(of.items(), key=lambda item: (item[0] is None, item[0])))
        for grouped, of in found.items()
    }


def _key(row: Mapping[str, Any]) -> Any:
    return {_BY_APP: row["app"], _BY_SITE: row["site"], _BY_HOUR: row["hour"]}.get(row["grouped"])


def _rows(connection: Connection, statement: Any, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement, parameters).mappings()]


def _cell(row: Mapping[str, Any]) -> CellState:
    outcome = row["status"] or ("reused" if row["reused"] else None)
    return CellState(row["site"], row["target"], outcome, row["reason"], row["made_at"])
