"""Which targets of an app have an answer that no later call failed to renew. Reads only.

Not here: whether a prompt has changed since (`ai_assets.chains.staleness`), single answers (`store.cache`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

_ANSWERED = text(
    """
    select c.site_id, c.target_id
    from (
        select distinct on (a.site_id, a.target_id) a.site_id, a.target_id, a.run_log_id
        from biz.ai_cache a
        where a.cache_type = :cache_type and a.site_id = any(:sites)
        order by a.site_id, a.target_id, a.run_log_id desc) c
    where not exists (
        select from biz.ai_run_logs g
        where g.app_type = :app and g.site_id = c.site_id and g.target_id = c.target_id
          and g.id > c.run_log_id and g.status in ('failed', 'timeout', 'refused'))
    """
)
# rows that another software left may have another form of target
_PAIRS = text(
    """
    select site_id, split_part(target_id, '_', 1)::bigint as assistant_id,
        split_part(target_id, '_', 2)::bigint as member_id
    from (
        select c.site_id, c.target_id from biz.ai_cache c
        where c.cache_type = any(:cache_types) and c.site_id = any(:sites)
        union
        select g.site_id, g.target_id from biz.ai_run_logs g
        where g.app_type = any(:apps) and g.site_id = any(:sites)) t
    where target_id ~ '^[1-9][0-9]{0,17}_[1-9][0-9]{0,17}$'
    """
)

Target = tuple[int, str]
"""Site id, target id as in the cache."""


def answered_targets(
    connection: Connection, app: str, cache_type: str, site_ids: Sequence[int]
) -> set[Target]:
    """Targets whose newest answer is newer than each call that failed, timed out or was refused."""
    parameters = {"app": app, "cache_type": cache_type, "sites": list(site_ids)}
    return {(row.site_id, row.target_id) for row in connection.execute(_ANSWERED, parameters)}


def known_pairs(
    connection: Connection, apps: Sequence[str], cache_types: Sequence[str], site_ids: Sequence[int]
) -> set[tuple[int, int, int]]:
    """(site id, assistant id, member id) of each pair with an answer or a call of one of the apps."""
    parameters = {"apps": list(apps), "cache_types": list(cache_types), "sites": list(site_ids)}
    return {(row.site_id, row.assistant_id, row.member_id) for row in connection.execute(_PAIRS, parameters)}
