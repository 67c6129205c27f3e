"""Groups of digits in a text: where they stand, how they are written, what stands between and beside them. Pure.

Not here: which groups are one number (`runs`, `listed`), what so many digits are (`numbers`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

PHONE, IDENTITY, CARD = "phone", "identity", "card"

NUMERALS = {
    numeral: str(digit)
    for digit, numerals in enumerate(
        ("零〇○", "一壹幺弌", "二贰貳", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
    )
    for numeral in numerals
}
_SPELLED = "".join(NUMERALS)
_GROUPS = re.compile(rf"[0-9]+|[{_SPELLED}]+")
_TO_DIGITS = str.maketrans(NUMERALS)
PARTING = re.compile(r"[ \t\-‐‑‒–—―−.·•・‧_/()]{0,3}")
"""What stands between the digits of one number and between no two numbers; all else is `listed`'s matter."""
_DATE = r"(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
_NO_PHONE = re.compile(
    rf"(?<!\d){_DATE}(?!\d)|[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}", re.I
)
PHONE_LABEL = re.compile(
    r"(?:电话|手机|座机|联系方式|(?<![a-z])(?:tel|phone|mobile))(?:号码|号|是|为|[\s:：=.\"'+(])*$", re.I
)
LABEL_REACH = 24
"""Characters before a number in which a label is looked for."""
_MONEY_BEFORE = re.compile(r"[¥￥$]\s*$")
_UNIT_AFTER = re.compile(r"\s*(?:元(?!旦|宵)|块|%|％|[万亿]元?)")


@dataclass(frozen=True)
class Found:
    """A passage of the text and what it holds."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Group:
    """Digits with nothing between them."""

    start: int
    end: int
    digits: str
    spelled: bool  # in Chinese numerals, which are words too
    shielded: bool  # part of a date or of a machine's id: no phone and no card


def digit_groups(text: str) -> list[Group]:
    """All groups of digits of a text as `spelling.seen` gives it, in order."""
    shields = [found.span() for found in _NO_PHONE.finditer(text)]
    ends = [end for _, end in shields]
    groups: list[Group] = []
    for found in _GROUPS.finditer(text):
        start, end = found.span()
        shield = bisect_right(ends, start)
        shielded = shield < len(shields) and shields[shield][0] <= start
        groups.append(Group(start, end, found[0].translate(_TO_DIGITS), found[0][0] in NUMERALS, shielded))
    return groups


def without(groups: Sequence[Group], found: Iterable[Found]) -> list[Group]:
    """The groups of which no part was found to be a number."""
    passages = sorted((one.start, one.end) for one in found)
    starts = [start for start, _ in passages]
    left: list[Group] = []
    for group in groups:
        before = bisect_right(starts, group.end - 1) - 1
        if before < 0 or passages[before][1] <= group.start:
            left.append(group)
    return left


def part_sizes(groups: Sequence[Group]) -> list[int]:
    """How many digits stand together: those of two kinds, as in 138零零, are one part."""
    sizes = [len(groups[0].digits)]
    for before, group in pairwise(groups):
        if before.end == group.start:
            sizes[-1] += len(group.digits)
        else:
            sizes.append(len(group.digits))
    return sizes


def has_unit(text: str, start: int, end: int) -> bool:
    """Whether a sign of money stands before this passage, or a unit of money or shares after it."""
    return (
        _UNIT_AFTER.match(text, end) is not None
        or _MONEY_BEFORE.search(text[max(0, start - 4) : start]) is not None
    )
