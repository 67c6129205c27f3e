"""Settings that all processes must share: stored in the database by `ai-assets db upgrade`, read there by SQL.

Not here: settings of one process (`ai_assets.settings`).
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, text

logger = logging.getLogger(__name__)

_STORE = text(
    """
    insert into biz.ai_settings as s (name, value) values ('timezone', :zone)
    on conflict (name) do update set value = excluded.value, changed_at = clock_timestamp()
        where s.value <> excluded.value
    """
)
_TIMEZONE = text("select biz.ai_timezone()")


def store_timezone(connection: Connection, zone: str) -> None:
    """Store the IANA zone in which the days and months of budgets turn, from the next call on."""
    connection.execute(_STORE, {"zone": zone})


def timezone_differs(connection: Connection, zone: str) -> bool:
    """Whether AI_TIMEZONE of this process is not the stored zone; a warning says what to do."""
    stored = connection.execute(_TIMEZONE).scalar_one()
    if stored == zone:
        return False
    logger.warning(
        "AI_TIMEZONE is %s here, but the database counts budget days in %s: give every process the same AI_TIMEZONE, "
        "then run `ai-assets db upgrade` to store it",
        zone,
        stored,
    )
    return True
