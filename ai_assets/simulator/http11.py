"""The little of HTTP/1.1 that a server needs to take requests in.

Here: reading one request off a connection. Not here: what is answered (`service`, `wire`).

The standard library's own server starts a thread for each connection and parses headers as e-mail; this
reader lets one thread hold hundreds of slow calls and take in thousands of quick ones a second.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from ai_assets.errors import InputError

MOST_BODY_BYTES: Final = 16 * 1024 * 1024
# A body over the limit is still read, up to here: a client that is cut off while it sends sees a broken pipe
# and not the 413 that explains it.
MOST_DRAINED_BYTES: Final = 4 * MOST_BODY_BYTES
MOST_HEAD_BYTES: Final = 64 * 1024
_BLOCK: Final = 64 * 1024


class BadRequestError(InputError):
    """The bytes on the connection are no HTTP request."""


class _OverLimitError(Exception):
    """The body is over the limit; `whole` says whether it was read to its end."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self.whole = whole


@dataclass(frozen=True)
class Request:
    """One request. `headers` have lower-case names; `body` is empty when `too_large`."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    too_large: bool
    keep_alive: bool


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request on the connection, or None when the client has closed it.

    Raises BadRequestError when what arrives is no request.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequestError(f"the head of the request is longer than {MOST_HEAD_BYTES} bytes") from error
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(f"not an HTTP/1.1 request line: {first[:80]!r}")
    method, target, version = words
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    connection = headers.get("connection", "").lower()
    keep_alive = connection == "keep-alive" if version == "HTTP/1.0" else connection != "close"
    body, too_large = b"", False
    try:
        body = await _body(reader, writer, headers)
    except _OverLimitError as error:
        too_large, keep_alive = True, keep_alive and error.whole
    except asyncio.IncompleteReadError:
        return None
    split = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
    return Request(method, unquote(split.path), query, headers, body, too_large, keep_alive)


async def _body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> bytes:
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    length = 0 if chunked else _length(headers.get("content-length", "0"), 10)
    if headers.get("expect", "").lower() == "100-continue":
        if length > MOST_BODY_BYTES:
            raise _OverLimitError(whole=False)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if chunked:
        return await _chunked_body(reader)
    if length <= MOST_BODY_BYTES:
        return await reader.readexactly(length)
    left = min(length, MOST_DRAINED_BYTES)
    while left:
        left -= len(await reader.readexactly(min(left, _BLOCK)))
    raise _OverLimitError(whole=length <= MOST_DRAINED_BYTES)


async def _chunked_body(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        size = _length((await reader.readuntil(b"\r\n")).split(b";")[0].decode("latin-1").strip(), 16)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            break
        if total + size > MOST_DRAINED_BYTES:
            raise _OverLimitError(whole=False)
        part = (await reader.readexactly(size + 2))[:-2]
        total += size
        if total <= MOST_BODY_BYTES:
            parts.append(part)
    if total > MOST_BODY_BYTES:
        raise _OverLimitError(whole=True)
    return b"".join(parts)


def _length(text: str, base: int) -> int:
    try:
        length = int(text, base)
    except ValueError:
        length = -1
    if length < 0:
        raise BadRequestError(f"not a length of a body: {text[:40]!r}")
    return length
