"""Text that Postgres and readers can hold. Not here: what an answer may say (its app's schema)."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")  # C0 but \t and \n
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean_text(text: str) -> tuple[str, int, int]:
    """`text` without control characters (but \\n and \\t) and lone surrogates, and how many of each went.

    jsonb and text cannot hold NUL, and a lone surrogate has no UTF-8 form.
    """
    text, controls = _CONTROL.subn("", text)
    text, surrogates = _SURROGATE.subn("", text)
    return text, controls, surrogates


class Cleaner:
    """Cleans every string, keys too, of a JSON value, and counts what it took out."""

    def __init__(self) -> None:
        self._controls = 0
        self._surrogates = 0

    def clean(self, value: Any) -> Any:
        """A copy of `value` (nested at most as deep as the reader allows)."""
        if isinstance(value, str):
            text, controls, surrogates = clean_text(value)
            self._controls += controls
            self._surrogates += surrogates
            return text
        if isinstance(value, list):
            return [self.clean(item) for item in value]
        if isinstance(value, dict):
            return {self.clean(key): self.clean(item) for key, item in value.items()}
        return value

    def notes(self) -> tuple[str, ...]:
        """What was taken out, for people."""
        counts = ((self._controls, "control characters"), (self._surrogates, "lone surrogates"))
        return tuple(f"removed {count} {what}" for count, what in counts if count)
