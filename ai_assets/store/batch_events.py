"""ETL batches and their `dws_completed` events: which batches have no event yet, and which events are new.

Not here: a site's newest batch (`ai_assets.warehouse.sites`), taking an event in (`ai_assets.store.inbox`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from ai_assets.warehouse.contract import ETL_BATCH, SITES, reading

# the fields are written by biz.fire_ai_event; events of earlier versions have no batch_date
_HAS_NO_EVENT = """
    not exists (select from biz.ai_trigger_jobs j
        where j.event_type = 'dws_completed' and j.site_id = b.site_id
          and j.payload ->> 'batch_id' = b.batch_id::text
          and j.payload ->> 'batch_finished' = coalesce(extract(epoch from b.finished_at::timestamptz)::text, '')
          and coalesce(j.payload ->> 'batch_date', to_char(b.biz_date::date, 'YYYY-MM-DD'), '')
              = coalesce(to_char(b.biz_date::date, 'YYYY-MM-DD'), ''))
"""
_SINCE = text(
    f"""
    select b.site_id, b.batch_id::text as batch_id from dws.etl_batch b
    where b.status = 'success' and b.biz_date is not null and b.finished_at >= :since and {_HAS_NO_EVENT}
    order by b.finished_at, b.site_id, b.batch_id limit :limit
    """  # noqa: S608  # a constant
)
_NEWEST = text(
    f"""
    select b.site_id, b.batch_id::text as batch_id
    from (select distinct s.site_id from biz.ai_sites() s where s.is_active) as site cross join lateral (
        select b.* from dws.etl_batch b
        where b.site_id = site.site_id and b.status = 'success' and b.biz_date is not null
          and b.biz_date::date <= biz.ai_latest_batch_date(b.site_id)
        order by b.biz_date desc, b.finished_at desc nulls last, b.batch_id desc limit 1) as b
    where {_HAS_NO_EVENT}
    order by b.site_id limit :limit
    """  # noqa: S608  # a constant
)
_AFTER = text("select * from biz.ai_batches_after(:after, :since, :limit)")


@dataclass(frozen=True)
class NewBatch:
    """A successful batch without an event."""

    site_id: int
    batch_id: str


@dataclass(frozen=True)
class RecordedBatch:
    """A batch as its first event recorded it.

    `biz_date` is YYYY-MM-DD in the site's days, `finished_s` seconds since 1970, None if unknown. `is_usable` is False
    for a batch dated after the site's tomorrow.
    """

    trigger_job_id: int
    site_id: int
    batch_id: str
    biz_date: str
    finished_s: float | None
    is_usable: bool


def batches_without_event(connection: Connection, since: datetime | None, *, limit: int) -> list[NewBatch]:
    """At most `limit` successful batches that no event was ever sent for.

    With `since` (aware): those that finished then or later, in the order they finished. Without: only the newest
    usable batch of each active site. A batch that was finished again or whose date was corrected counts as another
    one. Raises WarehouseError where the tables are not as the contract says.
    """
    with reading(connection, ETL_BATCH, SITES):
        if since is None:
            rows = connection.execute(_NEWEST, {"limit": limit}).all()
        else:
            rows = connection.execute(_SINCE, {"since": since, "limit": limit}).all()
    return [NewBatch(*row) for row in rows]


def batches_recorded_after(
    connection: Connection, trigger_job_id: int | None, *, since: datetime, limit: int
) -> list[RecordedBatch]:
    """At most `limit` batches whose first event is later than this trigger job, by trigger job.

    Without a trigger job: those recorded at `since` (aware) or later. Empty while a transaction that takes such an
    event in is open. Run it in a transaction of its own: until that ends, such transactions wait.
    """
    parameters = {"after": trigger_job_id, "since": since, "limit": limit}
    return [
        RecordedBatch(job_id, site_id, batch_id, biz_date, float(finished) if finished else None, is_usable)
        for job_id, site_id, batch_id, biz_date, finished, is_usable in connection.execute(_AFTER, parameters)
    ]
