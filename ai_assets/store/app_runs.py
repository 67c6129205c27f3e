"""Runs of one app by hand that were asked for over HTTP: that one runs, and what came of it.

Not here: running it (`ai_assets.chains.by_hand`), its call (`ai_run_logs`), its answer (`ai_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from ai_assets.store.trigger_jobs import short_error

_BEGIN = text(
    """
    insert into biz.ai_app_runs (token_id, app, site_id, expires_at)
    values (:token, :app, :site, clock_timestamp() + make_interval(secs => :lives_s)) returning id
    """
)
_END = text(
    """
    update biz.ai_app_runs set status = :status, reason = :reason, message = :message, target_id = :target_id,
        run_log_id = :run_log_id, cache_id = :cache_id, clues_set = :clues_set, finished_at = clock_timestamp()
    where id = :id and status = 'running'
    """
)
_BY_ID = text(
    """
    select id, app, site_id, case when status = 'running' and expires_at < clock_timestamp() then 'lost' else status end
        as status, reason, message, target_id, run_log_id, cache_id, clues_set, created_at, finished_at
    from biz.ai_app_runs where id = :id
    """
)


@dataclass(frozen=True)
class AppRun:
    """One run. `status`: running, a step's outcome, or `lost`: the process that ran it is gone."""

    id: int
    app: str
    site_id: int
    status: str
    reason: str | None
    message: str | None
    target_id: str | None
    run_log_id: int | None
    cache_id: int | None
    clues_set: int | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Ended:
    """How a run ended: a step's outcome, and what it left."""

    status: str
    reason: str | None = None
    message: str | None = None
    target_id: str | None = None
    run_log_id: int | None = None
    cache_id: int | None = None
    clues_set: int | None = None


def begin(connection: Connection, *, token_id: int, app: str, site_id: int, lives_s: float) -> int:
    """Record that it runs; returns its id. After `lives_s` seconds it counts as lost."""
    given = {"token": token_id, "app": app, "site": site_id, "lives_s": lives_s}
    return int(connection.execute(_BEGIN, given).scalar_one())


def end(connection: Connection, run_id: int, ended: Ended) -> None:
    """Record how it ended; a second time changes nothing."""
    values = {name: getattr(ended, name) for name in Ended.__dataclass_fields__}
    connection.execute(_END, {**values, "id": run_id, "message": short_error(ended.message)})


def app_run(connection: Connection, run_id: int) -> AppRun | None:
    """One run, or None."""
    row = connection.execute(_BY_ID, {"id": run_id}).mappings().one_or_none()
    return AppRun(**row) if row else None
