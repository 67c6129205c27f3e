"""Whether one figure of an answer is true: held against the facts that its own words point to.

Here: what a figure speaks of (measure, whom or when, period, direction), and which facts it may then tell. Not
here: reading figures (`figures_in_text`), facts (`prompt_facts`, `derived`, `combined`), the whole answer
(`grounding`).

Of several facts with a fitting size, one is enough. A fact does not fit where the words near the figure name
another measure, another area or day, the other period or the other direction. Figures of advice (建议…3天内,
满100减20) are a judgement and no claim: they are left out, unless their own words claim data (`words.CLAIM_IN_ADVICE`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.facts import COMPATIBLE, NONE, Fact, Facts
from ai_assets.trust.fitting import SPAN_BEFORE, WINDOWS
from ai_assets.trust.joining import Joining
from ai_assets.trust.loosely import Loosely
from ai_assets.trust.passage import Passage
from ai_assets.trust.reckoned import against, follows
from ai_assets.trust.topics import ENTITY
from ai_assets.trust.written import Written

GROUNDED, UNGROUNDED, NO_CLAIM = "grounded", "ungrounded", "no claim"
_TALLY: Final = re.compile(r"[的]?\s?(?:区域|分区|板块|日子|交易日|营业日|月份|自然月|朋友|同伴|费用)")
_WEEK: Final = re.compile(r"各周|一周|当周|那周|单周|每周|周度|整周")
_TALLY_BEFORE: Final = re.compile(
    r"(?:区域|分区|板块|日子|交易日|营业日|月份)(?:数量?|个数)?[^，。；\d]{0,6}$"
)
_WEEKDAY: Final = re.compile(r"[（(，,\s]{0,2}(?:周|星期|礼拜)([一二三四五六日天])(?![至到])[）)]?")
_MOST_HELD: Final = 12
_FEW: Final = 5
_TALKED: Final = re.compile(r"备注|提到|提过|说过|反映|记录")
_NOON: Final = 12 * 60
_ABOUT_TIME: Final = re.compile(r"(?:快|近|约|大概|差不多|将近)\s?$")
_ABOUT_TIME_AFTER: Final = re.compile(r"\s?(?:左右|多|前后|上下|以后|之后|后|以前|之前|前)")
_MORNING: Final = re.compile(r"(?:凌晨|早上|上午|清晨|早)\s?$")
_PLANS: Final = re.compile(rf"{words.ADVICE.pattern}|约|发[一条个送]|推算|抓住|守住|之前|以前|打算|预计")
_AHEAD_DAYS: Final = 62


@dataclass
class Judge:
    """Judges the figures of one passage against one prompt's facts."""

    facts: Facts
    said: Passage
    told: list[Written] = field(default_factory=list)
    """The grounded figures of the passage so far: others may be reckoned from them."""

    def judge(self, figure: Written) -> str:
        """GROUNDED, UNGROUNDED or NO_CLAIM. Ask in the order of the passage."""
        verdict = self._judge(figure)
        if verdict is GROUNDED and figure.day is None:
            self.told.append(figure)
        return verdict

    def _judge(self, figure: Written) -> str:
        near = Loosely(self.facts, self.said, figure)
        if figure.value is None:
            return UNGROUNDED
        if near.is_advice:
            return NO_CLAIM
        if figure.day is not None:
            verdict = self._day(figure, near)
        elif figure.kind == "clock":
            verdict = GROUNDED if self._is_a_time(figure, near) else UNGROUNDED
        elif figure.kind == "ordinal":
            verdict = self._ordinal(figure, near)
        else:
            verdict = GROUNDED if self._supported(figure, near) else UNGROUNDED
            if verdict is UNGROUNDED and self._is_said_in_passing(figure, near):
                return NO_CLAIM
            if (
                verdict is UNGROUNDED
                and figure.kind == "count"
                and not _TALLY.match(self.said.text, figure.end)
                and not _TALLY_BEFORE.search(near.before)
            ):
                return NO_CLAIM
        return verdict

    def measures_near(self, figure: Written) -> frozenset[str]:
        """What the figure is about, for people."""
        return Joining(self.facts, self.said, figure).measures

    def _day(self, figure: Written, near: Loosely) -> str:
        year, month, day = figure.day or (None, None, None)
        known = self.facts.days
        if figure.day in self.facts.text_days or (None, month, day) in self.facts.text_days:
            return GROUNDED
        if day is None and any(month == one[1] and year in (None, one[0]) for one in self.facts.text_days):
            return GROUNDED
        fitting = [
            one
            for one in known
            if year in (None, one.year) and month in (None, one.month) and day in (None, one.day)
        ]
        if not fitting:
            if _PLANS.search(near.sentence) and self._is_ahead(year, month, day):
                return NO_CLAIM
            if day is None and any(
                first.year * 12 + first.month <= at <= last.year * 12 + last.month
                for first, last in self.facts.spans
                for at in ((year or first.year) * 12 + (month or 1), (year or last.year) * 12 + (month or 1))
            ):
                return GROUNDED
            return UNGROUNDED
        if day is None:
            return GROUNDED
        # 最近到店, 首次到店: the very day that the prompt names so
        for mention in reversed(near.measure_mentions):
            named = [self.facts.named_days[name] for name in mention.named if name in self.facts.named_days]
            if named:
                return GROUNDED if any(one in days for days in named for one in fitting) else UNGROUNDED
        weekday = _WEEKDAY.match(self.said.text, figure.end)
        if weekday is not None:
            wanted = words.WEEKDAYS.index("日" if weekday[1] == "天" else weekday[1]) + 1
            if all(one.isoweekday() != wanted for one in fitting):
                return UNGROUNDED
        return GROUNDED if self._extreme_day(fitting, near) else UNGROUNDED

    def end_of(self, figure: Written) -> int:
        """Where the place of a figure ends: a day's with the weekday that is told of it."""
        weekday = None if figure.day is None else _WEEKDAY.match(self.said.text, figure.end)
        return figure.end if weekday is None else weekday.end()

    def _is_ahead(self, year: int | None, month: int | None, day: int | None) -> bool:
        """Whether a day lies in the weeks after what the prompt knows: a plan."""
        as_of = self.facts.as_of
        if as_of is None or month is None or day is None:
            return False
        try:
            ahead = date(year or as_of.year + (month < as_of.month), month, day)
        except ValueError:
            return False
        return 0 < (ahead - as_of).days <= _AHEAD_DAYS

    def _named_in_clause(self, near: Loosely) -> list[Fact]:
        """The levels that the figure's own clause names, by a day, area or measure."""
        own = near.said.named(ENTITY, near.clause_start, near.figure.start)
        entities = near.entities if own else NONE
        named = near.measure_mentions
        measures = frozenset().union(*(one.named for one in named)) if named else NONE
        if not entities and not measures:
            return []
        return [
            fact
            for fact in self.facts.listed
            if fact.aspect in ("level", "per", "average")
            and fact.period != "before"
            and (fact.entities & entities if entities else not fact.entities)
            and (not measures or fact.measures & measures)
        ][:_MOST_HELD]

    def _is_said_in_passing(self, figure: Written, near: Loosely) -> bool:
        """两人同上, 备注两次提到: a few people or times that the data does not count."""
        if figure.kind == "days" and figure.value in WINDOWS and SPAN_BEFORE.search(near.before):
            # 前30天每次到店实付: the window of another figure
            return True
        if figure.value is None or abs(figure.value) > _FEW or near.measure_mentions:
            return False
        return (figure.kind == "people" and not self.facts.by_kind.get("people")) or (
            figure.kind in ("visits", "people") and _TALKED.search(near.clause) is not None
        )

    def _is_a_time(self, figure: Written, near: Loosely) -> bool:
        """Whether the prompt tells this time of the day: of 快9点, 九点以后 and whole hours about so."""
        told = int(figure.value or 0)
        about = bool(_ABOUT_TIME.search(near.before) or _ABOUT_TIME_AFTER.match(near.after))
        slack = 30 if about else 15 if told % 30 == 0 else 0
        times = [told] if told >= _NOON or _MORNING.search(near.before) else [told, told + _NOON]
        return any(abs(time - known) <= slack for time in times for known in self.facts.clocks)

    def _extreme_day(self, fitting: Sequence[object], near: Loosely) -> bool:
        """净收入最高的是6月16日: whether it is. True where nothing of the kind is said."""
        said = re.search(
            r"(最高|峰值|最好|最多|最佳|最低|谷底|最差|最少)[^，。；\d]{0,8}(?:是|为|在|出现在|落在|属于)[^，。；\d]{0,4}$",
            near.before,
        )
        measures = near.measures or frozenset({"净收入"})
        if said is None:
            return True
        wanted = {f"d:{day}" for day in fitting}
        highest = said[1] in ("最高", "峰值", "最好", "最多", "最佳")
        # of a long window the prompt has the weeks, and of the days only the best and the worst
        of_weeks = ("每周走势",) if _WEEK.search(near.clause) else ()
        for group in (*of_weeks, "每日走势", "最好的日子" if highest else "最差的日子"):
            series = [
                fact
                for fact in self.facts.listed
                if fact.aspect == "level" and fact.measures & measures and fact.group == group
            ]
            if series:
                break
        else:
            return True
        best = max if highest else min
        chosen = best(series, key=lambda fact: fact.value)
        return bool(chosen.entities & wanted)

    def _ordinal(self, figure: Written, near: Loosely) -> str:
        """第二: only where a rank is claimed, and the one ranked and the measure are told."""
        if not re.search(r"(?:排|位列|位居|居|名列|列)\s?(?:在|名)?$", near.before) or figure.text[0] != "第":
            return NO_CLAIM
        wanted = near.entities
        if not wanted:
            return NO_CLAIM
        for measures in (near.measures, NONE):
            ranked: dict[tuple[str, str, str], list[Fact]] = {}
            for fact in self.facts.listed:
                fits = not measures or fact.measures & measures
                if (
                    fits
                    and fact.entities
                    and fact.group
                    and fact.aspect == "level"
                    and fact.period != "before"
                ):
                    ranked.setdefault((fact.group, "".join(fact.measures), fact.kind), []).append(fact)
            found = False
            for rows in ranked.values():
                for order in (True, False):
                    rows.sort(key=lambda fact: fact.value, reverse=order)
                    for place, fact in enumerate(rows, 1):
                        if fact.entities & wanted:
                            found = True
                            if place == figure.value and (
                                order or words.LESS.search(near.clause) or "最低" in near.clause
                            ):
                                return GROUNDED
            if found:
                return UNGROUNDED
        return NO_CLAIM

    def _supported(self, figure: Written, near: Loosely) -> bool:
        low, high = sorted((abs(figure.low), abs(figure.high)))
        if figure.low <= 0 <= figure.high:
            # a zero is as near to what is above it as to what is below
            low = 0.0
        if any(near.fits(fact) for fact in self.facts.between(figure.kind, low, high)):
            return True
        if any(
            low <= abs(fact.value) <= high and near.fits(fact)
            for fact in near.combined()
            if _same_kind(figure, fact)
        ):
            return True
        if near.is_precise and any(
            near.fits_loosely(fact) for fact in self.facts.between(figure.kind, low, high)
        ):
            return True
        told = [
            one for one in self.told if one.start >= self.said.sentence_start(max(0, near.sentence_start - 2))
        ]
        if follows(figure, near.clause_before, near.clause_start, told, near.direction, self.facts):
            return True
        return bool(told) and against(
            figure, near.clause_before, told, near.direction, self._named_in_clause(near)
        )


def _same_kind(figure: Written, fact: Fact) -> bool:
    return fact.kind in COMPATIBLE.get(figure.kind, ())
