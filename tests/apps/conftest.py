"""Finances and a member of a made-up site for the tests of the apps' prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from ai_assets.apps.member_source import Given, MemberSource
from ai_assets.settings import MemberNames
from ai_assets.warehouse.areas import LEAF_AREAS
from ai_assets.warehouse.consumption import consumption
from ai_assets.warehouse.finance import SiteFinance, site_finance
from ai_assets.warehouse.finance_frames import AREA_TABLE, SITE_TABLE, Row, Table
from ai_assets.warehouse.member_data import MemberData
from ai_assets.warehouse.people import Assistant, Member, Note
from ai_assets.warehouse.settlements import Settlement
from ai_assets.warehouse.sites import Batch, Site

BATCH = Batch("b-77", 1001, date(2026, 8, 19), datetime(2026, 8, 19, 20, 5, tzinfo=UTC))
Measures = dict[str, str | int | None]


def _values(table: Table, measures: Measures) -> tuple[Decimal | None, ...]:
    values = dict.fromkeys(table.measures, 0) | measures
    return tuple(None if v is None else Decimal(v) for v in (values[m] for m in table.measures))


@pytest.fixture
def area_row() -> Callable[..., Row]:
    """A row of the area table: (day as text, area, measures in yuan or counts); the rest is zero."""

    def made(day: str, area: str, **measures: str | int | None) -> Row:
        return date.fromisoformat(day), area, _values(AREA_TABLE, measures)

    return made


@pytest.fixture
def site_row() -> Callable[..., Row]:
    """A row of the site table."""

    def made(day: str, **measures: str | int | None) -> Row:
        return date.fromisoformat(day), None, _values(SITE_TABLE, measures)

    return made


@pytest.fixture
def finance_of() -> Callable[..., SiteFinance]:
    """Finances from rows: (as_of as text, area rows, site rows)."""

    def made(
        as_of: str, area_rows: Iterable[Row] = (), site_rows: Iterable[Row] = (), name: str = "一号店"
    ) -> SiteFinance:
        site = Site(1001, name, "Asia/Shanghai", is_active=True)
        return site_finance(site, date.fromisoformat(as_of), BATCH, list(area_rows), list(site_rows))

    return made


@pytest.fixture
def year_of_rows(
    area_row: Callable[..., Row], site_row: Callable[..., Row]
) -> Callable[[str], tuple[list[Row], list[Row]]]:
    """The rows of 420 days up to a day, the same for a day whatever the last one is."""

    def made(last: str) -> tuple[list[Row], list[Row]]:
        days = [date.fromisoformat(last) - timedelta(days=ago) for ago in range(420)]
        area_rows = [
            area_row(
                str(day),
                area,
                table_fee=f"{(day.toordinal() * 7919 + n * 104729) % 900000 / 100:.2f}",
                goods_fee=f"{(day.toordinal() * 31 + n) % 500}.25",
                discount="12.50",
                net_revenue=f"{(day.toordinal() * 7919 + n * 7) % 800000 / 100:.2f}",
                orders=3 + (day.toordinal() + n) % 11,
                guests=5 + (day.toordinal() * n) % 17,
                play_minutes=100 + (day.toordinal() + 3 * n) % 700,
            )
            for day in days
            for n, area in enumerate(LEAF_AREAS)
        ]
        site_rows = [
            site_row(
                str(day), recharge_amount=str(day.toordinal() % 3000), recharge_count=2, active_members=9
            )
            for day in days
        ]
        return area_rows, site_rows

    return made


@pytest.fixture
def source_of() -> Callable[..., MemberSource]:
    """Member 555 and assistant 7 of site 1001 as of 2026-06-30, without a database.

    `note` and `given` are the source's own; `settlements` are the pair's. Other parts of the data (member,
    notes, …) may be given by name; what is not there cannot be read.
    """

    def no_database() -> AbstractContextManager[Connection]:
        raise AssertionError("this prompt must not read the warehouse")

    def made(
        note: Note | None = None,
        given: Mapping[str, Given] | None = None,
        settlements: Sequence[Settlement] = (),
        names: MemberNames = "full",
        **parts: object,
    ) -> MemberSource:
        site = Site(1001, "一号店", "Asia/Shanghai", is_active=True)
        data = MemberData(no_database, site, date(2026, 6, 30), 555, 7)
        together = consumption(settlements, data.as_of, ZoneInfo("Asia/Shanghai"), assistant_id=7)
        data.__dict__ |= {
            "member": Member(1001, 555, "张三", "三哥", "男", "金卡", Decimal("1234.56")),
            "assistant": Assistant(1001, 7, "小雨", "高级"),
            "notes": (),
            "open_tasks": (),
            "together": together,
        } | parts
        return MemberSource(data, note, given or {}, names)

    return made
