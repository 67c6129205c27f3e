"""Rows of the daily finance tables → exact daily sums per area, and what was wrong in the rows.

Here: pure. Amounts are whole cents (int64) and counts are whole numbers, so that every sum is exact; days
are kept as `date.toordinal()`. Not here: SQL, windows, wording.
The rule: nulls count as zero and are noted, a negative count is refused, money may be negative (refunds),
and the area table holds leaf areas only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from ai_assets.warehouse.areas import ALL, AREAS, HALL, LEAF_AREAS, leaves
from ai_assets.warehouse.contract import FINANCE_AREA_DAILY, FINANCE_SITE_DAILY

if TYPE_CHECKING:
    import pandas as pd

# ten billion yuan in a row: no venue's, and sums of what is below it stay inside int64
ABSURD = Decimal(10) ** 10

OTHER = "other"


@dataclass(frozen=True)
class Table:
    """A daily table: its money columns (yuan), then its count columns, in the order they are read."""

    name: str
    money: tuple[str, ...]
    counts: tuple[str, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """Money, then counts."""
        return self.money + self.counts


AREA_TABLE = Table(
    FINANCE_AREA_DAILY,
    ("table_fee", "assistant_fee", "goods_fee", "other_fee", "discount", "net_revenue"),
    ("orders", "guests", "play_minutes"),
)
SITE_TABLE = Table(
    FINANCE_SITE_DAILY,
    ("recharge_amount", "balance_spent"),
    ("recharge_count", "new_members", "active_members"),
)

ROWS, REPEATED, BUSINESS = "rows", "repeated", "business"
Row = tuple[date, str | None, tuple[Decimal | None, ...]]


def nulls_of(measure: str) -> str:
    """The column of a frame that counts a measure's nulls."""
    return f"nulls:{measure}"


@dataclass(frozen=True)
class Fault:
    """A row that must not be counted. `area` is None in the site's table, which belongs to `all` alone."""

    table: str
    column: str
    day: date
    area: str | None
    value: str
    why: str

    def touches(self, area: str, spans: Iterable[tuple[date, date]]) -> bool:
        """True if a cell of this area over these spans (inclusive) would count the row."""
        in_area = area == ALL or (self.area is not None and self.area in (area, *leaves(area)))
        return in_area and any(start <= self.day <= end for start, end in spans)


@dataclass(frozen=True, eq=False)
class DailySums:
    """One row a day that has records, days ascending (ordinals) and `frame` in the same order.

    Columns of `frame`, all int64: each measure (money in cents), `nulls:<measure>`, `rows`: the source rows
    added up, `repeated`: those beyond the first of a day and area, `business`: 1 if any measure is not zero.
    """

    days: tuple[int, ...]
    frame: pd.DataFrame

    def between(self, start: date, end: date) -> DailySums:
        """Those of start to end, both inclusive. Safe to call from several threads."""
        low = bisect_left(self.days, start.toordinal())
        high = bisect_right(self.days, end.toordinal())
        return DailySums(self.days[low:high], self.frame.iloc[low:high])


def area_sums(
    rows: Sequence[Row],
) -> tuple[dict[str, DailySums], tuple[tuple[date, str], ...], tuple[Fault, ...]]:
    """Daily sums of each of AREAS and of OTHER; the (day, name) pairs that make up OTHER; the faults.

    A name that is no leaf counts in `all` alone, under OTHER. A row under the name of a roll-up (`all`,
    `hall`) would count its leaves twice: it is a fault of the cells it would go into.
    """
    frame, faults = _frame(AREA_TABLE, [row for row in rows if row[1] not in (ALL, HALL)])
    faults += [
        Fault(AREA_TABLE.name, "area", day, area, str(area), "a roll-up; the table holds leaf areas only")
        for day, area, _ in rows
        if area in (ALL, HALL)
    ]
    names = frame["area"]
    sums = {area: _by_day(AREA_TABLE, frame[names.isin(leaves(area))]) for area in AREAS if area != ALL}
    sums[ALL] = _by_day(AREA_TABLE, frame)
    sums[OTHER] = _by_day(AREA_TABLE, frame[~names.isin(LEAF_AREAS)])
    others = {(day, area or "") for day, area, _ in rows if area not in (*LEAF_AREAS, ALL, HALL)}
    return sums, tuple(sorted(others)), tuple(faults)


def site_sums(rows: Sequence[Row]) -> tuple[DailySums, tuple[Fault, ...]]:
    """Daily sums of the site's own table, and the faults. The rows' area is None."""
    frame, faults = _frame(SITE_TABLE, rows)
    return _by_day(SITE_TABLE, frame), tuple(faults)


def _frame(table: Table, rows: Sequence[Row]) -> tuple[pd.DataFrame, list[Fault]]:
    """One row a day and area, repeated source rows added up."""
    import pandas as pd

    faults: list[Fault] = []
    records: list[list[int | str]] = []
    for day, area, values in rows:
        numbers: list[int] = []
        for column, value in zip(table.measures, values, strict=True):
            why = _wrong(value, is_count=column in table.counts)
            if why:
                faults.append(Fault(table.name, column, day, area, str(value), why))
            if value is None or why:
                numbers.append(0)
            else:
                numbers.append(int(value) if column in table.counts else int(value.scaleb(2)))
        records.append([day.toordinal(), area or "", *numbers, *(int(value is None) for value in values), 1])
    columns = ["day", "area", *table.measures, *map(nulls_of, table.measures), ROWS]
    frame = pd.DataFrame(records, columns=columns)
    frame = frame.astype({column: "int64" for column in columns if column != "area"} | {"area": "object"})
    frame = frame.groupby(["day", "area"], as_index=False, sort=True).sum()
    frame[REPEATED] = frame[ROWS] - 1
    return frame, faults


def _by_day(table: Table, frame: pd.DataFrame) -> DailySums:
    daily = frame.drop(columns="area").groupby("day", sort=True).sum()
    daily[BUSINESS] = (daily[list(table.measures)] != 0).any(axis="columns").astype("int64")
    return DailySums(tuple(int(day) for day in daily.index), daily.reset_index(drop=True))


def _wrong(value: Decimal | None, *, is_count: bool) -> str:
    if value is None:
        return ""
    if not value.is_finite():
        return "not a number"
    if abs(value) >= ABSURD:
        return "beyond any venue's figures"
    return "a count cannot be negative" if is_count and value < 0 else ""
