"""Alerts: rows that people and the admin web are told of as they are committed (channel `ai_alert`)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ai_assets.catalog import find_entry
from ai_assets.errors import InputError
from ai_assets.store.engine import first_line

if TYPE_CHECKING:
    from ai_assets.store.trigger_jobs import TriggerJob

logger = logging.getLogger(__name__)

_RAISE = text("select biz.ai_alert(:site, :app, :kind, cast(:values as jsonb), :log, :window_s)")
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
    kind: str,
    values: Mapping[str, int | str] | None = None,
    *,
    site_id: int | None,
    app_type: str | None,
    log_id: int | None,
    window_s: float = WINDOW_S,
) -> None:
    """Record an alert, or count it on the row of the same site, app and type of less than `window_s` ago.

    `kind` is the alert type, or the type and a case of it such as `failed:data`: the sentences of all kinds are in the
    SQL function `biz.ai_alert_texts`. `values` are what a sentence names besides the app: numbers and dates, never a
    text that came from somewhere else. An error in it is logged and never fails the caller (docs/behaviour.md, A step).
    """
    parameters = {
        "site": site_id,
        "app": app_type,
        "kind": kind,
        "values": json.dumps(values or {}),
        "log": log_id,
        "window_s": window_s,
    }
    try:
        with engine.begin() as connection:
            connection.execute(_RAISE, parameters)
    except SQLAlchemyError as error:
        logger.error(
            "an alert (%s, site %s, %s) could not be recorded: %s",
            kind,
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
            alert_job(engine, "dead", job, window_s=window_s)


def alert_job(engine: Engine, kind: str, job: TriggerJob, *, window_s: float) -> None:
    """Raise an alert about a whole trigger job. It has an app where the job's chain has only one."""
    raise_alert(
        engine,
        kind,
        {"job": job.id},
        site_id=job.site_id,
        app_type=_only_app(job),
        log_id=None,
        window_s=window_s,
    )


def _only_app(job: TriggerJob) -> str | None:
    # the chain `app2` of an ETL batch means App2 and App2a
    if not job.app_chain or "→" in job.app_chain or job.event_type == "dws_completed":
        return None
    try:
        return find_entry(job.app_chain).name
    except InputError:
        return None
