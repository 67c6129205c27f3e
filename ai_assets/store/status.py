"""What stands now, for people and programs: inbox, breakers, rates, budgets, leases, today's tokens and cost."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

_PARTS = {
    "inbox": "select status, count(*) as jobs from biz.ai_trigger_jobs group by status order by status",
    "breakers": """
        select app_type, case when state = 'open' and open_until <= clock_timestamp() then 'half_open' else state end
            as state, reason,
            -- none of an open one: until it is closed by hand
            case when isfinite(open_until) then open_until end as open_until, relapses, changed_by,
            case when cooldown_until > clock_timestamp() then cooldown_until end as cooldown_until
        from biz.ai_breakers order by app_type
    """,
    "rates": """
        select site_id, count(*) as calls_last_60_s, count(batch_place) as of_them_batch
        from biz.ai_rate_places where taken_at > clock_timestamp() - interval '60 s'
        group by site_id order by site_id
    """,
    "budgets": """
        select scope, period, used, reserved from biz.ai_budgets
        where period in ('day:' || to_char(clock_timestamp() at time zone biz.ai_timezone(), 'YYYY-MM-DD'),
                         'month:' || to_char(clock_timestamp() at time zone biz.ai_timezone(), 'YYYY-MM'))
        order by period, scope
    """,
    "leases": """
        select app_type, site_id, target_id, reserved_tokens, is_probe, expires_at from biz.ai_leases order by id
    """,
    "today": """
        select app_type, count(*) filter (where status = 'success') as successes,
            count(*) filter (where status in ('failed', 'timeout')) as failures,
            count(*) filter (where status = 'refused') as refusals,
            coalesce(sum(tokens_used), 0)::bigint as tokens, coalesce(sum(cost_cny), 0) as cost_cny
        from biz.ai_run_logs
        where created_at >= date_trunc('day', clock_timestamp() at time zone biz.ai_timezone())
            at time zone biz.ai_timezone()
        group by app_type order by app_type
    """,
    "workers": """
        select id, kind, host, pid, running, draining, heartbeat_at from biz.ai_workers
        where heartbeat_at + make_interval(secs => lease_s) >= clock_timestamp() and not (draining and running = 0)
        order by started_at, id
    """,
}


def status(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Each part as its rows. Days and months are those of the time zone that is stored in the database."""
    return {
        part: [dict(row) for row in connection.execute(text(sql)).mappings()] for part, sql in _PARTS.items()
    }
