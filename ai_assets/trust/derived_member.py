"""What follows from a member's record: the rhythm of visits, an assistant's part, an order's part, the last month's.

Here: these. Not here: what follows from every prompt's tables (`derived`, `derived_parts`). `wholes` are a prompt's
levels of the whole, of no single day, area or person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_assets.trust.derived_parts import of_period
from ai_assets.trust.facts import Fact, Facts

_HALF_A_YEAR, _MONTH = 180, 30


def of_the_rhythm(wholes: Sequence[Fact]) -> Iterator[Fact]:
    """已隔81天，是平均间隔的5.1倍."""
    told = of_period(wholes, "")
    since = told.get("距最近到店天数")
    for name in ("平均间隔天数", "间隔天数中位数"):
        usual = told.get(name)
        if since is not None and usual is not None and usual.value:
            both = since.measures | usual.measures
            times = since.value / usual.value
            yield since.like(
                times, kind="ratio", measures=both, aspect="compared", path=f"距最近到店天数/{name}"
            )
            yield since.like(since.value - usual.value, measures=both, aspect="compared")


def of_assistants(facts: Facts, wholes: Sequence[Fact]) -> Iterator[Fact]:
    """米洛占助教费的七成: one assistant's part in what the member paid, and in the member's orders."""
    told = of_period(wholes, "")
    for fact in facts.listed:
        if fact.aspect == "level" and any(name.startswith("n:") for name in fact.entities):
            for name in fact.measures & {"助教费", "订单数"}:
                if name in told and told[name].value:
                    yield fact.like(fact.value * 100 / told[name].value, kind="percent", aspect="share")


def per_order(wholes: Sequence[Fact]) -> Iterator[Fact]:
    """平均每单优惠4.51元: an amount over the orders that it belongs to."""
    told = of_period(wholes, "")
    for name, orders in (
        ("优惠金额", "优惠订单数"),
        *((name, "订单数") for name in ("优惠金额", "台费", "助教费", "商品")),
    ):
        if name in told and orders in told and told[orders].value:
            value = told[name].value / told[orders].value
            yield told[name].like(value, measures=frozenset({name, "每单实付", "每次到店实付"}), aspect="per")
    if "优惠订单数" in told and "订单数" in told:
        rest = told["订单数"].value - told["优惠订单数"].value
        yield told["优惠订单数"].like(rest, path="订单数 - 优惠订单数")


def of_recent(wholes: Sequence[Fact]) -> Iterator[Fact]:
    """近30天占半年的53.3%: the last thirty days of what the half year has."""
    told = {
        ("实付" if name == "实付合计" else name): fact
        for fact in wholes
        if fact.scope == _HALF_A_YEAR and not fact.period
        for name in fact.measures
    }
    for fact in wholes:
        if fact.scope == _MONTH and fact.period == "now":
            for name in fact.measures & told.keys() & {"实付", "订单数", "到店天数"}:
                if told[name].value:
                    value = fact.value * 100 / told[name].value
                    yield fact.like(
                        value, kind="percent", aspect="share", measures=frozenset({name, "实付合计"})
                    )
