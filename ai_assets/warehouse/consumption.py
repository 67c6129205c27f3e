"""What a member's settlements of the last 180 days come to: amounts, rhythm, preferences, change.

Here: the whole, in numbers and dates. Not here: the read (`settlements`), exact sums (`settlement_frame`),
the single pieces (`consumption_parts`), wording of prompts.
Amounts are yuan with two decimals; shares and changes are percent with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from ai_assets.warehouse import consumption_parts as parts
from ai_assets.warehouse.consumption_parts import Change, Discounts, Favourite, Fee, Month, Spend
from ai_assets.warehouse.numbers import per, percent, yuan, yuan_per
from ai_assets.warehouse.settlement_frame import FEES, counted
from ai_assets.warehouse.settlements import DAYS, Settlement, first_day


@dataclass(frozen=True)
class Consumption:
    """A member's settlements from `start` to `as_of`, both inclusive (business dates).

    `rows` are the source's; `orders` those that are no refund (a negative paid amount); `visits` the business
    dates with an order. Money counts refunds too. `areas` (None: not told) the largest first, `hours` by the
    beginning of their band in the site's zone (of the time of settling), `weekdays` visits from Monday on.
    Gaps are days from one visit to the next. `newest`: the newest order, else the newest refund.
    `assistant_id`: only the settlements with this assistant.
    """

    start: date
    as_of: date
    assistant_id: int | None
    rows: int
    refunds: int
    orders: int
    visits: int
    first: date | None
    last: date | None
    days_since_last: int | None
    paid: Decimal
    paid_per_visit: Decimal | None
    paid_per_order: Decimal | None
    play_minutes: int
    minutes_per_order: Decimal | None
    fees: dict[str, Fee]
    areas: dict[str | None, Spend]
    hours: dict[int, Spend]
    weekdays: tuple[int, ...]
    months: tuple[Month, ...]
    mean_gap: Decimal | None
    median_gap: Decimal | None
    change: Change
    discounts: Discounts
    favourites: tuple[Favourite, ...]
    newest: Settlement | None

    @property
    def days(self) -> int:
        """Calendar days in the period."""
        return (self.as_of - self.start).days + 1


def consumption(
    rows: Sequence[Settlement],
    as_of: date,
    zone: ZoneInfo,
    *,
    assistant_id: int | None = None,
    days: int = DAYS,
) -> Consumption:
    """Compute from settlements in any order; those outside the period, or of other assistants, are left out.

    Raises PromptError naming the settlement that must not be counted.
    """
    start = first_day(as_of, days)
    settlements = [
        row
        for row in rows
        if start <= row.biz_date <= as_of and (assistant_id is None or row.assistant_id == assistant_id)
    ]
    whole = counted(settlements, zone)
    total = whole.total()
    by_day = {date.fromordinal(day): part for day, part in whole.by(whole.frame["day"]).items()}
    visits = [day for day, part in by_day.items() if part["orders"]]
    gross = sum(total[fee] for fee in FEES)
    gaps = [(later - earlier).days for earlier, later in pairwise(visits)]
    by_weekday = Counter(day.weekday() for day in visits)
    return Consumption(
        start=start,
        as_of=as_of,
        assistant_id=assistant_id,
        rows=len(settlements),
        refunds=total["refunds"],
        orders=total["orders"],
        visits=len(visits),
        first=visits[0] if visits else None,
        last=visits[-1] if visits else None,
        days_since_last=(as_of - visits[-1]).days if visits else None,
        paid=yuan(total["paid"]),
        paid_per_visit=yuan_per(total["paid"], len(visits)),
        paid_per_order=yuan_per(total["paid"], total["orders"]),
        play_minutes=total["play_minutes"],
        minutes_per_order=per(total["play_minutes"], total["orders"], places=1),
        fees={fee: Fee(yuan(total[fee]), percent(total[fee], gross)) for fee in FEES},
        areas=parts.by_area(whole, total),
        hours=parts.by_hour(whole, total),
        weekdays=tuple(by_weekday[weekday] for weekday in range(7)),
        months=parts.by_month(by_day, start, as_of),
        mean_gap=per(sum(gaps), len(gaps), places=1),
        median_gap=parts.median(gaps),
        change=parts.change_of(by_day, as_of),
        discounts=Discounts(
            total["discounted"],
            percent(total["discounted"], total["orders"]),
            yuan(total["discount"]),
            percent(total["discount"], gross),
        ),
        favourites=parts.favourites_of(whole, settlements),
        newest=parts.newest_of(settlements, zone),
    )
