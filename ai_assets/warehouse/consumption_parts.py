"""The pieces of a member's consumption: by area and hour, by month, change, favourite assistants.

Here: the shape of each piece and how it is computed from exact sums. Not here: the whole
(`ai_assets.warehouse.consumption`), wording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ai_assets.warehouse.numbers import Compared, compare, per, percent, yuan, yuan_per
from ai_assets.warehouse.settlement_frame import NO_HOUR, NOBODY, Counted, Sums
from ai_assets.warehouse.settlements import Settlement

HOUR_BANDS = (0, 6, 12, 18, 21)
"""The hours at which the bands of a day begin; the last ends at 24."""
RECENT_DAYS = 30
LONGER_PAST_DAYS = 90
FAVOURITES = 5


@dataclass(frozen=True)
class Spend:
    """A part of what was spent. `share`: of all that was paid, percent; None where nothing was."""

    orders: int
    paid: Decimal
    share: Decimal | None


@dataclass(frozen=True)
class Fee:
    """A kind of fee before discount. `share`: of all fees, percent; None without any."""

    amount: Decimal
    share: Decimal | None


@dataclass(frozen=True)
class Favourite:
    """An assistant who was there. `fee`: their fees before discount; `last`: the newest of these orders."""

    assistant_id: int
    name: str | None
    orders: int
    fee: Decimal
    last: date


@dataclass(frozen=True)
class Month:
    """One calendar month's part of the period (`first` to `last`, both inclusive)."""

    first: date
    last: date
    visits: int
    orders: int
    paid: Decimal


@dataclass(frozen=True)
class Discounts:
    """Use of discounts. `share`: of the orders, percent; `rate`: of all fees, percent."""

    orders: int
    share: Decimal | None
    amount: Decimal
    rate: Decimal | None


@dataclass(frozen=True)
class Change:
    """The last 30 days against the member's own past.

    `visits`, `orders`, `paid` and `paid_per_visit` are compared with the 30 days before; `usual_visits` and
    `usual_paid` with the average of 30 days over the 90 days before. `start`: the first of the last 30 days.
    """

    start: date
    visits: Compared
    orders: Compared
    paid: Compared
    paid_per_visit: Compared
    usual_visits: Compared
    usual_paid: Compared


def by_area(rows: Counted, total: Sums) -> dict[str | None, Spend]:
    """The largest first; of equal ones by name. None: the area is not told."""
    found = sorted(rows.by(rows.frame["area"]).items(), key=lambda item: (-item[1]["paid"], item[0]))
    return {area or None: _spend(part, total) for area, part in found}


def by_hour(rows: Counted, total: Sums) -> dict[int, Spend]:
    """By the first hour of each of HOUR_BANDS; settlements without a time are left out."""
    import numpy as np

    # what lies before the first band, which NO_HOUR alone does, becomes -1: NO_HOUR again
    bands = np.searchsorted(HOUR_BANDS, rows.frame["hour"].to_numpy(dtype="int64"), side="right") - 1
    return {HOUR_BANDS[band]: _spend(part, total) for band, part in rows.by(bands).items() if band != NO_HOUR}


@dataclass(frozen=True)
class _Span:
    visits: int
    orders: int
    paid: int

    @property
    def paid_per_visit(self) -> Decimal | None:
        return yuan_per(self.paid, self.visits)


def _span(by_day: Mapping[date, Sums], first: date, last: date) -> _Span:
    parts = [part for day, part in by_day.items() if first <= day <= last]
    return _Span(
        sum(1 for part in parts if part["orders"]),
        sum(part["orders"] for part in parts),
        sum(part["paid"] for part in parts),
    )


def by_month(by_day: Mapping[date, Sums], start: date, as_of: date) -> tuple[Month, ...]:
    """Each calendar month of the period, also one without a visit; the first and last cut at its ends."""
    months: list[Month] = []
    first = start
    while first <= as_of:
        next_month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        last = min(as_of, next_month - timedelta(days=1))
        span = _span(by_day, first, last)
        months.append(Month(first, last, span.visits, span.orders, yuan(span.paid)))
        first = next_month
    return tuple(months)


def change_of(by_day: Mapping[date, Sums], as_of: date) -> Change:
    """The last 30 days against what was before them."""
    start = as_of - timedelta(days=RECENT_DAYS - 1)
    day_before = start - timedelta(days=1)
    now = _span(by_day, start, as_of)
    before = _span(by_day, start - timedelta(days=RECENT_DAYS), day_before)
    longer = _span(by_day, start - timedelta(days=LONGER_PAST_DAYS), day_before)
    times = LONGER_PAST_DAYS // RECENT_DAYS
    return Change(
        start=start,
        visits=compare(now.visits, before.visits),
        orders=compare(now.orders, before.orders),
        paid=compare(yuan(now.paid), yuan(before.paid)),
        paid_per_visit=compare(now.paid_per_visit, before.paid_per_visit),
        usual_visits=compare(now.visits, per(longer.visits, times, places=1)),
        usual_paid=compare(yuan(now.paid), yuan_per(longer.paid, times)),
    )


def favourites_of(rows: Counted, settlements: Iterable[Settlement]) -> tuple[Favourite, ...]:
    """At most FAVOURITES, those with the most orders first, then by fee and id."""
    newest = {row.assistant_id: row for row in sorted(settlements, key=_when)}
    found = [
        Favourite(
            number,
            newest[number].assistant_name,
            part["orders"],
            yuan(part["assistant_fee"]),
            newest[number].biz_date,
        )
        for number, part in rows.by(rows.frame["assistant"]).items()
        if number != NOBODY and part["orders"]
    ]
    return tuple(sorted(found, key=lambda one: (-one.orders, -one.fee, one.assistant_id))[:FAVOURITES])


def newest_of(rows: Iterable[Settlement], zone: ZoneInfo) -> Settlement | None:
    """The newest order, else the newest refund; its time in the zone."""
    newest = max(rows, key=_when, default=None)
    if newest is None or newest.settled_at is None:
        return newest
    return newest._replace(settled_at=newest.settled_at.astimezone(zone))


def _when(row: Settlement) -> tuple[bool, date, float, int]:
    """Orders after refunds, then in order of time."""
    at = row.settled_at
    is_order = row.paid is None or row.paid >= 0
    return is_order, row.biz_date, at.timestamp() if at is not None else 0.0, row.settlement_id


def median(gaps: Sequence[int]) -> Decimal | None:
    """With one decimal; None of none."""
    if not gaps:
        return None
    ordered, middle = sorted(gaps), len(gaps) // 2
    return per(ordered[middle] + ordered[~middle], 2, places=1)


def _spend(part: Sums, total: Sums) -> Spend:
    return Spend(part["orders"], yuan(part["paid"]), percent(part["paid"], total["paid"]))
