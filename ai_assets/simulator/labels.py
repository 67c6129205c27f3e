"""How a figure is called: the keys that lead to it, as words of a sentence, and the unit that they tell.

Here: wording. Not here: finding figures (`figures`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LONGEST_LABEL: Final = 28
LONGEST_KEY: Final = 200

# Keys that only hold figures together and add nothing to what one is called.
_HOLDERS: Final = frozenset(
    ("经营指标", "指标", "费用构成", "充值与会员", "数据", "数值", "合计", "消费概况")
)
_BEFORE: Final = frozenset(("本期", "当期", "对比期", "上期", "同期"))
_AFTER: Final = frozenset(("变化", "占比", "增减", "差额", "环比", "同比"))
_BRACKETS: Final = re.compile(r"[（(][^（）()]*[）)]")
_UNIT_WRITTEN: Final = re.compile(r"(?:[（(_](元|单|人|次|天|分钟|小时|个|%)[）)]?|(%))$")
_UNIT_BY_WORD: Final = (
    (re.compile(r"率|占比|比例|百分|比$"), ""),
    (re.compile(r"人次"), "人次"),
    (re.compile(r"笔数"), "笔"),
    (re.compile(r"单数|订单"), "单"),
    (re.compile(r"人数|客数|会员数|客人"), "人"),
    (re.compile(r"次数|到店数"), "次"),
    (re.compile(r"分钟|时长"), "分钟"),
    (re.compile(r"天数"), "天"),
    (re.compile(r"收入|金额|费|额|优惠|消费|实付|营收|支付|客单价|充值$|商品$"), "元"),
)


@dataclass(frozen=True)
class Label:
    """What a figure is called; empty if its keys cannot be said. `numbers`: those that stand in it."""

    text: str
    unit: str
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class _Key:
    word: str
    unit: str | None


@lru_cache(maxsize=4096)
def labelled(path: tuple[str, ...]) -> Label:
    """The label of the figure under the last one to three keys, outermost first."""
    keys = [_key(written[:LONGEST_KEY]) for written in path]
    if not keys[-1].word:
        return Label("", "", ())
    keys = [key for key in keys if key.word]
    while len(keys) > 1 and sum(len(key.word) for key in keys) > LONGEST_LABEL:
        keys.pop(0)
    text = _joined([key.word for key in keys])
    if len(text) > LONGEST_LABEL + 3:
        return Label("", "", ())
    return Label(text, _unit(keys), tuple(re.findall("[0-9]+", text)))


@lru_cache(maxsize=4096)
def unit_of(words: str) -> str:
    """The unit that `words` tell, or "" if none is plain."""
    return _told(words) or ""


def _key(written: str) -> _Key:
    match = _UNIT_WRITTEN.search(written)
    unit = (match.group(1) or match.group(2)) if match else None
    word = written[: match.start()] if match else written
    # Nothing that could break a sentence stays; a space keeps numbers apart that it stood between.
    word = re.sub(r"[^0-9A-Za-z\u4e00-\u9fff.:\-]+", " ", _BRACKETS.sub("", word)).strip()
    return _Key(word, unit)


def _joined(words: list[str]) -> str:
    """The keys as one noun: 「本期净收入」, 「净收入变化」, 「每日走势中2026-05-01的净收入」."""
    words = [word for word in words[:-1] if word not in _HOLDERS] + words[-1:]
    last = words[-1]
    if len(words) == 2 and last in _BEFORE:
        return _pair(last, words[0])
    if len(words) == 3:
        return f"{words[0]}中{_pair(words[1], last)}"
    return _pair(*words) if len(words) == 2 else last


def _pair(one: str, other: str) -> str:
    plain = one[-1] >= "\u4e00" and other[0] >= "\u4e00"
    return one + other if plain else f"{one}的{other}"


def _unit(keys: list[_Key]) -> str:
    """The innermost unit that the keys tell; a change of a percentage is in percentage points."""
    *outer, last = keys
    if last.unit is not None:
        return last.unit
    if outer and outer[-1].unit == "%" and last.word in _AFTER:
        return "个百分点"
    for key in reversed(keys):
        unit = key.unit if key.unit is not None else _told(key.word)
        if unit is not None:
            return unit
    return ""


def _told(word: str) -> str | None:
    return next((unit for pattern, unit in _UNIT_BY_WORD if pattern.search(word)), None)
