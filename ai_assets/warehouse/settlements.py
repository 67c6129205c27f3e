"""One member's settlements, as the source has them: a row of `dws.settlement` and the read of some of them.

Not here: what they come to (`ai_assets.warehouse.consumption`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from ai_assets.warehouse.contract import ASSISTANTS, SETTLEMENT, fitted, reading

if TYPE_CHECKING:
    from ai_assets.warehouse.sites import Site

DAYS = 180

# in the order of Settlement's fields; casts, because a view may give other types
_SETTLEMENTS = text(
    """
    select settlement_id::bigint, biz_date::date, settled_at::timestamptz, nullif(trim(area::text), ''),
           nullif(assistant_id::bigint, 0),
           (select nullif(trim(who.name::text), '') from biz.assistants as who
            where who.site_id = bill.site_id and who.assistant_id = bill.assistant_id
            order by 1 limit 1),
           round(table_fee::numeric, 2), round(assistant_fee::numeric, 2), round(goods_fee::numeric, 2),
           round(discount::numeric, 2), round(paid::numeric, 2), round(play_minutes::numeric)
    from dws.settlement as bill
    where site_id = :site_id and member_id = :member_id and biz_date >= :start and biz_date < :day_after
    order by bill.biz_date, bill.settled_at nulls first, bill.settlement_id
    """
)

# one look at a member's part of the index for each asked for
_BILLS = text(
    """
    select asked.member_id,
           count(*) filter (where bill.day > asked.as_of - :days and bill.day <= asked.as_of),
           count(*) filter (where bill.day > asked.as_of)
    from unnest(cast(:members as bigint[]), cast(:dates as date[])) asked (member_id, as_of)
    cross join lateral (
        select biz_date::date as day from dws.settlement as bill
        where bill.site_id = :site_id and bill.member_id = asked.member_id offset 0) bill
    group by asked.member_id, asked.as_of
    """
)


class Settlement(NamedTuple):
    """A row of `dws.settlement` and its assistant's name. Amounts in yuan, two decimals; minutes whole.

    `settled_at` is aware. Only the id and the business date are sure to be filled.
    """

    settlement_id: int
    biz_date: date
    settled_at: datetime | None = None
    area: str | None = None
    assistant_id: int | None = None
    assistant_name: str | None = None
    table_fee: Decimal | None = None
    assistant_fee: Decimal | None = None
    goods_fee: Decimal | None = None
    discount: Decimal | None = None
    paid: Decimal | None = None
    play_minutes: Decimal | None = None


class Bills(NamedTuple):
    """How many settlements of a member there are: of the DAYS that end with an as-of date, and after it."""

    known: int
    newer: int


def first_day(as_of: date, days: int = DAYS) -> date:
    """The first business date of the `days` that end with the as-of date."""
    return as_of - timedelta(days=days - 1)


def read_settlements(
    connection: Connection, site: Site, member_id: int, as_of: date, days: int = DAYS
) -> tuple[Settlement, ...]:
    """The member's settlements of the `days` business dates that end with the as-of date, oldest first.

    Raises WarehouseError where a table is not as the contract says.
    """
    with reading(connection, SETTLEMENT, ASSISTANTS):
        rows = connection.execute(
            fitted(connection, _SETTLEMENTS, SETTLEMENT, ASSISTANTS),
            {
                "site_id": site.site_id,
                "member_id": member_id,
                "start": first_day(as_of, days),
                "day_after": as_of + timedelta(days=1),
            },
        )
        return tuple(Settlement(*row) for row in rows)


def count_bills(connection: Connection, site_id: int, as_of: Mapping[int, date]) -> dict[int, Bills]:
    """Counts by member id, each to an as-of date of their own; in one statement.

    Raises WarehouseError where the table is not as the contract says.
    """
    parameters = {
        "site_id": site_id,
        "days": DAYS,
        "members": list(as_of),
        "dates": list(as_of.values()),
    }
    with reading(connection, SETTLEMENT):
        counted = {
            member: Bills(known, newer) for member, known, newer in connection.execute(_BILLS, parameters)
        }
    return {member: counted.get(member, Bills(0, 0)) for member in as_of}
