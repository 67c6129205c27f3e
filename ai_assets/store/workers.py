"""Workers' heartbeats: which live, which are lost. Not here: what they work on (`store.claims`), Dagster's runs.

A killed process leaves its Dagster run STARTED: only the heartbeat tells.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

# a row that somebody holds at this moment (a backend's open transaction with a duplicate or forced event) is passed
# over: waiting for it would hold up the other jobs' prolonging, and could deadlock. It is ours all the same
_BEAT = text(
    """
    with worker as (
        insert into biz.ai_workers as w (id, kind, run_id, host, pid, running, draining, lease_s, ends_at)
        values (:id, :kind, :run_id, :host, :pid, :running, :draining, :lease_s,
            case when :draining then clock_timestamp() end)
        on conflict (id) do update
        set running = excluded.running, draining = excluded.draining, lease_s = excluded.lease_s,
            run_id = excluded.run_id, heartbeat_at = clock_timestamp(),
            ends_at = case when excluded.draining then coalesce(w.ends_at, excluded.ends_at) end),
    free as (
        select h.id from biz.ai_trigger_jobs h where h.lease_owner = :id and h.status = 'running'
        order by h.id
        for no key update skip locked),
    prolonged as (
        update biz.ai_trigger_jobs j set lease_until = clock_timestamp() + make_interval(secs => :lease_s)
        from free where j.id = free.id)
    select j.id, j.attempts from biz.ai_trigger_jobs j where j.lease_owner = :id and j.status = 'running'
    """
)
_GONE = text("delete from biz.ai_workers where id = :id")
# the row stays while its Dagster run comes to its end: a run without a heartbeat would be taken for a dead one
_GOODBYE = text(
    """
    update biz.ai_workers
    set running = 0, draining = true, heartbeat_at = clock_timestamp(), ends_at = coalesce(ends_at, clock_timestamp())
    where id = :id
    """
)
_LOST = text(
    """
    select id, run_id from biz.ai_workers
    where heartbeat_at + make_interval(secs => lease_s) < clock_timestamp() order by heartbeat_at
    """
)
_LIVE = text(
    """
    select count(*) as workers, count(*) filter (where running = 0) as free from biz.ai_workers
    where not draining and heartbeat_at + make_interval(secs => lease_s) >= clock_timestamp()
    """
)
_RUN_IDS = text("select run_id from biz.ai_workers where run_id is not null")


@dataclass(frozen=True)
class LostWorker:
    """A worker that gave no sign of life within its lease, and the Dagster run it was in."""

    id: str
    run_id: str | None


@dataclass(frozen=True)
class Live:
    """Workers that live and take new jobs; `free`: how many of them run nothing now."""

    workers: int
    free: int


def beat(
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
    """Say that a worker lives and hold its jobs on for `lease_s` from now; returns those that are still its own.

    Each job's id with its attempt.

    `draining`: it takes nothing new and ends soon.
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
    return {row.id: row.attempts for row in connection.execute(_BEAT, parameters)}


def goodbye(connection: Connection, worker_id: str) -> None:
    """A worker has ended by itself; its run will in a moment. `lost` tells of it a lease later, for its row to go."""
    connection.execute(_GOODBYE, {"id": worker_id})


def gone(connection: Connection, worker_id: str) -> None:
    """A worker and its run have ended: its row goes."""
    connection.execute(_GONE, {"id": worker_id})


def lost(connection: Connection) -> list[LostWorker]:
    """Workers whose heartbeat is older than their lease, the longest lost first."""
    return [LostWorker(row.id, row.run_id) for row in connection.execute(_LOST)]


def live(connection: Connection) -> Live:
    """How many workers take new jobs."""
    return Live(**connection.execute(_LIVE).mappings().one())


def run_ids(connection: Connection) -> set[str]:
    """The Dagster runs in which a worker gave a heartbeat and has not ended."""
    return set(connection.execute(_RUN_IDS).scalars())
