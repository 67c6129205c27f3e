"""How an answer looks on the wire: JSON bodies, SSE frames, chunks, the head of a response.

Here: bytes. Not here: what they say (`completion`, `service`), when they are sent (`server`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

JSON_TYPE: Final = "application/json;charset=UTF-8"
HTML_TYPE: Final = "text/html"
# No charset, as the real service: a client that lets `requests` guess reads it as ISO-8859-1.
SSE_TYPE: Final = "text/event-stream"

LAST_CHUNK: Final = b"0\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    """A whole response. `pieces` are the bytes of the body as they go out, chunk framing included."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes, ...]

    def head(self) -> bytes:
        """Status line and headers, with the empty line that ends them."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def with_headers(self, extra: Mapping[str, str]) -> Reply:
        """This response with `extra` headers."""
        return Reply(self.status, (*self.headers, *extra.items()), self.pieces)


def whole(status: int, content_type: str, body: bytes) -> Reply:
    """A response with its length in the head."""
    return Reply(status, (("Content-Type", content_type), ("Content-Length", str(len(body)))), (body,))


def json_reply(status: int, data: object, *, ascii_only: bool = False) -> Reply:
    """A JSON response; `ascii_only` escapes everything else, for text that UTF-8 cannot hold."""
    return whole(status, JSON_TYPE, json.dumps(data, ensure_ascii=ascii_only).encode())


def stream_reply(frames: Sequence[bytes]) -> Reply:
    """HTTP 200 with `frames` as server-sent events, each its own chunk; the last piece also ends the body."""
    pieces = [_chunk(frame) for frame in frames]
    pieces[-1] += LAST_CHUNK
    headers = (("Content-Type", SSE_TYPE), ("Cache-Control", "no-cache"), ("Transfer-Encoding", "chunked"))
    return Reply(200, headers, tuple(pieces))


def sse_frame(number: int, event: str, status: int, data: object) -> bytes:
    """One server-sent event as DashScope writes it: no space after the colons, the status as a comment."""
    text = json.dumps(data, ensure_ascii=False)
    return f"id:{number}\nevent:{event}\n:HTTP_STATUS/{status}\ndata:{text}\n\n".encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
