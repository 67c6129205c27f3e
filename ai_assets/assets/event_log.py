"""Dagster's event log on Postgres with a pool of connections and writes of many events at once.

Dagster opens a connection for each event it writes (10 ms); a worker has a hundred a second. Here: the little
that goes past Dagster's public API. Not here: which events are written when (`pending_events`, `run_events`).
A storage of its own, so that the rest of the process keeps Dagster's plain connections: a pooled one that
Postgres dropped would fail the run's last events. Imported only where it is used: it loads dagster_postgres.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine
from dagster_shared.serdes import serialize_value
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql import insert

STATEMENT_TIMEOUT_MS = 30_000
_FOUND = (
    "execution_status",
    "evaluation_event",
    "evaluation_event_timestamp",
    "evaluation_event_storage_id",
)
POOL_RECYCLE_S = 1800


class PooledEventLog(PostgresEventLogStorage):
    """The event log of an instance whose tables exist. For one thread; `close` it.

    It connects as `storage` does, also where that takes a new access token for each connection.
    """

    def __init__(self, storage: PostgresEventLogStorage) -> None:
        url, token_provider = storage.postgres_url, storage._token_provider  # no public way
        super().__init__(url, should_autocreate_tables=False, token_provider=token_provider)
        options = make_url(url).query.get("options", "")
        self._engine = create_pg_engine(
            url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            # two: within its own transaction Dagster asks by another connection
            pool_size=2,
            max_overflow=0,
            pool_pre_ping=True,
            pool_recycle=POOL_RECYCLE_S,
            connect_args={"options": f"{options} -c statement_timeout={STATEMENT_TIMEOUT_MS}".strip()},
        )
        self._tables: dict[str, bool] = {}

    def has_table(self, table_name: str) -> bool:
        """As Dagster's, asked once: the tables of a running instance stay."""
        if table_name not in self._tables:
            self._tables[table_name] = super().has_table(table_name)
        return self._tables[table_name]

    def store_made(self, events: Sequence[EventLogEntry]) -> None:
        """Write materializations of ONE asset: Dagster sets the asset's newest from the last of a batch alone."""
        self.store_event_batch(events)

    def store_planned(self, events: Sequence[EventLogEntry]) -> None:
        """Write planned events in one statement; Dagster's own batch writes these one by one."""
        newest: dict[Any, EventLogEntry] = {event.get_dagster_event().asset_key: event for event in events}
        with self.run_connection() as connection:
            connection.execute(self.prepare_insert_event_batch(events))
        for event in newest.values():
            # of a planned event the asset's row takes the run and the time; the id is not used
            self.store_asset_event(event, 0)

    def store_checked(self, events: Sequence[EventLogEntry]) -> None:
        """Write what checks found, in two statements; Dagster's own batch takes three an event.

        Of a check of a partition in one run the last of a batch stands, as Dagster has it. Unlike Dagster's own way,
        this works for events of no run (run id "") of a partition that had one before.
        """
        with self.run_connection() as connection:
            stored = connection.execute(
                self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
            ).scalars()
            rows = {
                (row["asset_key"], row["check_name"], row["partition"], row["run_id"]): row
                for row in map(_check_row, events, sorted(stored))
            }
            statement = insert(AssetCheckExecutionsTable).values(list(rows.values()))
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["asset_key", "check_name", "run_id", "partition"],
                    set_={name: statement.excluded[name] for name in _FOUND},
                )
            )

    def close(self) -> None:
        """Close the connections."""
        self.dispose()
        self._engine.dispose()


def _check_row(event: EventLogEntry, event_id: int) -> dict[str, Any]:
    found = event.get_dagster_event().asset_check_evaluation_data
    status = AssetCheckExecutionRecordStatus
    return {
        "asset_key": found.asset_key.to_string(),
        "check_name": found.check_name,
        "partition": found.partition,
        "run_id": event.run_id,
        "execution_status": (status.SUCCEEDED if found.passed else status.FAILED).value,
        "evaluation_event": serialize_value(event),
        "evaluation_event_timestamp": datetime.fromtimestamp(event.timestamp, UTC).replace(tzinfo=None),
        "evaluation_event_storage_id": event_id,
    }


def pooled(storage: object) -> PooledEventLog | None:
    """A pooled log beside this storage of an instance, or None where the storage is not Postgres."""
    if not isinstance(storage, PostgresEventLogStorage):
        return None
    return PooledEventLog(storage)
