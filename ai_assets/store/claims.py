"""Claiming trigger jobs: members' jobs for a worker, one that must run alone, one by its id for a run.

Here too: what a next attempt must know of the earlier ones. Not here: how much waits (`store.queue_depth`), what
becomes of a lease (`store.leases`), heartbeats (`store.workers`), chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, trigger_job

_CLAIM = text(
    f"""
    select {JOB_COLUMNS}
    from biz.ai_claim_member_jobs(:owner, :run_id, :lease_s, :limit, :after_site, :rate, :background)
    """  # noqa: S608  # a constant
)
_CLAIM_ALONE = text(
    f"""
    select {JOB_COLUMNS} from biz.ai_claim_alone_job(:owner, :run_id, :lease_s, :rate)
    """  # noqa: S608  # a constant
)
_PROMOTE_STUCK = text(
    "select last_site, last_member from biz.ai_promote_stuck(:after_site, :after_member, :members)"
)
# waits for a row that somebody has locked: the run that asks has nothing else to do
_CLAIM_JOB = text(
    f"""
    update biz.ai_trigger_jobs j
    set status = 'running', attempts = attempts + 1, launches = greatest(launches, attempts) + 1,
        started_at = coalesce(started_at, clock_timestamp()), finished_at = null, error_message = null,
        lease_owner = :owner, run_id = :run_id, lease_until = biz.ai_now() + make_interval(secs => :lease_s)
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

# a result whose cache entry is gone is no result
_RESULTS_OF = text(
    """
    select s.app, s.target_id, 'reused' as status, null as reason, c.run_log_id, c.id as cache_id, c.result_json,
        g.request_prompt as prompt, null as tokens_in, null as tokens_out, null as tokens_used, null as cost_cny,
        null as latency_ms, c.created_at as made_at
    from biz.ai_trigger_jobs j
    cross join lateral jsonb_to_recordset(j.step_results)
        as s(app text, target_id text, outcome text, cache_id bigint)
    join biz.ai_cache c on c.id = s.cache_id
    left join biz.ai_run_logs g on g.id = c.run_log_id
    where j.id = :id and s.outcome in ('success', 'reused')
    """
)


@dataclass(frozen=True)
class EarlierStep:
    """What a job came to earlier at one step: its newest run log and, after a success, the result.

    `status` is the run log's, or `reused` for a result of another job.
    """

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


def claim_member_jobs(
    connection: Connection,
    *,
    owner: str,
    run_id: str | None,
    lease_s: float,
    limit: int,
    after_site: int | None,
    rate_per_minute: int | None = None,
    background: bool = False,
) -> list[TriggerJob]:
    """Take up to `limit` members' jobs to run their chains; commit, then begin.

    Jobs of live events or, with `background`, of work that a person queued: ask for those after the live ones.

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
        "background": background,
    }
    return [trigger_job(row) for row in connection.execute(_CLAIM, parameters).mappings()]


def claim_alone_job(
    connection: Connection,
    *,
    owner: str,
    run_id: str | None,
    lease_s: float,
    rate_per_minute: int | None = None,
) -> TriggerJob | None:
    """Claim the oldest job that must run alone (`TriggerJob.run_alone`); None where there is none to claim.

    For a worker that runs nothing until the job has ended. One worker at a time gets such a job.
    """
    parameters = {"owner": owner, "run_id": run_id, "lease_s": lease_s, "rate": rate_per_minute}
    row = connection.execute(_CLAIM_ALONE, parameters).mappings().one_or_none()
    return trigger_job(row) if row else None


def promote_stuck(
    connection: Connection, after: tuple[int, int] | None = None, *, members: int = 1000
) -> tuple[int, int] | None:
    """Let claims see heads of members' queues that nobody promoted; call it every few seconds.

    Looks at up to `members` members after the given (site, member). Returns where it stopped, to go on from there, or
    None where it reached the end.
    """
    site, member = after or (None, None)
    row = connection.execute(
        _PROMOTE_STUCK, {"after_site": site, "after_member": member, "members": members}
    ).one()
    return None if row.last_site is None else (row.last_site, row.last_member)


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


def results_of(connection: Connection, job_id: int) -> list[EarlierStep]:
    """The results of an ended job, new and reused, for a job that repeats it. Failed steps are left out."""
    return [EarlierStep(**row) for row in connection.execute(_RESULTS_OF, {"id": job_id}).mappings()]
