"""The figures that stand in a prompt, each exactly as written there, with a label to speak of it.

Here: reading numbers out of JSON text (labelled by their keys) or out of any other text (labelled by the
words before them). Not here: what is said about them (`finance_replies`, `member_replies`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from ai_assets.simulator.labels import labelled, unit_of

MOST_FIGURES: Final = 300
# A daily series is one matter: a few of its days are enough to speak of.
MOST_OF_A_LIST: Final = 6
MOST_OF_AN_OBJECT: Final = 48
LONGEST_NUMBER: Final = 20

T = TypeVar("T")

_NUMBER: Final = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?%?")
_NUMBER_WITH_UNIT: Final = re.compile(r"(-?[0-9][0-9,]*(?:\.[0-9]+)?)\s*(%|元|单|人|次|天|分钟|小时|个)?")
_IN_TEXT: Final = re.compile(
    r"(?:([\u4e00-\u9fff]{2,12})[ \t]*[:：为是约]?[ \t]*)?"
    r"(?<![0-9A-Za-z.,:/_+\-])(-?[0-9][0-9,]*(?:\.[0-9]+)?)(?![0-9A-Za-z:/年月日号_\-]|\.[0-9]|,[0-9])"
)
_NO_FIGURE: Final = re.compile(
    r"编号|编码|电话|手机|版本|日期|时间|批次|序号|星期|年份|[Ii][Dd]|date|hash|phone|version"
)
_NAMES_OF_ITEMS: Final = ("日期", "名称", "区域", "周", "起", "开始", "date", "name", "area", "label")


class _Written(str):
    """A JSON number as it is written."""

    __slots__ = ()


@dataclass(frozen=True)
class Figure:
    """One number of the prompt: how it is called, how it is written, and its unit if that is plain."""

    label: str
    text: str
    unit: str

    @property
    def sign(self) -> int:
        """1, 0 or -1."""
        if not self.text.strip("-0.,%"):
            return 0
        return -1 if self.text.startswith("-") else 1

    def said(self) -> str:
        """The figure as a clause: 「本期净收入为 12345.00 元」."""
        unit = "%" if self.unit == "%" else f" {self.unit}" if self.unit else ""
        return f"{self.label}为 {self.text}{unit}"


def parsed(prompt: str) -> object:
    """The prompt as JSON with every number kept as it is written, or None if it is not JSON."""
    try:
        return json.loads(prompt, parse_float=_Written, parse_int=_Written, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def leaves(data: object, *, all_of_them: bool = True) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every leaf of `data` with the keys that lead to it, in the order of the text.

    Items of a list are named by a key of theirs that names things (a date, a name), else not at all.
    Without `all_of_them`, of a list or an object with many entries only some are visited, spread over it.
    """
    stack: list[tuple[tuple[str, ...], object]] = [((), data)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            entries = list(value.items())
            entries = entries if all_of_them else _spread(entries, MOST_OF_AN_OBJECT)
            stack.extend([((*path, key), inner) for key, inner in reversed(entries)])
        elif isinstance(value, list):
            items = value if all_of_them else _spread(value, MOST_OF_A_LIST)
            stack.extend([((*path, *_item_name(inner)), inner) for inner in reversed(items)])
        else:
            yield path, value


def figures_in(prompt: str, data: object) -> tuple[Figure, ...]:
    """The labelled figures of `prompt`, whose JSON is `data` (None: it is not JSON); at most MOST_FIGURES."""
    found: dict[tuple[str, str], Figure] = {}
    source = _in_text(prompt) if not isinstance(data, dict | list) else _in_json(prompt, data)
    for figure in source:
        found.setdefault((figure.label, figure.text), figure)
        if len(found) >= MOST_FIGURES:
            break
    return tuple(found.values())


def _in_json(prompt: str, data: object) -> Iterator[Figure]:
    for path, value in leaves(data, all_of_them=False):
        if not isinstance(value, str) or len(value) > LONGEST_NUMBER or not path:
            continue
        if _NO_FIGURE.search(path[-1]):
            continue
        if isinstance(value, _Written):
            text, unit = str(value), ""
        else:
            match = _NUMBER_WITH_UNIT.fullmatch(value)
            # A string may be written with escapes; only what stands in the prompt letter by letter is quoted.
            if match is None or value not in prompt:
                continue
            text, unit = match.group(1), match.group(2) or ""
        called = labelled(path[-3:])
        # A number in a label must be the prompt's own too, letter by letter.
        if called.text and all(number in prompt for number in called.numbers):
            yield Figure(called.text, text, unit or called.unit)


def _in_text(prompt: str) -> Iterator[Figure]:
    for match in _IN_TEXT.finditer(prompt):
        words, text = match.groups()
        if len(text) > LONGEST_NUMBER or (words and _NO_FIGURE.search(words)):
            continue
        label = re.sub(r"[为是约]$", "", words) if words else "资料中提到的数值"
        yield Figure(label, text, unit_of(label))


def _spread(entries: list[T], most: int) -> list[T]:
    if len(entries) <= most:
        return entries
    return [entries[place * (len(entries) - 1) // (most - 1)] for place in range(most)]


def _item_name(item: object) -> tuple[str, ...]:
    if isinstance(item, dict):
        for key in _NAMES_OF_ITEMS:
            name = item.get(key)
            if isinstance(name, str) and name:
                return (name,)
    return ()
