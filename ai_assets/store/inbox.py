"""The inbox of events: taking one in, looking at its trigger job, ending it.

Not here: the duplicate rule (in `biz.fire_ai_event`, the one door for every language), holding jobs while their chains
run (`ai_assets.store.claims` the members', `ai_assets.store.site_jobs` the sites'), chains, Dagster runs.
A job goes pending → running → completed | partial | failed; a lost attempt goes back to pending, or dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.payloads import sendable, sent_id
from ai_assets.store.texts import storable, storable_json
from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, short_error, trigger_job

LARGEST_ID = 2**63 - 1

_FIRE = text(
    """
    select biz.fire_ai_event(:event_type, :site_id, :member_id, cast(:payload as jsonb), :is_forced,
        :connector_type)
    """
)
_JOB = text(f"select {JOB_COLUMNS} from biz.ai_trigger_jobs where id = :id")  # noqa: S608  # a constant
_FINISH = text(
    """
    update biz.ai_trigger_jobs
    set status = :status, step_results = cast(:step_results as jsonb), error_message = :error,
        finished_at = clock_timestamp(), lease_owner = null, lease_until = null
    where id = :id and lease_owner = :owner and status = 'running'
      and (cast(:attempts as integer) is null or attempts = :attempts)
    """
)


def fire(
    connection: Connection,
    event_type: str,
    *,
    site_id: int | None,
    member_id: int | None = None,
    payload: Mapping[str, Any] | None = None,
    is_forced: bool = False,
    connector_type: str = "feiqiu",
) -> int:
    """Take an event in; returns its trigger job's id. Bad input is recorded, never raised."""
    content = dict(payload or {})
    # an id that no column can hold is no id; the row still says what was sent
    if site_id is not None and abs(site_id) > LARGEST_ID:
        content["site_id_sent"], site_id = sent_id(site_id), None
    if member_id is not None and abs(member_id) > LARGEST_ID:
        content["member_id_sent"], member_id = sent_id(member_id), -1
    return int(
        connection.execute(
            _FIRE,
            {
                "event_type": storable(event_type),
                "site_id": site_id,
                "member_id": member_id,
                "payload": sendable(content),
                "is_forced": is_forced,
                "connector_type": storable(connector_type),
            },
        ).scalar_one()
    )


def job(connection: Connection, job_id: int) -> TriggerJob | None:
    """One trigger job, or None."""
    row = connection.execute(_JOB, {"id": job_id}).mappings().one_or_none()
    return trigger_job(row) if row else None


def finish(
    connection: Connection,
    job_id: int,
    *,
    owner: str,
    status: str,
    step_results: Iterable[Mapping[str, Any]],
    error: str | None,
    attempts: int | None = None,
) -> bool:
    """End a job that this owner runs; False where it was taken over, and nothing is changed.

    `attempts`: only where the job is still at this one.
    """
    parameters = {
        "id": job_id,
        "owner": owner,
        "status": status,
        "step_results": storable_json(list(step_results)),
        "error": short_error(error),
        "attempts": attempts,
    }
    return connection.execute(_FINISH, parameters).rowcount == 1
