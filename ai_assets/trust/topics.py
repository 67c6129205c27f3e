"""What a passage speaks of: its measures, whom or when it is about, in the order of the words.

Here: finding words. Not here: the vocabulary (`words`), which word belongs to which figure (`judging`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ai_assets.trust import words
from ai_assets.trust.facts import NONE

MEASURE, ENTITY, PAIRED = "measure", "entity", "paired"
"""What a mention is of; paired: 前者 or 后者 of two that were named before."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A word or figure at a place that names a measure or an entity; `named`: what it may stand for."""

    start: int
    end: int
    what: str
    named: frozenset[str]


def _trie(vocabulary: Iterable[str]) -> str:
    """A pattern of the words that tries the longest first and each letter once."""
    by_first: dict[str, list[str]] = {}
    for word in vocabulary:
        if word:
            by_first.setdefault(word[0], []).append(word[1:])
    branches = []
    for first, rests in by_first.items():
        more = _trie(rests)
        ends = "" in rests
        branches.append(re.escape(first) + (f"(?:{more}){'?' if ends else ''}" if more else ""))
    return "|".join(branches)


_BY_WORD: Final[dict[str, frozenset[str]]] = {
    word: frozenset(name for name, said in words.MEASURES.items() if word in said)
    for said in words.MEASURES.values()
    for word in said
}
_BY_WORD.update(dict.fromkeys(words.SECTIONS, NONE))
_AREA_OF: Final = {word: area for area, said in words.AREAS.items() for word in said}
_BANDS: Final = {"晚间": "晚上", "傍晚": "晚上", "早上": "上午", "夜里": "深夜", "半夜": "深夜"}
_WEEKDAYS: Final = re.compile(
    r"(?:周|星期|礼拜)(?!(?<=[上全这本每]周)一[共起])([一二三四五六日天末])(?:(?:至|到|-|~)(?:周|星期|礼拜)?([一二三四五六日天])|([日天])(?![期间子用均]))?|工作日|平日"
)
_WORDS: Final = re.compile(
    rf"(?P<measure>{_trie(_BY_WORD)})|(?P<area>{_trie(_AREA_OF)})|(?P<halls>大厅(?:三|三个)区|三个大厅|(?<=[ABC]区)三个区)|(?<![A-Za-z])(?P<hall>[ABC])(?=[、和与及,]|三个|两个)|(?P<weekday>{_WEEKDAYS.pattern})"
    rf"|(?P<rest>其他(?=\s?(?:占|约|仅|为|\d|[（(])))|(?P<last>{words.LAST_ORDER.pattern})|(?P<pair>前者|后者)|(?P<late>(?:晚上|夜里)?(?:九|9|21)点(?:以后|之后|后))|(?P<band>凌晨|早上|夜里|半夜|傍晚|上午|下午|晚上|晚间|深夜)"
)


def mentions(text: str, names: dict[str, str] | None = None) -> list[Mention]:
    """The mentions in a plain text, sorted. `names`: further names, by entity."""
    found: list[Mention] = []
    for match in _WORDS.finditer(text):
        start, end = match.span()
        said = match[0]
        if match["measure"]:
            if not _BY_WORD[said]:
                continue
            found.append(Mention(start, end, MEASURE, _BY_WORD[said]))
            if "最近到店" in _BY_WORD[said]:
                found.append(Mention(start, end, ENTITY, frozenset({"last"})))
        elif match["rest"]:
            found.append(Mention(start, end, MEASURE, frozenset({"其他费用"})))
        elif match["area"]:
            found.append(Mention(start, end, ENTITY, frozenset({f"a:{_AREA_OF[said]}"})))
        elif match["halls"]:
            found.append(Mention(start, end, ENTITY, frozenset(f"a:大厅{letter}区" for letter in "ABC")))
        elif match["hall"]:
            # 大厅A、B、C区
            found.append(Mention(start, end, ENTITY, frozenset({f"a:大厅{said}区"})))
        elif match["weekday"]:
            found.append(Mention(start, end, ENTITY, weekdays_of(said)))
        elif match["last"]:
            found.append(Mention(start, end, ENTITY, frozenset({"last"})))
        elif match["late"]:
            found.append(Mention(start, end, ENTITY, frozenset({"b:深夜"})))
        elif match["pair"]:
            found.append(Mention(start, end, PAIRED, frozenset({said})))
        else:
            found.append(Mention(start, end, ENTITY, _band(said)))
    for entity, name in (names or {}).items():
        if name in _AREA_OF:
            continue
        at = text.find(name) if len(name) > 1 else -1
        while at >= 0 and len(found) < 10_000:
            found.append(Mention(at, at + len(name), ENTITY, frozenset({entity})))
            at = text.find(name, at + len(name))
    found.sort(key=lambda mention: mention.start)
    return found


@lru_cache(maxsize=256)
def weekdays_of(said: str) -> frozenset[str]:
    """The weekdays of 周三, 周末, 周一至周五, 工作日, as entities `w:1` to `w:7`."""
    if said in ("工作日", "平日"):
        return frozenset(f"w:{day}" for day in range(1, 6))
    match = _WEEKDAYS.match(said)
    if match is None:
        return NONE
    if match[1] == "末":
        return frozenset({"w:6", "w:7"})
    if match[3]:
        return frozenset({f"w:{_weekday(match[1])}", "w:7"})
    first, last = _weekday(match[1]), _weekday(match[2] or match[1])
    return frozenset(f"w:{day}" for day in range(first, last + 1))


def _weekday(letter: str) -> int:
    return words.WEEKDAYS.index("日" if letter == "天" else letter) + 1


def _band(said: str) -> frozenset[str]:
    return frozenset({f"b:{_BANDS.get(said, said)}"})
