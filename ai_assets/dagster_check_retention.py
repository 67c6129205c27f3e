"""Retention of asset check results: two rows for each step, which Dagster never removes, not even with their run.

Kept however old: the newest evaluation of a check of a partition, and a newer plan that had no evaluation.
Not here: runs and their other events (`ai_assets.dagster_retention`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ai_assets.dagster_retention import has_partition, member_keys

if TYPE_CHECKING:
    from dagster import DagsterInstance

BATCH = 1000
"""Rows of one transaction."""
_PLANNED = "PLANNED"
_EVALUATED = "ASSET_CHECK_EVALUATION"


@dataclass(frozen=True)
class OldChecks:
    """Results from before a time: how many there are in all, and the ids of those to remove."""

    old: int
    going: list[int]

    @property
    def in_use(self) -> int:
        """How many stay."""
        return self.old - len(self.going)


def plan_checks(instance: DagsterInstance, before: datetime) -> OldChecks:
    """Which results from before (aware) go: superseded ones, and those of a member's partition that is gone."""
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
    from sqlalchemy import func, select

    checks = AssetCheckExecutionsTable.c
    is_planned = checks.execution_status == _PLANNED
    newest = select(
        func.max(checks.id).label("id"), checks.partition, is_planned.label("is_planned")
    ).group_by(checks.asset_key, checks.check_name, checks.partition, is_planned)
    is_old = checks.evaluation_event_timestamp < before.astimezone(UTC).replace(tzinfo=None)
    keys = member_keys(instance)
    with _storage(instance).index_connection() as connection:
        kept = {row.id for row in connection.execute(newest) if has_partition(row.partition, keys)}
        old = list(connection.execute(select(checks.id).where(is_old).order_by(checks.id)).scalars())
    return OldChecks(len(old), [row_id for row_id in old if row_id not in kept])


def remove_checks(
    instance: DagsterInstance, going: OldChecks, *, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Remove results and the events of their evaluations; returns how many. Asks `stopped` between two batches."""
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
    from sqlalchemy import delete, select

    checks, logs = AssetCheckExecutionsTable.c, SqlEventLogStorageTable.c
    removed = 0
    for start in range(0, len(going.going), BATCH):
        if stopped():
            break
        ids = going.going[start : start + BATCH]
        events = select(checks.evaluation_event_storage_id).where(checks.id.in_(ids))
        with _storage(instance).index_connection() as connection:
            connection.execute(
                # the event of a plan is that of all partitions of its run: it goes with the run
                delete(SqlEventLogStorageTable).where(
                    logs.id.in_(events), logs.dagster_event_type == _EVALUATED
                )
            )
            connection.execute(delete(AssetCheckExecutionsTable).where(checks.id.in_(ids)))
        removed += len(ids)
    return removed


def _storage(instance: DagsterInstance) -> Any:
    return instance.event_log_storage
