"""The facts that follow from those which a figure's sentence names together.

Here: which are joined. Not here: how (`combined`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.chinese_numerals import chinese_number
from ai_assets.trust.combined import MOST_JOINED, of_several, of_span, of_two_measures, of_weekdays
from ai_assets.trust.facts import Fact, Facts
from ai_assets.trust.fitting import Fitting
from ai_assets.trust.topics import ENTITY, Mention

_UNTIL: Final = re.compile(r"\s?(?:至|到|-|~|—|–)\s?")

_HALF_MONTH: Final = 15
_SOME_DAYS: Final = re.compile(
    r"(?P<from>[前头后末]|开头|最后)(?P<number>\d{1,2}|[二三四五六七八九十两]{1,3})[天日]|(?P<half>[上下前后]半月)"
)
_OTHER_PERIOD: Final = re.compile(r"较|比|上|原|前|由|从")
_ALL_OF_THEM: Final = re.compile(r"[两二三四]个?(?:区|者|项|处|天|地|块|边)|合计|加起来|一共")


def _length(facts: Facts, first: Mention, last: Mention) -> Iterator[Fact]:
    """5月20日到31日这12天."""
    days = [re.fullmatch(r"D:(\d+)-(\d+)", next(iter(one.named), "")) for one in (first, last)]
    if facts.as_of is None or any(day is None for day in days):
        return
    try:
        begin, end = (date(facts.as_of.year, int(day[1]), int(day[2])) for day in days if day is not None)
    except ValueError:
        return
    if begin < end:
        yield Fact(float((end - begin).days + 1), "days", aspect="counted", path=f"{begin}, {end}")


def _number(words: str) -> int:
    return int(words) if words.isdecimal() else int(chinese_number(words) or 0)


def _of_days(measures: frozenset[str]) -> frozenset[str]:
    """营业日均净收入 is held against a day's 净收入."""
    return frozenset("净收入" if name == "营业日均净收入" else name for name in measures)


class Joining(Fitting):
    """And what its sentence joins."""

    def combined(self) -> Iterator[Fact]:
        """Facts that follow from those that the figure's sentence names together."""
        measures = self.measures
        sets = [self._joined_entities()]
        if 1 < len(self.entities) < len(sets[0]):
            # 大厅A区、C区合计…，补不上贵宾区: of those that the figure is of, and not of all
            sets.append(self.entities)
        for entities in sets:
            yield from self._of_entities(entities, measures)
        yield from self._of_spans(measures)
        yield from self._of_first_days(measures)
        named = self.entities or self._resolved(self.said.named(ENTITY, *self._sentence_ahead))
        weekdays = frozenset(name for name in named if name.startswith("w:"))
        if len(weekdays) > 1:
            yield from of_weekdays(self.facts, _of_days(measures), weekdays)
        named = self.sentence_measures & self._known_measures
        if len(named) >= 2:
            wholes = [
                fact
                for fact in self.facts.listed
                if fact.measures & named
                and (not fact.entities or fact.entities & self.entities)
                and fact.aspect in ("level", "share")
                and (not fact.period or fact.period == (self.period or "now"))
            ][:MOST_JOINED]
            for place, one in enumerate(wholes):
                for other in wholes[place + 1 :]:
                    if (
                        one.measures != other.measures
                        and one.entities == other.entities
                        and one.group == other.group
                    ):
                        yield from of_two_measures(one, other)

    def _joined_entities(self) -> frozenset[str]:
        """What the sentence names; of 两区合计 what the item named before."""
        named = self.sentence_entities
        if named or not _ALL_OF_THEM.search(self.clause_before):
            return named
        return self._resolved(self.said.named(ENTITY, 0, self.sentence_start)) or self._resolved(
            self.said.earlier
        )

    def _of_entities(self, entities: frozenset[str], measures: frozenset[str]) -> Iterator[Fact]:
        if not entities:
            return
        levels: dict[tuple[frozenset[str], str, str], list[Fact]] = {}
        other = _OTHER_PERIOD.search(self.clause_before) is not None
        for fact in self.facts.listed:
            if not fact.measures or fact.aspect not in ("level", "share", "average", "change"):
                continue
            if fact.period == "before" and not (other and fact.aspect == "level"):
                continue
            if measures and not fact.measures & measures:
                continue
            if fact.entities and (not self._is_named(fact) or self._is_in_a_group(fact)):
                continue
            whole = not fact.entities and fact.aspect not in ("share", "change")
            if fact.entities & entities or (whole and self._speaks_of_the_whole(fact)):
                aspect = fact.aspect if fact.aspect in ("share", "change") else ""
                aspect += fact.period if fact.period == "before" else ""
                levels.setdefault((_of_days(fact.measures), fact.kind, aspect), []).append(fact)
        for found in levels.values():
            distinct = {(fact.entities, fact.aspect, fact.value): fact for fact in found}
            if 2 <= len(distinct) <= MOST_JOINED:
                yield from of_several(list(distinct.values()))

    def _of_first_days(self, measures: frozenset[str]) -> Iterator[Fact]:
        """前15天合计, 下半月: the first or last days of the prompt's day to day figures."""
        days = sorted(
            {
                name
                for fact in self.facts.listed
                if fact.group == "每日走势"
                for name in fact.entities
                if name[0] == "d"
            }
        )
        said = self.said.text[self._sentence_ahead[0] : self.clause_end]
        for told in _SOME_DAYS.finditer(said):
            half = told["half"]
            number = _HALF_MONTH if half else _number(told["number"])
            first = half in ("上半月", "前半月") or (told["from"] or "")[:1] in ("前", "头", "开")
            if half and not first:
                number = len(days) - _HALF_MONTH
            if 1 < number < len(days):
                some = days[:number] if first else days[-number:]
                yield from of_span(self.facts, _of_days(measures), frozenset(some[:1]), frozenset(some[-1:]))

    def _of_spans(self, measures: frozenset[str]) -> Iterator[Fact]:
        """6月8日至14日合计: of the days from one date to another."""
        said = self.said
        dates = [
            one
            for one in said.named(ENTITY, self._sentence_ahead[0], self.figure.start)
            if any(name.startswith("D:") for name in one.named)
        ]
        for first, last in list(pairwise(dates))[-2:]:
            if _UNTIL.fullmatch(said.text[first.end : last.start]):
                yield from _length(self.facts, first, last)
                yield from of_span(
                    self.facts, _of_days(measures), *(self._resolved([one]) for one in (first, last))
                )

    @property
    def _sentence_ahead(self) -> tuple[int, int]:
        """Where the sentence before this one lies."""
        return self.said.sentence_start(max(0, self.sentence_start - 2)), self.sentence_start

    def _is_named(self, fact: Fact) -> bool:
        """Whether a day is named by its date: 周末 names no single day."""
        days = {name for name in fact.entities if name.startswith("d:")}
        return (
            not days
            or bool(days & self.sentence_entities)
            or bool(fact.entities & self.facts.single_weekdays & self.sentence_entities)
        )

    def _is_in_a_group(self, fact: Fact) -> bool:
        """Whether a weekday is only named as one of several: 周末 is neither 周六 nor 周日."""
        if len(fact.entities) != 1 or not next(iter(fact.entities)).startswith("w:"):
            return False
        found = self.said.named(ENTITY, self.sentence_start, self.said.sentence_end(self.figure.end))
        return not any(len(one.named) == 1 and one.named & fact.entities for one in found)

    def _speaks_of_the_whole(self, fact: Fact) -> bool:
        if fact.aspect == "average":
            return bool(words.AVERAGE.search(self.sentence))
        return bool(re.search(r"全店|整体|总|全部|整个", self.sentence))
