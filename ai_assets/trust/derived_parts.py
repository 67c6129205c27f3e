"""What follows for the entries of a prompt's tables, one by one: per order and guest, and as parts of a whole.

Here: guests an order, a day's money per order, an hour's, a part's share in a change, the best days' share. Not here:
changes, totals, averages and counts (`derived`), what is a member's alone (`derived_member`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from ai_assets.trust.facts import NONE, Fact, Facts


def of_period(wholes: Sequence[Fact], period: str) -> dict[str, Fact]:
    """By measure the levels of one period, "" for those of neither.

    `wholes`: a prompt's levels of no single day, area or person.
    """
    return {name: fact for fact in wholes if fact.period == period for name in fact.measures}


def guests_per_order(wholes: Sequence[Fact]) -> Iterator[Fact]:
    """平均每单2.5人, of either period."""
    for period in ("now", "before"):
        told = of_period(wholes, period)
        guests, orders = told.get("客人数"), told.get("订单数")
        if guests is not None and orders is not None and orders.value:
            both = guests.measures | orders.measures | {"每单客人数"}
            yield guests.like(guests.value / orders.value, measures=both, path="客人数/订单数")


def of_before(wholes: Sequence[Fact]) -> Iterator[Fact]:
    """助教费占比由18.1%降到17.2%: what each part of the costs was of the whole, in the period before."""
    rows = [
        fact
        for fact in wholes
        if fact.group == "费用构成" and fact.period == "before" and fact.kind == "yuan"
    ]
    whole = sum(fact.value for fact in rows)
    if whole > 0:
        for fact in rows:
            yield fact.like(fact.value * 100 / whole, kind="percent", aspect="share")


def per_hour(wholes: Sequence[Fact]) -> Iterator[Fact]:
    """每小时净收入, of either period."""
    for period in ("now", "before"):
        told = of_period(wholes, period)
        money, time = told.get("净收入"), told.get("消费时长")
        if money is not None and time is not None and time.value:
            value = money.value * 60 / time.value
            yield money.like(
                value, measures=frozenset({"净收入", "每小时净收入"}), aspect="per", path="净收入/消费时长"
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
        if not whole:
            continue
        for row in rows:
            yield row.like(row.value * 100 / whole, kind="percent", aspect="contribution")
        for one, other in combinations(rows, 2):
            # 九成增量出自两个区
            yield one.like(
                (one.value + other.value) * 100 / whole,
                kind="percent",
                aspect="contribution",
                measures=one.measures | other.measures,
                entities=one.entities | other.entities,
            )


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
