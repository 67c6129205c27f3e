"""How a figure is told: of which of the two periods, and as growth, as a fall, or as where a change arrived.

Here: turns of speech. Not here: what the figure is about (`near`), whether a fact fits (`fitting`).
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.near import Near
from ai_assets.trust.topics import ENTITY
from ai_assets.trust.written import Written

_SPAN: Final = r"(?:统计|可比|比较|环比|同比)?(?:周期|期间|时期|阶段|窗口期?|时段|轮|区间|季度|期|周|月)"
_REFERENCE: Final = (
    rf"(?:上|前|此前|之前|先前|早前|往前推?的?)(?:一|一个|个|1个)?(?:完整|同等|等长|同长|可比|对应|相邻)?的?{_SPAN}(?!中|后|末|均|下旬|至|到)"
    r"|(?:上|前)(?:一|一个|个)?\s?(?:30|三十)[天日]"
    r"|(?:(?<!月)前|之前|此前)(?:60|90|三十|六十|九十)[天日]"
    r"|(?:前|上|之前|此前|往前推?)(?:的|个)?(?:同样|同等|相同|等长|一段|段|对应|三个月|30天|30日)[^，。；\d]{0,2}(?:天数|时间|日子|长度|长的时间|时段|期间)?"
)
"""The comparison by its build: which step back, and of what span."""
_EARLIER: Final = (
    r"(?:去年|上年)(?:同期)?|同期|(?:对比|比较|参照|参考|对照|基准|环比|同比)(?:基)?(?:期|窗口|周期|值|线|时段|区间)|往期|基期|前期|前值|旧值|基数|"
    r"此前|原来|原先|原[本有为是达]|本来|先前|早先|起初|当初|之前|以往|从前|曾(?:经|有|达|为|是)|过去(?=是|为|有(?!\d+天)|的)|起点|起步|前30天|"
    r"上上月|上上周|前月|上个?月|上个?周|上一?季度|前三个月|之前三个月|前段时间"
)
_BEFORE_WORD: Final = rf"(?:{_REFERENCE}|{_EARLIER})"
BEFORE: Final = re.compile(_BEFORE_WORD)
_BEFORE_BEHIND: Final = re.compile(
    rf"\s?[（(]\s?(?:{_BEFORE_WORD})\s?[）)]|\s?(?:是|为|即)(?:{_BEFORE_WORD})|\s?(?:的(?:水平|位置|高度|规模))?(?:作?为|是|的)?(?:起点|起步|出发|基数|基础|打底)"
)
_BOTH_PERIODS: Final = re.compile(r"两期|两个(?:周期|窗口|阶段|时段)|前后(?:对比|对照|相比)|[相两]互?对照")
"""Words that name both periods, and not in which order."""
_TWO_PERIODS: Final = re.compile(
    r"(?:(?P<now>(?:本期|本月|本周|当期|本季度|近30天|这一?期)[与和及、跟同][^，。；\d与和及、]{1,12}?)|前后两期"
    r"|[^，。；\d与和及、]{1,12}?[与和及、跟同](?:本期|当期|近30天|这一?期))(?:[^，。；\d]{0,14})(?:分别|各|依次)"
)
NOW: Final = re.compile(
    r"本期|本月|本周|本季度|本窗口|本轮|当期|当前|近30天|最近30天|这个月|这一周|这个?窗口|这一?[期轮]|如今|而今|目前|现在|现今|现[为是有值报]|眼下|"
    r"近一个月|终点|最终|最后(?!一)|收[在于]|报收"
)
_OPENS_WITH_BEFORE: Final = re.compile(rf"\s?(?:而|在|其中|则)?(?:{_BEFORE_WORD})(?!相?比)")
_BEFORE_CLOSE: Final = re.compile(
    rf"(?:{_BEFORE_WORD})(?:同期|同样天数|平均|均值|每\d+天的?(?:平均)?)?[^，。；\d]{{0,9}}(?:为|是|的|仅|只|只有|有|约|达|水平)?[（(:\s]*(?:约|近|超过|仅|有|的|为|是|:|\s)*$"
)
_ARRIVES: Final = re.compile(
    r"(?:变|转|改|换|升|降|涨|跌|走|来|滑|落|掉|回|拉|攀|爬|缩|扩|增|减|提|压|移|探|退|跳|抬|行|高|低)[^，。；\d]{0,3}(?:至|到|为|成)|^\s?(?:变|→|->)"
)
_FROM: Final = re.compile(r"(?:由|从|自)[^，。；由从自]{0,12}$")
_FROM_AFTER: Final = re.compile(r"[^，。；]{0,6}?(?:降|升|增|减|提|回|涨|跌|滑|变|扩|缩|走|到|至|拉|攀|收)")
_LONGEST_CHAIN: Final = 4
"""So many figures in a row may take their direction from the first: a chain without end is no sentence."""
_FILLER: Final = re.compile(r"[\s（(、和与及或即约也就是,，合幅度为达到:分别各依次比例近超过仅]*")
_DIRECTION_BEHIND: Final = re.compile(
    rf"\s?的?\s?(?:[^，。；\d）)]{{0,2}}?)({words.UP.pattern}|{words.DOWN.pattern})(?![至到为])"
)
_SENTENCE: Final = re.compile(r"[。；;！!？?\n]")
_OF_NEXT: Final = 6
_FARTHEST: Final = 30
"""Letters between two figures that are told together."""
_STANDS: Final = re.compile(r"目前|当前|现有|占比|比重")


_MEANWHILE: Final = re.compile(r"^(?:[^，。；\d]*[，。；])?(?:而|但)?同期[^，。；\d]*$")
_OTHER: Final = re.compile(r"上|去年|对比|往年|前[一个年月]")
_BASE_OF: Final = re.compile(r"(?:较|比|不及|不如|相比|对比|高于|低于|多于|少于)(?:之?前的?)?\s?(?:约|近)?$")
_GOES_ON: Final = re.compile(r"\s?[、，,和与及/（(]\s?(?:实付|共|合计|消费|到店|收入|花了?)?\s?")


class Telling(Near):
    """And how it is told."""

    @cached_property
    def period(self) -> str:
        """now, before, or "" where both may be meant."""
        text = self.before
        if self._told_behind():
            return "before"
        if (order := self._order_of_periods()) is not None:
            return order
        if _MEANWHILE.search(text) and not _OTHER.search(self.clause_before):
            return ""
        if re.match(r"\s?(?:[（(][^）)]{1,10}[）)])?\s?(?:→|->|=>|➜)", self.after):
            return "before"
        if re.search(r"(?:→|->|=>|➜)\s?$", text):
            return "now"
        if (
            re.search(r"对比(?:为|是)\s?$", text)
            or self._closes_with_before(text)
            or (_FROM.search(text) and (_FROM_AFTER.match(self.after) or self._next_arrives()))
        ):
            return "before"
        if NOW.search(text):
            return "now"
        if self._before_word(text) and not words.COMPARED.search(text):
            return ""
        if _BASE_OF.search(text) or self._goes_on_with_the_figure_before():
            return ""
        if (
            re.fullmatch(r"\s?(?:对|比|/|vs\.?)\s?", text)
            or self._stands_beside_the_other()
            or self._goes_on_with_the_other()
        ):
            return ""
        return "now"

    def _goes_on_with_the_figure_before(self) -> bool:
        """前30天的2天、1825.53元: the figure before is the other period's, and nothing between says otherwise."""
        previous = self.previous
        return (
            previous is not None
            and self.chained < _LONGEST_CHAIN
            and previous.kind != self.figure.kind
            and _GOES_ON.fullmatch(self.said.text[previous.end : self.figure.start]) is not None
            and Telling(self.facts, self.said, previous, self.chained + 1).period != "now"
        )

    def _goes_on_with_the_other(self) -> bool:
        """上期净收入51万元、订单2440单: a sentence that begins with the other period may stay with it."""
        previous = self.previous
        if previous is None or self.said.sentence_start(previous.start) != self.sentence_start:
            return False
        opening = self.said.text[self.said.clause_start(previous.start) : previous.start]
        return bool(_OPENS_WITH_BEFORE.match(opening)) and not self._is_now_word(opening)

    def _stands_beside_the_other(self) -> bool:
        """17单、上一时段30单: a second figure of the same thing, told as of one period, is of the other one."""
        if _BOTH_PERIODS.search(self.said.text, self.sentence_start, self.figure.end):
            return True
        return any(self._is_the_same_thing(one) for one in self.said.claims_beside(self.figure))

    def _is_the_same_thing(self, other: Written) -> bool:
        """Whether another figure is of this one's unit and measure, and its own words tell it as of now."""
        first, second = sorted((self.figure, other), key=lambda one: one.start)
        text = self.said.text
        between = text[first.end : second.start]
        if (
            other.kind != self.figure.kind
            or other.value == self.figure.value
            or len(between) > _FARTHEST
            or _SENTENCE.search(between)
        ):
            return False
        if self._entities_apart(first, second):
            return False
        if other is second:
            return bool(NOW.search(between) or _ARRIVES.search(between))
        ahead = text[max(self.said.sentence_start(other.start), other.start - _FARTHEST) : other.start]
        return bool(NOW.search(ahead))

    def _entities_apart(self, first: Written, second: Written) -> bool:
        """Whether another area, day or measure is named between two figures."""
        named = self.said.named(ENTITY, first.end, second.start)
        other = self._known(first.end, second.start)
        before = self._known(self.said.sentence_start(first.start), first.start)
        return bool(named) or any(not before or not one.named & before[-1].named for one in other)

    def _told_behind(self) -> bool:
        """30单（对比期）, 30单是上期的订单: and not 17单是上期的57%."""
        behind = _BEFORE_BEHIND.match(self.after)
        if behind is None or self._is_now_word(self.after[:8]):
            return False
        rest = self.after[behind.end() :]
        return not (rest in ("", "的") and self._figure_follows())

    def _next_arrives(self) -> bool:
        """从611元，退到453元: whether the next figure is where this one went."""
        return any(
            other.start > self.figure.start
            and other.kind == self.figure.kind
            and _ARRIVES.search(self.said.text[self.figure.end : other.start][-_FARTHEST:]) is not None
            and self.said.sentence_start(other.start) <= self.figure.start
            for other in self.said.claims_beside(self.figure)
        )

    def _figure_follows(self) -> bool:
        """Whether the text up to the next figure is all in this figure's clause."""
        following = self.said.figure_after(self.figure.end)
        return following is not None and following <= self.clause_end

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
        return not (words.UP.search(rest) or words.DOWN.search(rest) or NOW.search(rest))

    def _is_now_word(self, text: str) -> bool:
        now = self.facts.now_words
        return bool(now) and now in text and not re.search(f"[上前再]{re.escape(now)}", text)

    def _before_word(self, text: str) -> bool:
        return bool(BEFORE.search(text)) and not self._is_now_word(text)

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
        # 4919人（下降20.6%）: the next figure's own
        of_next = after and self._figure_follows() and len(self.after) - after.end() < _OF_NEXT
        if after is not None and not of_next and self.period != "before":
            return 1 if words.UP.match(after[1]) else -1
        # …下降116362.47元（22.8%）, …下降19.8%、20.6%
        previous = self.previous
        chained = (
            previous is not None and previous.start >= self.sentence_start and self.chained < _LONGEST_CHAIN
        )
        if previous is not None and chained and _FILLER.fullmatch(self.before):
            return Telling(self.facts, self.said, previous, self.chained + 1).direction
        return 0

    @cached_property
    def is_chained(self) -> bool:
        """Whether the direction is only the one of the figure before: 下降5.3%，为40人 tells a level too."""
        return self.direction != 0 and not self._direction_in(self.before)

    def _sign_of_sentence(self) -> int:
        """指标都在下行：订单数5.7%，客人数2.4%: told once for all that follow."""
        told = self.said.text[self.sentence_start : self.window_start]
        ups = [match.end() for match in words.UP.finditer(told)]
        downs = [match.end() for match in words.DOWN.finditer(told)]
        if not ups and not downs:
            return 0
        return 1 if max(ups, default=-1) > max(downs, default=-1) else -1

    def _direction_in(self, text: str) -> int:
        # 多14%, 少3人: a direction only where a figure follows
        closed = text + "¥"
        ups = [(match.end(), 1, match) for match in words.UP.finditer(closed)]
        downs = [(match.end(), -1, match) for match in words.DOWN.finditer(closed)]
        if not ups and not downs:
            return 0
        end, sign, _ = max(ups + downs, key=lambda one: one[0])
        rest = text[end:]
        if ":" in rest and not _FILLER.fullmatch(rest):
            # 消费上升：近30天250元
            return 0
        if len(rest) > 10 or re.match(r"的(?!幅|¥)", rest) or _STANDS.search(rest):
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
                    rf"(?:{words.UP.pattern}|{words.DOWN.pattern})(?:[^，。；\d达额幅率量比]?(?:至|到)|了?[为成])\s?(?:了|约|近|不到|不足|超过|仅)*(?:近?\d+天的?|本期的?|目前的?|现在的?|如今的?|眼下的?)?(?:约|近|不到|不足|超过|仅)*\s?$",
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
