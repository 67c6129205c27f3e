"""Backfills that a person starts, by Dagster's own daemon code: how they end, and how they are split into runs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    Definitions,
    PartitionKeyRange,
    RunsFilter,
)
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from sqlalchemy import Engine, text

from ai_assets.apps.registry import MEMBER_APPS, PAIR_APPS
from ai_assets.assets.batches import CELLS_PER_RUN
from ai_assets.chains.cells import cells_of_site
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.chains.site import CHAIN_MARGIN_S
from ai_assets.member_partitions import ASSISTANT_MEMBERS, MEMBERS
from ai_assets.partitions import ensure_blocks, partition_key_of
from ai_assets.settings import Settings

MODULE = "definitions_of_the_backfill_tests"
INSTANCE = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())

pytestmark = [
    # the daemon's own code calls functions that Dagster has deprecated, and leaves a coroutine
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
Backfill = Callable[..., tuple[BulkActionStatus, list[DagsterRun]]]
Requested = Callable[[Sequence[str], Sequence[str]], list[list[str]]]


@pytest.fixture
def instance(empty_database_url: str, tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance on Postgres, as in production, that works each run off as it is launched, in this process."""
    overrides = {
        "storage": {"postgres": {"postgres_url": empty_database_url}},
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
        "run_launcher": {
            "module": "dagster._core.launcher.sync_in_memory_run_launcher",
            "class": "SyncInMemoryRunLauncher",
        },
        "telemetry": {"enabled": False},
    }
    with DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as made:
        ensure_blocks(made, [1001, 1002])
        yield made


@pytest.fixture
def backfill(
    make_definitions: Callable[..., Definitions], instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backfill]:
    """Backfill assets and let the daemon work until it ends; returns its status and its runs, oldest first."""
    module = ModuleType(MODULE)
    module.defs = make_definitions()
    monkeypatch.setitem(sys.modules, MODULE, module)
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=MODULE, attribute="defs"))

    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace:

        def backfill(assets: Sequence[str], keys: Sequence[str]) -> tuple[BulkActionStatus, list[DagsterRun]]:
            instance.add_backfill(
                PartitionBackfill.from_asset_partitions(
                    backfill_id="backfill",
                    asset_graph=workspace.create_request_context().asset_graph,
                    partition_names=list(keys),
                    asset_selection=[AssetKey(name) for name in assets],
                    backfill_timestamp=time.time(),
                    tags={},
                    dynamic_partitions_store=instance,
                    all_partitions=False,
                    title=None,
                    description=None,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
            )
            for _ in range(20):
                errors = [
                    error for error in execute_backfill_iteration(workspace, logging.getLogger()) if error
                ]
                assert errors == []
                status = instance.get_backfill("backfill").status
                if status is not BulkActionStatus.REQUESTED:
                    break
            runs = instance.get_runs(RunsFilter(tags={"dagster/backfill": "backfill"}), ascending=True)
            return status, list(runs)

        yield backfill


def test_a_backfill_of_members_of_whom_some_have_no_note_ends_as_completed(
    backfill: Backfill, instance: DagsterInstance, venue_engine: Engine
):
    keys = ["1001:555", "1001:503"]
    with venue_engine.begin() as connection:
        connection.execute(text("delete from biz.member_notes where site_id = 1001 and member_id = 555"))
    instance.add_dynamic_partitions(MEMBERS, keys)
    assets = [*MEMBER_APPS, RETENTION_CLUE]
    status, runs = backfill(assets, keys)
    assert status is BulkActionStatus.COMPLETED_SUCCESS
    assert [run.status for run in runs] == [DagsterRunStatus.SUCCESS]
    for name in assets:
        assert instance.get_materialized_partitions(AssetKey(name)) == set(keys)


def test_a_backfill_of_app6_alone_ends_as_completed_though_a_run_of_it_has_one_member_without_a_note(
    backfill: Backfill, instance: DagsterInstance, venue_engine: Engine
):
    with venue_engine.begin() as connection:
        connection.execute(text("delete from biz.member_notes where site_id = 1001 and member_id = 555"))
    instance.add_dynamic_partitions(MEMBERS, ["1001:555", "1001:1", "1001:503"])
    # two members with another between them: two runs
    status, runs = backfill(["app6_note"], ["1001:555", "1001:503"])
    assert status is BulkActionStatus.COMPLETED_SUCCESS
    assert [run.status for run in runs] == [DagsterRunStatus.SUCCESS] * 2


def test_a_member_who_fails_fails_the_backfill_and_no_other_member(
    backfill: Backfill, instance: DagsterInstance
):
    keys = ["1001:555", "1001:99999999", "1001:503"]
    instance.add_dynamic_partitions(MEMBERS, keys)
    assets = ["app3_clue", "app8_consolidation"]
    status, _runs = backfill(assets, keys)
    assert status is BulkActionStatus.COMPLETED_FAILED
    for name in assets:
        assert instance.get_materialized_partitions(AssetKey(name)) == {keys[0], keys[2]}


@pytest.fixture
def requested(make_definitions: Callable[..., Definitions], instance: DagsterInstance) -> Requested:
    """The partitions of each run that the daemon would start, by the tags of its range."""
    graph = make_definitions().resolve_asset_graph()

    def requested(assets: Sequence[str], keys: Sequence[str]) -> list[list[str]]:
        definition = graph.get(AssetKey(assets[0])).partitions_def
        with partition_loading_context(dynamic_partitions_store=instance):
            requests = build_run_requests_with_backfill_policies(
                asset_partitions={
                    AssetKeyPartitionKey(AssetKey(name), key) for name in assets for key in keys
                },
                asset_graph=graph,
                dynamic_partitions_store=instance,
            )
            assert all({*request.asset_selection} == {*map(AssetKey, assets)} for request in requests)
            return [
                [*definition.get_partition_keys_in_range(PartitionKeyRange(start, end))]
                for start, end in (
                    (
                        request.tags["dagster/asset_partition_range_start"],
                        request.tags["dagster/asset_partition_range_end"],
                    )
                    for request in requests
                )
            ]

    return requested


@pytest.mark.parametrize(
    ("assets", "partitions", "key"),
    [([*MEMBER_APPS, RETENTION_CLUE], MEMBERS, "1001:{}"), ([*PAIR_APPS], ASSISTANT_MEMBERS, "1001:7_{}")],
    ids=["members", "pairs"],
)
def test_members_and_pairs_are_split_into_runs_of_100_that_together_hold_each_once(
    requested: Requested, instance: DagsterInstance, assets: list[str], partitions: str, key: str
):
    keys = [key.format(number) for number in range(1, 301)]
    instance.add_dynamic_partitions(partitions, keys)
    # 250 in a row, one that is not chosen, two more
    runs = requested(assets, [*keys[:250], *keys[251:253]])
    assert runs == [keys[:100], keys[100:200], keys[200:250], keys[251:253]]


@pytest.mark.parametrize("sites", [1, 2, 20])
def test_cells_are_split_into_runs_of_at_most_a_sites_72_that_together_hold_each_once(
    requested: Requested, instance: DagsterInstance, sites: int
):
    site_ids = range(1001, 1001 + sites)
    ensure_blocks(instance, site_ids)
    chosen = [str(partition_key_of(cell)) for site_id in site_ids for cell in cells_of_site(site_id)]
    runs = requested(["app2_finance"], chosen)
    assert max(map(len, runs)) <= CELLS_PER_RUN
    assert sorted(key for run in runs for key in run) == sorted(chosen)


def test_the_time_limit_of_a_run_is_beyond_that_of_a_sites_chain():
    limit = INSTANCE["run_monitoring"]["max_runtime_seconds"]
    assert CELLS_PER_RUN * Settings().step_timeout_s + CHAIN_MARGIN_S < limit


def test_places_stay_for_workers_and_a_person_while_the_daily_batch_and_backfills_run():
    runs = INSTANCE["concurrency"]["runs"]
    limits = {rule["key"]: rule["limit"] for rule in runs["tag_concurrency_limits"]}
    taken = limits["ai/event"] + limits["dagster/backfill"]
    assert taken + Settings().workers_max < runs["max_concurrent_runs"]
