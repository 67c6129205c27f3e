"""Trigger jobs as operators look for them: a list, one with all that belongs to it, the ids to replay.

Here: SQL that only reads. Not here: what a filter may say (`store.job_filter`), doing anything (`store.job_control`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.job_filter import ENDED_BADLY, JobFilter
from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, trigger_job

_REPLAYED_AS = "(select r.id from biz.ai_trigger_jobs r where r.replay_of = j.id)"
_LISTED = f"""{JOB_COLUMNS}, connector_type, replay_of, cancel_asked_at, cancel_why, lease_owner, lease_until,
        case when isfinite(not_before) then not_before end as not_before, {_REPLAYED_AS} as replayed_as"""
_CALLS = text(
    """
    select g.id, g.app_type, g.target_id, g.status, g.reason, g.error_message, g.tokens_used, g.cost_cny,
        g.latency_ms, g.created_at, g.finished_at, c.id as cache_id
    from biz.ai_run_logs g left join biz.ai_cache c on c.run_log_id = g.id
    where g.trigger_job_id = :id order by g.id
    """
)
_DUPLICATES = text("select count(*) from biz.ai_trigger_jobs where duplicate_of = :id")


@dataclass(frozen=True)
class ListedJob:
    """A trigger job, and what of it matters to an operator."""

    job: TriggerJob
    connector_type: str
    replay_of: int | None
    """The job that it is the replay of."""
    replayed_as: int | None
    """Its own replay."""
    cancel_asked_at: datetime | None
    cancel_why: str | None
    lease_owner: str | None
    lease_until: datetime | None
    not_before: datetime | None
    """A lost attempt is made again from then on."""


@dataclass(frozen=True)
class Call:
    """One call of a job's chain; cost in CNY, latency in milliseconds; `cache_id`: the text that it gave."""

    id: int
    app_type: str
    target_id: str
    status: str
    reason: str | None
    error_message: str | None
    tokens_used: int | None
    cost_cny: Decimal | None
    latency_ms: int | None
    created_at: datetime
    finished_at: datetime | None
    cache_id: int | None


@dataclass(frozen=True)
class JobDetails:
    """One job with its calls, oldest first, and how many later events were taken for the same."""

    listed: ListedJob
    calls: tuple[Call, ...]
    duplicates: int


def find_jobs(connection: Connection, wanted: JobFilter, *, limit: int) -> list[ListedJob]:
    """The newest `limit` jobs of the filter, newest first."""
    where, parameters = _where(wanted)
    sql = f"select {_LISTED} from biz.ai_trigger_jobs j where {where} order by j.id desc limit :limit"  # noqa: S608  # constants
    rows = connection.execute(text(sql), {**parameters, "limit": limit}).mappings()
    return [_listed(row) for row in rows]


def ids_to_replay(connection: Connection, wanted: JobFilter, *, limit: int | None) -> list[int]:
    """The ids of the filter's jobs that a replay is for, in the order in which they came; the first `limit`.

    Ended ones that have no replay yet, and that nobody cancelled; unless the filter says which states, those that
    ended badly.
    """
    where, parameters = _where(wanted, states=wanted.states or ENDED_BADLY)
    sql = f"""
        select j.id from biz.ai_trigger_jobs j
        where {where} and j.status not in ('pending', 'running') and j.cancel_asked_at is null
          and not exists (select from biz.ai_trigger_jobs r where r.replay_of = j.id)
        order by j.id limit cast(:limit as bigint)
    """  # noqa: S608  # constants
    return list(connection.execute(text(sql), {**parameters, "limit": limit}).scalars())


def job_details(connection: Connection, job_id: int) -> JobDetails | None:
    """One job with all that belongs to it, or None."""
    found = find_jobs(connection, JobFilter(ids=(job_id,)), limit=1)
    if not found:
        return None
    calls = connection.execute(_CALLS, {"id": job_id}).mappings()
    duplicates = connection.execute(_DUPLICATES, {"id": job_id}).scalar_one()
    return JobDetails(found[0], tuple(Call(**row) for row in calls), duplicates)


def _where(wanted: JobFilter, states: tuple[str, ...] | None = None) -> tuple[str, dict[str, Any]]:
    """Conditions and their parameters. Only what is asked for stands there: each then finds its index."""
    states = wanted.states if states is None else states
    parts = {
        "j.id = any(:ids)": ("ids", list(wanted.ids)),
        "j.status = any(:states)": ("states", list(states)),
        "j.site_id = any(:sites)": ("sites", list(wanted.sites)),
        "j.event_type = any(:events)": ("events", list(wanted.event_types)),
        "j.member_id = :member": ("member", wanted.member_id),
        "j.created_at >= :since": ("since", wanted.since),
        "j.created_at < :until": ("until", wanted.until),
        r"j.error_message ilike :error escape '\'": ("error", _anywhere(wanted.error)),
    }
    asked = {condition: named for condition, named in parts.items() if named[1]}
    conditions = list(asked)
    if states and set(states) <= set(ENDED_BADLY):
        # word for word what the index of the rare ones says
        conditions.append("j.status in ('failed', 'dead', 'partial')")
    return " and ".join(conditions) or "true", dict(asked.values())


def _anywhere(piece: str | None) -> str | None:
    if not piece:
        return None
    for sign in "\\%_":
        piece = piece.replace(sign, "\\" + sign)
    return f"%{piece}%"


def _listed(row: Mapping[Any, Any]) -> ListedJob:
    fields = {name: row[name] for name in ListedJob.__dataclass_fields__ if name != "job"}
    return ListedJob(job=trigger_job(row), **fields)
