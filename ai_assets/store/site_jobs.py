"""The sites' trigger jobs (`dws_completed`): which are due.

Not here: claiming one (`store.claims`), its lease (`store.leases`), event intake (`store.inbox`), Dagster runs.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, trigger_job

# the sites are found by one step through the index each, however many jobs of a site are pending
_DUE_SITE_JOBS = text(
    f"""
    with recursive sites as (
        (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is null order by j.site_id limit 1)
        union all
        select (select j.site_id from biz.ai_trigger_jobs j
                where j.status = 'pending' and j.member_id is null and j.site_id > s.site_id
                order by j.site_id limit 1)
            from sites s where s.site_id is not null)
    select {JOB_COLUMNS} from biz.ai_trigger_jobs
    where id = any(array(
        select head.id
        from sites s cross join lateral (
            select j.id, j.background, j.is_forced from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is null and j.site_id = s.site_id
              and j.not_before <= clock_timestamp()
            order by j.background, j.is_forced desc, j.id limit 1) as head
        where not exists (select from biz.ai_trigger_jobs r
            where r.status = 'running' and r.member_id is null and r.site_id = s.site_id)
        order by head.background, head.is_forced desc, head.id limit :limit))
    order by background, is_forced desc, id
    """  # noqa: S608  # a constant
)


def due_site_jobs(connection: Connection, *, limit: int) -> list[TriggerJob]:
    """The next job of each site that has one due and none running, at most `limit`.

    Within a site and among sites: live events before background work, then forced ones first, then older. The other
    pending jobs of a site follow one after the other. They are not superseded by a newer batch: each run uses the
    newest batch, so a later one finds unchanged cells and calls nothing.
    """
    return [trigger_job(row) for row in connection.execute(_DUE_SITE_JOBS, {"limit": limit}).mappings()]
