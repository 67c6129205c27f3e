"""Whether a fact is what a figure's own words can mean.

Here: one question for each of sign, measure, entity and period. Not here: the words (`near`, `telling`), the
search for facts (`judging`).
"""

from __future__ import annotations

import re
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.derived import SELECTED, is_rate
from ai_assets.trust.facts import NONE, Fact
from ai_assets.trust.lookup import indexes
from ai_assets.trust.telling import BEFORE, Telling
from ai_assets.trust.topics import ENTITY

SPAN_BEFORE: Final = re.compile(
    r"(?:近|过去|最近|这|那|头|开头|满|前|之前|此前|再之前的|为期|共|统计|天数为|整|连续|窗口|期间|区间|每隔|每|按|[前上]一?个|经营|一共)\s?$"
)
_SPAN_AFTER: Final = re.compile(
    r"\s?(?:内|里|到店|来|的(?!间隔)|中|以来|期间|间|统计|窗口|合计|累计|平均|消费|净|实付|省|花|约|一共|总|就|才|每|收|做)"
)
_SCOPE_30: Final = re.compile(
    r"近30天|最近30天|过去30天|近三十天|近一个月|最近一个月|近1个月|过去一个月|近一月|30天内|30天里"
)
_SCOPE_180: Final = re.compile(
    r"近180天|最近180天|过去180天|近半年|半年来|过去半年|最近半年|180天内|180天里|近六个月|半年内|半年里"
)
_TOP: Final = re.compile(
    r"前[两三二23]|[两二三]大|[两二三]个|头部|合计|加起来|之和|[Tt][Oo][Pp]|共占|共贡献|[和与、]"
)
_CHOSEN: Final = re.compile(r"最[好差高低佳弱旺淡]|前[三两二23]|三天|三日|后三|[头末]三")
_BASE: Final = re.compile(
    r"占(?:他|她|全部|总共|总计|其|会员|全店|了|的)*\s?$"
    r"|(?:高于|低于|超过|好于|差于|大于|小于|强于|弱于)(?:全店|整体|总体|平均|均值)[^，。；]{0,4}$"
)
"""What something is a share of, or held against: the whole."""
_TWO: Final = re.compile(r"[两二][日天者区]|高低|峰谷|首尾|极差|最高[^，。；]{0,8}最低")
_ARROW: Final = re.compile(r"\s?(?:→|->|=>|➜)")
_OUT_OF: Final = re.compile(r"(?:之?中|里)(?!心|午|面)")
"""19单中有6单: what they are of."""
_COMPARES: Final = re.compile(
    r"比|差|超|领先|落后|多[于出了收]|少[于了收]|[高低]|倍|不及|不如|大于|小于|[占较每均]|之于|相当|抵|折|除以|减去|距|扣"
)
_PART: Final = re.compile(r"占|贡献|来自|解释|撑起|吃掉|扛|拖累|带来|出自|源自|在(?=台费|助教|商品)")
_A_CHANGE: Final = re.compile(r"降|减|增|涨|跌|变|下滑|缺口|差额")
_LEVELS: Final = frozenset({"level", "average", "total", "share"})
_IS: Final = re.compile(r"[为是达到至]")
_LEVEL_WORDS: Final = re.compile(
    r"(?:总?[额量数]|[的为是有共约近超过达到计仅只就：:（(\s]|合计|录得|实现|做到|完成|停在|落在|总计|一共|本期|目前|大概|大约)*"
)
_PER_ONE: Final = re.compile(
    r"日均|天均|平均每[天日次单笔]|平均一天|均摊|平摊|每[次单笔](?!时长|净收入)[^，。；]{0,4}$"
)
_GAP_WORDS: Final = re.compile(r"相差|差距|落差|差额|极差|悬殊|之差|差了|倍")
WINDOWS: Final = frozenset({30, 60, 90, 180})
"""Days that the prompts count over: told, they are a window and no claim of their own."""
_OF_ALL: Final = re.compile(r"半年|180天|近30天|最近30天|近一个月|最近一个月|总共|一共|全店|全部")
_MAIN: Final = frozenset({"净收入", "实付合计", "实付"})
"""What a sentence is about that names nothing, whatever the one before was about."""
_SINCE_THEN: Final = re.compile(r"距|隔|没|未")
_SINCE: Final = re.compile(r"距|今|前|没|未|隔|以来|不见|过去|空档|已|没见|了")


class Fitting(Telling):
    """And which facts it may mean."""

    def fits(self, fact: Fact) -> bool:
        """Whether the figure's own words can mean this fact."""
        if fact.aspect == "span":
            return self._is_span()
        if fact.aspect == "elapsed":
            return bool(_SINCE.search(self.clause))
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
        if fact.aspect == "compared" and not self.direction and not _COMPARES.search(self.sentence):
            return False
        if fact.aspect == "contribution":
            told = self.said.text[max(0, self.sentence_start - 40) : self.clause_end]
            return bool(_PART.search(self.clause) and _A_CHANGE.search(told))
        if self.reached:
            return fact.aspect in ("level", "average", "total", "share") and self._arrived(fact)
        if self.direction:
            if fact.aspect == "change":
                return (fact.value > 0) == (self.direction > 0) or fact.value == 0
            # 比大厅A区少4566元: which of the two is meant is not told apart here
            apart = (
                self.window_start > self.previous_end
                or _IS.search(self.before)
                or _ARROW.match(self.after)
                or _ARROW.search(self.before)
            )
            if self.is_chained and apart and fact.aspect in _LEVELS:
                return True
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
                or self._may_tell_a_change(fact)
            ) and (fact.value >= 0 or not written.signed)
        if change and fact.aspect == "gap":
            return bool(_GAP_WORDS.search(self.clause))
        if fact.aspect in ("times", "inverse"):
            return self.figure.kind == "ratio" or bool(
                BEFORE.search(self.said.text, self.sentence_start, self.figure.start)
                or re.search(r"相当于|只有|仅|[折合]算?", self.before)
            )
        if fact.aspect == "level" and fact.value < 0 and not written.signed:
            return bool(re.search(r"负|亏|倒|冲|退|抵", self.clause))
        if fact.aspect in ("level", "total") and not is_rate(fact) and self._told_per_one():
            return False
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

    def _told_per_one(self) -> bool:
        """日均, 每次: one of many, and not all of them."""
        return bool(_PER_ONE.search(self.before))

    def _may_tell_a_change(self, fact: Fact) -> bool:
        """Whether a verb that is not known may be one of change: 净收入放量8.9%, and not 净收入为8.9%.

        The figure is its own measure's change to the digit; what the verb's direction is cannot be told.
        """
        if not fact.measures & self.measures:
            return False
        if fact.kind in ("percent", "points"):
            return not words.SHARE.search(self.clause_before)
        mentions = self.measure_mentions
        return bool(mentions) and not _LEVEL_WORDS.fullmatch(
            self.said.text[mentions[-1].end : self.figure.start]
        )

    def _arrived(self, fact: Fact) -> bool:
        """降至X: whether what the fact is a level of did fall."""
        if fact.aspect == "share":
            return fact.period != "before"
        sign = self._direction_of_arrival()
        if not sign or fact.period == "before":
            return fact.period != "before"
        changes = indexes(self.facts)[2].get((fact.measures, fact.entities), ())
        return not changes or any((value > 0) == (sign > 0) or value == 0 for value in changes)

    def _direction_of_arrival(self) -> int:
        ups = [match.end() for match in words.UP.finditer(self.before)]
        downs = [match.end() for match in words.DOWN.finditer(self.before)]
        if not ups and not downs:
            return 0
        return 1 if max(ups, default=-1) > max(downs, default=-1) else -1

    def _measure_fits(self, fact: Fact) -> bool:
        measures, own = self._measures
        if not measures or (_OUT_OF.match(self.after) and not fact.entities and fact.aspect == "level"):
            return True
        if not fact.measures:
            return fact.aspect == "counted" or (fact.aspect == "text" and (not own or fact.kind == "minutes"))
        if fact.measures & measures or (own is None and fact.kind == "yuan" and fact.measures & _MAIN):
            return True
        # the sentence before may be about something else than a text's own words
        return (own is None or fact.kind == "minutes") and fact.aspect == "text"

    def _is_span(self) -> bool:
        named = self.measure_mentions
        if self.figure.value in WINDOWS and not (named and self.figure.start - named[-1].end <= 2):
            return True
        if self.figure.text in ("半年", "半个月") and not _SINCE_THEN.search(self.before):
            return True
        return bool(
            SPAN_BEFORE.search(self.before) or (not self.measure_mentions and _SPAN_AFTER.match(self.after))
        )

    def _entity_fits(self, fact: Fact) -> bool:
        wanted = self.entities
        about = fact.entities
        if fact.aspect == "counted":
            return self._count_fits(fact)
        if not about:
            if _OF_ALL.search(self.clause_before) and not self.said.named(
                ENTITY, self.clause_start, self.figure.start
            ):
                # 周一的老面孔，半年来了40次
                return True
            if fact.path.endswith(("项合计", "项占比")) and not _TOP.search(self.sentence):
                return False
            if fact.aspect == "gap" and _TWO.search(self.clause):
                return True
            if fact.group in SELECTED and not _CHOSEN.search(self.sentence):
                return False
            if fact.aspect == "text" or not wanted or _BASE.search(self.before):
                return True
            if fact.aspect == "average" and words.AVERAGE.search(self.before):
                return True
            if fact.aspect == "share":
                return bool(fact.measures & self.measures)
            return not self._binding(wanted, fact)
        if fact.aspect == "text":
            return (
                fact.kind == "minutes"
                or not wanted
                or not about
                or bool(about & wanted)
                or not self._binding(wanted, fact)
            )
        if (
            fact.aspect in ("compared", "total", "average", "share")
            and len(about) > 1
            and fact.path.find(",") > 0
        ):
            return True
        if wanted and self._binding(wanted, fact):
            return bool(about & wanted) and self._whole_of(wanted, about)
        if wanted & about:
            return True
        if not wanted and any(part in self.clause_before for part in fact.group.split(".") if len(part) > 3):
            # 结账时段分布实付为…: the prompt's own heading, without which of its entries
            return True
        if fact.measures and not wanted:
            return bool(about & self.all_entities) or bool(
                words.SUPERLATIVE.search(self.sentence + self.said.earlier_text)
            )
        return bool(about & self.all_entities)

    def _whole_of(self, wanted: frozenset[str], about: frozenset[str]) -> bool:
        """周末 and 工作日 are all of their days, unless one of them is picked out."""
        weekdays = {name for name in about if name.startswith("w:")}
        several = {name for name in wanted if name.startswith("w:")}
        if not weekdays or len(several) < 2 or about & wanted - several:
            return True
        if any(len(one.named) > 1 for one in self.entity_mentions):
            return weekdays == several or bool(words.SUPERLATIVE.search(self.clause))
        return True

    def _count_fits(self, fact: Fact) -> bool:
        """有5个区域下降: how many fall, and not how many rise."""
        if any(name.startswith("m:") for name in self.entities) and not fact.entities:
            return False
        near = self.before[-10:] + self.after[:14]
        if re.match(r"[^，。；]{0,6}?(?:中|里)", self.after):
            return fact.scope == 0
        ups, downs = words.UP.search(near), words.DOWN.search(near)
        if bool(ups) == bool(downs):
            return True
        return fact.scope == (1 if ups else -1)

    def _binding(self, wanted: frozenset[str], fact: Fact) -> bool:
        """Whether the named entities have facts of this measure at all: else they say nothing of it."""
        known = indexes(self.facts)[0]
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
