"""Which of several things told together a figure is of: 订单和客人分别为X和Y, 主要去A和B，前者X，后者Y.

Here: lists and their order, and where a figure's clause and sentence lie. Not here: which mention belongs to a figure
that stands alone (`near`).
"""

from __future__ import annotations

import re
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.facts import Facts
from ai_assets.trust.passage import Passage
from ai_assets.trust.topics import PAIRED, Mention
from ai_assets.trust.written import Written

APART: Final = re.compile(r"分别|各为|依次|各占|各有|各|两者|二者")
_LISTED: Final = re.compile(r"\s?[、和与及]")
_FROM_TO: Final = re.compile(r"[由从自][^，。；]{1,24}[到至为成变]")


class Listing:
    """One figure of a passage, and the lists around it."""

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

    def _paired(self, what: str) -> list[Mention]:
        """Of 主要去A和B，前者6单，后者2单 the one that is meant."""
        told = self.said.named(PAIRED, self.window_start, self.figure.start)
        if not told:
            return []
        earlier = self.said.named(what, self.sentence_start, self.said.clause_start(told[-1].start))
        first = self.said.named(PAIRED, self.sentence_start, self.figure.start)[0].start
        two = [one for one in earlier if one.end <= first][-2:]
        return [two["后者" in told[-1].named]] if len(two) == 2 else []

    def _dealt_out(self, what: str) -> list[Mention]:
        """Of A6单、B2单，占比分别为X和Y, of 客单价X、人均Y，上期为Z、W the one at this figure's place."""
        said = self.said
        start = self.clause_start
        for apart in APART.finditer(said.text, self.clause_start, self.figure.start):
            start = apart.end()
        if start == self.clause_start and self._is_no_list(what):
            return []
        earlier = self._named_once(what, self.sentence_start, start)
        figures = said.claims_between(start, self.clause_end)
        place = said.claims_between(start, self.figure.start)
        if figures < 2 or len(earlier) < figures or place >= figures:
            return []
        return [earlier[-figures:][place]]

    def _named_once(self, what: str, start: int, end: int) -> list[Mention]:
        """What is named between two places; of 台费花费 the 台费 alone."""
        found: list[Mention] = []
        for one in self.said.named(what, start, end):
            close = found and one.start - found[-1].end <= 1
            if not (close and self._word(one) in words.GENERIC):
                found.append(one)
        return found

    def _is_no_list(self, what: str) -> bool:
        """Whether a clause without 分别 is no list of as many figures as the clause before names things."""
        said = self.said
        before = said.clause_start(self.clause_start - 1) if self.clause_start else 0
        listed = self._named_once(what, max(before, self.sentence_start), self.clause_start)
        figures = said.claims_between(self.clause_start, self.clause_end)
        return (
            self.clause_start <= self.sentence_start
            or figures != len(listed)
            or bool(said.named(what, self.clause_start, self.clause_end))
            or said.claims_between(before, self.clause_start) not in (0, figures)
        )

    def _went_on(self, before: list[Mention]) -> list[Mention]:
        """从5月的6天到6月的3天，实付由X变为Y: of both months."""
        return before if len(before) == 2 and _FROM_TO.search(self.clause) else []

    def _assigned(self, group: list[Mention]) -> list[Mention]:
        """Of 订单数和客人数分别…X和Y the one that stands at this figure's place; else all that are joined."""
        if len(group) < 2:
            return group
        end = group[-1].end
        told = self.said.text[end : self.figure.start]
        apart = APART.search(told)
        if apart is None:
            return group
        place = self.said.claims_between(end, self.figure.start)
        if not place and apart[0].startswith("各") and not _LISTED.match(self.after):
            # 1月和4月各5天: so many each
            return group
        return [group[place]] if place < len(group) else group

    def _word(self, one: Mention) -> str:
        return self.said.text[one.start : one.end]
