"""Where JSON objects stand in a text, in one linear pass, and how deep a value nests.

Not here: reading them (`reading`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEEPEST = 100
"""Levels of nesting that an answer may have."""

MOST_SPANS = 1_000
"""Objects that are looked at in one text."""

_MARK = re.compile(r'[{}\[\]"\\]')


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` begins with `{`; `closed`: its brackets and quotes close again."""

    start: int
    end: int
    closed: bool


def object_spans(text: str) -> list[Span]:
    """The outermost `{…}` of `text`, in order; brackets within double-quoted strings do not count.

    An object that never closes reaches to the end of the text and is the last. Of more than MOST_SPANS
    objects the first so many and one more are given.
    """
    spans: list[Span] = []
    start, depth, quoted, skip = -1, 0, False, -1
    for match in _MARK.finditer(text):
        at, mark = match.start(), match[0]
        if at == skip:
            continue
        if start < 0:
            if mark == "{":
                start, depth = at, 1
        elif quoted:
            if mark == "\\":
                skip = at + 1
            elif mark == '"':
                quoted = False
        elif mark == '"':
            quoted = True
        elif mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if depth == 0:
                spans.append(Span(start, at + 1, closed=True))
                start = -1
                if len(spans) > MOST_SPANS:
                    return spans
    if start >= 0:
        spans.append(Span(start, len(text), closed=False))
    return spans


def nests_deeper(value: object, limit: int) -> bool:
    """Whether a parsed JSON value nests more than `limit` deep; a loop, so that it cannot overflow itself."""
    level = [value]
    for _ in range(limit + 1):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        if not deeper:
            return False
        level = deeper
    return True
