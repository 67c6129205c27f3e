"""Sites, their ETL batches, and the as-of date of a prompt.

Here: reads of `biz.sites` and of a site's newest batch. Not here: batches that have no event yet
(`ai_assets.store.batch_events`), figures (`ai_assets.warehouse.finance`), the inbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from ai_assets.errors import InputError, WarehouseError
from ai_assets.warehouse.contract import ETL_BATCH, FINANCE_AREA_DAILY, FINANCE_SITE_DAILY, SITES, reading
from ai_assets.warehouse.windows import check_as_of

# what biz.sites does not have is filled in by biz.ai_sites; of a view's repeated rows one is taken
_SITE = "site_id, coalesce(name, site_id::text) as name, timezone, is_active"
_FIND_SITE = text(f"select {_SITE} from biz.ai_sites(:site_id) limit 1")  # noqa: S608  # a constant
_ACTIVE_SITES = text(
    f"select distinct on (site_id) {_SITE} from biz.ai_sites() where is_active order by site_id"  # noqa: S608
)

# batch_id is text here: a real warehouse may number its batches or name them
_NEWEST_BATCH = text(
    """
    select batch_id::text, site_id, biz_date::date, finished_at::timestamptz
    from dws.etl_batch as batch where site_id = :site_id and status = 'success' and biz_date is not null
      and biz_date::date <= biz.ai_latest_batch_date(:site_id)
    order by batch.biz_date desc, batch.finished_at desc nulls last, batch.batch_id desc limit 1
    """
)

_NEWEST_DATA = text(
    """
    select greatest(
        (select max(biz_date)::date from dws.finance_area_daily
         where site_id = :site_id and biz_date::date <= biz.ai_latest_batch_date(:site_id)),
        (select max(biz_date)::date from dws.finance_site_daily
         where site_id = :site_id and biz_date::date <= biz.ai_latest_batch_date(:site_id))
    ) as newest
    """
)


@dataclass(frozen=True)
class Site:
    """One venue. `timezone` is an IANA name as the source has it."""

    site_id: int
    name: str
    timezone: str
    is_active: bool


@dataclass(frozen=True)
class Batch:
    """One successful ETL batch: `biz_date` in the site's own days, `finished_at` aware or unknown."""

    batch_id: str
    site_id: int
    biz_date: date
    finished_at: datetime | None


def find_site(conn: Connection, site_id: int) -> Site:
    """The site, active or not.

    Raises InputError naming it if there is none, WarehouseError if `biz.sites` is not as the contract says.
    """
    with reading(conn, SITES):
        row = conn.execute(_FIND_SITE, {"site_id": site_id}).one_or_none() if abs(site_id) < 2**63 else None
    if row is None:
        raise InputError(f"unknown site {site_id}: biz.sites has no such site_id")
    return Site(*row)


def active_sites(conn: Connection) -> list[Site]:
    """The active sites by id. Raises WarehouseError if `biz.sites` is not as the contract says."""
    with reading(conn, SITES):
        return [Site(*row) for row in conn.execute(_ACTIVE_SITES)]


def newest_batch(conn: Connection, site_id: int) -> Batch | None:
    """The site's newest successful batch, by business date and then by when it finished.

    A batch dated after the site's tomorrow is not used (`biz.ai_latest_batch_date`).
    """
    with reading(conn, ETL_BATCH):
        row = conn.execute(_NEWEST_BATCH, {"site_id": site_id}).one_or_none()
    return Batch(*row) if row is not None else None


def as_of_date(conn: Connection, site_id: int, given: date | None) -> date:
    """The as-of date of a site's prompts: given, else the newest successful batch's, else the newest data's.

    Raises InputError for a given date out of range, WarehouseError where the site has neither batch nor data.
    """
    if given is not None:
        check_as_of(given)
        return given
    batch = newest_batch(conn, site_id)
    return batch.biz_date if batch is not None else _newest_data(conn, site_id)


def as_of_and_batch(conn: Connection, site_id: int, given: date | None) -> tuple[date, Batch | None]:
    """The same with the site's newest successful batch, whatever the date comes from: each is read once."""
    if given is not None:
        check_as_of(given)
    batch = newest_batch(conn, site_id)
    if given is not None:
        return given, batch
    return (batch.biz_date if batch is not None else _newest_data(conn, site_id)), batch


def _newest_data(conn: Connection, site_id: int) -> date:
    with reading(conn, FINANCE_AREA_DAILY, FINANCE_SITE_DAILY):
        newest: date | None = conn.execute(_NEWEST_DATA, {"site_id": site_id}).scalar_one()
    if newest is None:
        raise WarehouseError(
            f"site {site_id} has no data: no successful batch in {ETL_BATCH} and no row in "
            f"{FINANCE_AREA_DAILY} or {FINANCE_SITE_DAILY}; load its data, or give an as-of date"
        )
    return newest
