"""Alerts: rows that people and the admin web are told of as they are committed (channel `ai_alert`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ai_assets.privacy.text import redact_text
from ai_assets.store.engine import first_line
from ai_assets.store.texts import storable

if TYPE_CHECKING:
    from ai_assets.store.trigger_jobs import TriggerJob

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 200

_RAISE = text("select biz.ai_raise_alert(:site, :app, :type, :message, :log, :window_s)")

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
