"""The rows of the contract's tables as the samples make them, and what identifies each.

Here: one NamedTuple a table, its fields in the order of contract.sql, and the keys. Not here: where the
values come from (`venue`, `completejourney`), writing them (`loading`).

Amounts are Decimals in yuan with two places (`yuan` makes them from cents); times are aware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple


class Site(NamedTuple):
    """biz.sites."""

    site_id: int
    name: str
    timezone: str
    is_active: bool


class MemberRow(NamedTuple):
    """biz.members."""

    site_id: int
    member_id: int
    name: str
    nickname: str | None
    gender: str | None
    phone: str | None
    level: str | None
    birthday: date | None
    balance: Decimal | None
    registered_at: datetime | None


class AssistantRow(NamedTuple):
    """biz.assistants."""

    site_id: int
    assistant_id: int
    name: str
    level: str | None


class NoteRow(NamedTuple):
    """biz.member_notes."""

    note_id: int
    site_id: int
    member_id: int
    content: str | None
    noted_by_name: str | None
    created_at: datetime


class TaskRow(NamedTuple):
    """biz.assistant_tasks."""

    task_id: int
    site_id: int
    assistant_id: int
    member_id: int
    task_type: str | None
    status: str | None
    created_at: datetime


class AreaDay(NamedTuple):
    """dws.finance_area_daily."""

    site_id: int
    biz_date: date
    area: str
    table_fee: Decimal
    assistant_fee: Decimal
    goods_fee: Decimal
    other_fee: Decimal
    discount: Decimal
    net_revenue: Decimal
    orders: int
    guests: int
    play_minutes: int


class SiteDay(NamedTuple):
    """dws.finance_site_daily."""

    site_id: int
    biz_date: date
    recharge_amount: Decimal
    recharge_count: int
    balance_spent: Decimal
    new_members: int
    active_members: int


class Settlement(NamedTuple):
    """dws.settlement."""

    settlement_id: int
    site_id: int
    member_id: int | None
    assistant_id: int | None
    settled_at: datetime
    biz_date: date
    area: str
    table_fee: Decimal
    assistant_fee: Decimal
    goods_fee: Decimal
    discount: Decimal
    paid: Decimal
    play_minutes: int


class EtlBatch(NamedTuple):
    """dws.etl_batch."""

    batch_id: int
    site_id: int
    biz_date: date
    status: str
    finished_at: datetime | None


@dataclass(frozen=True)
class ContractTable:
    """A table of the contract: its name, its row, and the columns that identify a row."""

    schema: str
    name: str
    row: type[tuple[Any, ...]]
    key: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """Schema and name with a dot between."""
        return f"{self.schema}.{self.name}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a sample fills, in the order of the row."""
        return tuple(self.row.__annotations__)


TABLES: Mapping[str, ContractTable] = MappingProxyType(
    {
        table.full_name: table
        for table in (
            ContractTable("biz", "sites", Site, ("site_id",)),
            ContractTable("biz", "members", MemberRow, ("site_id", "member_id")),
            ContractTable("biz", "assistants", AssistantRow, ("site_id", "assistant_id")),
            ContractTable("biz", "member_notes", NoteRow, ("note_id",)),
            ContractTable("biz", "assistant_tasks", TaskRow, ("task_id",)),
            ContractTable("dws", "finance_area_daily", AreaDay, ("site_id", "biz_date", "area")),
            ContractTable("dws", "finance_site_daily", SiteDay, ("site_id", "biz_date")),
            ContractTable("dws", "settlement", Settlement, ("settlement_id",)),
            ContractTable("dws", "etl_batch", EtlBatch, ("batch_id",)),
        )
    }
)


def yuan(cents: int) -> Decimal:
    """An amount in cents (fen) as yuan with two places, exactly."""
    return Decimal(cents).scaleb(-2)


def batch_id(site_id: int, day: date, attempt: int) -> int:
    """The id of an ETL batch: unique over sites, the same whenever that day of that site is made again."""
    return (site_id * 100_000_000 + _digits(day)) * 100 + attempt


def day_numbered_id(site_id: int, day: date, number: int) -> int:
    """The id of the day's `number`-th note, task or settlement of a site (`number` below 1000)."""
    return (site_id * 100_000_000 + _digits(day)) * 1_000 + number


def _digits(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
