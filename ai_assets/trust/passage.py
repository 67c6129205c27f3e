"""One text of an answer taken apart: its figures, its mentions, its sentences and clauses.

Here: what stands near a figure. Not here: whether it is true (`judging`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import islice, pairwise
from typing import Final

from ai_assets.trust.facts import NONE
from ai_assets.trust.figures_in_text import figures_in_text
from ai_assets.trust.topics import ENTITY, Mention, mentions
from ai_assets.trust.written import Written

_CLAUSE_END: Final = re.compile(r"[，。；;！!？?\n]|,(?!\d)")
_SENTENCE_END: Final = re.compile(r"[。；;！!？?\n]")
_JOINED: Final = re.compile(r"^\s*(?:[和与及、/，跟至到~\-]|以及|还有|加上?|（[^）]{0,6}）)\s*$")
_SPAN_BEFORE: Final = re.compile(r"(?:近|过去|最近|前|每|按|[前上]一个|[前上]个)\s?$")
_SPAN_AFTER: Final = re.compile(r"\s?(?:平均|均值)")
_UNTIL: Final = re.compile(r"\s?(?:至|到|-|~|—|–)\s?")
_AS_OF: Final = re.compile(r"(?:截至|截止到?)\s?$")
LONGEST_AROUND: Final = 160
"""So much before and after a figure is looked at, whatever the text's sentences are."""


@dataclass(frozen=True)
class Passage:
    """A plain text with its figures and mentions; `earlier`: mentions of the item's texts before it."""

    text: str
    figures: tuple[Written, ...]
    mentions: tuple[Mention, ...]
    earlier: tuple[Mention, ...] = ()
    earlier_text: str = ""
    overflow: bool = False
    _starts: list[int] = field(default_factory=list)
    kept: dict[str, frozenset[str]] = field(default_factory=dict)
    """What was found out of the whole passage, for its next figure."""

    def clause_start(self, at: int) -> int:
        """Where the clause around a place begins."""
        return self._before(self._clause_ends, at)

    def sentence_start(self, at: int) -> int:
        """Where the sentence around a place begins."""
        return self._before(self._sentence_ends, at)

    def clause_end(self, at: int) -> int:
        """Where the clause around a place ends."""
        return self._after(self._clause_ends, at)

    def sentence_end(self, at: int) -> int:
        """Where the sentence around a place ends."""
        return self._after(self._sentence_ends, at)

    def named(self, what: str, start: int, end: int) -> list[Mention]:
        """The mentions of measures, or of entities, that lie between two places."""
        first = bisect_left(self._starts, start)
        last = bisect_right(self._starts, end)
        return [one for one in self.mentions[first:last] if one.what == what and one.end <= end]

    def group(self, found: list[Mention]) -> list[Mention]:
        """The last mentions that are joined by 和, 、 and the like."""
        if not found:
            return []
        joined = [found[-1]]
        for one in reversed(found[:-1]):
            if not _JOINED.match(self.text[one.end : joined[-1].start]) or len(joined) > 12:
                break
            joined.append(one)
        return joined[::-1]

    def _before(self, ends: list[int], at: int) -> int:
        place = bisect_right(ends, at)
        return max(ends[place - 1] if place else 0, at - LONGEST_AROUND)

    def _after(self, ends: list[int], at: int) -> int:
        place = bisect_left(ends, at + 1)
        return min(ends[place] - 1 if place < len(ends) else len(self.text), at + LONGEST_AROUND)

    def figure_before(self, at: int) -> Written | None:
        """The last claim (no date, no rank, no 近30天) that ends at or before a place."""
        place = bisect_right(self._claim_ends, at)
        return self._claims[place - 1] if place else None

    def figure_after(self, at: int) -> int | None:
        """Where the first figure at or after a place begins."""
        place = bisect_left(self._figure_starts, at)
        return self._figure_starts[place] if place < len(self._figure_starts) else None

    def claims_beside(self, figure: Written) -> list[Written]:
        """The claims right before and right after one."""
        after = bisect_left(self._claim_starts, figure.end)
        before = bisect_right(self._claim_ends, figure.start) - 1
        return [self._claims[place] for place in (before, after) if 0 <= place < len(self._claims)]

    def claims_between(self, start: int, end: int) -> int:
        """How many claims lie between two places."""
        return bisect_right(self._claim_ends, end) - bisect_left(self._claim_starts, start)

    @cached_property
    def _claims(self) -> list[Written]:
        return [
            one
            for one in self.figures
            if one.day is None
            and one.kind != "ordinal"
            and not (
                one.kind == "days"
                and (
                    _SPAN_BEFORE.search(self.text, max(0, one.start - 4), one.start)
                    or _SPAN_AFTER.match(self.text, one.end)
                )
            )
        ]

    @cached_property
    def _claim_ends(self) -> list[int]:
        return [one.end for one in self._claims]

    @cached_property
    def _claim_starts(self) -> list[int]:
        return [one.start for one in self._claims]

    @cached_property
    def _figure_starts(self) -> list[int]:
        return [one.start for one in self.figures]

    @cached_property
    def _clause_ends(self) -> list[int]:
        return [match.end() for match in _CLAUSE_END.finditer(self.text)]

    @cached_property
    def _sentence_ends(self) -> list[int]:
        return [match.end() for match in _SENTENCE_END.finditer(self.text)]


def passage(
    text: str,
    names: dict[str, str],
    earlier: Passage | None,
    most: int,
    windows: Sequence[tuple[date, date]] = (),
) -> Passage:
    """Take a plain text apart; of more than `most` figures the rest is left out and `overflow` says so.

    `windows`: spans of days that are what the prompt is about: who names one means the whole, and no day of it.
    """
    figures = list(islice(figures_in_text(text), most + 1))
    overflow = len(figures) > most
    if overflow:
        figures = figures[:most]
    found = mentions(text, names)
    dates = [figure for figure in figures if figure.day is not None and figure.kind != "year"]
    whole = _of_windows(text, dates, windows)
    found += [_of_date(figure) for figure in dates if figure.start not in whole]
    found.sort(key=lambda one: one.start)
    before = () if earlier is None else (earlier.earlier + earlier.mentions)[-200:]
    before_text = "" if earlier is None else (earlier.earlier_text + "；" + earlier.text)[-400:]
    return Passage(
        text, tuple(figures), tuple(found), before, before_text, overflow, [one.start for one in found]
    )


def _of_windows(text: str, dates: Sequence[Written], windows: Sequence[tuple[date, date]]) -> set[int]:
    """Where the dates begin that name a window: 6月1日至17日, 截至6月17日."""
    named: set[int] = set()
    ends = [(first, last) for first, last in windows if first.year >= 1]
    for one, other in pairwise(dates):
        if _UNTIL.fullmatch(text[one.end : other.start]) and any(
            _is_day(one, first) and _is_day(other, last) for first, last in ends
        ):
            named |= {one.start, other.start}
    for one in dates:
        if _AS_OF.search(text, max(0, one.start - 4), one.start) and any(
            _is_day(one, last) for _, last in ends
        ):
            named.add(one.start)
    return named


def _is_day(figure: Written, day: date) -> bool:
    year, month, of_month = figure.day or (None, None, None)
    return year in (None, day.year) and month in (None, day.month) and of_month == day.day


def _of_date(figure: Written) -> Mention:
    _, month, day = figure.day or (None, None, None)
    if month is None:
        return Mention(figure.start, figure.end, ENTITY, NONE if day is None else frozenset({f"D:0-{day}"}))
    name = f"M:{month}" if day is None else f"D:{month}-{day}"
    return Mention(figure.start, figure.end, ENTITY, frozenset({name}))
