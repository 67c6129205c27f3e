"""Exact arithmetic of the figures: cents and counts in, plain decimals out. No float anywhere.

Here: pure functions on single numbers. Not here: what is divided by what (`ai_assets.warehouse.figures`).
Halves round away from zero, as a reader's calculator does.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

Number = int | Decimal


def yuan(cents: int) -> Decimal:
    """Whole cents as yuan with two decimals."""
    return _decimal(cents, 2)


def per(total: int | None, count: int | None, *, places: int) -> Decimal | None:
    """`total / count` with so many decimals; None without either, or where the count is not positive."""
    if total is None or count is None or count <= 0:
        return None
    return _decimal(_divide(total * 10**places, count), places)


def yuan_per(cents: int | None, count: int | None) -> Decimal | None:
    """Yuan for each one counted, two decimals; None without either, or where the count is not positive."""
    if cents is None or count is None or count <= 0:
        return None
    return yuan(_divide(cents, count))


def percent(part: int | None, whole: int | None) -> Decimal | None:
    """`part` as percent of `whole`, one decimal; None without either, or where the whole is not positive."""
    return per(None if part is None else part * 100, whole, places=1)


@dataclass(frozen=True)
class Compared:
    """A figure, what it is compared with, the difference, and the difference in percent of the latter.

    None: there is nothing to tell (no records, or a base that is not positive).
    """

    now: Number | None
    before: Number | None
    change: Number | None
    change_percent: Decimal | None


def compare(now: Number | None, before: Number | None) -> Compared:
    """Compare two amounts, averages or counts as they are shown, so that a reader can check the change."""
    if now is None or before is None:
        return Compared(now, before, None, None)
    change = now - before
    return Compared(now, before, change, percent(_hundredths(change), _hundredths(before)))


def compare_rates(now: Number | None, before: Number | None) -> Compared:
    """Compare two percentages: the change is in percentage points, and a percent of it would mislead."""
    return Compared(now, before, None if now is None or before is None else now - before, None)


def _hundredths(number: Number) -> int:
    return int(number * 100)


def _divide(numerator: int, denominator: int) -> int:
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -rounded if numerator < 0 else rounded


def _decimal(number: int, places: int) -> Decimal:
    # by its digits: Decimal.scaleb would round to the context's precision
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -places))
