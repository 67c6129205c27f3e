"""The cache that the venue's admin web and mini-program read. History is kept; newest means admitted last.

Not here: writing it (`ai_assets.guard.ending`: with the run log and the guard, or not at all).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

_REUSABLE = text(
    """
    select c.* from biz.ai_cache_latest c
    where c.cache_type = :cache_type and c.site_id = :site and c.target_id = :target and c.prompt_hash = :hash
      and not exists (select from biz.ai_leases l
        where l.app_type = :app and l.site_id = :site and l.target_id = :target)
    """
)
_LATEST = text(
    "select * from biz.ai_cache_latest where cache_type = :cache_type and site_id = :site and target_id = :target"
)
_HISTORY = text(
    "select * from biz.ai_cache where cache_type = :cache_type and site_id = :site and target_id = :target"
    " order by run_log_id desc limit :limit"
)
_OF_CALL = text("select id from biz.ai_cache where run_log_id = :run_log")
_BY_ID = text("select * from biz.ai_cache where id = :id")


@dataclass(frozen=True)
class CacheEntry:
    """One version of one target's result."""

    id: int
    cache_type: str
    site_id: int
    target_id: str
    result_json: dict[str, Any]
    score: int | None
    triggered_by: str
    trigger_job_id: int | None
    run_log_id: int
    prompt_hash: str
    created_at: datetime


def latest(connection: Connection, cache_type: str, site_id: int, target_id: str) -> CacheEntry | None:
    """The newest version of a target, or None."""
    parameters = {"cache_type": cache_type, "site": site_id, "target": target_id}
    return _entry(connection.execute(_LATEST, parameters).mappings().one_or_none())


def history(
    connection: Connection, cache_type: str, site_id: int, target_id: str, limit: int
) -> list[CacheEntry]:
    """The newest versions of a target, at most `limit`, newest first."""
    parameters = {"cache_type": cache_type, "site": site_id, "target": target_id, "limit": limit}
    return [entry for row in connection.execute(_HISTORY, parameters).mappings() if (entry := _entry(row))]


def reusable(
    connection: Connection, *, app: str, cache_type: str, site_id: int, target_id: str, prompt_hash: str
) -> CacheEntry | None:
    """The newest version where it was made from this very prompt and no call for the target runs; else None."""
    parameters = {
        "app": app,
        "cache_type": cache_type,
        "site": site_id,
        "target": target_id,
        "hash": prompt_hash,
    }
    return _entry(connection.execute(_REUSABLE, parameters).mappings().one_or_none())


def entry(connection: Connection, cache_id: int) -> CacheEntry | None:
    """One version by its id, or None."""
    return _entry(connection.execute(_BY_ID, {"id": cache_id}).mappings().one_or_none())


def of_call(connection: Connection, run_log_id: int) -> int | None:
    """The id of the version that this call gave, or None."""
    return connection.execute(_OF_CALL, {"run_log": run_log_id}).scalar_one_or_none()


def _entry(row: Mapping[Any, Any] | None) -> CacheEntry | None:
    return CacheEntry(**{name: row[name] for name in CacheEntry.__dataclass_fields__}) if row else None
