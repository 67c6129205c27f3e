"""Mending JSON that is almost right, and refusing what the mending made up.

`json-repair` mends most of what models get wrong. It also fills gaps: a value cut off becomes an empty
string, an array cut off an empty array. What was not written must not reach a venue, so everything in the
result is looked for in the text. And it is quadratic on some texts (33 s for 32 kB of `{'}'`), so its reading
of the text is counted and cut short.

Here: that, for the text of one object. Not here: finding the object, the schema (`reading`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ai_assets.dashscope.spans import DEEPEST, nests_deeper

LONGEST_TEXT = 100_000
_READS_PER_CHAR = 20  # an ordinary answer takes 0.2 to 3
_MOST_READS = 1_000_000  # about a second

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,4})?")
_NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
_EMPTY = {
    "": re.compile(r"\"\s*\"|'\s*'|“\s*”"),
    "[]": re.compile(r"\[\s*\]"),
    "{}": re.compile(r"\{\s*\}"),
    "None": re.compile(r"null|none|nan|infinity|undefined", re.IGNORECASE),
    "True": re.compile(r"true", re.IGNORECASE),
    "False": re.compile(r"false", re.IGNORECASE),
}


class NotMendedError(Exception):
    """The text cannot be mended without making something up; the message says what. Caught by `reading`."""


def repair(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object that `text` means, and what was mended in it, for people. Raises NotMendedError.

    In time bounded by the length of `text`, at most a few seconds for the longest.
    """
    if len(text) > LONGEST_TEXT:
        raise NotMendedError(f"it is broken, and with {len(text):,} characters too long to mend")
    lenient = _parse_leniently(text)
    if lenient is not None:
        return lenient
    value = _without_not_finite(_json_repair(text))
    made_up = _made_up(value, text)
    if made_up:
        raise NotMendedError(f"mending it would make up {made_up}")
    return value, ("broken JSON was mended",)


def _parse_leniently(text: str) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """Raw line breaks in strings and NaN: read exactly, with nothing to guess."""
    not_finite = 0

    def finite(digits: str) -> float | None:
        nonlocal not_finite
        number = float(digits)
        if math.isfinite(number):
            return number
        not_finite += 1
        return None

    try:
        value = json.loads(text, strict=False, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    note = (
        f"{not_finite} NaN or infinite numbers became null"
        if not_finite
        else "raw control characters in strings"
    )
    return value, (note,)


def _json_repair(text: str) -> dict[str, Any]:
    import json_repair  # slow to import, and most answers need none

    problem, value = "", None
    try:
        value = json_repair.loads(_MeteredText(text, _Meter(len(text))), skip_json_loads=True)
    except _TooMuchWorkError:
        problem = "it is broken beyond mending in reasonable time"
    except (ValueError, RecursionError, IndexError):
        problem = "it is broken beyond mending"
    if problem:
        raise NotMendedError(problem)
    if isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict)]
        value = objects[0] if len(objects) == 1 else None
    if not isinstance(value, dict) or nests_deeper(value, DEEPEST):
        raise NotMendedError("it is broken beyond mending")
    return value


def _without_not_finite(value: Any) -> Any:
    """json-repair reads a bare NaN as the string "NaN"."""
    if isinstance(value, dict):
        return {key: _without_not_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_not_finite(item) for item in value]
    bare = isinstance(value, str) and value in _NOT_FINITE
    return None if bare or (isinstance(value, float) and not math.isfinite(value)) else value


def _made_up(value: Any, text: str) -> str:
    """What in `value` does not stand in `text`, in a few words; "" if all of it does."""
    plain = _ESCAPE.sub(_unescaped, text)
    written = (_letters(text), _letters(plain))
    numbers = {float(number) for number in _NUMBER.findall(plain)}
    for leaf in _leaves(value):
        if isinstance(leaf, str) and (letters := _letters(leaf)):
            if not any(letters in source for source in written):
                return f"a text of {len(leaf):,} characters"
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            if abs(leaf) > 1e300 or float(leaf) not in numbers:
                return "a number"
        else:
            name = leaf.strip() if isinstance(leaf, str) else str(leaf)
            if name in _EMPTY and not _EMPTY[name].search(text):
                return f"the value {leaf!r}"
    return ""


def _leaves(value: Any) -> Iterator[Any]:
    """Every string (keys too), number, bool and None, and the empty containers."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return " " if match[2] in "nrtbf" else match[2]


class _TooMuchWorkError(Exception):
    """json-repair has read more than an honest text needs."""


class _Meter:
    def __init__(self, length: int) -> None:
        self.left = min(20_000 + _READS_PER_CHAR * length, _MOST_READS)

    def read(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _TooMuchWorkError


class _MeteredText(str):
    """A string that counts how often it is read, and so bounds a parser that goes through it by index."""

    __slots__ = ("_meter",)
    _meter: _Meter

    def __new__(cls, text: str, meter: _Meter) -> _MeteredText:
        metered = super().__new__(cls, text)
        metered._meter = meter
        return metered

    def __getitem__(self, key: Any) -> str:
        self._meter.read()
        part = super().__getitem__(key)
        return _MeteredText(part, self._meter) if isinstance(key, slice) else part

    def __add__(self, other: str) -> str:
        return _MeteredText(super().__add__(other), self._meter)
