"""Which source tables and columns are read, and one clear error where they are not as the contract says.

Here: the names, and `reading`, which every read of a source table goes through. Not here: the statements.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from ai_assets.errors import WarehouseError

SITES = "biz.sites"
ETL_BATCH = "dws.etl_batch"
FINANCE_AREA_DAILY = "dws.finance_area_daily"
FINANCE_SITE_DAILY = "dws.finance_site_daily"
MEMBERS = "biz.members"
ASSISTANTS = "biz.assistants"
MEMBER_NOTES = "biz.member_notes"
ASSISTANT_TASKS = "biz.assistant_tasks"
SETTLEMENT = "dws.settlement"

COLUMNS: dict[str, tuple[str, ...]] = {
    SITES: ("site_id", "name", "timezone", "is_active"),
    ETL_BATCH: ("batch_id", "site_id", "biz_date", "status", "finished_at"),
    FINANCE_AREA_DAILY: (
        "site_id",
        "biz_date",
        "area",
        "table_fee",
        "assistant_fee",
        "goods_fee",
        "other_fee",
        "discount",
        "net_revenue",
        "orders",
        "guests",
        "play_minutes",
    ),
    FINANCE_SITE_DAILY: (
        "site_id",
        "biz_date",
        "recharge_amount",
        "recharge_count",
        "balance_spent",
        "new_members",
        "active_members",
    ),
    # biz.members.phone is not read at all
    MEMBERS: (
        "site_id",
        "member_id",
        "name",
        "nickname",
        "gender",
        "level",
        "balance",
        "registered_at",
    ),
    ASSISTANTS: ("site_id", "assistant_id", "name", "level"),
    MEMBER_NOTES: ("note_id", "site_id", "member_id", "content", "noted_by_name", "created_at"),
    ASSISTANT_TASKS: (
        "task_id",
        "site_id",
        "assistant_id",
        "member_id",
        "task_type",
        "status",
        "created_at",
    ),
    SETTLEMENT: (
        "settlement_id",
        "site_id",
        "member_id",
        "assistant_id",
        "settled_at",
        "biz_date",
        "area",
        "table_fee",
        "assistant_fee",
        "goods_fee",
        "discount",
        "paid",
        "play_minutes",
    ),
}

MAY_BE_MISSING: dict[str, dict[str, str]] = {
    # biz.ai_sites fills these in
    SITES: {"name": "text", "timezone": "text", "is_active": "boolean"},
    MEMBERS: {
        "name": "text",
        "nickname": "text",
        "gender": "text",
        "level": "text",
        "balance": "numeric",
        "registered_at": "timestamptz",
    },
    ASSISTANTS: {"name": "text", "level": "text"},
    MEMBER_NOTES: {"note_id": "bigint", "noted_by_name": "text"},
    ASSISTANT_TASKS: {"task_type": "text", "status": "text"},
    SETTLEMENT: {"assistant_id": "bigint", "settled_at": "timestamptz", "area": "text"},
}
"""Columns that a table need not have, with their types: each is then null in every row. All others are needed: without
them nothing can be said of a row, or figures would be wrong without anybody noticing."""

# pg_catalog and not information_schema: the latter hides what this user may not read, and a lack of rights
# must not be told as a missing column
_COLUMNS_OF = text(
    """
    select to_regclass(:table_name) is not null as is_there,
           array(
               select attname::text from pg_catalog.pg_attribute
               where attrelid = to_regclass(:table_name) and attnum > 0 and not attisdropped
           ) as columns
    """
)


LOOKED_UP_S = 60.0
"""For so long a connection remembers which columns a table has."""


@contextmanager
def reading(conn: Connection, *tables: str) -> Iterator[None]:
    """Run the block's statements on these source tables (views suffice).

    Raises WarehouseError: every table and column that is missing, at once; or, where none is, the first line
    of what Postgres said, or that a date is none that Python can hold.
    The connection stays usable. Lost connections pass as they are.
    """
    try:
        with _savepoint(conn):
            yield
    except (ValueError, OverflowError) as error:
        # the driver's, of a time such as infinity or of before Christ, which Python cannot hold
        raise WarehouseError(
            f"cannot read {' and '.join(tables)}: a date or time in it is out of range"
        ) from error
    except DBAPIError as error:
        if not _is_about_the_tables(error):
            raise
        missing = _missing(conn, tables)
        if missing:
            raise WarehouseError(
                f"missing in the warehouse: {'; '.join(missing)} (see docs/data-contract.md)"
            ) from error
        raise WarehouseError(f"cannot read {' and '.join(tables)}: {_first_line(error)}") from error


def _savepoint(conn: Connection) -> AbstractContextManager[Any]:
    driver: Any = conn.connection.driver_connection
    # under autocommit Postgres refuses a savepoint, and a failed statement harms no other
    return nullcontext() if driver.autocommit else conn.begin_nested()


def _is_about_the_tables(error: DBAPIError) -> bool:
    code = getattr(error.orig, "pgcode", None) or ""
    # not supported, bad data, wrong names or rights, a view's own exception; 55000: view not yet filled
    return code[:2] in {"0A", "22", "42", "P0"} or code == "55000"


def _missing(conn: Connection, tables: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for table in tables:
        row = conn.execute(_COLUMNS_OF, {"table_name": table}).one()
        if not row.is_there:
            found.append(f"table {table}")
            continue
        optional = MAY_BE_MISSING.get(table, {})
        lacking = [
            column for column in COLUMNS[table] if column not in row.columns and column not in optional
        ]
        if lacking:
            found.append(
                f"column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)} of {table}{_hint(optional)}"
            )
    return found


def _hint(optional: Mapping[str, str]) -> str:
    return f" (only {', '.join(optional)} may be missing)" if optional else ""


def fitted(conn: Connection, statement: TextClause, *tables: str) -> TextClause:
    """The statement on these source tables, for tables without some columns of MAY_BE_MISSING, which are then null.

    Only the contract's columns are read. What is missing is looked up once a minute on each connection.
    """
    sql = statement.text
    for table in tables:
        missing = _optional_missing(conn, table)
        if missing:
            sql = _with_nulls(sql, table, missing)
    return statement if sql is statement.text else text(sql)


def _optional_missing(conn: Connection, table: str) -> tuple[str, ...]:
    known = conn.info.setdefault("contract", {})
    now = time.monotonic()
    if table not in known or known[table][0] < now - LOOKED_UP_S:
        row = conn.execute(_COLUMNS_OF, {"table_name": table}).one()
        missing = tuple(name for name in MAY_BE_MISSING[table] if row.is_there and name not in row.columns)
        known[table] = (now, missing)
    found: tuple[str, ...] = known[table][1]
    return found


def _with_nulls(sql: str, table: str, missing: tuple[str, ...]) -> str:
    columns = ", ".join(
        f"null::{MAY_BE_MISSING[table][name]} as {name}" if name in missing else name
        for name in COLUMNS[table]
    )
    name = table.partition(".")[2]
    return re.sub(
        rf"\b{re.escape(table)}\b(?: as (\w+))?",
        lambda found: f"(select {columns} from {table}) as {found[1] or name}",  # noqa: S608  # names of the contract
        sql,
    )


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
