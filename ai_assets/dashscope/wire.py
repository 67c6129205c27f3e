"""DashScope's bodies: what is sent, and what a reply says. Pure.

Not here: bytes on a socket (`transport`), the error table (`errors`), the app's own JSON (`reading`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from ai_assets.dashscope.errors import (
    DashScopeError,
    EmptyAnswerError,
    MalformedReplyError,
    PartialAnswerError,
    RequestTooLargeError,
    classify,
)
from ai_assets.dashscope.failure import one_line
from ai_assets.dashscope.sse import looks_like_sse, read_frames
from ai_assets.dashscope.usage import Usage, read_usage
from ai_assets.errors import InputError

MOST_REQUEST_BYTES = 16 * 2**20
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class RawReply:
    """One HTTP response as it came; header names in lower case, body with its content coding undone."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    """What a successful reply says."""

    text: str
    session_id: str
    request_id: str
    finish_reason: str
    usage: Usage


def request_body(prompt: str, session_id: str = "", biz_params: Mapping[str, Any] | None = None) -> bytes:
    """The JSON to send, as UTF-8. Raises InputError, or RequestTooLargeError above 16 MiB."""
    if not prompt.strip():
        raise InputError("the prompt is empty: nothing was sent to DashScope")
    given: dict[str, Any] = {"prompt": prompt}
    if session_id:
        given["session_id"] = session_id
    if biz_params:
        given["biz_params"] = dict(biz_params)
    problem = None
    try:
        body = json.dumps({"input": given, "parameters": {}}, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        problem = f"biz_params cannot be written as JSON: {exc}"
    if problem:
        raise InputError(problem)
    # A lone surrogate has no UTF-8 form; a question mark in a prompt is better than no prompt.
    encoded = body.encode("utf-8", "replace")
    if len(encoded) > MOST_REQUEST_BYTES:
        raise RequestTooLargeError(f"the request has {len(encoded):,} bytes, above {MOST_REQUEST_BYTES:,}")
    return encoded


def read_reply(raw: RawReply, now: datetime | None = None) -> Answer | DashScopeError:
    """What `raw` says: JSON or event stream, whatever its label. Errors are returned, not raised."""
    text = raw.body.removeprefix("\ufeff").strip()
    if looks_like_sse(text):
        return _read_stream(raw, text, now)
    document = _json_object(text)
    if document is None:
        if raw.status >= 300:
            return _failure(raw, raw.status, {"message": _TAG.sub(" ", text[:2000]).strip()}, now)
        return MalformedReplyError(
            f"the reply is not JSON: {len(text):,} characters",
            status=raw.status,
            request_id=_request_id({}, raw),
        )
    return _read_document(raw, raw.status, document, now)


def _read_document(
    raw: RawReply, status: int, document: dict[str, Any], now: datetime | None
) -> Answer | DashScopeError:
    request_id = _request_id(document, raw)
    output = document.get("output")
    if status >= 300 or (document.get("code") and not isinstance(output, dict)):
        return _failure(raw, status, document, now)
    if output is not None and not isinstance(output, dict):
        return MalformedReplyError("`output` is not an object", status=status, request_id=request_id)
    usage = read_usage(document.get("usage"))
    text = _text(output.get("text")) if output else ""
    if raw.headers.get("x-dashscope-partialresponse", "").strip().lower() == "true":
        return PartialAnswerError(status=status, request_id=request_id, usage_tokens=usage.tokens)
    if output is None or not text.strip():
        what = "`output` is null" if output is None else "`output.text` is empty"
        return EmptyAnswerError(what, status=status, request_id=request_id, usage_tokens=usage.tokens)
    session_id, finish_reason = (
        one_line(_text(output.get(key)), 100) for key in ("session_id", "finish_reason")
    )
    return Answer(text, session_id, request_id, finish_reason, usage)


def _read_stream(raw: RawReply, text: str, now: datetime | None) -> Answer | DashScopeError:
    """The stream as one document: usage is cumulative, so the last counts; texts may be either."""
    texts: list[str] = []
    output: dict[str, Any] = {}
    merged: dict[str, Any] = {"output": output}
    for frame in read_frames(text):
        document = _json_object(frame.data)
        status = frame.status or raw.status
        if frame.event == "error" or status >= 300:
            failure = _failure(raw, status, document or {"message": frame.data}, now)
            failure.may_be_billed = failure.may_be_billed or bool(texts)
            return failure
        if document is None:
            return MalformedReplyError("an event's data is not JSON", status=raw.status)
        merged.update({key: document[key] for key in ("usage", "request_id") if document.get(key)})
        part = document.get("output")
        if isinstance(part, dict):
            texts.append(_text(part.get("text")))
            output.update({key: value for key, value in part.items() if value})
    if not texts:
        return MalformedReplyError("the event stream holds no result", status=raw.status)
    if output.get("finish_reason") == "null":
        return MalformedReplyError("the event stream ended before its answer", status=raw.status)
    output["text"] = _joined(texts)
    return _read_document(raw, raw.status, merged, now)


def _failure(raw: RawReply, status: int, document: Mapping[str, Any], now: datetime | None) -> DashScopeError:
    code, message = _text(document.get("code")), _text(document.get("message")) or "no message"
    return classify(status, code, message, raw.headers, _request_id(document, raw), now=now)


def _joined(texts: list[str]) -> str:
    """Cumulative where every text goes on from the one before, else the pieces put together."""
    cumulative = all(later.startswith(earlier) for earlier, later in pairwise(texts))
    return texts[-1] if cumulative else "".join(texts)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # ValueError: also a number of more digits than Python reads
        return None
    return document if isinstance(document, dict) else None


def _request_id(document: Mapping[str, Any], raw: RawReply) -> str:
    given = _text(document.get("request_id"))
    return one_line(given or raw.headers.get("x-request-id", ""), 100)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
