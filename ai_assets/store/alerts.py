"""Alerts: rows that people and the admin web are told of as they are committed (channel `ai_alert`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ai_assets.privacy.text import redact_text
from ai_assets.store.engine import first_line
from ai_assets.store.texts import storable

if TYPE_CHECKING:
    from ai_assets.store.trigger_jobs import TriggerJob

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 200

_RAISE = text("select biz.ai_raise_alert(:site, :app, :type, :message, :log, :window_s)")
_OF_SITE = text(
    """
    select * from (
        (select a.* from biz.ai_alerts a where a.site_id = :site and a.id < :before
            and (cast(:type as text) is null or a.alert_type = :type) order by a.id desc limit :limit)
        union all
        (select a.* from biz.ai_alerts a where a.site_id is null and a.id < :before
            and (cast(:type as text) is null or a.alert_type = :type) order by a.id desc limit :limit)
    ) a order by a.id desc limit :limit
    """
)

WINDOW_S = 300.0
"""The default of AI_ALERT_WINDOW_S."""


def raise_alert(
    engine: Engine,
    alert_type: str,
    message: str,
    *,
    site_id: int | None,
    app_type: str | None,
    log_id: int | None,
    window_s: float = WINDOW_S,
) -> None:
    """Record an alert, or count it on the row of the same site, app and kind of less than `window_s` ago.

    The message is redacted: what failed may have quoted anything. Trouble with it is logged and never fails the
    caller (behaviour.md, A step).
    """
    parameters = {
        "site": site_id,
        "app": app_type,
        "type": alert_type,
        # before the cut: half a phone number would not be known as one
        "message": (storable(redact_text(message)) or "")[:MESSAGE_LIMIT],
        "log": log_id,
        "window_s": window_s,
    }
    try:
        with engine.begin() as connection:
            connection.execute(_RAISE, parameters)
    except SQLAlchemyError as error:
        logger.error(
            "an alert (%s, site %s, %s) could not be recorded: %s",
            alert_type,
            site_id,
            app_type,
            first_line(error),
        )


def of_site(
    connection: Connection,
    site_id: int,
    *,
    limit: int,
    before: int | None = None,
    alert_type: str | None = None,
) -> list[dict[str, Any]]:
    """A site's alerts and those that concern every site, newest first; `before`: only those of a lower id."""
    asked = {"site": site_id, "limit": limit, "before": before or 2**63 - 1, "type": alert_type}
    return [dict(row) for row in connection.execute(_OF_SITE, asked).mappings()]


def alert_dead(engine: Engine, jobs: Iterable[TriggerJob], *, window_s: float = WINDOW_S) -> None:
    """Raise an alert for each of these jobs that was given up."""
    for job in jobs:
        if job.status == "dead":
            raise_alert(
                engine,
                "dead",
                f"trigger job {job.id} ({job.event_type}) was given up after {job.attempts} attempts",
                site_id=job.site_id,
                app_type=None,
                log_id=None,
                window_s=window_s,
            )
