"""Old asset check results go; the newest of each check of a partition stays, and what Dagster shows of it too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetKey, DagsterInstance, EventLogEntry
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from sqlalchemy import func, select

from ai_assets.assets.checks import GROUNDED, SCHEMA
from ai_assets.assets.event_writer import check_event
from ai_assets.dagster_check_retention import plan_checks, remove_checks
from ai_assets.member_partitions import MEMBERS

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=30)
CLUE, GRID = AssetKey("app3_clue"), AssetKey("app2_finance")
KEY, CELL = "1001:5", "1001:all|this_month"


class Checks:
    """An instance with check results of any age, in days."""

    def __init__(self, instance: DagsterInstance) -> None:
        self.instance = instance

    def evaluate(
        self, run_id: str, age: float, *, asset: AssetKey = CLUE, partition: str = KEY, name: str = SCHEMA, passed=True
    ) -> None:  # fmt: skip
        found = AssetCheckEvaluation(
            asset_key=asset, check_name=name, passed=passed, metadata={}, partition=partition
        )
        self._store(check_event(found, job_name="x", step_key="x"), run_id, age)

    def plan(self, run_id: str, age: float, partition: str = KEY) -> None:
        """As a run does that is about to work on a partition."""
        at = (NOW - timedelta(days=age)).replace(tzinfo=None)
        with self.instance.event_log_storage.index_connection() as connection:
            connection.execute(
                AssetCheckExecutionsTable.insert().values(
                    asset_key=CLUE.to_string(), check_name=SCHEMA, partition=partition, run_id=run_id,
                    execution_status=Status.PLANNED.value, evaluation_event_timestamp=at,
                    evaluation_event_storage_id=1,
                )
            )  # fmt: skip

    def _store(self, event: DagsterEvent, run_id: str, age: float) -> None:
        self.instance.store_event(
            EventLogEntry(
                error_info=None, level=20, user_message="", run_id=run_id, step_key="x", job_name="x",
                timestamp=(NOW - timedelta(days=age)).timestamp(), dagster_event=event,
            )
        )  # fmt: skip

    def statuses(self, asset: AssetKey = CLUE, name: str = SCHEMA) -> list[tuple[str, Status]]:
        """Run and status of what Dagster shows of a check, newest first."""
        history = self.instance.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(asset, name), limit=100
        )
        return [(record.run_id, record.status) for record in history]

    def events(self) -> int:
        query = select(func.count()).where(
            SqlEventLogStorageTable.c.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION.value
        )
        with self.instance.event_log_storage.index_connection() as connection:
            return connection.execute(query).scalar_one()

    def clean(self, **how) -> int:
        return remove_checks(self.instance, plan_checks(self.instance, BEFORE), **how)


@pytest.fixture(params=["in memory", "on Postgres"])
def checks(request: pytest.FixtureRequest) -> Iterator[Checks]:
    if request.param == "on Postgres":
        instance = request.getfixturevalue("postgres_instance")
        instance.add_dynamic_partitions(MEMBERS, [KEY])
        yield Checks(instance)
        return
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(MEMBERS, [KEY])
        yield Checks(instance)


def test_superseded_results_go_with_their_events_and_the_newest_stays_however_old(checks: Checks):
    for age in (60, 50, 40):
        checks.evaluate(f"run-{age}", age)
        checks.evaluate(f"run-{age}", age, name=GROUNDED)
        checks.evaluate(f"run-{age}", age, asset=GRID, partition=CELL)
    plan = plan_checks(checks.instance, BEFORE)
    assert (plan.old, plan.in_use) == (9, 3)
    assert checks.clean() == 6
    for asset, name in ((CLUE, SCHEMA), (CLUE, GROUNDED), (GRID, SCHEMA)):
        assert checks.statuses(asset, name) == [("run-40", Status.SUCCEEDED)]
    assert checks.events() == 3
    assert checks.clean() == 0


def test_young_results_stay_though_they_are_superseded(checks: Checks):
    for age in (29, 10, 1):
        checks.evaluate(f"run-{age}", age)
    assert checks.clean() == 0


def test_an_evaluation_stays_below_a_newer_plan_that_had_none(checks: Checks):
    checks.evaluate("old", 60)
    checks.evaluate("evaluated", 50, passed=False)
    checks.plan("planned-before", 48)
    checks.plan("planned", 40)
    assert checks.clean() == 2
    assert checks.statuses() == [("planned", Status.PLANNED), ("evaluated", Status.FAILED)]


def test_results_of_a_members_partition_that_is_gone_go_all(checks: Checks):
    checks.evaluate("a", 40, partition="1001:999")
    checks.evaluate("b", 10, partition="1001:999")
    assert checks.clean() == 1
    assert checks.statuses() == [("b", Status.SUCCEEDED)]


def test_removing_stops_between_two_batches(checks: Checks, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ai_assets.dagster_check_retention.BATCH", 2)
    for age in (60, 55, 50, 45, 40):
        checks.evaluate(f"run-{age}", age)
    asked = iter([False, True])
    assert checks.clean(stopped=lambda: next(asked)) == 2
    assert len(checks.statuses()) == 3
