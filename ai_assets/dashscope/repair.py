"""Repair JSON that is almost right, and refuse a repair that would invent or complete anything.

Two repairs. An object without its last brackets gets them, and nothing else may be wrong with it. An object that
closes, but is not JSON, goes through json-repair in strict mode. json-repair still closes unclosed strings and fills
gaps, so each value of the result must stand in the text, and each string between its own quotes. Strict mode bounds
most hostile texts but not all (49 s for 64 kB of `a:b,`), so the reads of the text are counted and cut short.

Not here: finding the object, the schema (`reading`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ai_assets.dashscope.spans import DEEPEST, Span, nests_deeper

LONGEST_TEXT = 100_000
_READS_PER_CHAR = 20  # an ordinary answer takes 0.2 to 3
_MOST_READS = 1_000_000  # about a second

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,4})?")
_NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
_QUOTES = frozenset("\"'“”")
# a number at the end may have lost digits, an open bracket has lost its content
_WHOLE_END = re.compile(r'(?:["}\]]|\b(?:true|false|null))\Z')
_AFTER_STRING = re.compile(r"\s*(?:[,:}\]/#]|\s[\"'“]|\Z)")
_AFTER_BARE = re.compile(r"\s*[,:}\]]")
_BEFORE_BARE = re.compile(r"[,:{\[]\s*\Z")
_MOST_BLANKS = 20
_EMPTY = {
    "[]": re.compile(r"\[\s*\]"),
    "{}": re.compile(r"\{\s*\}"),
    "None": re.compile(r"null|none|nan|infinity|undefined", re.IGNORECASE),
    "True": re.compile(r"true", re.IGNORECASE),
    "False": re.compile(r"false", re.IGNORECASE),
}


class UnrepairableJsonError(Exception):
    """The text cannot be repaired without inventing something; the message says what. Caught by `reading`."""


def repair(text: str, span: Span) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object that `text`, the text of `span`, means, and what was repaired in it, for people.

    Work is bounded by the length of `text`. Raises UnrepairableJsonError.
    """
    if len(text) > LONGEST_TEXT:
        raise UnrepairableJsonError(f"it is broken, and with {len(text):,} characters too long to repair")
    if not span.closed:
        return _close(text, span)
    lenient = _parse_leniently(text)
    if lenient is not None:
        return lenient
    value = _without_not_finite(_json_repair(text))
    invented = _invented(value, text)
    if invented:
        raise UnrepairableJsonError(f"repairing it would invent or complete {invented}")
    return value, ("broken JSON was mended",)


def _close(text: str, span: Span) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object with the brackets that it lacks; all that it holds must be whole."""
    if span.in_string:
        raise UnrepairableJsonError("it ends within a string")
    whole = text.rstrip("` \t\r\n")
    if not _WHOLE_END.search(whole):
        raise UnrepairableJsonError("it ends within a value")
    read = _parse_leniently(whole + span.missing) if len(span.missing) <= DEEPEST else None
    if read is None:
        raise UnrepairableJsonError("it has no end, and is broken before it")
    value, notes = read
    return value, (*notes, "the answer has no proper end")


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

    for strict in (True, False):
        not_finite = 0
        try:
            value = json.loads(text, strict=strict, parse_constant=finite, parse_float=finite)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict):
            return None
        notes = () if strict else ("raw control characters in strings",)
        return value, (*notes, f"{not_finite} NaN or infinite numbers became null") if not_finite else notes
    return None


def _json_repair(text: str) -> dict[str, Any]:
    import json_repair  # slow to import, and most answers need none

    problem, value = "", None
    try:
        value = json_repair.loads(_MeteredText(text, _Meter(len(text))), skip_json_loads=True, strict=True)
    except _TooMuchWorkError:
        problem = "it is broken beyond repair in reasonable time"
    except (ValueError, RecursionError, IndexError):
        problem = "it is broken beyond repair"
    if problem:
        raise UnrepairableJsonError(problem)
    if not isinstance(value, dict) or nests_deeper(value, DEEPEST):
        raise UnrepairableJsonError("it is broken beyond repair")
    return value


def _without_not_finite(value: Any) -> Any:
    """json-repair reads a bare NaN as the string "NaN"."""
    if isinstance(value, dict):
        return {key: _without_not_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_not_finite(item) for item in value]
    bare = isinstance(value, str) and value in _NOT_FINITE
    return None if bare or (isinstance(value, float) and not math.isfinite(value)) else value


def _invented(value: Any, text: str) -> str:
    """What in `value` does not stand whole in `text`, in a few words; "" if all of it does.

    Strings are looked for in their order, each after the one before it, so the text is read once.
    """
    plain = _ESCAPE.sub(_unescaped, text)
    numbers = {float(number) for number in _NUMBER.findall(plain)}
    done = 0
    for leaf in _leaves(value):
        if isinstance(leaf, str):
            done = _end_of_string(plain, leaf, done)
            if done < 0:
                return f"a text of {len(leaf):,} characters"
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            if abs(leaf) > 1e300 or float(leaf) not in numbers:
                return "a number"
        elif not _EMPTY[str(leaf)].search(text):
            return f"the value {leaf!r}"
    return ""


def _end_of_string(plain: str, leaf: str, start: int) -> int:
    """Where `leaf` ends, as a whole string of `plain` at `start` or later; -1 where it is none."""
    # one that holds a quote may have lost the other
    may_be_bare = bool(leaf) and _QUOTES.isdisjoint(leaf)
    at = plain.find(leaf, start + 1)  # at `start` stands a bracket, a separator or what follows a quote
    while 0 <= at < len(plain):
        end = at + len(leaf)
        if plain[at - 1] in _QUOTES:
            if plain[end : end + 1] in _QUOTES and _AFTER_STRING.match(plain, end + 1):
                return end + 1
        elif (
            may_be_bare
            and _AFTER_BARE.match(plain, end)
            and _BEFORE_BARE.search(plain[max(0, at - _MOST_BLANKS) : at])
        ):
            return end
        at = plain.find(leaf, at + 1)
    return -1


def _leaves(value: Any) -> Iterator[Any]:
    """Every string (keys too), number, bool and None, and the empty containers, in the order of the text."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _ESCAPED.get(match[2], match[2])


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
