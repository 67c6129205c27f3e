"""Engines on the project's Postgres, and one way to say that it cannot be reached.

Not here: SQL of any table, migrations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError


def make_engine(url: str, *, pool_size: int = 5, application_name: str = "ai_assets") -> Engine:
    """An engine with at most `pool_size` connections kept and as many again under pressure.

    Raises ConfigurationError for a URL that is not Postgres. Opens no connection.
    """
    return create_engine(
        _postgres_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=30,
        pool_recycle=1800,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 10,
            # the guard's functions look again after each lock they took: a server whose default is a stricter
            # isolation would have them read a snapshot older than the lock
            "options": r"-c timezone=UTC -c default_transaction_isolation=read\ committed",
        },
    )


def _postgres_url(url: str) -> URL:
    if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg2://")):
        raise ConfigurationError("AI_DATABASE_URL is not a Postgres URL (postgresql+psycopg2://…)")
    try:
        parsed = make_url("postgresql+psycopg2://" + url.partition("://")[2])
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        # no cause: it would quote what was taken for the host or port, which may be a piece of the password
        raise ConfigurationError(
            "AI_DATABASE_URL cannot be read: the form is postgresql+psycopg2://user:password@host:port/database, "
            "special characters of the password written as %XX"
        )
    return parsed


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Turn a lost or refused connection inside the block into DatabaseUnavailableError naming `what`."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        if isinstance(error, PoolTimeoutError) or _is_connection_trouble(error):
            raise DatabaseUnavailableError(
                f"Postgres cannot be reached ({what}): {first_line(error)}"
            ) from error
        raise


def _is_connection_trouble(error: DBAPIError) -> bool:
    code = getattr(error.orig, "pgcode", None)
    # 08 connection exception, 57P0x shutdown or idle too long, 53300 too many connections; none: no answer
    return code is None or code.startswith("08") or code in {"57P01", "57P02", "57P03", "57P05", "53300"}


def first_line(error: BaseException) -> str:
    """The first line of an error's text: drivers append SQL and parameters, which do not belong in a message."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return lines[0] if lines else type(original).__name__
