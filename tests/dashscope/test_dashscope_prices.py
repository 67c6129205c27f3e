"""What calls cost."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.dashscope.prices import cost_cny, price_of

PRICES = {
    "qwen-max": (Decimal("0.0024"), Decimal("0.0096")),
    "qwen-plus": (Decimal("0.0008"), Decimal("0.002")),
    "qwen-plus-thinking": (Decimal("0.0008"), Decimal("0.008")),
    "qwen-turbo": (Decimal("0.0003"), Decimal("0.0006")),
}


def test_tokens_cost_their_models_price_per_thousand_exactly():
    usage = [("qwen-plus", 121, 51), ("qwen-max", 1000, 1000)]
    assert cost_cny(usage, PRICES) == Decimal("0.0001988") + Decimal("0.0120")


def test_the_longest_prefix_gives_the_price_whatever_the_case():
    assert price_of("Qwen-Plus-Latest", PRICES) == PRICES["qwen-plus"]
    assert price_of("qwen-plus-thinking-2026-04-01", PRICES) == PRICES["qwen-plus-thinking"]


def test_an_unknown_model_costs_the_dearest_of_each_direction():
    prices = {"a": (Decimal(1), Decimal(9)), "b": (Decimal(5), Decimal(2))}
    assert price_of("unknown", prices) == (Decimal(5), Decimal(9))
    assert price_of("", prices) == (Decimal(5), Decimal(9))


def test_nothing_used_and_no_prices_cost_nothing():
    assert cost_cny([], PRICES) == 0
    assert cost_cny([("qwen-plus", 10, 10)], {}) == 0


@given(st.text(max_size=30), st.integers(0, 10**7), st.integers(0, 10**7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_model_name_makes_a_call_cheaper_than_the_cheapest_or_dearer_than_the_dearest(
    name, tokens_in, out
):
    cost = cost_cny([(name, tokens_in, out)], PRICES)
    assert cost_cny([("qwen-turbo", tokens_in, out)], PRICES) <= cost
    assert cost <= cost_cny([("nobody's", tokens_in, out)], PRICES)
