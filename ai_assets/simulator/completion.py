"""The response to one completion call: the app's answer or an error, plain or as a stream, spoiled on demand.

Here: (what was asked, what was decided) → bytes, as a pure function. Not here: the decision (`behaviour`),
faults of the connection (`server`), which simply hold back what is built here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ai_assets.simulator.captured import captured_text
from ai_assets.simulator.kinds import ERRORS, ErrorRow
from ai_assets.simulator.replies import answer, tokens
from ai_assets.simulator.spoil import spoiled_text, spoiled_usage
from ai_assets.simulator.wire import HTML_TYPE, JSON_TYPE, Reply, json_reply, sse_frame, stream_reply, whole

MOST_FRAMES: Final = 20
LEAST_FRAME_CHARACTERS: Final = 8

_BAD_GATEWAY: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True)
class Asked:
    """One completion call, already checked: what the caller wants and how."""

    app: str
    prompt: str
    stream: bool
    incremental: bool
    session_id: str
    request_id: str


def completion(seed: int, kind: str, asked: Asked) -> Reply:
    """The response to `asked` when it was decided that the outcome is `kind`.

    A kind that concerns only the delivery gives a good answer here.
    """
    if kind in ERRORS:
        return error_reply(ERRORS[kind], asked.request_id)
    if kind == "bad_gateway_html":
        return whole(502, HTML_TYPE, _BAD_GATEWAY)
    if kind == "error_in_400_sse_framed":
        return whole(400, JSON_TYPE, _error_frame(1, asked.request_id))
    if kind == "error_in_200_sse" or (kind == "error_mid_stream" and not asked.stream):
        return stream_reply([_error_frame(1, asked.request_id)])
    reply = _stream(seed, kind, asked) if asked.stream else _plain(seed, kind, asked)
    return reply.with_headers({"x-dashscope-partialresponse": "true"}) if kind == "partial" else reply


def error_reply(row: ErrorRow, request_id: str, message: str | None = None) -> Reply:
    """A row of the error table as an HTTP response; `message` in place of the row's own."""
    return json_reply(row.status, _error(row, request_id, message))


def _plain(seed: int, kind: str, asked: Asked) -> Reply:
    text = _text(seed, kind, asked)
    return json_reply(200, _message(kind, asked, text, text, "stop"))


def _stream(seed: int, kind: str, asked: Asked) -> Reply:
    text = _text(seed, kind, asked)
    size = max(LEAST_FRAME_CHARACTERS, -(-len(text) // MOST_FRAMES))
    ends = [*range(size, len(text), size), len(text)] if text and kind != "null_output" else []
    starts = [0, *ends[:-1]]
    messages = [
        _message(kind, asked, text[start:end] if asked.incremental else text[:end], text[:end], "null")
        for start, end in zip(starts, ends, strict=False)
    ]
    messages.append(_message(kind, asked, "" if asked.incremental else text, text, "stop"))
    frames = [sse_frame(number, "result", 200, message) for number, message in enumerate(messages, 1)]
    if kind == "error_mid_stream":
        kept = max(1, len(frames) // 2)
        frames = [*frames[:kept], _error_frame(kept + 1, asked.request_id)]
    return stream_reply(frames)


def _text(seed: int, kind: str, asked: Asked) -> str:
    good = answer(seed, asked.app, asked.prompt)
    return captured_text(asked.app, asked.prompt, good) if kind == "obeys" else spoiled_text(kind, good)


def _message(kind: str, asked: Asked, shown: str, so_far: str, finish: str) -> dict[str, object]:
    """One JSON body or frame; usage counts all that was said so far."""
    if kind == "length" and finish == "stop":
        finish = "length"
    output = {"finish_reason": finish, "session_id": asked.session_id, "text": shown}
    message: dict[str, object] = {
        "output": None if kind == "null_output" else output,
        "usage": spoiled_usage(kind, tokens(asked.prompt), tokens(so_far)),
        "request_id": asked.request_id,
    }
    if message["usage"] is None:
        del message["usage"]
    return message


def _error(row: ErrorRow, request_id: str, message: str | None = None) -> dict[str, object]:
    return {"code": row.code, "message": message or row.message, "request_id": request_id}


def _error_frame(number: int, request_id: str) -> bytes:
    row = ERRORS["invalid_parameter"]
    return sse_frame(number, "error", row.status, _error(row, request_id))
