"""Databases on a server: making one where it is missing. Not here: tables."""

from __future__ import annotations

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError
from ai_assets.store.engine import first_line

_EXISTS = text("select 1 from pg_database where datname = :name")


def ensure_database(url: str) -> bool:
    """Make the URL's database if it is missing; True where it was made.

    Raises DatabaseUnavailableError where the server cannot be reached, ConfigurationError where this user
    may not make databases.
    """
    target = make_url(url)
    name = target.database or ""
    if _connects(url):
        return False
    engine = create_engine(target.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if connection.execute(_EXISTS, {"name": name}).first() is not None:
                return False
            quoted = engine.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(f"create database {quoted}")
            return True
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", "") == "42P04":  # somebody made it at the same moment
            return False
        raise ConfigurationError(
            f"database {name!r} is missing and cannot be made by this user ({first_line(error)}): "
            f"create it by hand: create database {name}"
        ) from error
    except DBAPIError as error:
        raise DatabaseUnavailableError(
            f"Postgres cannot be reached: {first_line(error)}; check the URL and that the server runs"
        ) from error
    finally:
        engine.dispose()


def _connects(url: str) -> bool:
    engine = create_engine(url)
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()
