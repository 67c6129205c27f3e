"""What follows by one operation from facts that one passage names together.

Here: difference, ratio, change, sum, average, share of facts of one measure about several (two areas, two
days), and of two measures about one. Not here: which facts a passage names (`judging`). Facts that the
passage does not name are never joined: of any two numbers something could be made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from ai_assets.trust.facts import NONE, Fact, Facts

MOST_JOINED: Final = 40
_ADDS: Final = frozenset({"yuan", "orders", "people", "minutes", "visits"})


def of_several(facts: Sequence[Fact]) -> Iterator[Fact]:
    """Of facts of one kind and measure about different entities; `aspect` compared, total or average."""
    facts = facts[:MOST_JOINED]
    if facts[0].aspect == "change":
        # of changes only the sum: 三区合计减少5397元
        rows = {fact.entities: fact for fact in facts}
        if facts[0].kind in _ADDS and len(rows) > 1:
            entities = frozenset().union(*rows)
            total = sum(fact.value for fact in rows.values())
            yield facts[0].like(total, entities=entities, path=f"{facts[0].group}, 合计")
        return
    for one, other in combinations(facts, 2):
        if one.entities == other.entities:
            continue
        yield from _compared(one, other)
    # the whole is no part of a sum
    parts = [fact for fact in facts if fact.entities]
    if len(parts) < 2:
        return
    # a share stands in the prompt, rounded, and follows from the parts: each of them once
    first = {fact.entities: fact.value for fact in reversed(parts) if fact.aspect == parts[0].aspect}
    last = {fact.entities: fact.value for fact in parts if fact.aspect == parts[0].aspect}
    entities = frozenset().union(*(fact.entities for fact in parts))
    joined = parts[0].like(parts[0].value, entities=entities, path=f"{parts[0].group}: 合计")
    if parts[0].kind in _ADDS or parts[0].aspect == "share":
        for values in (list(first.values()), list(last.values())):
            yield joined.like(sum(values), aspect="total")
            yield joined.like(sum(values) / len(values), aspect="average")


def of_span(
    facts: Facts, measures: frozenset[str], first: frozenset[str], last: frozenset[str]
) -> Iterator[Fact]:
    """Total, average and share of the days from one to another, by the prompt's day to day figures."""
    starts, ends = ([name for name in named if name.startswith("d:")] for named in (first, last))
    if len(starts) != 1 or len(ends) != 1:
        return
    by_measure: dict[frozenset[str], list[Fact]] = {}
    for fact in facts.listed:
        if fact.group == "每日走势" and fact.aspect == "level" and (not measures or fact.measures & measures):
            by_measure.setdefault(fact.measures, []).append(fact)
    for rows in by_measure.values():
        within = [row for row in rows if any(starts[0] <= name <= ends[0] for name in row.entities)]
        if len(within) < 2:
            continue
        entities = frozenset().union(*(row.entities for row in within))
        joined = within[0].like(within[0].value, entities=entities, path=f"{starts[0]}, {ends[0]}")
        total = sum(row.value for row in within)
        yield joined.like(total, aspect="total")
        named = joined.measures | ({"营业日均净收入"} if "净收入" in joined.measures else NONE)
        yield joined.like(total / len(within), aspect="average", measures=named)
        yield joined.like(float(len(within)), kind="days", aspect="counted", measures=NONE)
        if whole := sum(row.value for row in rows):
            yield joined.like(total * 100 / whole, kind="percent", aspect="share")


def of_weekdays(facts: Facts, measures: frozenset[str], weekdays: frozenset[str]) -> Iterator[Fact]:
    """周五至周日: total, average a day, number and share of the days that fall on these, by the day to day figures."""
    by_measure: dict[frozenset[str], list[Fact]] = {}
    for fact in facts.listed:
        if fact.group == "每日走势" and fact.aspect == "level" and (not measures or fact.measures & measures):
            by_measure.setdefault(fact.measures, []).append(fact)
    for rows in by_measure.values():
        within = [row for row in rows if row.entities & weekdays]
        if not within:
            continue
        joined = within[0].like(
            within[0].value, entities=weekdays, path=f"每日走势: {'、'.join(sorted(weekdays))}"
        )
        total, whole = sum(row.value for row in within), sum(row.value for row in rows)
        yield joined.like(total, aspect="total")
        named = joined.measures | ({"营业日均净收入"} if "净收入" in joined.measures else NONE)
        yield joined.like(total / len(within), aspect="average", measures=named)
        for kind in ("days", "count"):
            yield joined.like(float(len(within)), kind=kind, aspect="counted", measures=NONE)
        if whole > 0:
            yield joined.like(total * 100 / whole, kind="percent", aspect="share")


def of_two_measures(one: Fact, other: Fact) -> Iterator[Fact]:
    """Of two measures of the same whole: one per the other, its share, their sum and difference."""
    both = one.measures | other.measures
    base = one.like(one.value, measures=both, aspect="compared", path=f"{one.path}, {other.path}")
    for above, below in ((one, other), (other, one)):
        if below.value:
            ratio = above.value / below.value
            yield base.like(ratio, kind=above.kind)
            yield base.like(ratio, kind="ratio")
            if above.kind == below.kind:
                yield base.like(ratio * 100, kind="percent")
            elif above.kind == "yuan" and below.kind == "minutes":
                yield base.like(ratio * 60, kind="yuan")
    if one.kind == other.kind:
        yield base.like(one.value - other.value)
        if one.kind in _ADDS:
            yield base.like(one.value + other.value, aspect="total")
    if one.kind == other.kind == "percent":
        yield base.like(one.value - other.value, kind="points")
        if one.aspect == other.aspect == "share":
            yield base.like(one.value + other.value, aspect="share")


def _compared(one: Fact, other: Fact) -> Iterator[Fact]:
    base = one.like(
        one.value, entities=one.entities | other.entities, aspect="compared", path=f"{one.path}, {other.path}"
    )
    if one.kind == "percent":
        yield base.like(one.value - other.value, kind="points")
        yield base.like(one.value + other.value, aspect="share")
        if other.value and one.value:
            yield base.like(one.value / other.value, kind="ratio")
            yield base.like(other.value / one.value, kind="ratio")
        return
    yield base.like(one.value - other.value)
    for above, below in ((one, other), (other, one)):
        if below.value:
            yield base.like(above.value / below.value, kind="ratio")
            if below.value > 0:
                yield base.like((above.value / below.value - 1) * 100, kind="percent")
                yield base.like(above.value / below.value * 100, kind="percent", aspect="times")
