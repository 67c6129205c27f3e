"""What follows by one operation from facts that one passage names together.

Here: difference, ratio, change, sum, average, share of facts of one measure about several (two areas, two
days), and of two measures about one. Not here: which facts a passage names (`judging`). Facts that the
passage does not name are never joined: of any two numbers something could be made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from ai_assets.trust.facts import Fact

MOST_JOINED: Final = 40
_ADDS: Final = frozenset({"yuan", "orders", "people", "minutes", "visits"})


def of_several(facts: Sequence[Fact]) -> Iterator[Fact]:
    """Of facts of one kind and measure about different entities; `aspect` compared, total or average."""
    facts = facts[:MOST_JOINED]
    for one, other in combinations(facts, 2):
        if one.entities == other.entities and one.aspect == other.aspect:
            continue
        yield from _compared(one, other)
    # the whole is no part of a sum
    parts = [fact for fact in facts if fact.entities]
    if len(parts) < 2:
        return
    values = [fact.value for fact in parts if fact.aspect == parts[0].aspect]
    entities = frozenset().union(*(fact.entities for fact in parts))
    joined = replace(parts[0], entities=entities, path=f"{parts[0].group}: 合计")
    if parts[0].kind in _ADDS or parts[0].aspect == "share":
        yield replace(joined, value=sum(values), aspect="total")
        yield replace(joined, value=sum(values) / len(values), aspect="average")


def of_two_measures(one: Fact, other: Fact) -> Iterator[Fact]:
    """Of two measures of the same whole: one per the other, its share, their sum and difference."""
    both = one.measures | other.measures
    base = replace(one, measures=both, aspect="compared", path=f"{one.path}, {other.path}")
    for above, below in ((one, other), (other, one)):
        if below.value:
            ratio = above.value / below.value
            yield replace(base, value=ratio, kind=above.kind)
            yield replace(base, value=ratio, kind="ratio")
            if above.kind == below.kind:
                yield replace(base, value=ratio * 100, kind="percent")
            elif above.kind == "yuan" and below.kind == "minutes":
                yield replace(base, value=ratio * 60, kind="yuan")
    if one.kind == other.kind:
        yield replace(base, value=one.value - other.value)
        if one.kind in _ADDS:
            yield replace(base, value=one.value + other.value, aspect="total")
    if one.kind == other.kind == "percent":
        yield replace(base, value=one.value - other.value, kind="points")
        if one.aspect == other.aspect == "share":
            yield replace(base, value=one.value + other.value, aspect="share")


def _compared(one: Fact, other: Fact) -> Iterator[Fact]:
    base = replace(
        one, entities=one.entities | other.entities, aspect="compared", path=f"{one.path}, {other.path}"
    )
    if one.kind == "percent":
        yield replace(base, value=one.value - other.value, kind="points")
        yield replace(base, value=one.value + other.value, aspect="share")
        if other.value and one.value:
            yield replace(base, value=one.value / other.value, kind="ratio")
            yield replace(base, value=other.value / one.value, kind="ratio")
        return
    yield replace(base, value=one.value - other.value)
    for above, below in ((one, other), (other, one)):
        if below.value:
            yield replace(base, value=above.value / below.value, kind="ratio")
            if below.value > 0:
                yield replace(base, value=(above.value / below.value - 1) * 100, kind="percent")
                yield replace(base, value=above.value / below.value * 100, kind="percent", aspect="times")


