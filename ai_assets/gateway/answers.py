"""Answers as JSON, and keys of requests that are sent once. Not here: what is answered."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header, Response

from ai_assets.store.texts import storable_json

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request gives the same answer, for two days; with another one: 409",
    ),
]


def answer(content: Any, status: int = 200, **headers: str) -> Response:
    """Times as ISO 8601 with offset, decimals as text."""
    return Response(storable_json(content), status, headers, media_type="application/json")


def asked(*parts: Any) -> bytes:
    """A hash of a request, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()
