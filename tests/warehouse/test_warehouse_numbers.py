from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.warehouse.numbers import compare, compare_rates, per, percent, yuan, yuan_per

D = Decimal
WHOLE = st.integers(-(10**18), 10**18)


def _exactly(numerator: int, denominator: int, places: int) -> Decimal:
    with localcontext() as context:
        context.prec = 80
        return (D(numerator) / D(denominator)).quantize(D(1).scaleb(-places), ROUND_HALF_UP)


@given(WHOLE)
@settings(deadline=None, max_examples=200)
def test_cents_become_yuan_with_exactly_two_decimals(cents: int) -> None:
    amount = yuan(cents)
    assert amount * 100 == cents
    assert amount.as_tuple().exponent == -2


@given(WHOLE, st.integers(1, 10**12), st.integers(0, 3))
@settings(deadline=None, max_examples=300)
def test_a_quotient_is_rounded_once_with_halves_away_from_zero(total: int, count: int, places: int) -> None:
    assert per(total, count, places=places) == _exactly(total, count, places)


@pytest.mark.parametrize(
    ("cents", "count", "amount"),
    [
        (100, 3, "0.33"),
        (200, 3, "0.67"),
        (1, 2, "0.01"),
        (-1, 2, "-0.01"),
        (-100, 3, "-0.33"),
        (0, 5, "0.00"),
    ],
)
def test_yuan_for_each_one_counted_is_rounded_to_the_cent(cents: int, count: int, amount: str) -> None:
    assert str(yuan_per(cents, count)) == amount


@pytest.mark.parametrize(("total", "count"), [(None, 3), (3, None), (3, 0), (3, -2), (None, None)])
def test_without_a_total_or_a_positive_count_there_is_no_quotient(
    total: int | None, count: int | None
) -> None:
    assert per(total, count, places=1) is None
    assert yuan_per(total, count) is None
    assert percent(total, count) is None


@pytest.mark.parametrize(
    ("now", "before", "change", "change_percent"),
    [
        (D("120.00"), D("100.00"), D("20.00"), D("20.0")),
        (D("80.00"), D("100.00"), D("-20.00"), D("-20.0")),
        (D("-5.00"), D("10.00"), D("-15.00"), D("-150.0")),
        (D("5.00"), D("0.00"), D("5.00"), None),
        (D("5.00"), D("-10.00"), D("15.00"), None),
        (3, 8, -5, D("-62.5")),
        (None, 8, None, None),
        (3, None, None, None),
    ],
)
def test_a_change_is_told_in_percent_only_of_a_positive_base(
    now: Decimal | int | None,
    before: Decimal | int | None,
    change: Decimal | int | None,
    change_percent: Decimal | None,
) -> None:
    compared = compare(now, before)
    assert (compared.change, compared.change_percent) == (change, change_percent)


def test_rates_are_compared_in_percentage_points_only() -> None:
    compared = compare_rates(D("24.3"), D("24.6"))
    assert (compared.change, compared.change_percent) == (D("-0.3"), None)
    assert compare_rates(None, D("24.6")).change is None
