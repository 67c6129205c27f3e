"""Engines on the project's Postgres, and one way to say that it cannot be reached.

Not here: SQL of any table, migrations.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError, LockTimeoutError
from ai_assets.store.db_errors import hide_values


def make_engine(
    url: str,
    *,
    pool_size: int = 5,
    application_name: str = "ai_assets",
    statement_timeout_s: float | None = None,
    lock_timeout_s: float | None = None,
) -> Engine:
    """An engine with at most `pool_size` connections kept and as many again under pressure.

    A connection that its server has ended is replaced before it is used. A server that fell silent is noticed within
    about half a minute; `statement_timeout_s` and `lock_timeout_s`: one statement may take, and wait for one lock, so
    long at most. Raises ConfigurationError for a URL that is not Postgres. Opens no connection.
    """
    # the guard's functions look again after each lock they took: a server whose default is a stricter isolation
    # would have them read a snapshot older than the lock
    options = r"-c timezone=UTC -c default_transaction_isolation=read\ committed"
    if statement_timeout_s is not None:
        options += f" -c statement_timeout={round(statement_timeout_s * 1000)}"
    if lock_timeout_s is not None:
        options += f" -c lock_timeout={round(lock_timeout_s * 1000)}"
    engine = create_engine(
        _postgres_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=30,
        pool_recycle=1800,
        # an error's text goes into logs: no values of a statement
        hide_parameters=True,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 10,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
            "options": options,
        },
    )
    hide_values(engine)
    event.listen(engine, "checkin", _lay_idle)
    event.listen(engine, "checkout", _leave_ended)
    return engine


def _lay_idle(_connection: Any, record: Any) -> None:
    record.info["lay_idle"] = True


def _leave_ended(connection: Any, record: Any, _proxy: object) -> None:
    """Have the pool replace a connection that was ended while it lay idle (a restarted server, a cut line).

    Costs no round trip, as SQLAlchemy's own pre-ping would: nothing but its end is told on an idle connection. A new
    one may have something to read (tickets of TLS) and is none of these.
    """
    if not record.info.get("lay_idle"):
        return
    try:
        ended = wait_readable(connection, 0)
    except psycopg2.Error as error:
        raise DisconnectionError from error
    if ended:
        raise DisconnectionError


def wait_readable(connection: Any, seconds: float) -> bool:
    """Wait until this driver connection has something to read, or has ended; False: neither came within `seconds`.

    Works for any file descriptor: `select.select` fails above 1,023. Raises psycopg2.Error for a closed connection.
    """
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


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
def autocommitting(engine: Engine) -> Iterator[Connection]:
    """A connection on which each statement is a transaction of its own.

    SQLAlchemy's isolation level AUTOCOMMIT asks the server once more each time a connection is given back, and where
    that fails the pool loses its place for good.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.autocommit = True
        try:
            yield connection
        finally:
            try:
                # at the driver alone: costs no round trip
                driver.autocommit = False
            except psycopg2.Error:
                # it is gone; and one that could not be set back must serve no transaction
                connection.invalidate()


class Statements:
    """An engine's connections that are in use: whoever must end now can cancel what they wait for.

    Make it before they are taken. Thread-safe.
    """

    def __init__(self, engine: Engine) -> None:
        self._in_use: dict[object, Any] = {}
        event.listen(engine, "checkout", self._taken)
        event.listen(engine, "checkin", self._given_back)

    def cancel(self) -> None:
        """Ask Postgres to end the statements that run; they fail as DatabaseUnavailableError in `reachable`."""
        for connection in list(self._in_use.values()):
            with suppress(Exception):
                connection.cancel()

    def _taken(self, connection: Any, record: object, _proxy: object) -> None:
        self._in_use[record] = connection

    def _given_back(self, _connection: Any, record: object) -> None:
        self._in_use.pop(record, None)


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Turn what says that Postgres is not there now into DatabaseUnavailableError naming `what`.

    A lock not to be had within the engine's `lock_timeout_s` is its subclass LockTimeoutError.

    A lost or refused connection; a statement that took too long or was cancelled; a lock not to be had; a deadlock.
    """
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        code = getattr(getattr(error, "orig", None), "pgcode", None)
        if code == _LOCK_TIMEOUT:
            raise LockTimeoutError(f"Postgres is busy ({what}): {first_line(error)}") from error
        if code in _BUSY:
            raise DatabaseUnavailableError(f"Postgres is busy ({what}): {first_line(error)}") from error
        if isinstance(error, PoolTimeoutError) or _is_connection_trouble(error):
            raise DatabaseUnavailableError(
                f"Postgres cannot be reached ({what}): {first_line(error)}"
            ) from error
        raise
    except psycopg2.OperationalError as error:
        # from giving a connection back whose server has just ended it: SQLAlchemy leaves that error as it is
        raise DatabaseUnavailableError(f"Postgres cannot be reached ({what}): {first_line(error)}") from error


_LOCK_TIMEOUT = "55P03"
# statement cancelled or out of time, deadlock, a standby that takes no writes
_BUSY = frozenset({"57014", "40P01", "25006"})


def _is_connection_trouble(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        # psycopg2 has no class of its own for a connection that was lost in the middle of a statement
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    code = getattr(error.orig, "pgcode", None)
    # 08 connection exception, 57P0x shutdown or idle too long, 53300 too many connections; none: no answer
    return code is None or code.startswith("08") or code in {"57P01", "57P02", "57P03", "57P05", "53300"}


def first_line(error: BaseException) -> str:
    """The first line of an error's text: drivers append SQL and parameters, which do not belong in a message."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return lines[0] if lines else type(original).__name__
