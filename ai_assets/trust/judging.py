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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.combined import MOST_JOINED, of_several, of_two_measures
from ai_assets.trust.facts import COMPATIBLE, NONE, Fact, Facts
from ai_assets.trust.figures_in_text import Written
from ai_assets.trust.passage import Passage
from ai_assets.trust.topics import ENTITY, MEASURE, Mention

GROUNDED, UNGROUNDED, NO_CLAIM = "grounded", "ungrounded", "no claim"

_BEFORE_WORD: Final = (
    r"(?:上|前)一?个?(?:周期|期|阶段|窗口|轮)|上个?30天|同期|比较期|参照期|往期|对比期|对比窗口|上期|上一期|前期|上一周期|上个周期|前一周期|去年同期|前一[周月季]|前30天|此前|原来|原先|之前|"
    r"上上月|上上周|前月|上个?月|上个?周|上个?季度|上一?季度|前三个月|之前三个月|基期|比较期"
)
_BEFORE: Final = re.compile(_BEFORE_WORD)
_BEFORE_BEHIND: Final = re.compile(rf"\s?[（(]\s?(?:{_BEFORE_WORD})\s?[）)]")
_TWO_PERIODS: Final = re.compile(
    rf"(?:(?P<now>(?:本期|本月|本周|当期|本季度|近30天)[与和及、](?:{_BEFORE_WORD}))|前后两期|(?:{_BEFORE_WORD})[与和及、](?:本期|当期|近30天))[^，。；\d]{{0,14}}(?:分别|各|依次)"
)
_NOW: Final = re.compile(
    r"本期|本月|本周|本季度|当期|当前|近30天|最近30天|这个月|这一周|如今|目前|现在|近一个月"
)
_BEFORE_CLOSE: Final = re.compile(
    rf"(?:{_BEFORE_WORD})(?:同期|同样天数|平均|均值)?[^，。；\d]{{0,9}}(?:为|是|的|仅|只|只有|有|约|达|水平)?[（(:\s]*(?:约|近|超过|仅|有|的|为|是|:|\s)*$"
)
_FROM: Final = re.compile(r"(?:由|从|自)[^，。；由从自]{0,12}$")
_FROM_AFTER: Final = re.compile(r"[^，。；]{0,6}?(?:降|升|增|减|提|回|涨|跌|滑|变|扩|缩|走|到|至|拉|攀|收)")
_APPROX_TAIL: Final = re.compile(
    r"(?:约|近|将近|接近|超过|超|逾|不到|不足|大约|大概|仅|只有|只|有|了|的|为|是|达|共|在|已|整整|高达|多达|[:：（(\s])+$"
)
_SPAN_BEFORE: Final = re.compile(
    r"(?:近|过去|最近|这|前|为期|共|统计|整|连续|窗口|期间|区间|每隔|经营|一共)\s?$"
)
_SPAN_AFTER: Final = re.compile(
    r"\s?(?:内|里|到店|来|的(?!间隔)|中|以来|期间|间|统计|窗口|合计|累计|平均|消费|净)"
)
_SCOPE_30: Final = re.compile(
    r"近30天|最近30天|过去30天|近三十天|近一个月|最近一个月|近1个月|过去一个月|近一月|30天内|30天里"
)
_SCOPE_180: Final = re.compile(
    r"近180天|最近180天|过去180天|近半年|半年来|过去半年|最近半年|180天内|180天里|近六个月|半年内|半年里"
)
_TALLY: Final = re.compile(r"[的]?\s?(?:区域|分区|板块|日子|交易日|营业日|月份|自然月|朋友|同伴|费用)")
_TIGHT: Final = re.compile(r"^[的（(\s]*$")
_LONGEST_CHAIN: Final = 4
"""So many figures in a row may take their direction from the first: a chain without end is no sentence."""
_FILLER: Final = re.compile(r"[\s（(、和与及或即约也就是,，合幅度为达到:分别各依次比例近超过仅]*")
_DIRECTION_BEHIND: Final = re.compile(
    rf"\s?的?\s?(?:[^，。；\d]{{0,2}}?)({words.UP.pattern}|{words.DOWN.pattern})(?![至到为])"
)
_LIES_IN: Final = re.compile(
    r"^[^，。；,;\d]{0,8}(?:来自|在|于|属于|是|出自|花在|靠)(?:了)?$|^的[^，。；\d]{0,8}(?:让|使|令)$"
)
_PER: Final = re.compile(r"每|人均|平均|营业日均")
_EACH_TIME: Final = re.compile(r"\s?(?:左右|上下)?[^，。；\d]{0,4}一[次趟回]")
_INTERVALS: Final = frozenset({"平均间隔天数", "间隔天数中位数"})
_WHOLE: Final = re.compile(r"(?:占|占到|占了|占据)(?:全部|总|其|全店|整个|所有)?$")
_TOP: Final = re.compile(
    r"前[两三二23]|[两二三]大|[两二三]个|头部|合计|加起来|之和|[Tt][Oo][Pp]|共占|共贡献|[和与、]"
)
_STANDS: Final = re.compile(r"目前|当前|现有|占比|比重")
_BREAK: Final = re.compile(r"[和与及、/，。；]")
_GAP_WORDS: Final = re.compile(r"相差|差距|落差|差额|极差|悬殊|之差|差了|倍")


@dataclass
class Judge:
    """Judges the figures of one passage against one prompt's facts."""

    facts: Facts
    said: Passage

    def judge(self, figure: Written) -> str:
        """GROUNDED, UNGROUNDED or NO_CLAIM."""
        near = _Near(self.facts, self.said, figure)
        if figure.value is None:
            return UNGROUNDED
        if near.is_advice:
            return NO_CLAIM
        if figure.day is not None:
            verdict = self._day(figure, near)
        elif figure.kind == "clock":
            verdict = GROUNDED if int(figure.value) in self.facts.clocks else UNGROUNDED
        elif figure.kind == "ordinal":
            verdict = self._ordinal(figure, near)
        else:
            verdict = GROUNDED if self._supported(figure, near) else UNGROUNDED
            if (
                verdict is UNGROUNDED
                and figure.kind == "count"
                and not _TALLY.match(self.said.text, figure.end)
            ):
                return NO_CLAIM
        return verdict

    def measures_near(self, figure: Written) -> frozenset[str]:
        """What the figure is about, for people."""
        return _Near(self.facts, self.said, figure).measures

    def _day(self, figure: Written, near: _Near) -> str:
        year, month, day = figure.day or (None, None, None)
        known = self.facts.days
        if figure.day in self.facts.text_days or (None, month, day) in self.facts.text_days:
            return GROUNDED
        fitting = [
            one
            for one in known
            if year in (None, one.year) and month in (None, one.month) and day in (None, one.day)
        ]
        if not fitting:
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
        weekday = re.match(
            r"[（(，,\s]{0,2}(?:周|星期|礼拜)([一二三四五六日天])(?![至到])",
            self.said.text[figure.end : figure.end + 6],
        )
        if weekday is not None:
            wanted = words.WEEKDAYS.index("日" if weekday[1] == "天" else weekday[1]) + 1
            if all(one.isoweekday() != wanted for one in fitting):
                return UNGROUNDED
        return GROUNDED if self._extreme_day(fitting, near) else UNGROUNDED

    def _extreme_day(self, fitting: Sequence[object], near: _Near) -> bool:
        """净收入最高的是6月16日: whether it is. True where nothing of the kind is said."""
        said = re.search(
            r"(最高|峰值|最好|最多|最佳|最低|谷底|最差|最少)[^，。；\d]{0,8}(?:是|为|在|出现在|落在|属于)[^，。；\d]{0,4}$",
            near.before,
        )
        measures = near.measures or frozenset({"净收入"})
        if said is None:
            return True
        wanted = {f"d:{day}" for day in fitting}
        series = [
            fact
            for fact in self.facts.listed
            if fact.aspect == "level"
            and fact.measures & measures
            and any(e.startswith("d:") for e in fact.entities)
            and fact.group in ("每日走势", "每周走势")
        ]
        if not series:
            return True
        best = max if said[1] in ("最高", "峰值", "最好", "最多", "最佳") else min
        chosen = best(series, key=lambda fact: fact.value)
        return bool(chosen.entities & wanted)

    def _ordinal(self, figure: Written, near: _Near) -> str:
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

    def _supported(self, figure: Written, near: _Near) -> bool:
        low, high = min(abs(figure.low), abs(figure.high)), max(abs(figure.low), abs(figure.high))
        if any(near.fits(fact) for fact in self.facts.between(figure.kind, low, high)):
            return True
        return any(
            low <= abs(fact.value) <= high and near.fits(fact)
            for fact in near.combined()
            if _same_kind(figure, fact)
        )


def _same_kind(figure: Written, fact: Fact) -> bool:
    return fact.kind in COMPATIBLE.get(figure.kind, ())


class _Near:
    """What stands near one figure, and whether a fact fits to it."""

    def __init__(self, facts: Facts, said: Passage, figure: Written, before: int = 0) -> None:
        self.chained = before
        self.facts, self.said, self.figure = facts, said, figure
        text = said.text
        self.clause_start = said.clause_start(figure.start)
        self.sentence_start = said.sentence_start(figure.start)
        self.previous = said.figure_before(figure.start)
        self.previous_end = self.previous.end if self.previous is not None else 0
        self.window_start = max(self.clause_start, self.previous_end)
        self.before = text[self.window_start : figure.start]
        self.clause_before = text[self.clause_start : figure.start]
        following = said.figure_after(figure.end)
        self.clause_end = said.clause_end(figure.end)
        self.after = text[
            figure.end : min(self.clause_end if following is None else following, self.clause_end)
        ]
        self.clause = text[self.clause_start : self.clause_end]
        self.sentence = text[self.sentence_start : said.sentence_end(figure.end)]

    @cached_property
    def is_advice(self) -> bool:
        """Whether the figure is a plan's own: told after a word of advice, without words that claim data."""
        sentence = self.said.text[self.sentence_start : self.figure.start]
        after = self.after[:8]
        word = (
            words.ADVICE.search(sentence)
            or words.ADVICE.match(after)
            or re.match(r"(?:内|以内|之内|前)(?:回访|联系|完成|跟进)", after)
        )
        if word is None:
            return False
        if words.TARGET.search(self.before):
            return True
        return words.CLAIM_IN_ADVICE.search(self.clause_before) is None

    @cached_property
    def measure_mentions(self) -> list[Mention]:
        return self._known(self.window_start, self.figure.start)

    def _known(self, start: int, end: int) -> list[Mention]:
        """Mentions of measures that the prompt has figures of, and that a figure of this unit may be of."""
        return [one for one in self.said.named(MEASURE, start, end) if self._fitting(one.named)]

    def _fitting(self, named: frozenset[str]) -> frozenset[str]:
        known = named & self._known_measures
        if self.figure.kind in ("percent", "points", "ratio", "number", "discount", "date"):
            return known
        return known & _cached(self.facts)[1].get(self.figure.kind, NONE)

    @cached_property
    def measures(self) -> frozenset[str]:
        """The measures that the figure may be of; none: nothing is told."""
        return self._measures[0]

    @cached_property
    def _measures(self) -> tuple[frozenset[str], bool]:
        """The measures, and whether they are told in the figure's own clause."""
        said, figure = self.said, self.figure
        if figure.kind == "days" and _EACH_TIME.match(self.after):
            return _INTERVALS & self._known_measures or _INTERVALS, True
        earlier = [one for one in said.earlier if one.what == MEASURE and self._fitting(one.named)]
        groups = [
            (self._subject(self.measure_mentions), True),
            (self._behind_all(), True),
            (self._subject(self._known(self.clause_start, figure.start)), True),
            (self._subject(self._known(self.sentence_start, figure.start)), False),
        ]
        if (
            not self.sentence_entities
            and self.figure.kind in ("yuan", "percent", "points", "ratio", "number")
            and not (self.sentence_measures & self._known_measures)
        ):
            # a sentence on another area or day, or with a unit of its own, may be on another measure too
            groups += [
                (said.group(self._known(max(0, self.sentence_start - 200), self.sentence_start)), False),
                (earlier[-1:], False),
            ]
        behind = groups[1][0]
        if behind and len(groups[0][0]) == 1 and self._word(groups[0][0][0]) in words.GENERIC:
            # 付了453元助教费
            groups[0] = (behind, True)
        for group, own in groups:
            if group:
                shared = group
                if len(group) == 1 and own and self._is_whole(group[0]):
                    # 8单享受优惠，占订单的26%: the orders are what it is a share of
                    told = [
                        one
                        for one in self._known(self.sentence_start, group[0].start)
                        if one.end <= group[0].start
                    ]
                    shared = [*told[-1:], *group]
                assigned = self._assigned(shared, MEASURE)
                named = frozenset().union(*(self._fitting(one.named) for one in assigned))
                if not own and words.TOTAL.search(self.before) and all(_PER.match(name) for name in named):
                    # 每单113分钟，总计1588分钟: of a kind, but not that measure
                    return NONE, False
                return named, own
        return NONE, False

    def _behind_all(self) -> list[Mention]:
        known = self._known(self.figure.end, self.clause_end)
        behind = self._behind(known)
        if behind and self.figure.kind == "percent":
            # 26%的订单带优惠: what they are a share of, and what it is that they share
            return known[known.index(behind[0]) :][:2]
        return behind[:1]

    def _word(self, one: Mention) -> str:
        return self.said.text[one.start : one.end]

    def _behind(self, found: list[Mention]) -> list[Mention]:
        """What stands behind the figure and is what it is of: 52单订单, 27%来自助教费, 5次是在周三."""
        text, end = self.said.text, self.figure.end
        return [
            one
            for one in found
            if _TIGHT.match(text[end : one.start]) or _LIES_IN.match(text[end : one.start])
        ]

    def _subject(self, found: list[Mention]) -> list[Mention]:
        """The last mentions: of 台费支出 the 台费, of 享受优惠的占订单的 both."""
        group = self.said.group(found)
        if len(group) != 1 or len(found) < 2:
            return group
        last, other = group[0], found[-2]
        between = self.said.text[other.end : last.start]
        if self._is_whole(last):
            return [other, last] if len(between) < 40 else group
        word = self.said.text[last.start : last.end]
        if word in words.GENERIC and len(between) <= 3 and not _BREAK.search(between):
            return [other]
        return group

    def _is_whole(self, one: Mention) -> bool:
        return bool(_WHOLE.search(self.said.text[max(0, one.start - 6) : one.start]))

    @cached_property
    def _known_measures(self) -> frozenset[str]:
        return frozenset(self.facts.measures) | frozenset(self.facts.named_days)

    def _assigned(self, group: list[Mention], what: str) -> list[Mention]:
        """Of 订单数和客人数分别…X和Y the one that stands at this figure's place; else all that are joined."""
        if len(group) < 2:
            return group
        end = group[-1].end
        told = self.said.text[end : self.figure.start]
        apart = re.search(r"分别|各为|依次|各占", told)
        if apart is None:
            return group
        del what
        place = self.said.claims_between(end, self.figure.start)
        return [group[place]] if place < len(group) else group

    @cached_property
    def entity_mentions(self) -> list[Mention]:
        """Whom or when the figure is about, by its own clause, else its sentence."""
        said = self.said
        own = said.named(ENTITY, self.clause_start, self.figure.start)
        order = [
            one for one in said.named(ENTITY, self.sentence_start, self.figure.start) if "last" in one.named
        ]
        if own and order:
            return [*order[-1:], *self._with_dates(said.group(own))]
        if own:
            last = said.group(own)
            if len(last) > 1 or not self._split(own):
                return self._with_dates(self._assigned(last, ENTITY))
            return self._with_dates(last)
        after = self._behind(said.named(ENTITY, self.figure.end, self.clause_end))
        if after:
            return after[:1]
        before = said.named(ENTITY, self.sentence_start, self.figure.start)
        # 最近一单在6月4日，斯诺克区，实付…: the order, and not the area
        order = [one for one in before if "last" in one.named]
        return order[-1:] or self._with_dates(said.group(before))

    def _split(self, own: list[Mention]) -> bool:
        return len(own) > 1

    def _with_dates(self, found: list[Mention]) -> list[Mention]:
        """6月13日（周六） is one day: the date is enough."""
        dates = [one for one in found if any(name.startswith("D:") for name in one.named)]
        return (
            dates
            if dates
            and len(dates) < len(found)
            and all(any(name.startswith(("D:", "w:")) for name in one.named) for one in found)
            else found
        )

    @cached_property
    def entities(self) -> frozenset[str]:
        """Known entities that the figure's words name."""
        return self._resolved(self.entity_mentions)

    @cached_property
    def all_entities(self) -> frozenset[str]:
        """All that the text and the item's earlier texts name."""
        return self._resolved(
            [*self.said.earlier, *(one for one in self.said.mentions if one.what == ENTITY)]
        )

    def _resolved(self, found: Sequence[Mention]) -> frozenset[str]:
        names: set[str] = set()
        for one in found:
            if one.what == ENTITY:
                for name in one.named:
                    names |= _as_entities(self.facts, name)
        return frozenset(names)

    @cached_property
    def sentence_entities(self) -> frozenset[str]:
        return self._resolved(
            self.said.named(ENTITY, self.sentence_start, self.said.sentence_end(self.figure.end))
        )

    @cached_property
    def sentence_measures(self) -> frozenset[str]:
        found = self.said.named(MEASURE, self.sentence_start, self.said.sentence_end(self.figure.end))
        return frozenset().union(*(one.named for one in found)) if found else NONE

    # --- period and direction

    @cached_property
    def period(self) -> str:
        """now, before, or "" where both may be meant."""
        text = self.before
        if _BEFORE_BEHIND.match(self.after) and not self._is_now_word(self.after[:8]):
            return "before"
        if (order := self._order_of_periods()) is not None:
            return order
        if re.match(r"\s?(?:→|->|=>|➜)", self.after):
            return "before"
        if re.search(r"(?:→|->|=>|➜)\s?$", text):
            return "now"
        if self._closes_with_before(text) or (_FROM.search(text) and _FROM_AFTER.match(self.after)):
            return "before"
        if _NOW.search(text):
            return "now"
        if self._before_word(text) and not words.COMPARED.search(text):
            return ""
        return "now"

    def _order_of_periods(self) -> str | None:
        """本期与对比期分别为X和Y, 前后两期分别为X和Y: which of the two this is."""
        start = self.sentence_start
        told = _TWO_PERIODS.search(self.said.text[start : self.figure.start])
        if told is None:
            return None
        place = self.said.claims_between(start + told.end(), self.figure.start)
        order = ("now", "before") if told["now"] else ("before", "now")
        return order[place] if place < 2 else None

    def _closes_with_before(self, text: str) -> bool:
        close = _BEFORE_CLOSE.search(text)
        if close is None or self._is_now_word(close[0]):
            return self._month_is_before()
        rest = close[0]
        return not (words.UP.search(rest) or words.DOWN.search(rest) or _NOW.search(rest))

    def _is_now_word(self, text: str) -> bool:
        now = self.facts.now_words
        return bool(now) and now in text and not re.search(f"[上前再]{re.escape(now)}", text)

    def _before_word(self, text: str) -> bool:
        return bool(_BEFORE.search(text)) and not self._is_now_word(text)

    def _month_is_before(self) -> bool:
        months = [one for one in self.entity_mentions if any(name.startswith("M:") for name in one.named)]
        if not months or months[-1].start < self.window_start:
            return False
        numbers = {int(name[2:]) for name in months[-1].named}
        return bool(numbers & self.facts.before_months) and not numbers & self.facts.now_months

    @cached_property
    def direction(self) -> int:
        """1: told as growth, -1: as a fall, 0: neither. Of a change told beside another one, its direction."""
        # 两者同时下降，分别为17%、14.7%: told once, before
        wider = self.said.text[max(self.sentence_start, self.previous_end) : self.figure.start]
        found = self._direction_in(self.before) or (
            self._direction_in(wider) if _FILLER.fullmatch(self.before) else 0
        )
        if found:
            return found
        after = _DIRECTION_BEHIND.match(self.after)
        if after is not None and self.period != "before":
            return 1 if words.UP.match(after[1]) else -1
        # …下降116362.47元（22.8%）, …下降19.8%、20.6%
        previous = self.previous
        chained = (
            previous is not None and previous.start >= self.sentence_start and self.chained < _LONGEST_CHAIN
        )
        if previous is not None and chained and _FILLER.fullmatch(self.before):
            return _Near(self.facts, self.said, previous, self.chained + 1).direction
        return 0

    def _sign_of_sentence(self) -> int:
        """指标都在下行：订单数5.7%，客人数2.4%: told once for all that follow."""
        told = self.said.text[self.sentence_start : self.window_start]
        ups = [match.end() for match in words.UP.finditer(told)]
        downs = [match.end() for match in words.DOWN.finditer(told)]
        if not ups and not downs:
            return 0
        return 1 if max(ups, default=-1) > max(downs, default=-1) else -1

    def _direction_in(self, text: str) -> int:
        ups = [(match.end(), 1, match) for match in words.UP.finditer(text)]
        downs = [(match.end(), -1, match) for match in words.DOWN.finditer(text)]
        if not ups and not downs:
            return 0
        end, sign, _ = max(ups + downs, key=lambda one: one[0])
        rest = text[end:]
        if len(rest) > 10 or re.match(r"(?:的)(?!幅)", rest) or _STANDS.search(rest):
            return 0
        if re.search(r"(?:不|未|没有|没)$", text[: max(0, end - 2)]):
            return 0
        return sign

    @cached_property
    def reached(self) -> bool:
        """Whether the figure is where a change arrived (降至X), and not the change."""
        return (
            bool(
                re.search(
                    rf"(?:{words.UP.pattern}|{words.DOWN.pattern})[了]?(?:至|到|为|成)\s?(?:了|约|近|不到|不足|超过|仅)*(?:近?\d+天的?|本期的?|目前的?|现在的?|如今的?)?\s?$",
                    self.before,
                )
            )
            and not re.search(r"幅度?(?:为|达|至|到)\s?(?:约|近)?$", self.before)
        ) or bool(
            re.search(
                r"(?:增至|升至|降至|减至|跌至|升到|降到|滑至|滑到|落至|落到)\s?(?:约|近|不到|不足|超过|仅)*\s?$",
                self.before,
            )
        )

    # --- fitting

    def fits(self, fact: Fact) -> bool:
        """Whether the figure's own words can mean this fact."""
        if fact.aspect == "span":
            return self._is_span()
        return (
            self._sign_fits(fact)
            and self._measure_fits(fact)
            and self._entity_fits(fact)
            and self._period_fits(fact)
        )

    def _sign_fits(self, fact: Fact) -> bool:
        written = self.figure
        change = fact.aspect in ("change", "compared", "gap")
        if written.signed and written.value is not None and fact.value and fact.aspect != "compared":
            return (written.value > 0) == (fact.value > 0) and (
                self.direction == 0 or fact.aspect == "change"
            )
        if fact.aspect == "text":
            return True
        if self.reached:
            return fact.aspect in ("level", "average", "total", "share") and self._arrived(fact)
        if self.direction:
            if fact.aspect == "change":
                return (fact.value > 0) == (self.direction > 0) or fact.value == 0
            # 比大厅A区少4566元: which of the two is meant is not told apart here
            return fact.aspect in ("compared", "gap", "span") or (
                fact.aspect == "times" and self.figure.kind == "ratio"
            )
        if fact.aspect == "change":
            if (sign := self._sign_of_sentence()) and (fact.value > 0) == (sign > 0):
                return True
            return bool(
                words.COMPARED.search(self.clause_before[-24:])
                or words.COMPARED.search(self.after[:6])
                or re.search(r"幅|零增长|持平", self.before)
            ) and (fact.value >= 0 or not written.signed)
        if change and fact.aspect == "gap":
            return bool(_GAP_WORDS.search(self.clause))
        if fact.aspect in ("times", "inverse"):
            return self.figure.kind == "ratio" or bool(
                _BEFORE.search(self.before) or re.search(r"相当于|只有|仅", self.before)
            )
        if fact.aspect == "level" and fact.value < 0 and not written.signed:
            return bool(re.search(r"负|亏|倒|冲|退|抵", self.clause))
        if fact.aspect == "average":
            return bool(words.AVERAGE.search(self.clause) or words.AVERAGE.search(self.sentence))
        if fact.aspect == "share" and self.figure.kind == "percent":
            if fact.measures & self.measures or fact.entities & self.entities:
                return True
            return bool(
                words.SHARE.search(self.sentence)
                or re.search(
                    r"集中|来自|都在|其中|主要|合计|共|贡献|比例|的订单|的消费|的净收入|的收入|在|是",
                    self.sentence,
                )
            )
        return True

    def _arrived(self, fact: Fact) -> bool:
        """降至X: whether what the fact is a level of did fall."""
        sign = self._direction_of_arrival()
        if not sign or fact.period == "before":
            return fact.period != "before"
        changes = _cached(self.facts)[2].get((fact.measures, fact.entities), ())
        return not changes or any((value > 0) == (sign > 0) or value == 0 for value in changes)

    def _direction_of_arrival(self) -> int:
        ups = [match.end() for match in words.UP.finditer(self.before)]
        downs = [match.end() for match in words.DOWN.finditer(self.before)]
        if not ups and not downs:
            return 0
        return 1 if max(ups, default=-1) > max(downs, default=-1) else -1

    def _measure_fits(self, fact: Fact) -> bool:
        measures, own = self._measures
        if not measures:
            return True
        if not fact.measures:
            return fact.aspect in ("text", "counted") and not own
        if fact.measures & measures:
            return True
        # the sentence before may be about something else than a text's own words
        return not own and fact.aspect == "text"

    def _is_span(self) -> bool:
        return bool(
            _SPAN_BEFORE.search(self.before) or (not self.measure_mentions and _SPAN_AFTER.match(self.after))
        )

    def _entity_fits(self, fact: Fact) -> bool:
        wanted = self.entities
        about = fact.entities
        if fact.aspect == "counted":
            return self._count_fits(fact)
        if not about:
            if fact.path.endswith(("项合计", "项占比")) and not _TOP.search(self.sentence):
                return False
            if fact.aspect == "text" or not wanted:
                return True
            if fact.aspect == "average" and words.AVERAGE.search(self.before):
                return True
            if fact.aspect == "share":
                return bool(fact.measures & self.measures)
            return not self._binding(wanted, fact)
        if fact.aspect == "text":
            return not wanted or bool(about & wanted) or not self._binding(wanted, fact)
        if (
            fact.aspect in ("compared", "total", "average", "share")
            and len(about) > 1
            and fact.path.find(",") > 0
        ):
            return True
        if wanted and self._binding(wanted, fact):
            return bool(about & wanted)
        if wanted & about:
            return True
        if fact.measures and not wanted:
            return bool(about & self.all_entities) or bool(
                words.SUPERLATIVE.search(self.sentence + self.said.earlier_text)
            )
        return bool(about & self.all_entities)

    def _count_fits(self, fact: Fact) -> bool:
        """有5个区域下降: how many fall, and not how many rise."""
        near = self.before[-10:] + self.after[:14]
        if re.match(r"[^，。；]{0,6}?(?:中|里)", self.after):
            return fact.scope == 0
        ups, downs = words.UP.search(near), words.DOWN.search(near)
        if bool(ups) == bool(downs):
            return True
        return fact.scope == (1 if ups else -1)

    def _binding(self, wanted: frozenset[str], fact: Fact) -> bool:
        """Whether the named entities have facts of this measure at all: else they say nothing of it."""
        known = _cached(self.facts)[0]
        if not fact.measures:
            return True
        return any(wanted & known.get(name, NONE) for name in fact.measures)

    def _period_fits(self, fact: Fact) -> bool:
        if fact.scope > 1 and fact.aspect in ("level", "share", "average"):
            if _SCOPE_30.search(self.clause_before) and fact.scope == 180:
                return False
            if (
                _SCOPE_180.search(self.clause_before)
                and not _SCOPE_30.search(self.clause_before)
                and fact.scope in (30, 90)
            ):
                return False
        if fact.aspect == "total" and fact.scope not in (30, 90) and _SCOPE_30.search(self.clause_before):
            return False
        if fact.aspect not in ("level", "average", "total"):
            return True
        if not fact.period:
            # the series and the parts are the window's own
            return self.period != "before" or fact.group not in ("每日走势", "每周走势")
        period = self.period
        return not period or period == fact.period

    # --- facts that the words join

    def combined(self) -> Iterator[Fact]:
        """Facts that follow from those that the figure's sentence names together."""
        entities = self.sentence_entities
        measures = self.measures
        if len(entities) >= 1:
            levels: dict[tuple[frozenset[str], str, str], list[Fact]] = {}
            for fact in self.facts.listed:
                if (
                    not fact.measures
                    or fact.aspect not in ("level", "share", "average")
                    or fact.period == "before"
                ):
                    continue
                if measures and not fact.measures & measures:
                    continue
                whole = not fact.entities and fact.aspect != "share"
                if fact.entities & entities or (whole and self._speaks_of_the_whole(fact)):
                    levels.setdefault(
                        (fact.measures, fact.kind, "" if fact.aspect != "share" else "share"), []
                    ).append(fact)
            for found in levels.values():
                distinct = {(fact.entities, fact.aspect, fact.value): fact for fact in found}
                if 2 <= len(distinct) <= MOST_JOINED:
                    yield from of_several(list(distinct.values()))
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

    def _speaks_of_the_whole(self, fact: Fact) -> bool:
        if fact.aspect == "average":
            return bool(words.AVERAGE.search(self.sentence))
        return bool(re.search(r"全店|整体|总|全部|整个", self.sentence))


def _as_entities(facts: Facts, name: str) -> frozenset[str]:
    """The facts' own names of what a passage names: of a date without a year, those that fit."""
    known = facts.resolved.get(name)
    if known is None:
        known = facts.resolved[name] = _resolve(facts, name)
    return known


def _resolve(facts: Facts, name: str) -> frozenset[str]:
    if name.startswith("D:"):
        month, _, day = name[2:].partition("-")
        wanted = f"-{int(month):02d}-{int(day):02d}"
        found = frozenset(one for one in facts.entities if one.startswith("d:") and one.endswith(wanted))
        return found or frozenset({name})
    if name.startswith("M:"):
        wanted = f"-{int(name[2:]):02d}"
        return frozenset(one for one in facts.entities if one.startswith("m:") and one.endswith(wanted))
    return frozenset({name}) if name in facts.entities else NONE


_Indexes = tuple[
    dict[str, frozenset[str]],
    dict[str, frozenset[str]],
    dict[tuple[frozenset[str], frozenset[str]], list[float]],
]


def _cached(facts: Facts) -> _Indexes:
    """By measure its entities; by a written kind the measures it may be of; by measure and entities its changes."""
    found: _Indexes | None = facts.looked_up
    if found is None:
        entities: dict[str, set[str]] = {}
        kinds: dict[str, set[str]] = {}
        changes: dict[tuple[frozenset[str], frozenset[str]], list[float]] = {}
        told: set[str] = set()
        for fact in facts.listed:
            for name in fact.measures:
                entities.setdefault(name, set()).update(fact.entities)
                if fact.aspect != "text":
                    kinds.setdefault(fact.kind, set()).add(name)
                    told.add(name)
            if fact.aspect == "change" and fact.kind != "percent":
                changes.setdefault((fact.measures, fact.entities), []).append(fact.value)
        # a measure that only sentences tell is of any unit
        only_said = facts.measures - told
        by_written = {
            written: frozenset(name for kind in of for name in kinds.get(kind, ())) | only_said
            for written, of in COMPATIBLE.items()
        }
        found = ({name: frozenset(about) for name, about in entities.items()}, by_written, changes)
        facts.looked_up = found
    return found
