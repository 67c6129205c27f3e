"""Phones and ID cards whose digits are parted as the items of a list are: 138，0013，8000 or one piece a line. Pure.

Commas, line ends, `|`, `*` and the like part amounts, counts and ids too. So such digits are a number only in the
pieces in which people write one, and not as a part of a longer list of figures. Not here: digits that blanks, dashes
and points part (`runs`), which is judged first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ai_assets.privacy.digits import (
    IDENTITY,
    LABEL_REACH,
    PARTING,
    PHONE,
    PHONE_LABEL,
    Found,
    Group,
    has_unit,
    part_sizes,
)
from ai_assets.privacy.numbers import is_identity, is_landline, is_mobile

# any signs but those that are a part of the figure beside them
_LIST_PARTING = re.compile(r"[^\w%％‰¥￥$€£]{1,4}|_{1,4}")
_MOBILE_SHAPES = frozenset({(3, 4, 4), (3, 3, 5), (3, 5, 3), (4, 3, 4), (4, 4, 3), (5, 3, 3), (3, 8), (7, 4)})
_LANDLINE_SHAPES = frozenset({(4,), (8,), (7,), (4, 4), (3, 4), (4, 3)})  # behind the area code
_YEARS_OR_DAY = re.compile(r"1\d\d(?:20[0-4]\d20[0-4]\d|20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))")
# 5678张 are pieces, 5678张先生 is somebody's number
_TITLE = "先生|女士|小姐|太太|老板|老师|师傅|经理|店长|阿姨|[总哥姐叔]"
_COUNTED = re.compile(
    r"\s*(?:笔|人|次(?!日)|单(?!独)|桌|张|个|位|小?时|分(?!机)|天|场|瓶|份|年|月|日|号(?!码)|名|倍|折)"
    rf"(?!{_TITLE})"
)
_WORD_AFTER = re.compile(r"\s?[^\W\d_]")
_MOST_DIGITS = 18
_BARE = range(3, 6)  # digits of a figure that would be a piece of a phone by its size


def listed_numbers(text: str, groups: Sequence[Group], *, labelled: bool = False) -> Iterator[Found]:
    """Each such number among `groups`, in order; `labelled`: only those after a word for a phone.

    Time grows with the count of the groups.
    """
    for run in _runs(text, groups):
        last = [_last_of_number(text, run, at, labelled) for at in range(len(run))]
        fits = _fits(text, run, last)
        at = done = 0  # groups before `done` are numbers already
        while at < len(run):
            end = last[at]
            if end is None or not fits[at] or not _may_follow(text, run, done, at, end):
                at += 1
                continue
            number = run[at : end + 1]
            yield Found(number[0].start, number[-1].end + _has_x(text, number), _kind(number))
            done = at = end + 1


def _runs(text: str, groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups with nothing but signs and blanks between them; a date or a machine's id ends a run."""
    run: list[Group] = []
    for group in groups:
        if run and (group.shielded or not _is_joined(text, run[-1], group)):
            yield run
            run = []
        if not group.shielded:
            run.append(group)
    if run:
        yield run


def _is_joined(text: str, before: Group, group: Group) -> bool:
    return any(parting.fullmatch(text, before.end, group.start) for parting in (PARTING, _LIST_PARTING))


def _last_of_number(text: str, run: Sequence[Group], at: int, only_labelled: bool) -> int | None:
    """The index of the last group of the longest number that begins at this group; None: none does."""
    labelled = _is_labelled(text, run[at].start)
    if only_labelled and not labelled:
        return None
    digits, best = "", None
    for index in range(at, len(run)):
        digits += run[index].digits
        if len(digits) > _MOST_DIGITS:
            break
        if (
            index > at
            and _is_number(digits + "X" * _has_x(text, run[at : index + 1]), run[at : index + 1], labelled)
            and _is_list(text, run[at : index + 1])
        ):
            best = index
    return best


def _has_x(text: str, groups: Sequence[Group]) -> bool:
    """Whether an X ends these digits as the check digit of an ID card."""
    end = groups[-1].end
    return len(_digits(groups)) == _MOST_DIGITS - 1 and text[end : end + 1] in {"x", "X"}


def _is_number(digits: str, groups: Sequence[Group], labelled: bool) -> bool:
    """Whether these digits, with an X behind those of an ID card, are a phone's or an ID card's, in its pieces."""
    if len(digits) == _MOST_DIGITS:
        return is_identity(digits) and min(part_sizes(groups)) >= _BARE.start
    if len(digits) == 11 and is_mobile(digits):
        usual = tuple(part_sizes(groups)) in _MOBILE_SHAPES and not _YEARS_OR_DAY.fullmatch(digits)
        return usual or labelled
    if is_landline(digits):
        area, *rest = part_sizes(groups)
        return area in {3, 4} and tuple(rest) in _LANDLINE_SHAPES
    return labelled and len(digits) in {7, 8} and tuple(part_sizes(groups)) in _LANDLINE_SHAPES


def _is_list(text: str, groups: Sequence[Group]) -> bool:
    """Whether more than blanks and dashes part them (`runs` judges those), and no unit or point beside them."""
    start, end = groups[0].start, groups[-1].end
    return not (
        all(PARTING.fullmatch(text, one.end, other.start) for one, other in pairwise(groups))
        or _is_piece_of_decimal(text, start, end)
        or has_unit(text, start, end)
        or _COUNTED.match(text, end)
    )


def _is_sure(text: str, groups: Sequence[Group]) -> bool:
    """Whether the digits say it, whatever stands beside them: no figure begins with 0."""
    return (
        _kind(groups) == IDENTITY
        or any(group.digits[0] == "0" for group in groups)
        or _is_labelled(text, groups[0].start)
    )


def _fits(text: str, run: Sequence[Group], last: Sequence[int | None]) -> list[bool]:
    """Of each group, whether the number that begins there ends with no bare figure behind it, as in a longer list.

    Another number may follow, of which that is true as well.
    """
    fits = [False] * len(run)
    for at in range(len(run) - 1, -1, -1):
        end = last[at]
        if end is not None:
            behind = end + 1
            fits[at] = (
                behind == len(run)
                or fits[behind]
                or not _is_bare(text, run[behind])
                or _is_sure(text, run[at : end + 1])
            )
    return fits


def _may_follow(text: str, run: Sequence[Group], done: int, at: int, end: int) -> bool:
    """Whether no bare figure stands before the number `run[at : end + 1]`."""
    return at == done or not _is_bare(text, run[at - 1]) or _is_sure(text, run[at : end + 1])


def _is_bare(text: str, group: Group) -> bool:
    return len(group.digits) in _BARE and _WORD_AFTER.match(text, group.end) is None


def _is_piece_of_decimal(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return (before[-1:] == "." and before[:1].isdigit()) or (after[:1] == "." and after[1:].isdigit())


def _is_labelled(text: str, start: int) -> bool:
    return PHONE_LABEL.search(text[max(0, start - LABEL_REACH) : start]) is not None


def _kind(groups: Sequence[Group]) -> str:
    return IDENTITY if len(_digits(groups)) >= _MOST_DIGITS - 1 else PHONE


def _digits(groups: Sequence[Group]) -> str:
    return "".join(group.digits for group in groups)
