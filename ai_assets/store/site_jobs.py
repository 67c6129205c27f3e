"""The sites' trigger jobs (`dws_completed`): which batches have none, and which jobs are due.

Not here: claiming one (`store.claims`), its lease (`store.leases`), event intake (`store.inbox`), Dagster runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from ai_assets.store.payloads import readable_seconds
from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, trigger_job

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
