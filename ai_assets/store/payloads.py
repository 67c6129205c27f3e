"""An event's payload at the two ends of the inbox: written so that Postgres takes it, read whatever stands there.

Not here: what else is wrong with an event (`biz.fire_ai_event` judges that, for every language), any statement.
The limits are those of `biz.ai_payload_trouble`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ai_assets.store.texts import storable_json

DEEPEST = 64
"""Lists and objects within each other."""
MOST_DIGITS = 400
"""Of one number, written out."""
FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2999, 12, 31)
"""What a business date may be."""

# `biz.fire_ai_event` repeats these four as `dropped_for`, and no other text
TOO_LARGE = "payload is over 256 kB; send references, not contents"
TOO_DEEP = f"payload is nested deeper than {DEEPEST}"
TOO_LONG_A_NUMBER = f"payload holds a number of more than {MOST_DIGITS} digits"
NOT_JSON = "payload cannot be written as JSON"
# far over 256 kB: nearer, Postgres measures it
_LARGEST_SENT = 4 * 1024 * 1024
_TOO_LONG = 10**MOST_DIGITS
_ID = re.compile(r"0*([0-9]{1,19})(?:\.0*)?", re.ASCII)
_LARGEST_ID = 2**63 - 1
_FIRST_INEXACT = 2.0**53


def sendable(content: Mapping[str, Any]) -> str:
    """The payload as JSON. One that Postgres or Python could not read becomes a marker with its reason.

    The marker has `dropped_bytes` (about the size; of a very large payload a lower bound) and `dropped_for`, the
    reason, which `biz.fire_ai_event` records as the event's error.
    """
    reason, size = _trouble(content)
    if reason is None:
        try:
            return storable_json(content)
        except (ValueError, TypeError, RecursionError):
            reason = NOT_JSON
    return json.dumps({"dropped_bytes": size, "dropped_for": reason})


def sent_id(value: int) -> str:
    """An id that no column can hold, as text; Python does not write out the longest."""
    return str(value) if abs(value) < _TOO_LONG else f"a number of about {_digits(value)} digits"


def payload_id(value: object) -> int | None:
    """The id that a payload's value is, as `biz.ai_payload_id` reads it (7.0 and "7" are 7); None for none.

    Also None where a floating-point number is too large to be exact.
    """
    match value:
        case bool() | None:
            return None
        case int():
            # not by its text: Python does not write out the longest
            number = value
        case float() if not value < _FIRST_INEXACT:
            return None
        case _:
            found = _ID.fullmatch(str(value).strip(" "))
            number = int(found[1]) if found else 0
    return number if 0 < number <= _LARGEST_ID else None


def readable(written: str) -> dict[str, Any]:
    """A payload from its JSON text; never raises. What cannot be read becomes {"unreadable": "<why>"}.

    Numbers that Python's own cannot hold become their text.
    """
    try:
        content = json.loads(written, parse_int=_whole, parse_float=_decimal)
    except RecursionError:
        return {"unreadable": TOO_DEEP}
    except ValueError:
        return {"unreadable": "payload is not JSON"}
    if not isinstance(content, dict):
        return {"unreadable": "payload is not a JSON object"}
    # what was sent as no object stands one deeper, in "not_an_object"
    if written.count("{") + written.count("[") > DEEPEST and _depth(content) > DEEPEST + 1:
        return {"unreadable": TOO_DEEP}
    return content


def readable_date(written: str | None) -> date | None:
    """A business date from YYYY-MM-DD; None for none, and for one with which nobody can reckon; never raises."""
    try:
        found = date.fromisoformat(written or "")
    except ValueError:
        return None
    return found if FIRST_DATE <= found <= LAST_DATE else None


def _trouble(content: object) -> tuple[str | None, int]:
    """Why content cannot be sent, or None, and about how many bytes it has.

    Without recursion: it may be nested deeper than Python's stack, or within itself.
    """
    reason: str | None = None
    size = 0
    left: list[tuple[object, int]] = [(content, 1)]
    while left:
        value, depth = left.pop()
        match value:
            case Mapping() | list() | tuple() | set() | frozenset():
                if depth > DEEPEST:
                    reason = reason or TOO_DEEP
                size += 2 + 2 * len(value)
                if isinstance(value, Mapping):
                    size += sum(len(key) + 4 if isinstance(key, str) else 8 for key in value)
                left.extend((item, depth + 1) for item in _items(value))
            case str():
                size += 2 + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))
            case int() if abs(value) >= _TOO_LONG:
                reason = reason or TOO_LONG_A_NUMBER
                size += _digits(value)
            case _:
                size += 4
        if size > _LARGEST_SENT:
            return reason or TOO_LARGE, size
    return reason, size


def _depth(content: object) -> int:
    deepest = 0
    left: list[tuple[object, int]] = [(content, 1)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict | list):
            deepest = max(deepest, depth)
            left.extend((item, depth + 1) for item in _items(value))
    return deepest


def _items(value: Iterable[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits.removeprefix("-")) <= MOST_DIGITS else digits


def _decimal(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _digits(value: int) -> int:
    return int(value.bit_length() * math.log10(2)) + 1
