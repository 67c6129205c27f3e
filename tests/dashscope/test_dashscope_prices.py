"""What calls cost: tiers, cached tokens, models that are not listed, and the price file."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.dashscope.price_file import SHIPPED, read_prices
from ai_assets.dashscope.prices import Price, Prices
from ai_assets.dashscope.usage import ModelUsage
from ai_assets.errors import ConfigurationError


def price(tokens_in: str, tokens_out: str, *, cached: str | None = None, up_to: int | None = None) -> Price:
    return Price(Decimal(tokens_in), Decimal(tokens_out), Decimal(cached or tokens_in), up_to)


PRICES = Prices(
    {
        "qwen-max": [price("0.0024", "0.0096", cached="0.00048")],
        "qwen-plus": [price("0.0008", "0.002", up_to=128_000), price("0.0024", "0.02", up_to=256_000)],
        "qwen-plus-thinking": [price("0.0008", "0.008")],
        "qwen-turbo": [price("0.0003", "0.0006")],
    }
)
DEAREST = (Decimal("0.0024"), Decimal("0.02"))


def per_1000(model: str, prices: Prices = PRICES) -> tuple[Decimal, Decimal]:
    return prices.cost_cny([ModelUsage(model, 1000, 0)]), prices.cost_cny([ModelUsage(model, 0, 1000)])


def test_tokens_cost_their_models_price_per_thousand_exactly():
    usage = [ModelUsage("qwen-plus", 121, 51), ModelUsage("qwen-max", 1000, 1000)]
    assert PRICES.cost_cny(usage) == Decimal("0.0001988") + Decimal("0.0120")


@pytest.mark.parametrize(
    "model", ["qwen-plus", "Qwen-Plus", "qwen-plus-latest", "qwen-plus-2025-04-28", "QWEN-PLUS-LATEST"]
)
def test_a_models_newest_version_and_its_dated_snapshots_cost_what_the_model_costs(model):
    assert per_1000(model) == (Decimal("0.0008"), Decimal("0.002"))


def test_a_longer_id_that_is_listed_has_its_own_price():
    assert per_1000("qwen-plus-thinking-2026-04-01") == (Decimal("0.0008"), Decimal("0.008"))


@pytest.mark.parametrize(
    "model",
    [
        "qwen3-max",
        "qwen-maximum",
        "qwen-plus-character",
        "qwen-plus-2025",
        "qwen-plus-latest-x",
        "qwen-turbo-1101",
        "qwen",
        "x-qwen-plus",
        "unknown",
    ],
)
def test_any_other_id_is_unknown_and_costs_the_dearest_price_of_each_direction(model):
    assert per_1000(model) == DEAREST


def test_an_unknown_model_is_warned_of_once(caplog):
    prices = Prices(PRICES.by_model)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            per_1000("qwen3-max", prices)
        per_1000("deepseek-v3", prices)
    assert [record.args[0] for record in caplog.records] == ["qwen3-max", "deepseek-v3"]


def test_the_models_without_a_price_are_named_and_an_estimate_is_none():
    usage = [
        ModelUsage(*one)
        for one in (("qwen-max", 1, 1), ("qwen3-max", 1, 1), ("qwen-plus", 256_001, 0), ("", 9, 0))
    ]
    assert PRICES.without_price(usage) == ("qwen3-max", "qwen-plus")
    assert Prices({}).without_price(usage) == ()


def test_an_estimate_costs_the_dearest_price_and_warns_of_nothing(caplog):
    with caplog.at_level(logging.WARNING):
        assert per_1000("") == DEAREST
    assert caplog.records == []


def test_a_call_costs_the_price_of_the_tier_that_its_input_tokens_are_in():
    assert PRICES.cost_cny([ModelUsage("qwen-plus", 128_000, 1000)]) == Decimal("0.1024") + Decimal("0.002")
    assert PRICES.cost_cny([ModelUsage("qwen-plus", 128_001, 0)]) == Decimal("0.0024") * 128_001 / 1000


def test_a_call_above_its_models_last_tier_costs_the_dearest_price_and_is_warned_of(caplog):
    prices = Prices(PRICES.by_model)
    with caplog.at_level(logging.WARNING):
        cost = prices.cost_cny([ModelUsage("qwen-plus", 256_001, 1000)])
    assert cost == Decimal("0.0024") * 256_001 / 1000 + Decimal("0.02")
    assert [record.args for record in caplog.records] == [("qwen-plus", 256_001)]


def test_cached_input_tokens_cost_their_own_price_and_are_not_counted_twice():
    cost = PRICES.cost_cny([ModelUsage("qwen-max", 1000, 0, tokens_cached=400)])
    assert cost == Decimal("0.0024") * 600 / 1000 + Decimal("0.00048") * 400 / 1000
    assert PRICES.cost_cny([ModelUsage("qwen-turbo", 1000, 0, tokens_cached=400)]) == Decimal("0.0003")
    assert PRICES.cost_cny([ModelUsage("unknown", 1000, 0, tokens_cached=1000)]) == DEAREST[0]


def test_nothing_used_and_no_prices_cost_nothing():
    assert PRICES.cost_cny([]) == 0
    assert Prices({}).cost_cny([ModelUsage("qwen-plus", 10, 10)]) == 0


@given(st.text(max_size=30), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_model_name_makes_a_call_cheaper_than_the_cheapest_or_dearer_than_the_dearest(
    name, tokens_in, out, cached
):
    cost = PRICES.cost_cny([ModelUsage(name, tokens_in, out, min(cached, tokens_in))])
    least = PRICES.cost_cny([ModelUsage("qwen-turbo", tokens_in, out)])
    assert least <= cost <= PRICES.cost_cny([ModelUsage("", tokens_in, out)])


# the file


def test_the_shipped_prices_name_their_source_and_date_and_are_the_default():
    shipped = read_prices()
    assert shipped == read_prices(SHIPPED)
    assert shipped.source
    assert shipped.date == "2026-04-01"
    assert per_1000("qwen-max", shipped) == (Decimal("0.0024"), Decimal("0.0096"))
    assert per_1000("qwen-plus", shipped) == (Decimal("0.0008"), Decimal("0.002"))
    assert per_1000("qwen-turbo", shipped) == (Decimal("0.0003"), Decimal("0.0006"))


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        path = tmp_path / "prices.toml"
        path.write_text(text, "utf-8")
        return path

    return write


HEAD = 'source = "my contract"\ndate = 2026-05-01\n'
ONE = '[[price]]\nmodel = "m"\nin = 1\nout = 2.5\n'


def test_a_file_gives_models_tiers_and_cached_prices_exactly(write):
    prices = read_prices(
        write(
            HEAD
            + '[[price]]\nmodel = "M"\nup_to_input_tokens = 10\nin = 0.1\ncached_in = 0.01\nout = 0.3\n'
            + '[[price]]\nmodel = "m"\nin = 1\nout = 2\n'
        )
    )
    assert prices.by_model == {
        "m": [price("0.1", "0.3", cached="0.01", up_to=10), price("1", "2")],
    }
    assert (prices.source, prices.date) == ("my contract", "2026-05-01")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (ONE, ["source", "date"]),
        (HEAD, ["[[price]]"]),
        (HEAD + "price = 3", ["[[price]]"]),
        (HEAD + "extra = 1\n" + ONE, ["extra"]),
        (HEAD + ONE + "outt = 1", ["outt"]),
        (HEAD + "[[price]]\nin = 1\nout = 2", ["model"]),
        (HEAD + '[[price]]\nmodel = "m"\nout = 2', ["in"]),
        (HEAD + '[[price]]\nmodel = "m"\nin = -1\nout = "2"', ["in", "out"]),
        (HEAD + '[[price]]\nmodel = "m"\nin = nan\nout = inf', ["in", "out"]),
        (HEAD + '[[price]]\nmodel = "m"\nin = true\nout = 1001', ["in", "out"]),
        (HEAD + ONE + "cached_in = []", ["cached_in"]),
        (HEAD + ONE + "up_to_input_tokens = 0", ["up_to_input_tokens"]),
        (HEAD + ONE + "up_to_input_tokens = 1.5", ["up_to_input_tokens"]),
        (HEAD + ONE + ONE, ["up_to_input_tokens"]),
        (HEAD + ONE + ONE + "up_to_input_tokens = 5", ["up_to_input_tokens"]),
    ],
)
def test_each_fault_of_a_file_is_one_line_that_names_it(write, text, named):
    with pytest.raises(ConfigurationError) as wrong:
        read_prices(write(text))
    lines = str(wrong.value).splitlines()
    assert len(lines) == len(named)
    for line, name in zip(lines, named, strict=True):
        assert line.startswith("AI_PRICES_FILE ")
        assert name in line


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"= 3"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content):
    path = tmp_path / "prices.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as wrong:
        read_prices(path)
    assert len(str(wrong.value).splitlines()) == 1
