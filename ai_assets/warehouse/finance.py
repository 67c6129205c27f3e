"""One read of a site's finances for all of its 72 prompts.

Here: the two statements and what they give as a whole. Not here: sums per day (`finance_frames`), figures of
one window and area (`figures`), wording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, text

from ai_assets.errors import PromptError
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.contract import FINANCE_AREA_DAILY, FINANCE_SITE_DAILY, reading
from ai_assets.warehouse.finance_frames import DailySums, Fault, Row, area_sums, site_sums
from ai_assets.warehouse.sites import Batch, Site, newest_batch
from ai_assets.warehouse.windows import Window, first_day_needed

# the columns stand in the order of AREA_TABLE and SITE_TABLE; as numeric, because a view may give any type
_AREA_DAYS = text(
    """
    select biz_date::date, area,
           round(table_fee::numeric, 2), round(assistant_fee::numeric, 2), round(goods_fee::numeric, 2),
           round(other_fee::numeric, 2), round(discount::numeric, 2), round(net_revenue::numeric, 2),
           round(orders::numeric), round(guests::numeric), round(play_minutes::numeric)
    from dws.finance_area_daily
    where site_id = :site_id and biz_date >= :first_day and biz_date < :day_after
    """
)

_SITE_DAYS = text(
    """
    select biz_date::date, null,
           round(recharge_amount::numeric, 2), round(balance_spent::numeric, 2),
           round(recharge_count::numeric), round(new_members::numeric), round(active_members::numeric)
    from dws.finance_site_daily
    where site_id = :site_id and biz_date >= :first_day and biz_date < :day_after
    """
)


@dataclass(frozen=True, eq=False)
class SiteFinance:
    """A site's daily finances up to the as-of date, as far back as any window's comparison reaches.

    `areas` holds the daily sums of each of AREAS and of `other`; `others` the (day, name) pairs of area names
    that are no leaf; `batch` the site's newest successful ETL batch, if it has one.
    """

    site: Site
    as_of: date
    batch: Batch | None
    areas: Mapping[str, DailySums]
    site_days: DailySums
    others: tuple[tuple[date, str], ...]
    faults: tuple[Fault, ...]

    def refuse_faults(self, area: str, window: Window) -> None:
        """Raise PromptError if a cell of this area and window, or its comparison, would count a bad row."""
        spans = ((window.start, window.end), (window.comparison_start, window.comparison_end))
        found = [fault for fault in self.faults if fault.touches(area, spans)]
        if not found:
            return
        fault = min(found, key=lambda f: (f.day, f.table, f.area or "", f.column))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        # a name that is none of ours is people's text: quoted and cut, so that the message stays one line
        name = fault.area if fault.area is None or fault.area in AREAS else repr(fault.area[:40])
        where = f", area {name}" if name is not None else ""
        raise PromptError(
            f"{fault.table}.{fault.column} of site {self.site.site_id} on {fault.day}{where} "
            f"is {fault.value}: {fault.why}{more}; correct the source and run again"
        )


def read_site_finance(conn: Connection, site: Site, as_of: date) -> SiteFinance:
    """Read what all 72 prompts of a site need, in two statements and one for its newest batch.

    Raises WarehouseError naming each missing table and column, InputError for an as-of date out of range.
    A bad row raises nothing here: only the cells that would count it fail (`SiteFinance.refuse_faults`).
    """
    span = {
        "site_id": site.site_id,
        "first_day": first_day_needed(as_of),
        "day_after": as_of + timedelta(days=1),
    }
    batch = newest_batch(conn, site.site_id)
    with reading(conn, FINANCE_AREA_DAILY, FINANCE_SITE_DAILY):
        area_rows = [(day, area, tuple(values)) for day, area, *values in conn.execute(_AREA_DAYS, span)]
        site_rows = [(day, area, tuple(values)) for day, area, *values in conn.execute(_SITE_DAYS, span)]
    return site_finance(site, as_of, batch, area_rows, site_rows)


def site_finance(
    site: Site, as_of: date, batch: Batch | None, area_rows: Sequence[Row], site_rows: Sequence[Row]
) -> SiteFinance:
    """A site's finances from rows (day, area, values in the order of the table's measures). Pure."""
    areas, others, area_faults = area_sums(area_rows)
    site_days, site_faults = site_sums(site_rows)
    return SiteFinance(site, as_of, batch, areas, site_days, others, area_faults + site_faults)
