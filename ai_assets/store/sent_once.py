"""Requests that name an idempotency key: the same again gives the first one's answer, another one is refused.

The key is taken in the transaction of what it guards: two at once wait for each other, and a rollback lets go of it.
Not here: what is asked and answered.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.errors import InputError
from ai_assets.store.texts import storable_json

_TAKE = text(
    "insert into biz.ai_idempotency_keys (token_id, key, asked) values (:token, :key, :asked)"
    " on conflict do nothing returning key"
)
_FOUND = text(
    "select asked, answer::text as answer from biz.ai_idempotency_keys where token_id = :token and key = :key"
)
_ANSWERED = text(
    "update biz.ai_idempotency_keys set answer = cast(:answer as jsonb) where token_id = :token and key = :key"
)


class KeyReusedError(InputError):
    """This idempotency key was sent before with another request: give each request a key of its own."""

    reason = "idempotency_key_reused"


def take(connection: Connection, token_id: int, key: str, asked: bytes) -> Any:
    """None: the key is new and taken, call `answered` before the commit. Else what was answered the first time.

    `asked` is a hash of the request. Raises KeyReusedError where the key came with another one.
    """
    about = {"token": token_id, "key": key}
    if connection.execute(_TAKE, {**about, "asked": asked}).first() is not None:
        return None
    row = connection.execute(_FOUND, about).one()
    if bytes(row.asked) != asked:
        raise KeyReusedError
    return json.loads(row.answer)


def answered(connection: Connection, token_id: int, key: str, answer: Any) -> None:
    """Keep what is answered, in the transaction that took the key."""
    connection.execute(_ANSWERED, {"token": token_id, "key": key, "answer": storable_json(answer)})
