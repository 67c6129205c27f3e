"""Server-sent events as DashScope frames them. Not here: what the frames mean (`wire`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Not str.splitlines: it also splits at U+2028 and the like, which stand inside texts.
_LINE_END = re.compile(r"\r\n|\n|\r")
_STATUS = re.compile(r"HTTP_STATUS/(\d{3})")
_FIELD = re.compile(r"(?:id|event|data|retry)?:")


@dataclass(frozen=True)
class Frame:
    """One event: its name ("result", "error"), the HTTP status it states, its data."""

    event: str
    status: int | None
    data: str


def looks_like_sse(text: str) -> bool:
    """Whether `text` begins as an event stream does; the label of the response is no guide."""
    return _FIELD.match(text) is not None


def read_frames(text: str) -> Iterator[Frame]:
    """The frames that carry data, in order; a last one without its blank line counts."""
    event, status, data = "", None, list[str]()
    for line in [*_LINE_END.split(text), ""]:
        if not line:
            if data:
                yield Frame(event, status, "\n".join(data))
            event, status, data = "", None, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value.strip()
        elif not name and (found := _STATUS.match(value)):
            status = int(found[1])
