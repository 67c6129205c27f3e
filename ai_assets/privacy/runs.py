"""Phones, ID cards and bank cards in a text, however their digits are written and parted.

Here: which digits belong together. Not here: what so many digits are (`numbers`), how a character reads (`spelling`).
What is no such number must pass: amounts, dates, ids, a row of counts. Hence the rules on points, dates and units.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ai_assets.privacy.numbers import (
    is_bank_card,
    is_identity,
    is_landline,
    is_mobile,
    is_service_number,
)

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
# no comma and no line end: those part figures
_PARTING = re.compile(r"[ \t\-‐‑‒–—―−.·•・‧_/()]{0,3}")
_DATE = r"(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
_NO_PHONE = re.compile(
    rf"(?<!\d){_DATE}(?!\d)|[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}", re.I
)
_X = re.compile(r"[ \-]{0,2}[xX×]")
_MONEY_BEFORE = re.compile(r"[¥￥$]\s*$")
_UNIT_AFTER = re.compile(r"\s*(?:元(?!旦|宵)|块|%|％|[万亿]元?)")
_LABELS = (
    (IDENTITY, re.compile(r"(?:身份证|证件|id\s?card)(?:号码|号|是|为|[\s:：=\"'])*$", re.I), 15),
    (CARD, re.compile(
        r"(?:银行卡|信用卡|储蓄卡|借记卡|bank\s?card)(?:卡号|账号|号码|号|是|为|[\s:：=\"'])*$", re.I
    ), 12),
    (PHONE, re.compile(
        r"(?:电话|手机|座机|联系方式|(?<![a-z])(?:tel|phone|mobile))(?:号码|号|是|为|[\s:：=.\"'+(])*$", re.I
    ), 7),
)  # fmt: skip
_LABEL_REACH = 24
_FEWEST, _LONGEST = 10, 20
_LONGEST_CHAIN, _GROUPS_IN_A_LONG_CHAIN = 64, 5
_MOST_PARTS = 5
_CARD_RANK = 1
_AMOUNTS_FRACTION = 3


@dataclass(frozen=True)
class Found:
    """A passage of the text that was looked at, and what stands there."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class _Group:
    start: int
    end: int
    digits: str
    spelled: bool  # in Chinese numerals, which are words too
    shielded: bool  # part of a date or of a machine's id: no phone and no card


class _Reading(NamedTuple):
    rank: int
    found: Found
    groups: int


def numbers_in(text: str) -> Iterator[Found]:
    """Each such number of a text as `spelling.seen` gives it, in order. Time grows with its length."""
    for chain in _chains(text):
        at = 0
        while at < len(chain):
            found, used = _at(text, chain, at)
            if found is not None:
                yield found
            at += used


def _chains(text: str) -> Iterator[list[_Group]]:
    """Groups of digits with nothing but parting characters between them, 7 digits or more in all."""
    shields = [found.span() for found in _NO_PHONE.finditer(text)]
    ends = [end for _, end in shields]
    chain: list[_Group] = []
    for found in _GROUPS.finditer(text):
        start, end = found.span()
        if chain and not _PARTING.fullmatch(text, chain[-1].end, start):
            yield from _long_enough(text, chain)
            chain = []
        shield = bisect_right(ends, start)
        shielded = shield < len(shields) and shields[shield][0] <= start
        spelled = found[0][0] in NUMERALS
        chain.append(_Group(start, end, found[0].translate(_TO_DIGITS), spelled, shielded))
    yield from _long_enough(text, chain)


def _long_enough(text: str, chain: list[_Group]) -> Iterator[list[_Group]]:
    if sum(len(group.digits) for group in chain) < 7:
        return
    part: list[_Group] = []
    for number, group in enumerate(chain):
        if part and _is_decimal_point(text, chain, number):
            yield part
            part = []
        part.append(group)
    yield part


def _is_decimal_point(text: str, chain: Sequence[_Group], number: int) -> bool:
    """Whether a lone point before this group makes it the fraction of an amount or a ratio."""
    before, group = chain[number - 1], chain[number]
    if text[before.end : group.start] != ".":
        return False
    points = [
        text[chain[n - 1].end : chain[n].start] == "." for n in (number - 1, number + 1) if 0 < n < len(chain)
    ]
    return not any(points) and (len(group.digits) <= _AMOUNTS_FRACTION or before.digits == "0")


def _at(text: str, chain: Sequence[_Group], at: int) -> tuple[Found | None, int]:
    """What begins at this group, and how many groups it takes (1 where nothing does)."""
    best = _surest(text, chain, at)
    if best is not None:
        # 星期一 or 张三 before a number is not its first digit, and would make of it what it is not
        is_word = chain[at].spelled and best.groups > 1 and chain[at].end == chain[at + 1].start
        for later in range(at + 1, at + best.groups):
            rival = _surest(text, chain, later)
            if rival is not None and rival.rank < best.rank + is_word:
                return None, 1
        return best.found, best.groups
    return _labelled(text, chain, at) or (None, 1)


def _surest(text: str, chain: Sequence[_Group], at: int) -> _Reading | None:
    """The surest of the numbers that may begin at this group."""
    start = chain[at].start
    if _is_fraction(text, start):
        return None
    best: _Reading | None = None
    digits = ""
    shielded = False
    # nobody writes one number in more groups; a page full of digits must not be tried in every way
    reach = _LONGEST if len(chain) <= _LONGEST_CHAIN else _GROUPS_IN_A_LONG_CHAIN
    for number, group in enumerate(chain[at : at + reach], 1):
        digits += group.digits
        shielded = shielded or group.shielded
        if len(digits) > _LONGEST:
            break
        if len(digits) < _FEWEST:
            continue
        for rank, kind, end in _readings(text, chain[at : at + number], digits, shielded):
            # of two that are cards the longer: 16 of its 19 digits may have a right sum too
            if best is None or rank < best.rank or rank == best.rank == _CARD_RANK:
                best = _Reading(rank, Found(start, end, kind), number)
    return best


def _readings(
    text: str, groups: Sequence[_Group], digits: str, shielded: bool
) -> Iterator[tuple[int, str, int]]:
    """(rank, kind, end) of each number that these groups may be; the lowest rank is the surest."""
    start, end = groups[0].start, groups[-1].end
    amount = _is_amount(text, start, end, groups)
    if not (shielded or amount) and _parted_as_phone(groups) and _is_phone(text, groups, digits):
        yield 2, PHONE, end
    if len({group.spelled for group in groups}) > 1:
        # a phone is dictated as it comes; beside a longer number 一 is a word
        return
    if len(digits) == 18 and is_identity(digits):
        yield 0, IDENTITY, end
    if len(digits) == 17 and is_identity(digits + "X") and (check := _X.match(text, end)):
        yield 0, IDENTITY, check.end()
    if shielded or amount:
        return
    if _parted_as_card(groups) and is_bank_card(digits, parted=len(groups) > 1):
        yield _CARD_RANK, CARD, end
    if len(digits) == 15 and is_identity(digits):
        yield 3, IDENTITY, end


def _is_phone(text: str, groups: Sequence[_Group], digits: str) -> bool:
    if is_mobile(digits) or is_landline(digits):
        return True
    start = groups[0].start
    abroad = 10 <= len(digits) <= 14 and text[max(0, start - 1) : start] == "+"
    return abroad or (len(groups) > 1 and is_service_number(digits))


def _parted_as_phone(groups: Sequence[_Group]) -> bool:
    sizes = _parts(groups)
    return len(sizes) <= _MOST_PARTS or max(sizes) <= 2


def _parted_as_card(groups: Sequence[_Group]) -> bool:
    sizes = _parts(groups)
    return all(size >= 3 for size in sizes[:-1]) or max(sizes) == 1


def _parts(groups: Sequence[_Group]) -> list[int]:
    """How many digits stand together: those of two kinds, as in 138零零, are one part."""
    sizes = [len(groups[0].digits)]
    for before, group in pairwise(groups):
        if before.end == group.start:
            sizes[-1] += len(group.digits)
        else:
            sizes.append(len(group.digits))
    return sizes


def _labelled(text: str, chain: Sequence[_Group], at: int) -> tuple[Found, int] | None:
    """Digits after a word for such a number are one, mistyped or not."""
    first = chain[at]
    before = text[max(0, first.start - _LABEL_REACH) : first.start]
    for kind, label, fewest in _LABELS:
        if not label.search(before):
            continue
        total, end, used = 0, first.end, 0
        for group in chain[at:]:
            if group.shielded or total + len(group.digits) > _LONGEST:
                break
            total, end, used = total + len(group.digits), group.end, used + 1
        if total >= fewest:
            return Found(first.start, end, kind), used
    return None


def _is_amount(text: str, start: int, end: int, groups: Sequence[_Group]) -> bool:
    """Whether it is money or a share: 1500 2300 180 元. Eleven digits in one are no amount of a venue."""
    return len(groups) > 1 and (
        _UNIT_AFTER.match(text, end) is not None
        or _MONEY_BEFORE.search(text[max(0, start - 4) : start]) is not None
    )


def _is_fraction(text: str, start: int) -> bool:
    return text[max(0, start - 2) : start] == "0." and not text[max(0, start - 3) : start - 2].isdigit()
