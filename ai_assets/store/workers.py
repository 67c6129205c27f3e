"""Heartbeats of workers and site runs: they renew leases and show who is alive.

Not here: claims (`store.claims`), what becomes of an expired lease (`store.leases`), Dagster's runs. A killed process
leaves its Dagster run STARTED: only the heartbeat shows that it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

EVENT_WORKER = "event_worker"
ISOLATED_WORKER = "isolated_worker"
SITE_RUN = "site_run"
"""Kinds of lease holders."""

# before a lease is renewed or looked at: a database clock that was set must not expire it
_FOLLOW_CLOCK = text("select biz.ai_follow_clock()")

# A locked row (a backend's open transaction with a duplicate or forced event) is skipped: waiting for it would delay
# the other jobs' renewal and could deadlock. Its lease is not expired while the holder is alive (`ai_expired_jobs`).
_HEARTBEAT = text(
    """
    with worker as (
        insert into biz.ai_workers as w (id, kind, run_id, host, pid, running, draining, lease_s, heartbeat_at, ends_at)
        values (:id, :kind, :run_id, :host, :pid, :running, :draining, :lease_s, biz.ai_now(),
            case when :draining then biz.ai_now() end)
        on conflict (id) do update
        set running = excluded.running, draining = excluded.draining, lease_s = excluded.lease_s,
            run_id = excluded.run_id, heartbeat_at = biz.ai_now(),
            ends_at = case when excluded.draining then coalesce(w.ends_at, excluded.ends_at) end),
    free as (
        select h.id from biz.ai_trigger_jobs h where h.lease_owner = :id and h.status = 'running'
        order by h.id
        for no key update skip locked),
    renewed as (
        update biz.ai_trigger_jobs j set lease_until = biz.ai_now() + make_interval(secs => :lease_s)
        from free where j.id = free.id)
    select j.id, j.attempts from biz.ai_trigger_jobs j where j.lease_owner = :id and j.status = 'running'
    """
)
_DELETE = text("delete from biz.ai_workers where id = :id")
# the row stays while its Dagster run comes to its end: a run without a heartbeat would be taken for a dead one
_MARK_STOPPED = text(
    """
    update biz.ai_workers
    set running = 0, draining = true, heartbeat_at = biz.ai_now(), ends_at = coalesce(ends_at, biz.ai_now())
    where id = :id
    """
)
_EXPIRED = text(
    """
    select id, run_id from biz.ai_workers
    where heartbeat_at + make_interval(secs => lease_s) < biz.ai_now() order by heartbeat_at
    """
)
_ALIVE = text(
    """
    select count(*) as workers, count(*) filter (where running = 0) as free from biz.ai_workers
    where kind = :kind and not draining and heartbeat_at + make_interval(secs => lease_s) >= biz.ai_now()
    """
)
_RUN_IDS = text("select run_id from biz.ai_workers where run_id is not null")


@dataclass(frozen=True)
class ExpiredWorker:
    """A worker or site run that sent no heartbeat within its lease, and its Dagster run."""

    id: str
    run_id: str | None


@dataclass(frozen=True)
class Alive:
    """Workers that are alive and claim new jobs; `free`: how many of them run nothing now."""

    workers: int
    free: int


def heartbeat(
    connection: Connection,
    *,
    worker_id: str,
    kind: str,
    run_id: str | None,
    host: str,
    pid: int,
    running: int,
    draining: bool,
    lease_s: float,
) -> dict[int, int]:
    """Record that a worker or site run is alive and renew its leases for `lease_s` from now; returns its jobs.

    Each job's id with its attempt. `draining`: it claims nothing new and ends soon. Waits for no lock.
    """
    parameters = {
        "id": worker_id,
        "kind": kind,
        "run_id": run_id,
        "host": host,
        "pid": pid,
        "running": running,
        "draining": draining,
        "lease_s": lease_s,
    }
    connection.execute(_FOLLOW_CLOCK)
    return {row.id: row.attempts for row in connection.execute(_HEARTBEAT, parameters)}


def mark_stopped(connection: Connection, worker_id: str) -> None:
    """A worker has ended by itself and its run will in a moment; a lease later its row is among the `expired`."""
    connection.execute(_MARK_STOPPED, {"id": worker_id})


def delete(connection: Connection, worker_id: str) -> None:
    """Delete the row of a worker that has ended together with its run."""
    connection.execute(_DELETE, {"id": worker_id})


def expired(connection: Connection) -> list[ExpiredWorker]:
    """Workers and site runs whose heartbeat is older than their lease, the oldest first."""
    connection.execute(_FOLLOW_CLOCK)
    return [ExpiredWorker(row.id, row.run_id) for row in connection.execute(_EXPIRED)]


def alive(connection: Connection, kind: str = EVENT_WORKER) -> Alive:
    """How many workers of a kind claim new jobs."""
    return Alive(**connection.execute(_ALIVE, {"kind": kind}).mappings().one())


def run_ids(connection: Connection) -> set[str]:
    """The Dagster runs that sent a heartbeat and have not ended."""
    return set(connection.execute(_RUN_IDS).scalars())
