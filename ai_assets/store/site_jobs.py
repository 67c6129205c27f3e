"""The sites' trigger jobs (`dws_completed`): which are due.

Not here: claiming one (`store.claims`), its lease (`store.leases`), event intake (`store.inbox`), Dagster runs.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, trigger_job

_DUE_SITE_JOBS = text(
    f"""
    select {JOB_COLUMNS} from biz.ai_trigger_jobs
    where status = 'pending' and event_type = 'dws_completed' and not_before <= clock_timestamp()
    order by is_forced desc, id
    """  # noqa: S608  # a constant
)


def due_site_jobs(connection: Connection) -> list[TriggerJob]:
    """Pending `dws_completed` jobs whose time has come: forced first, then older."""
    return [trigger_job(row) for row in connection.execute(_DUE_SITE_JOBS).mappings()]
