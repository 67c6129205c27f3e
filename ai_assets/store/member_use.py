"""Members who are in use now, as far as the ledger knows. Not here: what Dagster knows of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

# by the queue's own indexes, and that of the run logs' age
_IN_USE = text(
    """
    select site_id, member_id from biz.ai_trigger_jobs where status = 'pending' and member_id is not null
    union
    select site_id, member_id from biz.ai_trigger_jobs where status = 'running' and member_id is not null
    union
    select site_id, member_id from biz.ai_run_logs where member_id is not null and created_at >= :since
    """
)


def members_in_use(connection: Connection, since: datetime) -> frozenset[str]:
    """Members with an event that waits or runs, or a call since then (aware); as `1001:555`."""
    rows = connection.execute(_IN_USE, {"since": since})
    return frozenset(f"{row.site_id}:{row.member_id}" for row in rows)
