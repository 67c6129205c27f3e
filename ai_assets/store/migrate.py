"""Bring a database to this code's schema, and refuse one that does not fit. Not here: the tables themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from ai_assets.errors import ConfigurationError, SchemaVersionError
from ai_assets.store import old_tables
from ai_assets.store.engine import first_line, make_engine, reachable
from ai_assets.store.shared_settings import store_settings

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0019"
"""The newest revision this code knows; a test holds it against the migration scripts."""

VERSION_TABLE = "ai_schema_version"

_NO_TABLE = {"42P01", "3F000"}
_CURRENT = text("select version_num from biz.ai_schema_version")
_MIGRATION_LOCK = text("select pg_advisory_lock(hashtext('ai_assets.migrate'))")
_MIGRATION_UNLOCK = text("select pg_advisory_unlock(hashtext('ai_assets.migrate'))")


def upgrade(url: str, shared: Mapping[str, str] | None = None) -> tuple[str | None, str]:
    """Migrate to HEAD; returns the revision before (None: empty) and after. Twice changes nothing.

    `shared`: settings to store for all processes (`shared_settings`); what is not given stays as it is stored.

    Two at once wait for each other. Raises SchemaVersionError where the database is newer than this code,
    DatabaseUnavailableError where it cannot be reached, ConfigurationError where Postgres refuses a table
    (this user may not make it, or another software has one of that name), or where a database that was never migrated
    has tables of the earlier dispatcher; then nothing is changed.
    """
    with migrating(url) as connection:
        before = revision_to_migrate(connection)
        if before is None:
            _refuse_old_tables(connection)
        migrate(connection, before, shared)
        connection.commit()
        return before, HEAD


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """A connection that alone may migrate this database; what the block did not commit is rolled back.

    Another one waits for it. Raises DatabaseUnavailableError.
    """
    engine = make_engine(url, pool_size=1, application_name="ai_assets migrate")
    try:
        with reachable("migrating"), engine.connect() as connection:
            connection.execute(_MIGRATION_LOCK)
            connection.commit()
            try:
                yield connection
            finally:
                connection.rollback()
                connection.execute(_MIGRATION_UNLOCK)
                connection.commit()
    finally:
        engine.dispose()


def migrate(connection: Connection, before: str | None, shared: Mapping[str, str] | None) -> None:
    """Migrate to HEAD in the caller's transaction; see `upgrade`. `before`: see `revision_to_migrate`."""
    from alembic import command

    if before != HEAD:
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, HEAD)
        except ProgrammingError as error:
            raise ConfigurationError(
                f"the tables cannot be made in this database: {first_line(error)}; give another "
                "database, or a user who may make schemas and tables in this one"
            ) from error
    if shared:
        store_settings(connection, shared)


def revision_to_migrate(connection: Connection) -> str | None:
    """As `current_revision`. Begins the transaction. Raises SchemaVersionError where this code does not know it."""
    before = current_revision(connection)
    _refuse_newer(before)
    return before


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at, or None where it was never migrated.

    Raises ConfigurationError where this user may not read it.
    """
    try:
        return connection.execute(_CURRENT).scalar_one_or_none()
    except ProgrammingError as error:
        connection.rollback()
        if _code(error) in _NO_TABLE:
            return None
        raise ConfigurationError(
            f"the revision of the tables cannot be read: {first_line(error)}; grant this user the schema biz"
        ) from error


def require_current(connection: Connection) -> None:
    """Raise SchemaVersionError with what to do, unless the database is exactly at this code's revision."""
    revision = current_revision(connection)
    _refuse_newer(revision)
    if revision != HEAD:
        state = "has no ai_assets tables" if revision is None else f"is at revision {revision}, not {HEAD}"
        raise SchemaVersionError(f"the database {state}: run `ai-assets db upgrade`")


def _refuse_old_tables(connection: Connection) -> None:
    found = old_tables.find(connection, migrated=False)
    if found:
        raise ConfigurationError(
            f"{', '.join(table.full_name for table in found)}: tables of an earlier dispatcher; "
            "run `ai-assets db adopt`, which moves their content over"
        )


def _code(error: DBAPIError) -> str:
    return getattr(error.orig, "pgcode", None) or ""


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in _known_revisions():
        raise SchemaVersionError(
            f"the database is at revision {revision}, which this code ({HEAD}) does not know: "
            "it is newer than the code; install the matching version of ai_assets"
        )


def _known_revisions() -> frozenset[str]:
    # file names begin with the revision, so that the check needs no import of alembic
    return frozenset(path.name[:4] for path in (_folder() / "versions").glob("[0-9]*.py"))


def _folder() -> Path:
    return Path(__file__).parent / "migrations"


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    return config
