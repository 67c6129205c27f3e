"""Writes a sample into the contract's tables: all of it or nothing, and the same twice is the same once.

Here: the summary, the checks before, COPY into temporary tables, insert on conflict. Not here: what the
rows say (`venue`, `completejourney`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ai_assets.errors import DatabaseUnavailableError, InputError, WarehouseError
from ai_assets.samples.contract import create_contract_tables
from ai_assets.samples.rows import TABLES, ContractTable, Site
from ai_assets.store.engine import first_line, reachable

Progress = Callable[[str], None]

# any fixed number: two loads at once would meet in the middle of the same keys and deadlock
_LOCK = text("select pg_advisory_xact_lock(7720200101)")
_NOT_TABLES = text("""
    select n.nspname || '.' || c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = any(:names) and c.relkind not in ('r', 'p')
    order by 1
""")
_COLUMNS = text("""
    select table_schema || '.' || table_name, column_name
    from information_schema.columns where table_schema in ('biz', 'dws')
""")
_SITES = text("select site_id, name, timezone from biz.sites where site_id = any(:ids)")
_ROWS_WITHOUT_SITE = text("""
    select s.site_id from unnest(cast(:ids as bigint[])) as s(site_id)
    where not exists (select from biz.sites b where b.site_id = s.site_id)
      and (exists (select from dws.finance_area_daily f where f.site_id = s.site_id)
        or exists (select from dws.settlement t where t.site_id = s.site_id)
        or exists (select from biz.members m where m.site_id = s.site_id))
    order by 1
""")

_STAGE = sql.SQL("create temp table {stage} (like {table}) on commit drop")
_COPY = sql.SQL("copy {stage} ({columns}) from stdin")
_INSERT = sql.SQL(
    "insert into {table} as t ({columns}) select {columns} from {stage}"
    " on conflict ({key}) do update set ({columns}) = row({new})"
    " where ({old}) is distinct from ({new})"
)
# a site that stands already may have been switched off by its operator: leave it
_INSERT_NEW = sql.SQL(
    "insert into {table} as t ({columns}) select {columns} from {stage} on conflict ({key}) do nothing"
)


@dataclass(frozen=True)
class LoadSummary:
    """What a load brought about. Days are business dates; `changed` counts rows inserted or altered."""

    dataset: str
    rows: Mapping[str, int]
    changed: Mapping[str, int]
    sites: tuple[int, ...]
    site_names: Mapping[int, str]
    first_day: date
    last_day: date


@dataclass(frozen=True)
class Sample:
    """A whole sample in memory: its sites, and the rows of every table but biz.sites by full name."""

    dataset: str
    sites: Sequence[Site]
    rows: Mapping[str, Sequence[tuple[Any, ...]]]
    first_day: date
    last_day: date


def write_sample(engine: Engine, sample: Sample, progress: Progress | None = None) -> LoadSummary:
    """Write `sample` in one transaction; rows that stand there already with the same values are not touched.

    Makes the contract's tables where they are missing. Raises InputError where one of the sites is in use
    for something else, WarehouseError where the tables are not the contract's own (views, missing columns,
    no right to write), DatabaseUnavailableError where Postgres cannot be reached; nothing is written then.
    """
    tell = progress or (lambda _line: None)
    rows = {"biz.sites": sample.sites, **sample.rows}
    changed: dict[str, int] = {}
    with _in_one_transaction(engine, sample.dataset) as connection:
        _check(connection, sample)
        driver = cast("psycopg2.extensions.connection", connection.connection.dbapi_connection)
        for name, table in TABLES.items():
            tell(f"{sample.dataset}: writing {name} ({len(rows[name]):,} rows)")
            changed[name] = _upsert(driver, table, rows[name])
    return LoadSummary(
        dataset=sample.dataset,
        rows={name: len(rows[name]) for name in TABLES},
        changed=changed,
        sites=tuple(site.site_id for site in sample.sites),
        site_names={site.site_id: site.name for site in sample.sites},
        first_day=sample.first_day,
        last_day=sample.last_day,
    )


@contextmanager
def _in_one_transaction(engine: Engine, dataset: str) -> Iterator[Connection]:
    what = f"loading {dataset}"
    try:
        with reachable(what), engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise WarehouseError(f"the contract's tables refused {dataset}: {first_line(error)}") from error
    # COPY goes past SQLAlchemy, so the driver's own errors arrive here
    except psycopg2.OperationalError as error:
        raise DatabaseUnavailableError(f"Postgres cannot be reached ({what}): {first_line(error)}") from error
    except psycopg2.Error as error:
        raise WarehouseError(f"the contract's tables refused {dataset}: {first_line(error)}") from error


def _check(connection: Connection, sample: Sample) -> None:
    connection.execute(_LOCK)
    foreign = connection.execute(_NOT_TABLES, {"names": list(TABLES)}).scalars().all()
    if foreign:
        raise WarehouseError(
            f"{foreign[0]} is a view or a foreign table, so it belongs to a real warehouse: "
            f"load {sample.dataset} into a database of its own"
        )
    create_contract_tables(connection)
    _check_columns(connection)
    _check_sites(connection, sample)


def _check_columns(connection: Connection) -> None:
    present = {(table, column) for table, column in connection.execute(_COLUMNS)}
    for table in TABLES.values():
        for column in table.columns:
            if (table.full_name, column) not in present:
                raise WarehouseError(f"{table.full_name} has no column {column} (see docs/data-contract.md)")


def _check_sites(connection: Connection, sample: Sample) -> None:
    ids = [site.site_id for site in sample.sites]
    standing = {row.site_id: row for row in connection.execute(_SITES, {"ids": ids})}
    for site in sample.sites:
        other = standing.get(site.site_id)
        if other is not None and (other.name, other.timezone) != (site.name, site.timezone):
            raise InputError(
                f"site {site.site_id} is already {other.name!r} ({other.timezone}) in biz.sites, not "
                f"{site.name!r} ({site.timezone}): load {sample.dataset} into another database"
            )
    orphans = connection.execute(_ROWS_WITHOUT_SITE, {"ids": ids}).scalars().all()
    if orphans:
        raise InputError(
            f"site {orphans[0]} is not in biz.sites but has data already: "
            f"load {sample.dataset} into another database"
        )


def _upsert(
    driver: psycopg2.extensions.connection, table: ContractTable, rows: Sequence[tuple[Any, ...]]
) -> int:
    """Insert or alter `rows`; returns how many were inserted or altered."""
    columns = [sql.Identifier(column) for column in table.columns]
    names = {
        "table": sql.Identifier(table.schema, table.name),
        "stage": sql.Identifier(f"sample_{table.schema}_{table.name}"),
        "columns": sql.SQL(", ").join(columns),
        "key": sql.SQL(", ").join(sql.Identifier(column) for column in table.key),
        "old": sql.SQL(", ").join(sql.SQL("t.{}").format(column) for column in columns),
        "new": sql.SQL(", ").join(sql.SQL("excluded.{}").format(column) for column in columns),
    }
    insert = _INSERT_NEW if table.row is Site else _INSERT
    with driver.cursor() as cursor:
        cursor.execute(_STAGE.format(**names))
        cursor.copy_expert(_COPY.format(**names), io.StringIO("".join(_copy_lines(rows))))
        cursor.execute(insert.format(**names))
        return int(cursor.rowcount)


def _copy_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    for row in rows:
        yield "\t".join([_copy_value(value) for value in row]) + "\n"


def _copy_value(value: object) -> str:
    if value is None:
        return r"\N"
    written = str(value)
    if isinstance(value, str):
        for plain, escaped in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
            written = written.replace(plain, escaped)
    return written
