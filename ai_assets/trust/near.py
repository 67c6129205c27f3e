"""What a figure is about, by the words near it: its measures, whom or when it is about, whether it is advice.

Here: which mention belongs to which figure. Not here: period and direction (`telling`), whether a fact fits
(`fitting`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.facts import NONE
from ai_assets.trust.listing import Listing
from ai_assets.trust.lookup import entities_named, indexes
from ai_assets.trust.topics import ENTITY, MEASURE, Mention

_TIGHT: Final = re.compile(r"^[的（(\s]*$")
_LIES_IN: Final = re.compile(
    r"^[^，。；,;\d]{0,8}(?:来自|在|于|属于|是|出自|花在|靠)(?:了)?$|^的[^，。；\d]{0,8}(?:让|使|令)$"
)
_PER: Final = re.compile(r"每|人均|平均|营业日均")
_EACH_TIME: Final = re.compile(r"\s?(?:左右|上下)?[^，。；\d]{0,4}一[次趟回]")
_INTERVALS: Final = frozenset({"平均间隔天数", "间隔天数中位数"})
_WHOLE: Final = re.compile(r"(?:占|占到|占了|占据)(?:全部|总|其|全店|整个|所有)?$")
_IS_OF: Final = re.compile(r"(?:[为是到]|相当于|等于)(?:全部|总|其|全店|整个|所有)?$")
_WITHIN: Final = re.compile(r"(?:总额|总数|里面|当中)?(?:中|里|内)")
_WITHIN_DAYS: Final = re.compile(r"(?:内|以内|之内)(?![到来有共消实净没未])")
_OFFER: Final = re.compile(
    r"满[\d一二三四五六七八九十百千万两]+[元块]?(?:减|送|返|赠)|[减送返赠][\d一二三四五六七八九十百千万两]+[元块]?的?券?$"
)
_TOLD: Final = re.compile(r"称|说|问|提到|反映")
_NEAR_BY: Final = 8
_SAME_DAY: Final = re.compile(r"\s?[（(，,是为]?\s?")
_DATE_AND_SIGN: Final = 16
_BREAK: Final = re.compile(r"[和与及、/，。；：:（(]")


class Near(Listing):
    """The words near one figure of a passage."""

    @cached_property
    def is_advice(self) -> bool:
        """Whether the figure is a plan's own: told after a word of advice, without words that claim data."""
        sentence = self.said.text[self.sentence_start : self.figure.start]
        after = self.after[:8]
        word = (
            words.ADVICE.search(sentence)
            or words.ADVICE.match(after)
            or re.match(r"(?:内|以内|之内|前)(?:回访|联系|完成|跟进)", after)
            or (self.figure.kind == "days" and _WITHIN_DAYS.match(after))
            or (self.figure.kind == "minutes" and after.startswith("内"))
            or (
                _OFFER.search(self.said.text[max(0, self.figure.start - 2) : self.figure.end + 3])
                and not _TOLD.search(self.clause_before)
            )
        )
        if word is None:
            return False
        if words.TARGET.search(self.before):
            return True
        return words.CLAIM_IN_ADVICE.search(self.clause_before) is None

    @cached_property
    def measure_mentions(self) -> list[Mention]:
        """Measures named between the figure before and this one."""
        return self._known(self.window_start, self.figure.start)

    def _known(self, start: int, end: int) -> list[Mention]:
        """Mentions of measures that the prompt has figures of, and that a figure of this unit may be of."""
        return [one for one in self.said.named(MEASURE, start, end) if self._fitting(one.named)]

    def _fitting(self, named: frozenset[str]) -> frozenset[str]:
        known = named & self._known_measures
        if self.figure.kind == "discount":
            # 打了八六折
            return known - {"消费时长"}
        if self.figure.kind in ("percent", "points", "ratio", "number", "discount", "date"):
            return known
        return known & indexes(self.facts)[1].get(self.figure.kind, NONE)

    @cached_property
    def measures(self) -> frozenset[str]:
        """The measures that the figure may be of; none: nothing is told."""
        return self._measures[0]

    @cached_property
    def _measures(self) -> tuple[frozenset[str], bool | None]:
        """The measures, and whether the figure's own clause tells them; None: a sentence before tells them."""
        said, figure = self.said, self.figure
        if figure.kind == "days" and _EACH_TIME.match(self.after):
            return _INTERVALS & self._known_measures or _INTERVALS, True
        earlier = [one for one in said.earlier if one.what == MEASURE and self._fitting(one.named)]
        groups: list[tuple[list[Mention], bool | None]] = [
            (self._paired(MEASURE), True),
            (self._subject(self.measure_mentions), True),
            (self._behind_all(), True),
            (self._subject(self._known(self.clause_start, figure.start)), True),
            ([one for one in self._dealt_out(MEASURE) if self._fitting(one.named)], True),
            (self._subject(self._known(self.sentence_start, figure.start)), False),
        ]
        if (
            not self.sentence_entities
            and self.figure.kind in ("yuan", "percent", "points", "ratio", "number")
            and not (self.sentence_measures & self._known_measures)
        ):
            # a sentence on another area or day, or with a unit of its own, may be on another measure too
            groups += [
                (said.group(self._known(max(0, self.sentence_start - 200), self.sentence_start)), None),
                (earlier[-1:], None),
            ]
        behind = groups[2][0]
        if behind and len(groups[1][0]) == 1 and self._word(groups[1][0][0]) in words.GENERIC:
            # 付了453元助教费
            groups[1] = (behind, True)
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
                    shared = [*self._subject(told)[-1:], *group]
                assigned = self._assigned(shared)
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
        ends_with_of = self.said.text.startswith("的", last.end) and len(between) <= _NEAR_BY
        if self.figure.kind in ("ratio", "percent") and ends_with_of and not _BREAK.search(between):
            # 当天净收入为日均的2.2倍
            return [other, last]
        if len(between) <= 2 and not _BREAK.search(between) and all(_PER.match(name) for name in other.named):
            # 平均每笔充值金额, 按日均看净收入
            return [other, last]
        if word in words.GENERIC and len(between) <= 3 and not _BREAK.search(between):
            return [other]
        return group

    def _is_whole(self, one: Mention) -> bool:
        """占订单的26%, 为费用合计的26%."""
        ahead = self.said.text[max(0, one.start - 6) : one.start]
        return bool(
            _WHOLE.search(ahead)
            or (ahead.endswith(("在", "从", "于")) and _WITHIN.match(self.said.text, one.end))
            or (
                self.figure.kind == "percent"
                and _IS_OF.search(ahead)
                and self.said.text.startswith("的", one.end)
            )
        )

    @cached_property
    def _known_measures(self) -> frozenset[str]:
        return frozenset(self.facts.measures) | frozenset(self.facts.named_days)

    @cached_property
    def entity_mentions(self) -> list[Mention]:
        """Whom or when the figure is about, by its own clause, else its sentence."""
        said = self.said
        own = said.named(ENTITY, self.clause_start, self.figure.start)
        if paired := self._paired(ENTITY):
            return paired
        order = [
            one
            for one in said.named(ENTITY, self.sentence_start, self.figure.start)
            if self._is_last_order(one)
        ]
        if own and order:
            return [*order[-1:], *self._with_dates(said.group(own))]
        if own:
            last = said.group(own)
            if len(last) > 1 or len(own) == 1:
                return self._with_dates(self._assigned(last))
            return self._with_dates(last)
        after = self._behind(said.named(ENTITY, self.figure.end, self.clause_end))
        if after:
            return after[:1]
        before = said.named(ENTITY, self.sentence_start, self.figure.start)
        if dealt := self._dealt_out(ENTITY) or self._went_on(before):
            return dealt
        # 最近一单在6月4日，斯诺克区，实付…: the order, and not the area
        order = [one for one in before if self._is_last_order(one)]
        return order[-1:] or self._with_dates(said.group(before))

    def _with_dates(self, found: list[Mention]) -> list[Mention]:
        """6月13日（周六）, 6月13日是周六 are one day: the date is enough."""
        if len(found) == 1 and any(name.startswith("w:") for name in found[0].named):
            ahead = self.said.named(ENTITY, max(0, found[0].start - _DATE_AND_SIGN), found[0].start)
            if (
                ahead
                and any(name.startswith("D:") for name in ahead[-1].named)
                and _SAME_DAY.fullmatch(self.said.text[ahead[-1].end : found[0].start])
            ):
                return ahead[-1:]
        dates = [one for one in found if any(name.startswith("D:") for name in one.named)]
        return (
            dates
            if dates
            and len(dates) < len(found)
            and all(any(name.startswith(("D:", "w:")) for name in one.named) for one in found)
            else found
        )

    def _is_last_order(self, one: Mention) -> bool:
        """最近一单, or the day of it."""
        return "last" in one.named or any(
            name.startswith("D:") and "last" in entities_named(self.facts, name) for name in one.named
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
                    names |= entities_named(self.facts, name)
        return frozenset(names)

    @cached_property
    def sentence_entities(self) -> frozenset[str]:
        """Known entities that the whole sentence names."""
        return self._resolved(
            self.said.named(ENTITY, self.sentence_start, self.said.sentence_end(self.figure.end))
        )

    @cached_property
    def sentence_measures(self) -> frozenset[str]:
        """Measures that the whole sentence names."""
        found = self.said.named(MEASURE, self.sentence_start, self.said.sentence_end(self.figure.end))
        return frozenset().union(*(one.named for one in found)) if found else NONE
