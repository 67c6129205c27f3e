"""Send events from a Python backend, inside its own transaction: `fire_event(connection, type, payload)`.

Takes connections of SQLAlchemy (also a Session), psycopg 3, psycopg2 and Django; `fire_event_async` those of
SQLAlchemy's asyncio and of psycopg 3. Imports the standard library only, so that a backend can install this package
without its dependencies (`pip install --no-deps`). Call it last in the transaction. What must be sent: docs/events.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_assets.store.event_values import event_values

_ARGUMENTS = {
    "event_type": "text",
    "site_id": "bigint",
    "member_id": "bigint",
    "payload": "jsonb",
    "is_forced": "boolean",
    "connector_type": "text",
}


def fire_event(
    connection: Any,
    event_type: str,
    payload: Mapping[str, Any] | None = None,
    *,
    site_id: int | None = None,
    member_id: int | None = None,
    is_forced: bool = False,
    connector_type: str = "feiqiu",
) -> int:
    """Send an event in the connection's transaction; returns its trigger job's id. The caller commits.

    `site_id` and `member_id` are read from the payload where they are not given. A bad event raises nothing: it is
    recorded as failed. Raises what the driver raises where Postgres cannot be reached.
    """
    values = event_values(event_type, site_id, member_id, payload or {}, is_forced, connector_type)
    if hasattr(connection, "cursor"):
        with connection.cursor() as cursor:
            cursor.execute(_statement("%({})s"), values)
            return _id(cursor.fetchone())
    return int(connection.execute(_sqlalchemy_statement(), values).scalar_one())


async def fire_event_async(
    connection: Any,
    event_type: str,
    payload: Mapping[str, Any] | None = None,
    *,
    site_id: int | None = None,
    member_id: int | None = None,
    is_forced: bool = False,
    connector_type: str = "feiqiu",
) -> int:
    """As `fire_event`, for a connection of asyncio."""
    values = event_values(event_type, site_id, member_id, payload or {}, is_forced, connector_type)
    if hasattr(connection, "cursor"):
        async with connection.cursor() as cursor:
            await cursor.execute(_statement("%({})s"), values)
            return _id(await cursor.fetchone())
    return int((await connection.execute(_sqlalchemy_statement(), values)).scalar_one())


def _statement(placeholder: str) -> str:
    arguments = ", ".join(f"cast({placeholder.format(name)} as {kind})" for name, kind in _ARGUMENTS.items())
    return f"select biz.fire_ai_event({arguments}) as id"


def _sqlalchemy_statement() -> Any:
    # only where the caller's connection is SQLAlchemy's, which has loaded it
    from sqlalchemy import text

    return text(_statement(":{}"))


def _id(row: Any) -> int:
    # a connection may be set to return its rows as mappings
    return int(row["id"] if isinstance(row, Mapping) else row[0])
