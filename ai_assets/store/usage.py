"""What a forecast reads: apps' newest calls, what is left of budgets, what the memo would save, apps in trouble.

Here: SQL that only reads, in few statements however many cells there are. Not here: what follows from it
(`ai_assets.guard.forecast`), what stands now for people (`ai_assets.store.status`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

# the same calls that the estimate of `biz.ai_admit` looks at
_PAST_CALLS = text(
    """
    select a.app, u.tokens_used, u.cost_cny, u.latency_ms
    from unnest(cast(:apps as text[])) a (app)
    cross join lateral (
        select g.tokens_used, g.cost_cny, g.latency_ms from biz.ai_run_logs g
        where g.app_type = a.app and g.status = 'success' and not g.tokens_estimated and g.tokens_used is not null
        order by -g.id limit 20) u
    """
)
_BUDGETS = text(
    """
    select distinct k.turn, k.name, k.scope, split_part(k.period, ':', 2) as period, k.tokens as token_limit,
        k.setting, coalesce(b.used, 0) as used, coalesce(b.reserved, 0) as reserved
    from (select clock_timestamp() at time zone biz.ai_timezone() as now) clock
    cross join unnest(cast(:sites as bigint[])) s (site_id)
    cross join lateral biz.ai_budgets_of(s.site_id, 'day:' || to_char(clock.now, 'YYYY-MM-DD'),
        'month:' || to_char(clock.now, 'YYYY-MM'), cast(:limits as jsonb)) k
    left join biz.ai_budgets b on b.scope = k.scope and b.period = k.period
    order by k.turn desc, k.scope
    """
)
# the same rule as `ai_assets.store.cache.reusable`; the limit keeps it one look at an index for each target
_REUSABLE = text(
    """
    select w.target
    from unnest(cast(:apps as text[]), cast(:types as text[]), cast(:targets as text[]), cast(:hashes as text[]))
        w (app, cache_type, target, hash)
    cross join lateral (
        select c.prompt_hash from biz.ai_cache c
        where c.cache_type = w.cache_type and c.site_id = :site and c.target_id = w.target
        order by c.run_log_id desc limit 1) newest
    where newest.prompt_hash = w.hash
      and not exists (select from biz.ai_leases l
        where l.app_type = w.app and l.site_id = :site and l.target_id = w.target)
    """
)
_IN_TROUBLE = text(
    """
    select app_type as app, reason, case when isfinite(open_until) then open_until end as open_until,
        case when state = 'open' and open_until <= clock_timestamp() then 'half_open' else state end as state,
        case when cooldown_until > clock_timestamp() then cooldown_until end as cooldown_until
    from biz.ai_breakers
    where app_type = any(cast(:apps as text[])) and (state <> 'closed' or cooldown_until > clock_timestamp())
    order by app_type
    """
)


@dataclass(frozen=True)
class PastCalls:
    """An app's newest successful calls with known usage, 20 at most. Tokens in + out, latency in milliseconds."""

    tokens: tuple[int, ...]
    latency_ms: tuple[int, ...]
    cost_per_token: Decimal | None
    """CNY, over those whose cost is known; None: none is."""


@dataclass(frozen=True)
class Budget:
    """One budget of the running period. `limit` None: none is set. All in tokens."""

    name: str
    """day, month, site_day or site_month."""
    site_id: int | None
    """None: of all sites."""
    period: str
    """The day or month in AI_TIMEZONE, such as 2026-01-31 or 2026-01."""
    limit: int | None
    used: int
    reserved: int
    """For calls in flight."""
    setting: str

    @property
    def left(self) -> int | None:
        """What calls may still reserve, never below 0; None: no limit."""
        return None if self.limit is None else max(0, self.limit - self.used - self.reserved)

    @property
    def empty(self) -> bool:
        """Whether nothing is used and nothing reserved: then it admits one call whatever its estimate."""
        return self.used + self.reserved == 0


@dataclass(frozen=True)
class Wanted:
    """One target whose newest cached result is looked for, with the hash of its prompt as it is now."""

    app: str
    cache_type: str
    target_id: str
    prompt_hash: str


@dataclass(frozen=True)
class AppTrouble:
    """An app whose breaker is not closed, or that DashScope throttles. Times are aware."""

    app: str
    state: str
    """closed, open or half_open."""
    reason: str | None
    open_until: datetime | None
    """Year 9999: until an operator closes it."""
    cooldown_until: datetime | None


def past_calls(connection: Connection, apps: Iterable[str]) -> dict[str, PastCalls]:
    """Newest calls by app; an app that was never called has no entry."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in connection.execute(_PAST_CALLS, {"apps": list(apps)}).mappings():
        rows.setdefault(row["app"], []).append(dict(row))
    return {app: _past(of_app) for app, of_app in rows.items()}


def _past(rows: Sequence[Mapping[str, Any]]) -> PastCalls:
    priced = [row for row in rows if row["cost_cny"] is not None]
    tokens = sum(row["tokens_used"] for row in priced)
    return PastCalls(
        tokens=tuple(row["tokens_used"] for row in rows),
        latency_ms=tuple(row["latency_ms"] for row in rows if row["latency_ms"] is not None),
        cost_per_token=sum((row["cost_cny"] for row in priced), Decimal(0)) / tokens if tokens else None,
    )


def budgets(connection: Connection, site_ids: Iterable[int], limits: Mapping[str, Any]) -> list[Budget]:
    """The budgets that calls of these sites are held to, now, in the order in which the guard looks at them.

    `limits` as the guard's functions take them (`GuardLimits.as_json`); the day and month are the database clock's.
    """
    parameters = {"sites": list(site_ids), "limits": json.dumps(limits)}
    return [
        Budget(
            name=row["name"],
            site_id=None if row["scope"] == "all" else int(row["scope"].partition(":")[2]),
            period=row["period"],
            limit=row["token_limit"],
            used=row["used"],
            reserved=row["reserved"],
            setting=row["setting"],
        )
        for row in connection.execute(_BUDGETS, parameters).mappings()
    ]


def reusable_targets(connection: Connection, site_id: int, wanted: Sequence[Wanted]) -> set[str]:
    """Target ids whose newest cached result was made from this very prompt, and for which no call runs."""
    parameters = {
        "site": site_id,
        "apps": [one.app for one in wanted],
        "types": [one.cache_type for one in wanted],
        "targets": [one.target_id for one in wanted],
        "hashes": [one.prompt_hash for one in wanted],
    }
    return set(connection.execute(_REUSABLE, parameters).scalars())


def apps_in_trouble(connection: Connection, apps: Iterable[str]) -> list[AppTrouble]:
    """Those of these apps that calls are refused or held back for now."""
    rows = connection.execute(_IN_TROUBLE, {"apps": list(apps)}).mappings()
    return [AppTrouble(**row) for row in rows]
