"""A figure that an answer reckons from others that it has just told: 121分钟，比平均87分钟长34分钟.

A language model reckons as it writes, over figures that no table joins. Here: sum, difference, ratio, share and change
of figures of the same sentence that are grounded themselves, where the words say that something is reckoned; and a told
figure's share in a whole of the prompt. Not here: what follows from the prompt alone (`derived`, `combined`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Final

from ai_assets.trust.facts import Fact, Facts
from ai_assets.trust.written import Written

_MOST: Final = 7
"""So many figures of a sentence are reckoned with, the nearest."""
_SUM: Final = re.compile(r"合计|共|加起来|之和|总|相加|加在一起|算下来|合起来|累计")
_DIFFERENCE: Final = re.compile(
    r"差|比|较|多|少|高|低|长|短|超|领先|落后|剩|其余|余下|扣|减|降|增|涨|跌|缺口|净|另有|另外"
)
_SHARE: Final = re.compile(
    r"的(?:近|约|不到|将近|差不多|大概)?$|缩水|占|相当于|不到|约合|等于|抵|前者|后者|比例"
)
_OF_WHOLE: Final = re.compile(
    r"(?:占|贡献|相当于|吃掉)[^，。；]{0,6}?(净收入|费用合计|实付合计|充值金额|增量|减收|降幅|增幅|减少|增加|全部|全店|全月|全周|整体|总)"
)
_REST: Final = re.compile(r"其余|其他|剩|另外")
_PRODUCT: Final = re.compile(r"乘|折算")
_HELD_AGAINST: Final = re.compile(r"比|较")
_ADDS: Final = frozenset(
    {"yuan", "number", "orders", "people", "visits", "minutes", "days", "percent", "points", "count"}
)
_WHOLES: Final = frozenset(
    {"净收入", "费用合计", "实付合计", "订单数", "客人数", "到店天数", "充值金额", "优惠金额"}
)
_SHARES: Final = frozenset({"percent", "ratio"})


def follows(
    figure: Written, clause: str, since: int, told: Sequence[Written], direction: int, facts: Facts
) -> bool:
    """Whether the figure is reckoned from `told`, the grounded figures before it in its sentence, nearest last.

    `clause`: its own words before it, `since` where they begin; `direction`: 1 where they tell
    of more, -1 of less, 0 of neither.
    """
    if figure.value is None:
        return False
    told = [one for one in told if one.value is not None and one.kind in _ADDS][-_MOST:]
    low, high = sorted((abs(figure.low), abs(figure.high)))
    if figure.kind in _SHARES or figure.kind == "points":
        found = _shares(figure, clause, since, told, direction, facts)
    else:
        found = _amounts(figure, clause, since, told, direction, facts)
    return any(low <= most and least <= high for least, most in found)


def against(
    figure: Written, clause: str, told: Sequence[Written], direction: int, held: Sequence[Fact]
) -> bool:
    """Whether it is what a told figure has more or less than a fact that its words name: 比每单均值高161.85元."""
    if figure.value is None or not _HELD_AGAINST.search(clause):
        return False
    low, high = sorted((abs(figure.low), abs(figure.high)))
    for one in told[-3:]:
        for fact in held:
            if not _alike(one.kind, fact.kind) or fact.value <= 0:
                continue
            if (direction > 0 and one.high < fact.value) or (direction < 0 and one.low > fact.value):
                continue
            if figure.kind == "percent":
                least, most = _span((one.low / fact.value - 1) * 100, (one.high / fact.value - 1) * 100)
            elif _alike(one.kind, figure.kind):
                least, most = _span(one.low - fact.value, one.high - fact.value)
            else:
                continue
            if low <= most and least <= high:
                return True
    return False


def _amounts(
    figure: Written, clause: str, since: int, told: Sequence[Written], direction: int, facts: Facts
) -> Iterator[tuple[float, float]]:
    same = [one for one in told if _alike(one.kind, figure.kind)]
    if _SUM.search(clause):
        for number in range(2, len(same) + 1):
            yield sum(one.low for one in same[-number:]), sum(one.high for one in same[-number:])
    if _REST.search(clause) and figure.kind == "yuan":
        for whole in _wholes(facts, ""):
            for number in range(1, len(same) + 1):
                yield _span(
                    whole - sum(one.high for one in same[-number:]),
                    whole - sum(one.low for one in same[-number:]),
                )
    if _DIFFERENCE.search(clause):
        yield from _differences(same, clause, since, direction)
    if _PRODUCT.search(clause):
        for one, other in combinations(told[-3:], 2):
            if _alike(one.kind, figure.kind) != _alike(other.kind, figure.kind):
                yield one.low * other.low, one.high * other.high


def _shares(
    figure: Written, clause: str, since: int, told: Sequence[Written], direction: int, facts: Facts
) -> Iterator[tuple[float, float]]:
    if figure.kind == "points":
        yield from _differences([one for one in told if one.kind == "percent"], clause, since, direction)
        return
    pairs = [
        (one, other) for one, other in pairwise(told) if one.kind == other.kind and one.kind != "percent"
    ]
    # of two told apart by one of another unit: 6天、18.47元 … 3天、6.84元
    pairs += [
        (one, other) for one, other in zip(told, told[2:], strict=False) if one.kind == other.kind == "yuan"
    ]
    for one, other in pairs[-3:]:
        if min(one.low, other.low) <= 0:
            continue
        if figure.kind == "ratio":
            yield one.low / other.high, one.high / other.low
            yield other.low / one.high, other.high / one.low
        elif _SHARE.search(clause) and not direction:
            yield from _percents(*sorted((one, other), key=lambda each: each.low))
        elif direction:
            yield from _changes(one, other, clause, direction)
    percents = [one for one in told if one.kind == "percent"]
    if figure.kind == "percent" and _SUM.search(clause):
        for number in range(2, len(percents) + 1):
            yield sum(one.low for one in percents[-number:]), sum(one.high for one in percents[-number:])
    if figure.kind == "percent" and _REST.search(clause) and percents:
        yield 100 - percents[-1].high, 100 - percents[-1].low
    if figure.kind == "percent" and (of := _OF_WHOLE.search(clause)):
        yield from _of_wholes(told[-2:], of[1], facts)


def _percents(part: Written, whole: Written) -> Iterator[tuple[float, float]]:
    yield part.low * 100 / whole.high, part.high * 100 / whole.low


def _changes(one: Written, other: Written, clause: str, direction: int) -> Iterator[tuple[float, float]]:
    """由18.47元降到6.84元，少63.0%; 26.48元，比30.74元低13.9%."""
    new, old = (one, other) if _HELD_AGAINST.search(clause) else (other, one)
    if (new.low > old.high and direction > 0) or (new.high < old.low and direction < 0):
        yield _span((new.low / old.high - 1) * 100, (new.high / old.low - 1) * 100)


def _differences(
    told: Sequence[Written], clause: str, since: int, direction: int
) -> Iterator[tuple[float, float]]:
    for one, other in combinations(told, 2):
        more = one.low > other.high
        if not more and one.high >= other.low:
            continue
        if direction and not _HELD_AGAINST.search(clause) and more == (direction > 0):
            # 由231.43元变为225.42元，少6.01元: the later one is what it came to
            continue
        if direction and other.start >= since and _HELD_AGAINST.search(clause) and more != (direction > 0):
            continue
        yield _span(one.low - other.high, one.high - other.low)


def _of_wholes(told: Sequence[Written], of: str, facts: Facts) -> Iterator[tuple[float, float]]:
    """占全店增量的51.8%: what was just told is a part of."""
    for whole in _wholes(facts, of):
        for one in told:
            if one.kind == "yuan":
                yield one.low * 100 / whole, one.high * 100 / whole


def _wholes(facts: Facts, of: str) -> Iterator[float]:
    """The sizes of what the prompt is about, and of its changes; `of`: a measure, or a word for any."""
    for fact in facts.listed:
        if (
            not fact.entities
            and fact.aspect in ("level", "change")
            and fact.kind == "yuan"
            and fact.period != "before"
            and fact.value
            and (of in fact.measures or (of not in _WHOLES and fact.measures & _WHOLES))
        ):
            yield abs(fact.value)


def _alike(one: str, other: str) -> bool:
    return one == other or "number" in (one, other) or {one, other} <= {"days", "visits", "count"}


def _span(one: float, other: float) -> tuple[float, float]:
    """Of a difference the size."""
    if one <= 0 <= other:
        return 0.0, max(-one, other)
    low, high = sorted((abs(one), abs(other)))
    return low, high
