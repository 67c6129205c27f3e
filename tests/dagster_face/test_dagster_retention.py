"""Old Dagster runs and members' partitions go; what a partition's state rests on, and who is in use, stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterEvent,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    EventLogEntry,
    RunsFilter,
)
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEventType,
    EngineEventData,
    StepMaterializationData,
)
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.event_log.schema import DynamicPartitionsTable, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.utils import make_new_run_id

from ai_assets.dagster_retention import (
    Newest,
    in_use,
    member_of,
    plan_members,
    plan_runs,
    remove_members,
    remove_runs,
)
from ai_assets.member_partitions import ASSISTANT_MEMBERS, MEMBERS

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=30)
CLUE, GRID = AssetKey("app3_clue"), AssetKey("app2_finance")


class House:
    """An instance with runs and events of any age, in days."""

    def __init__(self, instance: DagsterInstance) -> None:
        self.instance = instance

    def run(
        self, age: float, status=DagsterRunStatus.SUCCESS, *, made=(), planned=(), job="event_worker", **tags
    ) -> str:
        run = self.instance.add_run(
            DagsterRun(job_name=job, run_id=make_new_run_id(), status=status, tags=tags)
        )
        at = (NOW - timedelta(days=age)).timestamp()
        for key, partition in planned:
            self._event(run.run_id, at, DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
                        AssetMaterializationPlannedData(key, partition=partition))  # fmt: skip
        for key, partition in made:
            self._event(run.run_id, at, DagsterEventType.ASSET_MATERIALIZATION,
                        StepMaterializationData(AssetMaterialization(key, partition=partition), []))  # fmt: skip
        self._event(run.run_id, at, DagsterEventType.ENGINE_EVENT, EngineEventData())
        when = (NOW - timedelta(days=age)).replace(tzinfo=None)
        with self.instance.run_storage.connect() as connection:
            connection.execute(
                RunsTable.update().where(RunsTable.c.run_id == run.run_id).values(create_timestamp=when)
            )
        return run.run_id

    def _event(self, run_id: str, at: float, kind: DagsterEventType, data) -> None:
        self.instance.store_event(
            EventLogEntry(
                error_info=None, level=20, user_message="", run_id=run_id, timestamp=at, step_key=None, job_name="x",
                dagster_event=DagsterEvent(kind.value, "x", event_specific_data=data, message="x"),
            )
        )  # fmt: skip

    def keys(self, name: str, *keys: str, age: float = 1000) -> None:
        self.instance.add_dynamic_partitions(name, list(keys))
        when = (NOW - timedelta(days=age)).replace(tzinfo=None)
        with self.instance.event_log_storage.index_connection() as connection:
            connection.execute(
                DynamicPartitionsTable.update()
                .where(DynamicPartitionsTable.c.partition.in_(keys))
                .values(create_timestamp=when)
            )

    def runs(self) -> set[str]:
        return set(self.instance.get_run_ids(RunsFilter()))

    def events(self, run_id: str) -> int:
        with self.instance.event_log_storage.index_connection() as connection:
            query = SqlEventLogStorageTable.select().where(SqlEventLogStorageTable.c.run_id == run_id)
            return len(connection.execute(query).all())

    def made(self, key: AssetKey) -> set[str]:
        return self.instance.get_materialized_partitions(key)

    def clean(self, **how) -> tuple[int, int]:
        return remove_runs(self.instance, plan_runs(self.instance, BEFORE), **how)

    def going(self, *, seen: frozenset[str] = frozenset()) -> dict[str, list[str]]:
        return plan_members(self.instance, BEFORE, seen=seen).going


@pytest.fixture
def house() -> Iterator[House]:
    with DagsterInstance.ephemeral() as instance:
        yield House(instance)


# --- runs


def test_old_ended_runs_go_with_their_events_and_young_or_unended_ones_stay(house):
    old = [house.run(31, status) for status in
           (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)]  # fmt: skip
    kept = {house.run(29), house.run(31, DagsterRunStatus.STARTED), house.run(31, DagsterRunStatus.STARTING)}
    assert house.clean() == (3, 0)
    assert house.runs() == kept
    assert [house.events(run) for run in old] == [0, 0, 0]


def test_a_run_that_a_partitions_newest_materialization_is_from_stays_thinned_and_the_partition_green(house):
    house.keys(MEMBERS, "1001:5", "1001:6")
    superseded = house.run(60, made=[(CLUE, "1001:5")])
    kept = house.run(50, made=[(CLUE, "1001:5"), (CLUE, "1001:6")])
    newer = house.run(1, made=[(CLUE, "1001:6")])
    assert house.events(kept) == 3
    assert house.clean() == (1, 1)
    assert house.runs() == {kept, newer}
    assert superseded not in house.runs()
    # of two materializations and an engine event only what 1001:5 rests on
    assert house.events(kept) == 1
    assert house.made(CLUE) == {"1001:5", "1001:6"}
    # thinned once, not every night
    assert house.clean() == (0, 0)


def test_a_kept_run_goes_whole_once_nothing_rests_on_it(house):
    house.keys(MEMBERS, "1001:5")
    kept = house.run(50, made=[(CLUE, "1001:5")])
    house.clean()
    house.run(1, made=[(CLUE, "1001:5")])
    assert house.clean() == (1, 0)
    assert kept not in house.runs()


def test_cells_of_the_grid_and_assets_without_partitions_count_members_that_went_do_not(house):
    house.keys(MEMBERS, "1001:5")
    grid = house.run(50, made=[(GRID, "1001:all|this_month")])
    source = house.run(50, made=[(AssetKey(["dws", "finance"]), None)])
    gone_member = house.run(50, made=[(CLUE, "1001:999")])
    assert house.clean() == (1, 2)
    assert house.runs() == {grid, source}
    assert gone_member not in house.runs()


def test_the_red_of_a_cell_that_was_never_made_again_stays(house):
    house.keys(MEMBERS, "1001:5", "1001:6")
    red = house.run(50, DagsterRunStatus.FAILURE, planned=[(CLUE, "1001:5"), (CLUE, "1001:6")])
    house.run(1, made=[(CLUE, "1001:6")])
    assert house.clean() == (0, 1)
    assert red in house.runs()
    storage = house.instance.event_log_storage
    attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(CLUE)
    assert attempts["1001:5"][0] == red


def test_removing_runs_stops_between_two(house):
    for _ in range(3):
        house.run(40)
    asked = iter([False, True, True])
    assert house.clean(stopped=lambda: next(asked)) == (1, 0)
    assert len(house.runs()) == 2


def test_what_is_in_use_is_a_rule_without_a_database():
    made = Newest(10, "a", "k", "1001:5", "ASSET_MATERIALIZATION", NOW)
    earlier_plan = Newest(9, "a", "k", "1001:5", "ASSET_MATERIALIZATION_PLANNED", NOW)
    later_plan = Newest(11, "b", "k", "1001:5", "ASSET_MATERIALIZATION_PLANNED", NOW)
    assert in_use([made, earlier_plan], frozenset({"1001:5"})) == [made]
    assert in_use([made, later_plan], frozenset({"1001:5"})) == [made, later_plan]
    assert in_use([made, later_plan], frozenset()) == []


# --- members


def test_members_not_seen_for_long_lose_their_partitions_and_those_seen_lately_keep_them(house):
    house.keys(MEMBERS, "1001:1", "1001:2", "1001:3", "1001:4")
    house.keys(ASSISTANT_MEMBERS, "1001:7_1", "1001:7_2")
    house.keys(MEMBERS, "1001:9", age=3)
    house.run(400, made=[(CLUE, "1001:1"), (CLUE, "1001:2")])
    house.run(3, made=[(CLUE, "1001:2")])
    house.run(3, DagsterRunStatus.FAILURE, planned=[(CLUE, "1001:3")])
    assert house.going() == {MEMBERS: ["1001:1", "1001:4"], ASSISTANT_MEMBERS: ["1001:7_1", "1001:7_2"]}
    # the ledger knows of an event or call of theirs; a pair's member is the member
    going = house.going(seen=frozenset({"1001:2", "1001:4"}))
    assert going == {MEMBERS: ["1001:1"], ASSISTANT_MEMBERS: ["1001:7_1"]}
    plan = plan_members(house.instance, BEFORE, seen=frozenset({"1001:4"}))
    assert (plan.there, plan.unseen) == (7, 4)
    assert remove_members(house.instance, plan) == 3
    assert set(house.instance.get_dynamic_partitions(MEMBERS)) == {"1001:2", "1001:3", "1001:4", "1001:9"}


def test_a_member_whose_run_is_under_way_stays(house):
    house.keys(MEMBERS, "1001:1", "1001:2")
    house.run(0, DagsterRunStatus.STARTED, job="member_insights", **{"dagster/partition": "1001:1"})
    assert house.going()[MEMBERS] == ["1001:2"]


@pytest.mark.parametrize("tags", [
    {"dagster/asset_partition_range_start": "1001:1", "dagster/asset_partition_range_end": "1001:2"},
    {"dagster/backfill": "abc"},
])  # fmt: skip
def test_no_member_goes_while_a_range_of_members_is_under_way(house, tags):
    house.keys(MEMBERS, "1001:1", "1001:2")
    run = house.run(0, DagsterRunStatus.STARTING, job="member_insights", **tags)
    plan = plan_members(house.instance, BEFORE, seen=frozenset())
    assert plan.going == {MEMBERS: [], ASSISTANT_MEMBERS: []}
    assert run in plan.held_up
    # a site's own range is another matter
    house.instance.delete_run(run)
    house.run(0, DagsterRunStatus.STARTING, job="site_insights",
              **{"dagster/asset_partition_range_start": "1001:all|this_month"})  # fmt: skip
    assert house.going()[MEMBERS] == ["1001:1", "1001:2"]


def test_no_member_goes_while_a_backfill_is_under_way(house):
    house.keys(MEMBERS, "1001:1")
    backfill = PartitionBackfill(
        "abc", BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=NOW.timestamp()
    )
    house.instance.add_backfill(backfill)
    plan = plan_members(house.instance, BEFORE, seen=frozenset())
    assert (plan.going[MEMBERS], plan.held_up) == ([], "backfill abc is under way")
    house.instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    assert house.going()[MEMBERS] == ["1001:1"]


def test_a_keys_member_is_its_last_number():
    assert (member_of("1001:555"), member_of("1001:7_555")) == ("1001:555", "1001:555")
