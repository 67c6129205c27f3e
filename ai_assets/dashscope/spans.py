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
    """`text[start:end]` begins with `{`.

    `missing`: the brackets that would close it, in order, "" where it closes itself. `in_string`: it ends within a
    double-quoted string.
    """

    start: int
    end: int
    missing: str = ""
    in_string: bool = False

    @property
    def closed(self) -> bool:
        """Whether its brackets and quotes close again."""
        return not self.missing


def object_spans(text: str) -> list[Span]:
    """The outermost `{…}` of `text`, in order; brackets within double-quoted strings do not count.

    An object that never closes reaches to the end of the text and is the last. Of more than MOST_SPANS
    objects the first so many and one more are given.
    """
    spans: list[Span] = []
    open_brackets: list[str] = []
    start, quoted, skip = -1, False, -1
    for match in _MARK.finditer(text):
        at, mark = match.start(), match[0]
        if at == skip:
            continue
        if not open_brackets:
            if mark == "{":
                start = at
                open_brackets.append(mark)
        elif quoted:
            if mark == "\\":
                skip = at + 1
            elif mark == '"':
                quoted = False
        elif mark == '"':
            quoted = True
        elif mark in "{[":
            open_brackets.append(mark)
        elif mark in "}]":
            open_brackets.pop()
            if not open_brackets:
                spans.append(Span(start, at + 1))
                if len(spans) > MOST_SPANS:
                    return spans
    if open_brackets:
        missing = "".join("}" if bracket == "{" else "]" for bracket in reversed(open_brackets))
        spans.append(Span(start, len(text), missing, quoted))
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
