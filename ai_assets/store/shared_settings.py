"""Settings that all processes must share: stored in the database by `ai-assets db upgrade`, read there by SQL.

Not here: settings of one process (`ai_assets.settings`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from ai_assets.settings import Settings

logger = logging.getLogger(__name__)

_STORE = text(
    """
    insert into biz.ai_settings as s (name, value) values (:name, :value)
    on conflict (name) do update set value = excluded.value, changed_at = clock_timestamp()
        where s.value <> excluded.value
    """
)
_STORED = text("select biz.ai_timezone() as timezone, biz.ai_alert_language() as alert_language")
_ENVIRONMENT = {"timezone": "AI_TIMEZONE", "alert_language": "AI_ALERT_LANGUAGE"}


def store_settings(connection: Connection, values: Mapping[str, str]) -> None:
    """Store `timezone` (the IANA zone of budget days) or `alert_language` (zh or en); valid from the next call on."""
    for name in values.keys() & _ENVIRONMENT.keys():
        connection.execute(_STORE, {"name": name, "value": values[name]})


def warn_of_differences(connection: Connection, settings: Settings) -> list[str]:
    """The shared settings that this process has otherwise than the database; a warning says what to do."""
    stored = connection.execute(_STORED).mappings().one()
    differing = [name for name in _ENVIRONMENT if stored[name] != getattr(settings, name)]
    for name in differing:
        logger.warning(
            "%s is %s here, but the database has %s: give every process the same value, then run "
            "`ai-assets db upgrade` to store it",
            _ENVIRONMENT[name],
            getattr(settings, name),
            stored[name],
        )
    return differing


def shared_settings(settings: Settings) -> dict[str, str]:
    """The settings that `ai-assets db upgrade` stores, by name."""
    return {name: getattr(settings, name) for name in _ENVIRONMENT}
