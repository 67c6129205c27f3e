"""Claims of members' trigger jobs: taking for a worker, progress, handing back, taking over what was lost.

Here: the Python side of `biz.ai_claim_member_jobs` and `biz.ai_take_over_lost`, and what a next attempt must know of
the earlier ones. Not here: the sites' jobs (`store.inbox`), the workers themselves (`store.workers`), chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.trigger_jobs import (
    JOB_COLUMNS,
    RETRY_BASE_S,
    RETRY_LONGEST_S,
    TriggerJob,
    short_error,
    trigger_job,
)

DUE_COUNTED = 10_000
"""`waiting` counts the due jobs up to here: nobody starts another worker for more."""

_CLAIM = text(
    f"""
    select {JOB_COLUMNS}
    from biz.ai_claim_member_jobs(:owner, :run_id, :lease_s, :limit, :after_site, :rate)
    """  # noqa: S608  # a constant
)
# the attempt too: a chain that was thought lost must not end the next one's, in the same worker or another
_HAND_BACK = text(
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
_LET_GO = text(
    """
    update biz.ai_trigger_jobs set lease_owner = null, lease_until = clock_timestamp()
    where id = :id and lease_owner = :owner and status = 'running'
      and (cast(:attempts as integer) is null or attempts = :attempts)
    """
)
# a row that somebody holds at this moment is left to its lease
_LET_ALL_GO = text(
    """
    with ours as (
        select h.id from biz.ai_trigger_jobs h where h.lease_owner = :owner and h.status = 'running'
        order by h.id
        for no key update skip locked)
    update biz.ai_trigger_jobs j set lease_owner = null, lease_until = clock_timestamp()
    from ours where j.id = ours.id
    """
)
_TAKE_OVER = text(
    f"select {JOB_COLUMNS} from biz.ai_take_over_lost(:max_attempts, :wait_s, :longest_wait_s)"  # noqa: S608  # a constant
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


def hand_back(
    connection: Connection, job_ids: Sequence[int], *, owner: str, error: str, attempts: int | None = None
) -> int:
    """Let another worker do these jobs at once; the attempt does not count. Returns how many were this owner's.

    `attempts`: only where the job is still at this one.
    """
    parameters = {"ids": list(job_ids), "owner": owner, "error": short_error(error), "attempts": attempts}
    return connection.execute(_HAND_BACK, parameters).rowcount


def let_go(connection: Connection, job_id: int, *, owner: str, attempts: int | None = None) -> int:
    """End this owner's hold now, so that the job is taken over as lost; returns 1, or 0 where it is not its own."""
    return connection.execute(_LET_GO, {"id": job_id, "owner": owner, "attempts": attempts}).rowcount


def let_all_go(connection: Connection, *, owner: str) -> int:
    """End this owner's hold on whatever it still holds; returns how many there were."""
    return connection.execute(_LET_ALL_GO, {"owner": owner}).rowcount


def take_over_lost(connection: Connection, *, max_attempts: int) -> list[TriggerJob]:
    """Give members' jobs whose lease has ended another attempt, or up; returns them as they are now.

    Status is pending, to be claimed after a growing wait, or dead. Calls that the dead attempt left in flight are
    settled as outcome unknown, charged at their estimate.
    """
    parameters = {"max_attempts": max_attempts, "wait_s": RETRY_BASE_S, "longest_wait_s": RETRY_LONGEST_S}
    return [trigger_job(row) for row in connection.execute(_TAKE_OVER, parameters).mappings()]


def earlier_steps(connection: Connection, job_id: int) -> list[EarlierStep]:
    """What this job's attempts came to so far, the newest call of each app and target. Reused steps leave none."""
    return [EarlierStep(**row) for row in connection.execute(_EARLIER_STEPS, {"id": job_id}).mappings()]


def waiting(connection: Connection, *, rate_per_minute: int | None = None) -> Waiting:
    """How much work there is for workers; `rate_per_minute` as in `claim_member_jobs`."""
    parameters = {"counted": DUE_COUNTED, "rate": rate_per_minute}
    return Waiting(**connection.execute(_WAITING, parameters).mappings().one())
