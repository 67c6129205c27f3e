"""The sites' trigger jobs (`dws_completed`): which are due, holding one while its run works, giving up on it.

Not here: the members' (`ai_assets.store.claims`), taking events in (`ai_assets.store.inbox`), Dagster runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from ai_assets.store.payloads import readable_seconds
from ai_assets.store.trigger_jobs import (
    JOB_COLUMNS,
    RETRY_BASE_S,
    RETRY_LONGEST_S,
    TriggerJob,
    short_error,
    trigger_job,
)

_KNOWN_BATCHES = text(
    """
    select j.site_id, j.payload ->> 'batch_id' as batch_id, j.payload ->> 'batch_finished' as finished
    from biz.ai_trigger_jobs j
    where j.event_type = 'dws_completed' and j.site_id = any(:sites) and j.payload ->> 'batch_id' = any(:batches)
    """
)
_DUE_SITE_JOBS = text(
    f"""
    select {JOB_COLUMNS} from biz.ai_trigger_jobs
    where status = 'pending' and event_type = 'dws_completed' and not_before <= clock_timestamp()
    order by is_forced desc, id
    """  # noqa: S608  # a constant
)
_CLAIM = text(
    f"""
    update biz.ai_trigger_jobs j
    set status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp()),
        finished_at = null, error_message = null, lease_owner = :owner, run_id = :run_id,
        lease_until = clock_timestamp() + make_interval(secs => :lease_s)
    where id = :id and (status = 'pending' or (:again and status in ('completed', 'partial', 'failed', 'dead')))
      and not exists (select from biz.ai_trigger_jobs o
        where o.status = 'running' and o.site_id = j.site_id and o.member_id = j.member_id)
    returning {JOB_COLUMNS}
    """  # noqa: S608  # a constant
)
_HEARTBEAT = text(
    """
    update biz.ai_trigger_jobs set lease_until = clock_timestamp() + make_interval(secs => :lease_s)
    where id = :id and lease_owner = :owner and status = 'running' and cancel_asked_at is null
    """
)
_HAND_BACK = text(
    """
    update biz.ai_trigger_jobs
    set status = 'pending', lease_owner = null, lease_until = null, error_message = :error
    where id = :id and lease_owner = :owner and status = 'running'
    """
)
_LOST = text(
    f"""
    select {JOB_COLUMNS} from biz.ai_trigger_jobs
    where status = 'running' and lease_until < clock_timestamp() and event_type = 'dws_completed'
    order by lease_until
    """  # noqa: S608  # a constant
)
_RETURN_LOST = text(
    """
    update biz.ai_trigger_jobs
    set status = case when :attempts >= :max_attempts then 'dead' else 'pending' end, attempts = :attempts,
        not_before = clock_timestamp() + make_interval(secs => :wait_s),
        error_message = :error, lease_owner = null, lease_until = null,
        finished_at = case when :attempts >= :max_attempts then clock_timestamp() end
    where id = :id and attempts <= :attempts
      and (status = 'pending' or (status = 'running' and lease_until < clock_timestamp()))
    returning status
    """
)
_REAP_CALLS = text(
    """
    select biz.ai_reap_leases(array(
        select l.id from biz.ai_leases l join biz.ai_run_logs g on g.id = l.run_log_id where g.trigger_job_id = :id))
    """
)
_END = text(
    """
    update biz.ai_trigger_jobs
    set status = :status, error_message = :error, finished_at = clock_timestamp(), lease_owner = null,
        lease_until = null
    where id = :id
      and (status = 'pending' or (status = 'running' and lease_until < clock_timestamp()))
    """
)


def unknown_batches(connection: Connection, batches: Sequence[tuple[int, str, datetime | None]]) -> list[int]:
    """Which of these (site, batch id, finished) no event was ever sent for, as positions in `batches`.

    A batch that was finished again (corrected) counts as another one.
    """
    if not batches:
        return []
    rows = connection.execute(
        _KNOWN_BATCHES,
        {
            "sites": sorted({site for site, _, _ in batches}),
            "batches": sorted({batch for _, batch, _ in batches}),
        },
    )
    known = {(row.site_id, row.batch_id, readable_seconds(row.finished)) for row in rows}
    return [
        position
        for position, (site, batch, finished) in enumerate(batches)
        if (site, batch, round(finished.timestamp(), 3) if finished else None) not in known
    ]


def due_site_jobs(connection: Connection) -> list[TriggerJob]:
    """Pending `dws_completed` jobs whose time has come: forced first, then older."""
    return [trigger_job(row) for row in connection.execute(_DUE_SITE_JOBS).mappings()]


def claim(
    connection: Connection,
    job_id: int,
    *,
    owner: str,
    lease_s: float,
    run_id: str | None,
    again: bool = False,
) -> TriggerJob | None:
    """Take a job to run its chain; None where it is not to be had: another runs it, or a chain of its member.

    `again`: also one that has ended.
    """
    parameters = {"id": job_id, "owner": owner, "lease_s": lease_s, "run_id": run_id, "again": again}
    try:
        with connection.begin_nested():
            row = connection.execute(_CLAIM, parameters).mappings().one_or_none()
    except IntegrityError:
        # at the same instant another took a job of this member: the unique index held
        return None
    return trigger_job(row) if row else None


def heartbeat(connection: Connection, job_id: int, *, owner: str, lease_s: float) -> bool:
    """Hold a job on; False where it is this owner's no more, or an operator wants it stopped."""
    parameters = {"id": job_id, "owner": owner, "lease_s": lease_s}
    return connection.execute(_HEARTBEAT, parameters).rowcount == 1


def hand_back(connection: Connection, job_id: int, *, owner: str, error: str) -> bool:
    """Let another run do the job: this one was asked to stop. False where it is this owner's no more."""
    parameters = {"id": job_id, "owner": owner, "error": short_error(error)}
    return connection.execute(_HAND_BACK, parameters).rowcount == 1


def lost_site_jobs(connection: Connection) -> list[TriggerJob]:
    """`dws_completed` jobs whose run gave no sign of life within its lease."""
    return [trigger_job(row) for row in connection.execute(_LOST).mappings()]


def give_back(
    connection: Connection, lost: TriggerJob, *, attempts: int, max_attempts: int, error: str
) -> str | None:
    """Let a lost attempt be made again after a growing wait, or give the job up; returns pending or dead.

    What it left in flight is settled as outcome unknown, charged at its estimate: the next one need not wait for it.
    None where somebody else put it right meanwhile.
    """
    status: str | None = connection.execute(
        _RETURN_LOST,
        {
            "id": lost.id,
            "attempts": attempts,
            "max_attempts": max_attempts,
            "wait_s": min(RETRY_LONGEST_S, RETRY_BASE_S * 4 ** min(30, max(0, attempts - 1))),
            "error": short_error(error),
        },
    ).scalar_one_or_none()
    if status is not None:
        connection.execute(_REAP_CALLS, {"id": lost.id})
    return status


def end(connection: Connection, job_id: int, *, status: str, error: str) -> None:
    """End a job that nobody works on."""
    connection.execute(_END, {"id": job_id, "status": status, "error": short_error(error)})
