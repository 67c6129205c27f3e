"""Claiming trigger jobs: members' jobs for a worker, one job by its id for a run; how much work waits.

Here: the Python side of `biz.ai_claim_member_jobs`, and what a next attempt must know of the earlier ones.
Not here: what becomes of a lease (`store.leases`), heartbeats (`store.workers`), chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, trigger_job

DUE_COUNTED = 10_000
"""`waiting` counts the due jobs up to here: nobody starts another worker for more."""

_CLAIM = text(
    f"""
    select {JOB_COLUMNS}
    from biz.ai_claim_member_jobs(:owner, :run_id, :lease_s, :limit, :after_site, :rate)
    """  # noqa: S608  # a constant
)
# waits for a row that somebody has locked: the run that asks has nothing else to do
_CLAIM_JOB = text(
    f"""
    update biz.ai_trigger_jobs j
    set status = 'running', attempts = attempts + 1, launches = greatest(launches, attempts) + 1,
        started_at = coalesce(started_at, clock_timestamp()), finished_at = null, error_message = null,
        lease_owner = :owner, run_id = :run_id, lease_until = clock_timestamp() + make_interval(secs => :lease_s)
    where id = :id and (status = 'pending' or (:again and status in ('completed', 'partial', 'failed', 'dead')))
      and not exists (select from biz.ai_trigger_jobs o
        where o.status = 'running' and o.site_id = j.site_id and o.member_id = j.member_id)
    returning {JOB_COLUMNS}
    """  # noqa: S608  # a constant
)
_EARLIER_STEPS = text(
    """
    select distinct on (g.app_type, g.target_id)
        g.app_type as app, g.target_id, g.status, g.reason, g.id as run_log_id, c.id as cache_id, c.result_json,
        g.request_prompt as prompt, g.tokens_in, g.tokens_out, g.tokens_used, g.cost_cny, g.latency_ms,
        c.created_at as made_at
    from biz.ai_run_logs g
    left join biz.ai_cache c on c.run_log_id = g.id
    where g.trigger_job_id = :id
    order by g.app_type, g.target_id, g.id desc
    """
)
_WAITING = text(
    """
    with busy as materialized (
        select site_id, member_id from biz.ai_trigger_jobs where status = 'running' and member_id is not null),
    later as materialized (
        select site_id, member_id from biz.ai_trigger_jobs
        where status = 'pending' and member_id is not null and not_before > '-infinity'
          and not_before > clock_timestamp()),
    due as materialized (
        select site_id, member_id, created_at, not_before from biz.ai_trigger_jobs
        where status = 'pending' and member_id is not null and not_before <= clock_timestamp()
        limit :counted),
    held_up as materialized (
        select s.site_id from (select distinct d.site_id from due d) s
        where not biz.ai_site_has_room(
            s.site_id, (select count(*) from busy b where b.site_id = s.site_id), cast(:rate as integer))),
    oldest as (
        select min(greatest(d.created_at, d.not_before)) as since from due d
        where d.site_id not in (select h.site_id from held_up h)
          and (d.site_id, d.member_id) not in (
            select b.site_id, b.member_id from busy b union all select l.site_id, l.member_id from later l))
    select (select count(*) from due) as due, (select count(*) from later) as later,
        (select count(*) from (
            select d.site_id, d.member_id from due d where d.site_id not in (select h.site_id from held_up h)
            except
            (select b.site_id, b.member_id from busy b union all select l.site_id, l.member_id from later l)) c
        ) as startable,
        (select count(*) from busy) as running,
        (select count(*) from due d where d.site_id in (select h.site_id from held_up h)) as held_up,
        coalesce(extract(epoch from clock_timestamp() - (select since from oldest)), 0)::float8 as oldest_due_s
    """
)


@dataclass(frozen=True)
class EarlierStep:
    """What an earlier attempt of a job came to at one step: its newest run log and, after a success, the result."""

    app: str
    target_id: str
    status: str
    reason: str | None
    run_log_id: int
    cache_id: int | None
    result_json: dict[str, Any] | None
    prompt: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_used: int | None
    cost_cny: Decimal | None
    latency_ms: int | None
    made_at: datetime | None


@dataclass(frozen=True)
class Waiting:
    """Members' jobs that are pending and due (at most DUE_COUNTED), pending with their time to come, running.

    `startable`: how many chains a worker could begin now, one a member. `held_up`: how many of the due ones wait for
    their site's rate. `oldest_due_s`: for how long the oldest of the due
    ones that nothing stands before has waited, seconds; 0: none.
    """

    due: int
    later: int
    running: int
    startable: int
    held_up: int
    oldest_due_s: float


def claim_member_jobs(
    connection: Connection,
    *,
    owner: str,
    run_id: str | None,
    lease_s: float,
    limit: int,
    after_site: int | None,
    rate_per_minute: int | None = None,
) -> list[TriggerJob]:
    """Take up to `limit` members' jobs to run their chains; commit, then begin.

    Fair over sites, ties round robin after `after_site` (the last job's site of the claim before); within a site
    forced first, then older; of a member only the oldest, and only while no chain of it runs.
    A site whose rate (AI_RATE_PER_MINUTE; None: not asked) has no room for a whole chain is left to wait.
    """
    parameters = {
        "owner": owner,
        "run_id": run_id,
        "lease_s": lease_s,
        "limit": limit,
        "after_site": after_site,
        "rate": rate_per_minute,
    }
    return [trigger_job(row) for row in connection.execute(_CLAIM, parameters).mappings()]


def claim_job(
    connection: Connection,
    job_id: int,
    *,
    owner: str,
    lease_s: float,
    run_id: str | None,
    again: bool = False,
) -> TriggerJob | None:
    """Claim one job by its id; None where it is not pending or a chain of its member runs.

    `again`: also a job that has ended. Waits for a row that somebody has locked.
    """
    parameters = {"id": job_id, "owner": owner, "lease_s": lease_s, "run_id": run_id, "again": again}
    try:
        with connection.begin_nested():
            row = connection.execute(_CLAIM_JOB, parameters).mappings().one_or_none()
    except IntegrityError:
        # another claimed a job of this member at the same instant: the unique index refused this one
        return None
    return trigger_job(row) if row else None


def earlier_steps(connection: Connection, job_id: int) -> list[EarlierStep]:
    """What this job's attempts came to so far, the newest call of each app and target. Reused steps leave none."""
    return [EarlierStep(**row) for row in connection.execute(_EARLIER_STEPS, {"id": job_id}).mappings()]


def waiting(connection: Connection, *, rate_per_minute: int | None = None) -> Waiting:
    """How much work there is for workers; `rate_per_minute` as in `claim_member_jobs`."""
    parameters = {"counted": DUE_COUNTED, "rate": rate_per_minute}
    return Waiting(**connection.execute(_WAITING, parameters).mappings().one())
