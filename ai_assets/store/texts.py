"""Text and JSON in the form that Postgres can hold. Not here: what an answer may say, any table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

REPLACEMENT = "�"


def storable(value: str | None) -> str | None:
    """The text as Postgres can hold it: NUL characters and lone surrogates become U+FFFD."""
    return None if value is None else _text(value)


def storable_json(value: object) -> str:
    """JSON that jsonb takes: texts as in `storable`, numbers that are none (NaN, Infinity) as null.

    Times become ISO 8601 and decimals text; what else JSON has no form for becomes its text.
    """
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _text(value: str) -> str:
    # surrogates first pair up as UTF-16 does: half an emoji is no character, two halves are one
    paired = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return paired.replace("\x00", REPLACEMENT)


def _plain(value: object) -> Any:
    match value:
        case None | bool() | int():
            return value
        case str():
            return _text(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Mapping():
            return {_text(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return _text(str(value))
