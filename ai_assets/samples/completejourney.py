"""Real retail transactions as a sample: store → site, household → member, basket → settlement.

Here: the contract's rows from the summed frames, and loading them. Not here: reading and summing
(`completejourney_frames`), the department table (`departments`), writing (`loading`).

All choices are documented in docs/data-contract.md. What holds exactly: a site's net_revenue is the sum of
its lines' sales_value, its discount the sum of their three discounts.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from ai_assets.errors import InputError
from ai_assets.samples.completejourney_frames import (
    TIMEZONE,
    read_lines,
    stores_by_lines,
    sum_area_days,
    sum_baskets,
    sum_site_days,
)
from ai_assets.samples.loading import LoadSummary, Progress, Sample, write_sample
from ai_assets.samples.rows import (
    AreaDay,
    EtlBatch,
    MemberRow,
    Settlement,
    Site,
    SiteDay,
    batch_id,
    yuan,
)
from ai_assets.warehouse.areas import LEAF_AREAS

if TYPE_CHECKING:
    import pandas as pd

DATASET = "completejourney"
FIRST_DAY = date(2017, 1, 1)
LAST_DAY = date(2017, 12, 31)

_NOTHING = yuan(0)


def load_completejourney(engine: Engine, *, sites: int = 3, progress: Progress | None = None) -> LoadSummary:
    """Fill the contract's tables with the year 2017 of the `sites` stores that have most lines.

    The same twice changes nothing. Raises InputError for a number of sites out of range or a site id in use,
    ConfigurationError without the extra `realdata`, and what `write_sample` raises.
    """
    return write_sample(engine, make_completejourney(sites=sites, progress=progress), progress)


def make_completejourney(*, sites: int, progress: Progress | None = None) -> Sample:
    """The whole sample in memory."""
    tell = progress or (lambda _line: None)
    tell(f"{DATASET}: choosing {sites} of the stores")
    stores = _stores(sites)
    tell(f"{DATASET}: reading the lines of {len(stores)} stores")
    lines = read_lines(stores)
    tell(f"{DATASET}: summing {len(lines):,} lines")
    baskets = sum_baskets(lines)
    return Sample(
        dataset=DATASET,
        sites=[Site(store, f"零售门店 {store}", TIMEZONE, is_active=True) for store in stores],
        rows={
            "biz.members": _members(baskets),
            "biz.assistants": [],
            "biz.member_notes": [],
            "biz.assistant_tasks": [],
            "dws.finance_area_daily": _area_days(sum_area_days(lines, baskets)),
            "dws.finance_site_daily": _site_days(sum_site_days(baskets)),
            "dws.settlement": _settlements(baskets),
            "dws.etl_batch": _batches(stores),
        },
        first_day=FIRST_DAY,
        last_day=LAST_DAY,
    )


def require_sites(sites: int) -> None:
    """Raise InputError unless there are that many stores, ConfigurationError without the extra."""
    _stores(sites)


def _stores(count: int) -> list[int]:
    stores = stores_by_lines()
    if not 1 <= count <= len(stores):
        raise InputError(f"completejourney has 1 to {len(stores)} sites, not {count}")
    return stores[:count]


def _members(baskets: pd.DataFrame) -> list[MemberRow]:
    pairs = baskets[["site_id", "household_id"]].drop_duplicates().sort_values(["site_id", "household_id"])
    return [
        MemberRow(
            site_id=site_id,
            member_id=household,
            name=f"会员 {household:04d}",
            nickname=None,
            gender=None,
            phone=None,
            level=None,
            birthday=None,
            balance=None,
            registered_at=None,
        )
        for site_id, household in zip(*_columns(pairs), strict=True)
    ]


def _settlements(baskets: pd.DataFrame) -> list[Settlement]:
    wanted = ["basket_id", "site_id", "household_id", "settled_at", "biz_date", "area", "sales", "discount"]
    return [
        Settlement(
            settlement_id=basket,
            site_id=site_id,
            member_id=household,
            assistant_id=None,
            settled_at=settled_at,
            biz_date=biz_date,
            area=LEAF_AREAS[area],
            table_fee=_NOTHING,
            assistant_fee=_NOTHING,
            goods_fee=yuan(sales + discount),
            discount=yuan(discount),
            paid=yuan(sales),
            play_minutes=0,
        )
        for basket, site_id, household, settled_at, biz_date, area, sales, discount in zip(
            *_columns(baskets[wanted]), strict=True
        )
    ]


def _area_days(days: pd.DataFrame) -> list[AreaDay]:
    wanted = ["site_id", "biz_date", "area", "sales", "discount", "orders", "guests"]
    return [
        AreaDay(
            site_id=site_id,
            biz_date=biz_date,
            area=LEAF_AREAS[area],
            table_fee=_NOTHING,
            assistant_fee=_NOTHING,
            # sales_value is what the store took, so the fee before discounts is the sum of the two
            goods_fee=yuan(sales + discount),
            other_fee=_NOTHING,
            discount=yuan(discount),
            net_revenue=yuan(sales),
            orders=orders,
            guests=guests,
            play_minutes=0,
        )
        for site_id, biz_date, area, sales, discount, orders, guests in zip(
            *_columns(days[wanted]), strict=True
        )
    ]


def _site_days(days: pd.DataFrame) -> list[SiteDay]:
    wanted = ["site_id", "biz_date", "new_members", "active_members"]
    return [
        SiteDay(
            site_id=site_id,
            biz_date=biz_date,
            recharge_amount=_NOTHING,
            recharge_count=0,
            balance_spent=_NOTHING,
            new_members=new,
            active_members=active,
        )
        for site_id, biz_date, new, active in zip(*_columns(days[wanted]), strict=True)
    ]


def _batches(stores: list[int]) -> list[EtlBatch]:
    """A success for every date of the year, also one on which a store sold nothing."""
    days = [FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    return [
        EtlBatch(
            batch_id=batch_id(store, day, 1),
            site_id=store,
            biz_date=day,
            status="success",
            finished_at=datetime.combine(day + timedelta(days=1), time(3), ZoneInfo(TIMEZONE)),
        )
        for store in stores
        for day in days
    ]


def _columns(frame: pd.DataFrame) -> list[list[object]]:
    # lists hold Python's own ints, dates and datetimes, which Decimal and the driver need
    return [frame[column].tolist() for column in frame.columns]
