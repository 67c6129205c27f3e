"""Move a database over from the earlier dispatcher: its tables' content into this project's, in one transaction.

Here: the order of it, and the report. Not here: which tables are old (`ai_assets.store.old_tables`), how a row is
mapped (`ai_assets.store.adopt_sql`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError
from ai_assets.store import adopt_sql, migrate, old_tables
from ai_assets.store.engine import first_line
from ai_assets.store.old_tables import OldTable, quoted

LOCK_S = 30
"""How long to wait for a table that the old dispatcher uses."""

_COUNT = """
    select v.source, v.problem, v.remarks, count(*) as rows, min(v.old_id) as example
    from {view} v group by v.source, v.problem, v.remarks
"""
_COLUMNS = text(
    "select attname from pg_catalog.pg_attribute"
    " where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped"
)
_VERSION = text("select current_setting('server_version_num')::integer")


@dataclass
class AdoptedTable:
    """What came, or would come, of one old table. `not_copied`, `changed`: rows and the id of one, by what they are."""

    table: OldTable
    rows: int = 0
    copied: int = 0
    not_copied: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    changed: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    columns_left: tuple[str, ...] = ()
    """Columns that this project's table has no place for: they stay in the old one."""
    dependents: tuple[str, ...] = ()
    """What of the venue's own stays with the old table under its new name."""


@dataclass(frozen=True)
class Adoption:
    """What was found, by table. `revision`: of the tables now; None: they were not made."""

    tables: tuple[AdoptedTable, ...]
    revision: str | None


def adopt(url: str, timezone: str, *, dry_run: bool, shared: Mapping[str, str] | None = None) -> Adoption:
    """Migrate to HEAD and copy what the earlier dispatcher's tables hold; all of it or nothing. Twice changes nothing.

    `shared`: further settings to store, as `migrate.upgrade` does.
    `timezone`: AI_TIMEZONE, which is stored as by `migrate.upgrade`; times of the old tables without a zone are in it.
    `dry_run`: only look. Raises SchemaVersionError where the database is newer than this code, ConfigurationError where
    an old table cannot be moved out of the way, DatabaseUnavailableError where Postgres is away or a table is in use.
    """
    with migrate.migrating(url) as connection:
        before = migrate.revision_to_migrate(connection)
        tables = old_tables.find(connection, migrated=before is not None)
        if not tables:
            return Adoption((), before)
        _refuse_half_moved(connection, tables)
        try:
            report = _look(connection, tables, timezone, lock=not dry_run)
            if dry_run:
                return Adoption(report, before)
            _move(connection, report, before, {**(shared or {}), "timezone": timezone})
        except DBAPIError as error:
            code = getattr(error.orig, "pgcode", None) or ""
            if code == "55P03":
                raise DatabaseUnavailableError(
                    f"an old table is in use ({first_line(error)}): stop the earlier dispatcher, then run this again"
                ) from error
            if code[:2] in {"0A", "22", "23", "42"}:
                owner = "; run this as the owner of the old tables and of the schema biz"
                raise ConfigurationError(
                    f"nothing was changed, the old tables cannot be moved over: {first_line(error)}"
                    + (owner if code == "42501" else "")
                ) from error
            raise
        connection.commit()
        return Adoption(report, migrate.HEAD)


def _refuse_half_moved(connection: Connection, tables: Sequence[OldTable]) -> None:
    for table in tables:
        if old_tables.exists(connection, table.new_name):
            raise ConfigurationError(
                f"{table.new_name} is there already beside {table.full_name}, which came after an adoption: "
                "rename one of the two, then run this again"
            )


def _look(
    connection: Connection, tables: Sequence[OldTable], timezone: str, *, lock: bool
) -> tuple[AdoptedTable, ...]:
    """Make the temporary views, and count what they give."""
    _run(connection, f"set local lock_timeout = '{LOCK_S}s'")
    if lock:
        for table in tables:
            _run(connection, f"lock table {table.full_name} in access exclusive mode")
    _run(connection, adopt_sql.FUNCTIONS)
    zone = "'" + timezone.replace("'", "''") + "'"
    found: list[AdoptedTable] = []
    for name, of_name in _by_name(tables).items():
        mapping = adopt_sql.MAPPINGS[name]
        sources = [adopt_sql.Source(table, zone) for table in of_name]
        _run(connection, mapping.view_sql(sources, list(_extra(of_name))))
        reports = [_blank(connection, table, _extra(of_name)) for table in of_name]
        for row in connection.execute(text(_COUNT.format(view=mapping.view))):
            _add(reports[row.source], row.problem, row.remarks, row.rows, row.example)
        found += reports
    return tuple(found)


def _blank(connection: Connection, table: OldTable, kept: Mapping[str, str]) -> AdoptedTable:
    left = tuple(column for column in _unknown(table) if column not in kept)
    return AdoptedTable(table, columns_left=left, dependents=tuple(old_tables.dependents(connection, table)))


def _add(
    report: AdoptedTable, problem: str | None, remarks: Sequence[str], rows: int, example: int | None
) -> None:
    report.rows += rows
    if problem is None:
        report.copied += rows
    kinds = [(report.not_copied, problem)] if problem else [(report.changed, remark) for remark in remarks]
    for of_kind, what in kinds:
        before, first = of_kind.get(what, (0, None))
        ids = [number for number in (first, example) if number is not None]
        of_kind[what] = (before + rows, min(ids, default=None))


def _move(
    connection: Connection, report: Sequence[AdoptedTable], before: str | None, shared: Mapping[str, str]
) -> None:
    tables = [adopted.table for adopted in report]
    grants = {table: old_tables.grants(connection, table) for table in tables}
    defaults = {table: old_tables.defaults(connection, table) for table in tables}
    for table in tables:
        old_tables.rename(connection, table)
    migrate.migrate(connection, before, shared)
    for name, of_name in _by_name(tables).items():
        copied = _copy(connection, of_name)
        expected = sum(adopted.copied for adopted in report if adopted.table.name == name)
        if copied != expected:
            raise ConfigurationError(
                f"nothing was changed: {expected} rows of {name} were to be copied, and {copied} were; run this again"
            )
    for table in tables:
        if table.schema == "public":
            _leave_view(connection, table, defaults[table])
        _grant(connection, table, grants[table])


def _copy(connection: Connection, tables: Sequence[OldTable]) -> int:
    """Copy the rows of these tables of one name, without telling anybody: nobody waits for old results."""
    name = tables[0].name
    mapping, extra = adopt_sql.MAPPINGS[name], _extra(tables)
    for column, kind in extra.items():
        # nullable, whatever it was: the apps' clues know nothing of it
        _run(connection, f"alter table biz.{name} add column if not exists {quoted(column)} {kind}")
    has = set(connection.execute(_COLUMNS, {"table": f"biz.{name}"}).scalars())
    _run(connection, f"alter table biz.{name} disable trigger user")
    _run(connection, mapping.sequence_sql())
    copied = connection.exec_driver_sql(
        mapping.insert_sql(has, list(extra)), execution_options={"no_parameters": True}
    ).rowcount
    _run(connection, f"alter table biz.{name} enable trigger user")
    _run(connection, f"drop view {mapping.view}")
    return copied


def _leave_view(connection: Connection, table: OldTable, defaults: Mapping[str, str]) -> None:
    """Where the old table was in `public`: code that names no schema finds the new one by a view of its columns."""
    kept = [column for column in adopt_sql.KEPT[table.name] if column in table.columns or column == "id"]
    if table.name == "member_retention_clue":
        kept += _extra([table])
    has = set(connection.execute(_COLUMNS, {"table": f"biz.{table.name}"}).scalars())
    columns = ", ".join(quoted(column) for column in kept if column in has)
    # with the rights of who reads it, and so with the table's row security
    invoker = " with (security_invoker = true)" if connection.execute(_VERSION).scalar_one() >= 150000 else ""
    _run(connection, f"create view {table.full_name}{invoker} as select {columns} from biz.{table.name}")
    for column, expression in defaults.items():
        if column in kept and column in has:
            _run(
                connection,
                f"alter view {table.full_name} alter column {quoted(column)} set default {expression}",
            )


def _grant(connection: Connection, table: OldTable, grants: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Who could read the old table reads the new one; of clues, who could write writes people's (row security)."""
    names = [f"biz.{table.name}"] + ([table.full_name] if table.schema == "public" else [])
    for role, rights in grants:
        kept = rights if table.name == "member_retention_clue" else [r for r in rights if r == "select"]
        if kept:
            _run(connection, f"grant usage on schema biz to {role}")
            _run(connection, f"grant {', '.join(kept)} on {', '.join(names)} to {role}")


def _by_name(tables: Sequence[OldTable]) -> dict[str, list[OldTable]]:
    found: dict[str, list[OldTable]] = {}
    for table in tables:
        found.setdefault(table.name, []).append(table)
    return found


def _unknown(table: OldTable) -> tuple[str, ...]:
    return tuple(sorted(table.columns.keys() - set(adopt_sql.KEPT[table.name])))


def _extra(tables: Sequence[OldTable]) -> dict[str, str]:
    """Columns of the venue's own to keep, with their types: of the clues, which its code writes; of one table only."""
    if tables[0].name != "member_retention_clue" or len(tables) > 1:
        return {}
    return {column: tables[0].columns[column] for column in _unknown(tables[0])}


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
