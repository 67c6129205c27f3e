"""What follows for the entries of a prompt's tables, one by one: per order and guest, and as parts of a whole.

Here: guests an order, a day's money per order, a part's share in a change, the best days' share. Not here: changes,
totals, averages and counts (`derived`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from ai_assets.trust.facts import NONE, Fact, Facts

_HALF_A_YEAR, _MONTH = 180, 30


def guests_per_order(facts: Facts) -> Iterator[Fact]:
    """平均每单2.5人, of either period."""
    for period in ("now", "before"):
        told = {
            name: fact
            for fact in facts.listed
            if fact.period == period and fact.aspect == "level" and not fact.entities
            for name in fact.measures
        }
        guests, orders = told.get("客人数"), told.get("订单数")
        if guests is not None and orders is not None and orders.value:
            both = guests.measures | orders.measures | {"每单客人数"}
            yield guests.like(guests.value / orders.value, measures=both, path="客人数/订单数")


def of_the_rhythm(facts: Facts) -> Iterator[Fact]:
    """已隔81天，是平均间隔的5.1倍."""
    told = {name: fact for fact in facts.listed if fact.aspect == "level" for name in fact.measures}
    since = told.get("距最近到店天数")
    for name in ("平均间隔天数", "间隔天数中位数"):
        usual = told.get(name)
        if since is not None and usual is not None and usual.value:
            both = since.measures | usual.measures
            times = since.value / usual.value
            yield since.like(times, kind="ratio", measures=both, aspect="compared", path=f"距最近到店天数/{name}")
            yield since.like(since.value - usual.value, measures=both, aspect="compared")


def of_assistants(facts: Facts) -> Iterator[Fact]:
    """米洛占助教费的七成: one assistant's part in what the member paid, and in the member's orders."""
    wholes = {
        name: fact
        for fact in facts.listed
        if fact.aspect == "level" and not fact.entities and not fact.period
        for name in fact.measures
    }
    for fact in facts.listed:
        if fact.aspect == "level" and any(name.startswith("n:") for name in fact.entities):
            for name in fact.measures & {"助教费", "订单数"}:
                if name in wholes and wholes[name].value:
                    yield fact.like(fact.value * 100 / wholes[name].value, kind="percent", aspect="share")


def per_order(facts: Facts) -> Iterator[Fact]:
    """平均每单优惠4.51元: an amount over the orders that it belongs to."""
    wholes = {
        name: fact
        for fact in facts.listed
        if fact.aspect == "level" and not fact.entities and not fact.period
        for name in fact.measures
    }
    for name, orders in (
        ("优惠金额", "优惠订单数"),
        *((name, "订单数") for name in ("优惠金额", "台费", "助教费", "商品")),
    ):
        if name in wholes and orders in wholes and wholes[orders].value:
            value = wholes[name].value / wholes[orders].value
            yield wholes[name].like(
                value, measures=frozenset({name, "每单实付", "每次到店实付"}), aspect="per"
            )
    if "优惠订单数" in wholes and "订单数" in wholes:
        rest = wholes["订单数"].value - wholes["优惠订单数"].value
        yield wholes["优惠订单数"].like(rest, path="订单数 - 优惠订单数")


def of_recent(facts: Facts) -> Iterator[Fact]:
    """近30天占半年的53.3%: the last thirty days of what the half year has."""
    wholes = {
        ("实付" if name == "实付合计" else name): fact
        for fact in facts.listed
        if fact.aspect == "level" and fact.scope == _HALF_A_YEAR and not fact.entities and not fact.period
        for name in fact.measures
    }
    for fact in facts.listed:
        if fact.scope == _MONTH and fact.period == "now" and fact.aspect == "level" and not fact.entities:
            for name in fact.measures & wholes.keys() & {"实付", "订单数", "到店天数"}:
                if wholes[name].value:
                    value = fact.value * 100 / wholes[name].value
                    yield fact.like(value, kind="percent", aspect="share", measures=frozenset({name, "实付合计"}))


def of_before(facts: Facts) -> Iterator[Fact]:
    """助教费占比由18.1%降到17.2%: what each part of the costs was of the whole, in the period before."""
    rows = [
        fact
        for fact in facts.listed
        if fact.group == "费用构成" and fact.aspect == "level" and fact.period == "before" and fact.kind == "yuan"
    ]
    whole = sum(fact.value for fact in rows)
    if whole > 0:
        for fact in rows:
            yield fact.like(fact.value * 100 / whole, kind="percent", aspect="share")


def per_hour(facts: Facts) -> Iterator[Fact]:
    """每小时净收入, of either period."""
    for period in ("now", "before"):
        told = {
            name: fact
            for fact in facts.listed
            if fact.period == period and fact.aspect == "level" and not fact.entities
            for name in fact.measures
        }
        money, time = told.get("净收入"), told.get("消费时长")
        if money is not None and time is not None and time.value:
            value = money.value * 60 / time.value
            yield money.like(value, measures=frozenset({"净收入", "每小时净收入"}), aspect="per", path="净收入/消费时长")


def of_pairs(facts: Facts) -> Iterator[Fact]:
    """九成增量出自两个区: what two parts together have of the whole's change."""
    tables: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts.listed:
        if fact.group in ("费用构成", "区域净收入构成") and fact.aspect == "change" and fact.kind == "yuan":
            tables[fact.group].append(fact)
    for rows in tables.values():
        rows = list({fact.path.rpartition(".")[0]: fact for fact in rows}.values())
        whole = sum(row.value for row in rows)
        if not whole:
            continue
        for one, other in combinations(rows, 2):
            yield one.like(
                (one.value + other.value) * 100 / whole,
                kind="percent",
                aspect="contribution",
                measures=one.measures | other.measures,
                entities=one.entities | other.entities,
            )


def of_entries(facts: Facts) -> Iterator[Fact]:
    """A day's 每单净收入, an area's 每单实付: money of one entry of a table over its orders and guests."""
    entries: dict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in facts.listed:
        if fact.entities and fact.aspect == "level" and not fact.period and "last" not in fact.entities:
            place, _, name = fact.path.rpartition(".")
            entries[place][name] = fact
    for row in entries.values():
        for money, per_order, per_guest in (
            ("净收入", "每单净收入", "人均净收入"),
            ("实付", "每单实付", "每次到店实付"),
        ):
            if money not in row:
                continue
            for name, made in (("订单数", per_order), ("客人数", per_guest), ("到店天数", per_guest)):
                if name in row and row[name].value:
                    value = row[money].value / row[name].value
                    yield row[money].like(value, measures=frozenset({made}), aspect="per")


def contributions(facts: Facts) -> Iterator[Fact]:
    """台费的减少占费用合计降幅的52.8%: a part's change over that of the whole."""
    tables: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts.listed:
        if fact.group in ("费用构成", "区域净收入构成") and fact.aspect == "change" and fact.kind == "yuan":
            tables[fact.group].append(fact)
    for rows in tables.values():
        whole = sum(row.value for row in rows)
        if whole:
            for row in rows:
                yield row.like(row.value * 100 / whole, kind="percent", aspect="contribution")


def of_selected(rows: Sequence[Fact], facts: Facts) -> Iterator[Fact]:
    """The share of the best or worst days in the whole: the prompt of a long window has no other days."""
    wholes = (
        fact
        for fact in facts.listed
        if fact.measures == rows[0].measures and fact.period == "now" and not fact.entities and fact.value > 0
    )
    whole = next((fact for fact in wholes if fact.aspect == "level"), None)
    if whole is None:
        return
    for row in rows:
        yield row.like(row.value * 100 / whole.value, kind="percent", aspect="share")
    yield rows[0].like(
        sum(row.value for row in rows) * 100 / whole.value,
        kind="percent",
        aspect="share",
        entities=NONE,
        path=f"{rows[0].group}: 前{len(rows)}项占比",
    )
