"""Which source tables and columns are read, and one clear error where they are not as the contract says.

Here: the names, and `reading`, which every read of a source table goes through. Not here: the statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, text
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
    # name, timezone and is_active may be missing: biz.ai_sites fills them in
    SITES: ("site_id",),
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
        lacking = [column for column in COLUMNS[table] if column not in row.columns]
        if lacking:
            found.append(f"column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)} of {table}")
    return found


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
