"""Daily sums over one span of days: totals, the points of a series, ranked days, days without data.

Here: pure. Not here: which spans and areas there are (`windows`, `areas`), what totals mean (`figures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from ai_assets.warehouse.finance_frames import BUSINESS, REPEATED, ROWS, DailySums, Table, nulls_of
from ai_assets.warehouse.numbers import yuan

RANKED_DAYS = 3
_COLUMNS = ["net_revenue", "orders", "guests"]


@dataclass(frozen=True)
class Totals:
    """What the records of a span (both ends inclusive) add up to.

    `sums` holds each measure (money in cents). `business_days`: days with any figure that is not zero.
    `nulls`: how many nulls were counted as zero, for the measures that had any. `first` and `last`: the
    first and last day with records; `rows`: source rows; `repeated`: those beyond one a day and area.
    """

    table: str
    start: date
    end: date
    sums: dict[str, int]
    business_days: int
    nulls: dict[str, int]
    rows: int
    repeated: int
    first: date | None
    last: date | None

    def get(self, measure: str) -> int | None:
        """A measure's sum; None where there are no records at all."""
        return self.sums[measure] if self.rows else None


@dataclass(frozen=True)
class Point:
    """One day, or the days of one week (Monday to Sunday) that lie in the span. `net_revenue` in yuan."""

    start: date
    end: date
    net_revenue: Decimal
    orders: int
    guests: int


def totals(daily: DailySums, table: Table, start: date, end: date) -> Totals:
    """Add up the days from start to end, both inclusive."""
    part = daily.between(start, end)
    # through numpy: the columns are int64 alike, and this runs hundreds of times a site
    sums = dict(zip(part.frame.columns, part.frame.to_numpy().sum(axis=0).tolist(), strict=True))
    return Totals(
        table=table.name,
        start=start,
        end=end,
        sums={measure: sums[measure] for measure in table.measures},
        business_days=sums[BUSINESS],
        nulls={measure: sums[nulls_of(measure)] for measure in table.measures if sums[nulls_of(measure)]},
        rows=sums[ROWS],
        repeated=sums[REPEATED],
        first=date.fromordinal(part.days[0]) if part.days else None,
        last=date.fromordinal(part.days[-1]) if part.days else None,
    )


def days_of(daily: DailySums, start: date, end: date) -> tuple[Point, ...]:
    """A point for each day from start to end that has records."""
    part = daily.between(start, end)
    return tuple(
        _point(date.fromordinal(day), date.fromordinal(day), values)
        for day, values in zip(part.days, part.frame[_COLUMNS].to_numpy().tolist(), strict=True)
    )


def weeks_of(daily: DailySums, start: date, end: date) -> tuple[Point, ...]:
    """A point for each week that has records, the first and last cut at start and end."""
    part = daily.between(start, end)
    # ordinal 1 is a Monday
    week_of_day = [(day - 1) // 7 for day in part.days]
    weekly = part.frame[_COLUMNS].groupby(week_of_day, sort=True).sum()
    points: list[Point] = []
    for week, values in zip(weekly.index.tolist(), weekly.to_numpy().tolist(), strict=True):
        monday = date.fromordinal(week * 7 + 1)
        points.append(_point(max(monday, start), min(monday + timedelta(days=6), end), values))
    return tuple(points)


def ranked(days: tuple[Point, ...]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """The best days (best first) and the worst (worst first) by net revenue; no day is both.

    Days without orders, guests or revenue are left out: the venue was closed. Of equal days the earlier
    comes first.
    """
    open_days = [day for day in days if day.net_revenue or day.orders or day.guests]
    by_revenue = sorted(open_days, key=lambda day: (-day.net_revenue, day.start))
    best = by_revenue[: min(RANKED_DAYS, (len(by_revenue) + 1) // 2)]
    rest = sorted(by_revenue[len(best) :], key=lambda day: (day.net_revenue, day.start))
    return tuple(best), tuple(rest[:RANKED_DAYS])


def missing_days(daily: DailySums, start: date, end: date) -> tuple[date, ...]:
    """The days from start to end without any record."""
    there = set(daily.between(start, end).days)
    return tuple(
        date.fromordinal(day) for day in range(start.toordinal(), end.toordinal() + 1) if day not in there
    )


def _point(start: date, end: date, values: list[int]) -> Point:
    net_cents, orders, guests = values
    return Point(start, end, yuan(net_cents), orders, guests)
