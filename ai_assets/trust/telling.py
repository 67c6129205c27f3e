"""How a figure is told: of which of the two periods, and as growth, as a fall, or as where a change arrived.

Here: turns of speech. Not here: what the figure is about (`near`), whether a fact fits (`fitting`).
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.near import Near

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
_LONGEST_CHAIN: Final = 4
"""So many figures in a row may take their direction from the first: a chain without end is no sentence."""
_FILLER: Final = re.compile(r"[\s（(、和与及或即约也就是,，合幅度为达到:分别各依次比例近超过仅]*")
_DIRECTION_BEHIND: Final = re.compile(
    rf"\s?的?\s?(?:[^，。；\d]{{0,2}}?)({words.UP.pattern}|{words.DOWN.pattern})(?![至到为])"
)
_STANDS: Final = re.compile(r"目前|当前|现有|占比|比重")


class Telling(Near):
    """And how it is told."""

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
        if (
            re.search(r"对比(?:为|是)\s?$", text)
            or self._closes_with_before(text)
            or (_FROM.search(text) and _FROM_AFTER.match(self.after))
        ):
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
            return Telling(self.facts, self.said, previous, self.chained + 1).direction
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
