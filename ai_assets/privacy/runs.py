"""Phones, ID cards and bank cards in a text, however their digits are written and parted.

Here: which digits belong together. Not here: what so many digits are (`numbers`), how a character reads (`spelling`).
What is no such number must pass: amounts, dates, ids, a row of counts. Hence the rules on points, dates and units.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ai_assets.privacy.digits import (
    CARD,
    IDENTITY,
    LABEL_REACH,
    PARTING,
    PHONE,
    PHONE_LABEL,
    Found,
    Group,
    digit_groups,
    has_unit,
    part_sizes,
    without,
)
from ai_assets.privacy.listed import listed_numbers
from ai_assets.privacy.numbers import (
    is_bank_card,
    is_identity,
    is_landline,
    is_mobile,
    is_service_number,
)

_X = re.compile(r"[ \-]{0,2}[xX×]")
_LABELS = (
    (IDENTITY, re.compile(r"(?:身份证|证件|id\s?card)(?:号码|号|是|为|[\s:：=\"'])*$", re.I), 15),
    (CARD, re.compile(
        r"(?:银行卡|信用卡|储蓄卡|借记卡|bank\s?card)(?:卡号|账号|号码|号|是|为|[\s:：=\"'])*$", re.I
    ), 12),
    (PHONE, PHONE_LABEL, 7),
)  # fmt: skip
_FEWEST, _LONGEST = 10, 20
_LONGEST_CHAIN, _GROUPS_IN_A_LONG_CHAIN = 64, 5
_MOST_PARTS = 5
_CARD_RANK = 1
_AMOUNTS_FRACTION = 3


class _Reading(NamedTuple):
    rank: int
    found: Found
    groups: int


def numbers_in(text: str) -> list[Found]:
    """Each such number of a text as `spelling.seen` gives it, in order. Time grows with its length."""
    groups = digit_groups(text)
    # first, for a label makes a phone of seven digits, and four more may follow a comma
    found = list(listed_numbers(text, groups, labelled=True))
    found += [one for chain in _chains(text, without(groups, found)) for one in _in_chain(text, chain)]
    return sorted([*found, *listed_numbers(text, without(groups, found))], key=lambda one: one.start)


def _in_chain(text: str, chain: Sequence[Group]) -> Iterator[Found]:
    at = 0
    while at < len(chain):
        found, used = _at(text, chain, at)
        if found is not None:
            yield found
        at += used


def _chains(text: str, groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups of digits with nothing but parting characters between them, 7 digits or more in all."""
    chain: list[Group] = []
    for group in groups:
        if chain and not PARTING.fullmatch(text, chain[-1].end, group.start):
            yield from _long_enough(text, chain)
            chain = []
        chain.append(group)
    yield from _long_enough(text, chain)


def _long_enough(text: str, chain: list[Group]) -> Iterator[list[Group]]:
    if sum(len(group.digits) for group in chain) < 7:
        return
    part: list[Group] = []
    for number, group in enumerate(chain):
        if part and _is_decimal_point(text, chain, number):
            yield part
            part = []
        part.append(group)
    yield part


def _is_decimal_point(text: str, chain: Sequence[Group], number: int) -> bool:
    """Whether a lone point before this group makes it the fraction of an amount or a ratio."""
    before, group = chain[number - 1], chain[number]
    if text[before.end : group.start] != ".":
        return False
    points = [
        text[chain[n - 1].end : chain[n].start] == "." for n in (number - 1, number + 1) if 0 < n < len(chain)
    ]
    return not any(points) and (len(group.digits) <= _AMOUNTS_FRACTION or before.digits == "0")


def _at(text: str, chain: Sequence[Group], at: int) -> tuple[Found | None, int]:
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


def _surest(text: str, chain: Sequence[Group], at: int) -> _Reading | None:
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
    text: str, groups: Sequence[Group], digits: str, shielded: bool
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


def _is_phone(text: str, groups: Sequence[Group], digits: str) -> bool:
    if is_mobile(digits) or is_landline(digits):
        return True
    start = groups[0].start
    abroad = 10 <= len(digits) <= 14 and text[max(0, start - 1) : start] == "+"
    return abroad or (len(groups) > 1 and is_service_number(digits))


def _parted_as_phone(groups: Sequence[Group]) -> bool:
    sizes = part_sizes(groups)
    return len(sizes) <= _MOST_PARTS or max(sizes) <= 2


def _parted_as_card(groups: Sequence[Group]) -> bool:
    sizes = part_sizes(groups)
    return all(size >= 3 for size in sizes[:-1]) or max(sizes) == 1


def _labelled(text: str, chain: Sequence[Group], at: int) -> tuple[Found, int] | None:
    """Digits after a word for such a number are one, mistyped or not."""
    first = chain[at]
    before = text[max(0, first.start - LABEL_REACH) : first.start]
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


def _is_amount(text: str, start: int, end: int, groups: Sequence[Group]) -> bool:
    """Whether it is money or a share: 1500 2300 180 元. Eleven digits in one are no amount of a venue."""
    return len(groups) > 1 and has_unit(text, start, end)


def _is_fraction(text: str, start: int) -> bool:
    return text[max(0, start - 2) : start] == "0." and not text[max(0, start - 3) : start - 2].isdigit()
