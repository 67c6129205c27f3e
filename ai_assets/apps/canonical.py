"""One deterministic JSON text for one content: keys in the order they were put, Chinese as it is.

Here: writing JSON. Not here: what a prompt holds. The standard library cannot write a Decimal as a number
with its zeros (12345.60), and through float it would drift.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_STEP = "  "
# rows of a table stay on one line each; anything longer is broken up
_LINE = 200


def canonical_json(content: Any) -> str:
    """The content as JSON, one text for equal content.

    Decimals are written with exactly their decimals, dates as YYYY-MM-DD. Raises TypeError for anything else
    that JSON has no form for: float (its digits are not exact) and times (a prompt holds none) among them.
    """
    return _write(content, "")


def _write(value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        pieces = [f"{_key(key)}: {_write(item, indent + _STEP)}" for key, item in value.items()]
        return _enclose("{", pieces, "}", indent, flat=_is_flat(value.values()))
    if isinstance(value, list | tuple):
        pieces = [_write(item, indent + _STEP) for item in value]
        return _enclose("[", pieces, "]", indent, flat=_is_flat(value))
    return _scalar(value)


def _is_flat(values: Any) -> bool:
    return not any(isinstance(value, Mapping | list | tuple) for value in values)


def _enclose(opening: str, pieces: list[str], closing: str, indent: str, *, flat: bool) -> str:
    line = f"{opening}{', '.join(pieces)}{closing}"
    if not pieces or (flat and len(line) <= _LINE):
        return line
    inner = indent + _STEP
    return f"{opening}\n{inner}" + f",\n{inner}".join(pieces) + f"\n{indent}{closing}"


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be text, not {type(key).__name__}")
    return json.dumps(key, ensure_ascii=False)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool | str | int):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal) and value.is_finite():
        # a zero has no sign: -0.00 and 0.00 are the same amount
        return format(abs(value) if value.is_zero() else value, "f")
    if isinstance(value, date) and not isinstance(value, datetime):
        return json.dumps(value.isoformat())
    raise TypeError(f"a prompt cannot hold {value!r} of type {type(value).__name__}")
