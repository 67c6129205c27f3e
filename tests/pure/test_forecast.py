"""The forecast's reckoning: calls against budgets, rate and past. The guard's own rule is the oracle."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.dashscope.prices import Price, Prices
from ai_assets.guard.forecast import (
    CallsForecast,
    Expected,
    PlannedCall,
    Terms,
    budget_forecast,
    expected,
    site_forecast,
    together,
)
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import Settings
from ai_assets.store.usage import Budget, PastCalls

MODEST = settings(deadline=None, max_examples=150)
TERMS = Terms(calls_per_minute=42, concurrency=16, cost_per_token=Decimal("0.0000024"))


def call(tokens: int, more: int = 0, latency_ms: float | None = None) -> Expected:
    return Expected(tokens, tokens + more, Decimal(tokens) / 1000, latency_ms)


def budget(limit: int | None, *, used: int = 0, reserved: int = 0, site_id: int | None = None) -> Budget:
    name = "day" if site_id is None else "site_day"
    return Budget(name, site_id, "2026-06-30", limit, used, reserved, "AI_DAILY_TOKENS")


def terms(concurrency: int, calls_per_minute: int = 42) -> Terms:
    return Terms(calls_per_minute, concurrency, Decimal(0))


def planned(calls: list[Expected], site_id: int = 1001) -> list[tuple[PlannedCall, Expected]]:
    return [(PlannedCall(site_id, "app", 0), each) for each in calls]


def fitting(calls: list[Expected], left: int, concurrency: int) -> int:
    return budget_forecast(budget(left + 1, used=1), planned(calls), terms(concurrency)).fitting


CALLS = st.lists(st.builds(call, st.integers(0, 100), st.integers(0, 100)), max_size=30)
LEFT = st.integers(0, 3000)
WIDTH = st.integers(1, 6)


# budgets


@given(calls=CALLS, left=LEFT, width=WIDTH, data=st.data())
@MODEST
def test_the_guard_refuses_none_of_the_calls_that_fit_in_whatever_order_those_in_flight_end(
    calls, left, width, data
):
    used = 0
    in_flight: list[Expected] = []
    for each in calls[: fitting(calls, left, width)]:
        while len(in_flight) >= width or (in_flight and data.draw(st.booleans())):
            ended = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
            used += ended.tokens
        # the guard's rule: used + reserved + this one's estimate within the limit
        assert used + sum(one.reserved_tokens for one in in_flight) + each.reserved_tokens <= left
        in_flight.append(each)


@given(calls=CALLS, left=LEFT, width=WIDTH)
@MODEST
def test_the_first_that_does_not_fit_is_refused_when_those_that_reserve_most_are_in_flight(
    calls, left, width
):
    count = fitting(calls, left, width)
    if count == len(calls):
        return
    before = sorted(calls[:count], key=lambda one: one.reserved_tokens - one.tokens)
    split = max(0, count - (width - 1))
    settled, in_flight = before[:split], before[split:]
    reserved = sum(one.reserved_tokens for one in in_flight)
    assert sum(one.tokens for one in settled) + reserved + calls[count].reserved_tokens > left


@given(calls=CALLS, left=LEFT, more=LEFT, width=WIDTH)
@MODEST
def test_more_left_never_lets_fewer_through_and_more_at_once_never_more(calls, left, more, width):
    assert fitting(calls, left + more, width) >= fitting(calls, left, width)
    assert fitting(calls, left, width + 1) <= fitting(calls, left, width)


def test_one_after_the_other_the_last_call_needs_room_for_what_it_reserves():
    calls = [call(10, 5)] * 10
    assert fitting(calls, 105, 1) == 10
    assert fitting(calls, 104, 1) == 9
    # three at once: two others may reserve five more each
    assert fitting(calls, 115, 3) == 10
    assert fitting(calls, 114, 3) == 9


def test_a_budget_without_a_limit_lets_all_through_and_one_that_is_overdrawn_none():
    calls = planned([call(10)] * 3)
    free = budget_forecast(budget(None, used=10**12), calls, TERMS)
    spent = budget_forecast(budget(100, used=90, reserved=20), calls, TERMS)
    assert (free.fits, free.fitting, free.budget.left) == (True, 3, None)
    assert (spent.fits, spent.fitting, spent.calls, spent.budget.left) == (False, 0, 3, 0)


def test_an_empty_budget_lets_one_call_through_whatever_it_reserves():
    calls = planned([call(10, 490), call(10, 490)])
    assert budget_forecast(budget(100), calls, TERMS).fitting == 1
    assert budget_forecast(budget(100, used=1), calls, TERMS).fitting == 0
    assert budget_forecast(budget(100, reserved=1), calls, TERMS).fitting == 0


def test_what_calls_in_flight_reserve_is_not_left():
    assert budget(100, used=30, reserved=50).left == 20


def test_a_sites_budget_is_asked_for_that_sites_calls_alone():
    calls = planned([call(10)] * 3, 1001) + planned([call(10)] * 5, 1002)
    of_site = budget_forecast(budget(35, site_id=1001), calls, TERMS)
    of_all = budget_forecast(budget(35), calls, TERMS)
    assert (of_site.calls, of_site.tokens, of_site.fits) == (3, 30, True)
    assert (of_all.calls, of_all.tokens, of_all.fitting) == (8, 80, 3)


def test_no_call_fits_into_any_budget():
    assert budget_forecast(budget(1, used=1), [], TERMS).fits


# one call


def test_a_call_is_expected_at_the_median_of_the_past_and_reserved_at_what_the_guard_reserves():
    past = PastCalls(tokens=(100, 900, 200), latency_ms=(1000, 3000), cost_per_token=Decimal("0.01"))
    each = expected(PlannedCall(1, "app", 5000), past, TERMS)
    assert (each.tokens, each.reserved_tokens, each.cost_cny) == (200, 900, Decimal(2))
    assert each.latency_ms == 2000


def test_before_the_first_call_the_prompt_is_counted_and_the_dearest_price_taken():
    each = expected(PlannedCall(1, "app", 3500), None, TERMS)
    assert (each.tokens, each.reserved_tokens, each.latency_ms) == (5000, 5000, None)
    assert each.cost_cny == Decimal("0.012")


def test_calls_whose_cost_is_not_known_cost_the_dearest_price():
    each = expected(PlannedCall(1, "app", 0), PastCalls((1000,), (), None), TERMS)
    assert each.cost_cny == Decimal("0.0024")


@given(tokens=st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
@MODEST
def test_what_is_expected_lies_within_the_past_and_is_never_more_than_what_is_reserved(tokens):
    each = expected(PlannedCall(1, "app", 9), PastCalls(tuple(tokens), (), None), TERMS)
    assert min(tokens) <= each.tokens <= each.reserved_tokens


# tokens, cost, minutes


def test_a_site_takes_as_long_as_the_slower_of_rate_and_calls():
    quick = site_forecast([call(10, 2, 1000.0)] * 84, TERMS)
    slow = site_forecast([call(10, 2, 60_000.0)] * 84, TERMS)
    unknown = site_forecast([call(10, 2)] * 84, TERMS)
    assert (quick.calls, quick.tokens, quick.reserved_tokens) == (84, 840, 1008)
    assert quick.cost_cny == Decimal("0.84")
    assert quick.minutes == unknown.minutes == 2.0
    assert slow.minutes == pytest.approx(84 / 16)


def test_fewer_calls_than_places_side_by_side_still_take_one_calls_time():
    assert site_forecast([call(1, 0, 120_000.0)] * 3, TERMS).minutes == pytest.approx(2.0)


def test_no_calls_take_nothing():
    assert site_forecast([], TERMS) == CallsForecast() == together([])


def test_sites_together_are_their_sums():
    one, two = (site_forecast([call(10, 1)] * count, TERMS) for count in (42, 84))
    both = together([one, two])
    assert (both.calls, both.tokens, both.reserved_tokens) == (126, 1260, 1386)
    assert (both.cost_cny, both.minutes) == (Decimal("1.26"), 3.0)


# terms


@pytest.mark.parametrize(
    ("rate", "share", "places"), [(60, 0.7, 42), (100, 0.29, 29), (1, 0.1, 1), (10, 0.55, 5), (60, 1.0, 60)]
)
def test_a_batchs_share_of_the_rate_is_rounded_as_the_guard_does(rate, share, places):
    limits = GuardLimits.from_settings(Settings(AI_RATE_PER_MINUTE=rate, AI_BATCH_RATE_SHARE=share))
    assert Terms.of(limits, Prices({}), 16).calls_per_minute == places


def test_the_dearest_price_is_that_of_an_unknown_model():
    prices = Prices(
        {
            "a": [Price(Decimal(1), Decimal(2), Decimal(1))],
            "b": [Price(Decimal(3), Decimal(4), Decimal(3))],
        }
    )
    made = Terms.of(GuardLimits.from_settings(Settings()), prices, 16)
    assert made.cost_per_token == Decimal("0.003")
