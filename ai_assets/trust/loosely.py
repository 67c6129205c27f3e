"""A figure that is a fact to the digit, though its words were not understood: true unless they say otherwise.

A language model writes in more ways than any list of words holds. A figure of many digits does not meet a fact by
chance, so here only words right beside it speak against: another measure, another area or day, the other period, the
other direction. Here: that second look. Not here: the first (`fitting`), which needs the words to point to the fact.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ai_assets.trust.derived import is_rate
from ai_assets.trust.facts import Fact
from ai_assets.trust.joining import Joining
from ai_assets.trust.listing import APART
from ai_assets.trust.telling import BEFORE, NOW
from ai_assets.trust.topics import ENTITY

_DIGITS: Final = 4
"""So many digits, or one less with a decimal, are not met by chance."""
_LEVELS: Final = frozenset({"level", "average", "total", "per", "share"})
_BASE_OF: Final = re.compile(r"(?:较|比|[由从自])[^，。；\d]{0,6}$")
_PARTS: Final = frozenset({"台费", "助教费", "商品", "其他费用"})
_COUNTED: Final = re.compile(r"第|排")
_WHOLE: Final = re.compile(r"近\d+天|全店|整体|合计|总|本期|\d+天平均|一共|全部")
_KINDS: Final = frozenset({"yuan", "number", "percent", "minutes", "orders", "people"})


class Loosely(Joining):
    """And what it may be by its digits."""

    @property
    def is_precise(self) -> bool:
        """Whether the figure has so many digits that it meets no fact by chance."""
        figure = self.figure
        if figure.value is None or not figure.exact or figure.kind not in _KINDS:
            return False
        digits = re.sub(r"[^\d.]", "", figure.text)
        decimal = "." in digits
        return len(digits.replace(".", "").strip("0")) >= _DIGITS - decimal and abs(figure.value) > Decimal(
            "0.5"
        )

    @property
    def is_exact(self) -> bool:
        """Whether it is written to the last of five digits or more."""
        return len(re.sub(r"[^\d]", "", self.figure.text).strip("0")) >= _DIGITS + 1

    def fits_loosely(self, fact: Fact) -> bool:
        """Whether nothing beside the figure speaks against this fact."""
        if fact.aspect not in (*_LEVELS, "change") or APART.search(self.clause_before):
            return False
        return self._sign(fact) and self._measure(fact) and self._entity(fact) and self._period(fact)

    def _sign(self, fact: Fact) -> bool:
        if fact.aspect == "change":
            written = self.figure
            if written.signed and written.value is not None:
                return (written.value > 0) == (fact.value > 0)
            sign = self.direction or self._sign_of_sentence()
            return sign != 0 and (sign > 0) == (fact.value > 0)
        if fact.aspect in ("level", "total") and not is_rate(fact) and self._told_per_one():
            return False
        if self._direction_of_arrival():
            return (self.reached or self.is_chained or not self.direction) and self._arrived(fact)
        return not self.direction or self.is_chained

    def _measure(self, fact: Fact) -> bool:
        _, own = self._measures
        if own or (own is None and self.figure.kind == "percent"):
            return self._measure_fits(fact)
        told = self.sentence_measures & self._known_measures
        return not told or not fact.measures & _PARTS or bool(fact.measures & told)

    def _entity(self, fact: Fact) -> bool:
        own = self.said.named(
            ENTITY, self.window_start if self.is_exact else self.clause_start, self.figure.start
        )
        if self.is_exact and not own and not _COUNTED.search(self.clause_before):
            return not fact.entities or bool(fact.entities & (self.all_entities | self.sentence_entities))
        wanted = self._resolved(own[-1:]) if own else self.sentence_entities
        if wanted and self._binding(wanted, fact):
            return bool(fact.entities & wanted) or (not own and not fact.entities and self._of_the_whole())
        return not fact.entities or bool(fact.entities & self.all_entities)

    def _of_the_whole(self) -> bool:
        return _WHOLE.search(self.clause_before) is not None

    def _period(self, fact: Fact) -> bool:
        if fact.aspect == "change":
            return True
        if fact.period != "before":
            return not BEFORE.search(self.before) and not self._told_behind()
        return not NOW.search(self.before) and bool(
            BEFORE.search(self.sentence) or _BASE_OF.search(self.before)
        )
