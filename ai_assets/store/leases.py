"""Leases of trigger jobs, members' and sites' alike: requeue, expiry, attempts that were lost.

A worker or a site run leases what it claims (`store.claims`) and renews all of it with each heartbeat
(`store.workers`). A lease expires when its holder has sent no heartbeat for the lease's length. A holder that is alive
keeps a job even where its row could not be written because somebody's open transaction holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from ai_assets.store.trigger_jobs import (
    JOB_COLUMNS,
    RETRY_BASE_S,
    RETRY_LONGEST_S,
    TriggerJob,
    short_error,
    trigger_job,
)

# the attempt too: a chain that lost its lease must not end the next attempt's, in the same worker or another
_REQUEUE = text(
    """
    with held as (
        select h.id from biz.ai_trigger_jobs h
        where h.id = any(:ids) and h.lease_owner = :owner and h.status = 'running'
          and (cast(:attempts as integer) is null or h.attempts = :attempts)
        order by h.id
        for no key update)
    update biz.ai_trigger_jobs j
    set status = 'pending', attempts = greatest(0, j.attempts - 1), lease_owner = null, lease_until = null,
        error_message = :error
    from held where j.id = held.id
    """
)
_EXPIRE = text(
    """
    update biz.ai_trigger_jobs set lease_owner = null, lease_until = biz.ai_now()
    where id = :id and lease_owner = :owner and status = 'running'
      and (cast(:attempts as integer) is null or attempts = :attempts)
    """
)
# a locked row is left to expire by itself
_EXPIRE_ALL = text(
    """
    with ours as (
        select h.id from biz.ai_trigger_jobs h where h.lease_owner = :owner and h.status = 'running'
        order by h.id
        for no key update skip locked)
    update biz.ai_trigger_jobs j set lease_owner = null, lease_until = biz.ai_now()
    from ours where j.id = ours.id
    """
)
_EXPIRED_SITE_JOBS = text(f"select {JOB_COLUMNS} from biz.ai_expired_jobs(true)")  # noqa: S608  # a constant
_REQUEUE_EXPIRED = text(
    f"""
    select {JOB_COLUMNS} from biz.ai_requeue_expired(:sites, :max_attempts, :wait_s, :longest_wait_s)
    """  # noqa: S608  # a constant
)
_LOSE_START = text(
    f"""
    select {JOB_COLUMNS} from biz.ai_lose_start(:id, :launches, :max_attempts, :wait_s, :longest_wait_s)
    """  # noqa: S608  # a constant
)


def requeue(
    connection: Connection, job_ids: Sequence[int], *, owner: str, error: str, attempts: int | None = None
) -> int:
    """Return this owner's running jobs to the queue, to be claimed at once; the attempt does not count.

    For a worker or run that is asked to stop. `attempts`: only where the job is still at this attempt. Returns how
    many were this owner's. Waits for a row that somebody has locked.
    """
    parameters = {"ids": list(job_ids), "owner": owner, "error": short_error(error), "attempts": attempts}
    return connection.execute(_REQUEUE, parameters).rowcount


def expire_lease(connection: Connection, job_id: int, *, owner: str, attempts: int | None = None) -> int:
    """End this owner's lease now, so that the job is requeued as a lost attempt; returns 1, or 0 if not its own."""
    return connection.execute(_EXPIRE, {"id": job_id, "owner": owner, "attempts": attempts}).rowcount


def expire_leases(connection: Connection, *, owner: str) -> int:
    """End all leases of this owner now; returns how many there were."""
    return connection.execute(_EXPIRE_ALL, {"owner": owner}).rowcount


def expired_site_jobs(connection: Connection) -> list[TriggerJob]:
    """Running site jobs whose lease expired: `requeue_expired` is about to requeue them. Changes nothing."""
    return [trigger_job(row) for row in connection.execute(_EXPIRED_SITE_JOBS).mappings()]


def requeue_expired(connection: Connection, *, max_attempts: int, sites: bool = False) -> list[TriggerJob]:
    """Requeue members' jobs (`sites`: the sites' jobs) whose lease expired; mark them dead after the last attempt.

    Returns them as they are now: pending, to be claimed after a growing wait, or dead; failed where somebody asked to
    cancel the job. Calls that the attempt left in flight are settled as outcome unknown, charged at their estimate.
    Waits for no lock: a locked row is left to the next call.
    """
    parameters = {"sites": sites, **_attempts(max_attempts)}
    return [trigger_job(row) for row in connection.execute(_REQUEUE_EXPIRED, parameters).mappings()]


def lose_start(connection: Connection, job: TriggerJob, *, max_attempts: int) -> TriggerJob | None:
    """Count a lost attempt of a pending job whose run ended before it claimed the job; returns it as it is now.

    None where the job has changed since it was read, or somebody has locked its row.
    """
    parameters = {"id": job.id, "launches": job.launches, **_attempts(max_attempts)}
    row = connection.execute(_LOSE_START, parameters).mappings().one_or_none()
    return trigger_job(row) if row else None


def _attempts(max_attempts: int) -> dict[str, float]:
    return {"max_attempts": max_attempts, "wait_s": RETRY_BASE_S, "longest_wait_s": RETRY_LONGEST_S}
