"""Databases on a server: making one where it is missing. Not here: tables."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError
from ai_assets.store.engine import first_line, make_engine

_EXISTS = text("select 1 from pg_database where datname = :name")
# two who make it at the same moment: the second is told by the catalog's key, or by name
_MADE_MEANWHILE = {"42P04", "23505"}


def ensure_database(url: str) -> bool:
    """Make the URL's database if it is missing; True where it was made.

    Raises DatabaseUnavailableError where the server cannot be reached, ConfigurationError where this user
    may not make databases, or the URL names none or is not Postgres.
    """
    own = make_engine(url, pool_size=1, application_name="ai_assets databases")
    name = own.url.database or ""
    if not name:
        raise ConfigurationError("the Postgres URL names no database: …@host:port/database")
    if _connects(own):
        return False
    engine = create_engine(own.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if connection.execute(_EXISTS, {"name": name}).first() is not None:
                return False
            quoted = engine.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(f"create database {quoted}")
            return True
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", "") in _MADE_MEANWHILE:
            return False
        if isinstance(error, ProgrammingError):
            raise ConfigurationError(
                f"database {name!r} is missing and cannot be made by this user ({first_line(error)}): "
                f"create it by hand: create database {name}"
            ) from error
        raise DatabaseUnavailableError(
            f"Postgres cannot be reached: {first_line(error)}; check the URL and that the server runs"
        ) from error
    finally:
        engine.dispose()


def _connects(engine: Engine) -> bool:
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()
