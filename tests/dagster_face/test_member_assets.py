"""The members' and the pairs' assets: one alone, several, ranges, failures that stay where they are, lineage."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from dagster import (
    AllPartitionMapping,
    AssetCheckKey,
    AssetKey,
    BackfillPolicy,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import Engine, text

from ai_assets.apps.registry import MEMBER_APPS, PAIR_APPS
from ai_assets.assets.assistants import assistants
from ai_assets.assets.checks import GROUNDED, SCHEMA
from ai_assets.assets.member_run import steps_of
from ai_assets.assets.members import members
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.definitions import build_definitions
from ai_assets.member_partitions import assistant_members_def, members_def
from ai_assets.simulator.server import Simulator
from tests.used_budget import use_a_token

MEMBER, PAIR = "1001:555", "1001:7_555"
MEMBER_ASSETS = {*MEMBER_APPS, RETENTION_CLUE}

Run = Callable[..., ExecuteInProcessResult]


@pytest.fixture
def run(make_definitions, instance: DagsterInstance) -> Run:
    """Run assets in this process for a partition key, or for a range of the keys that are given, in their order."""

    def run(
        *keys: str,
        assets: set[str] | None = None,
        config: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        **how: Any,
    ) -> ExecuteInProcessResult:
        pairs = bool(assets and assets <= set(PAIR_APPS))
        job = make_definitions(**how).resolve_job_def("assistant_insights" if pairs else "member_insights")
        instance.add_dynamic_partitions((assistant_members_def if pairs else members_def).name, list(keys))
        chosen: dict[str, Any] = {"partition_key": keys[0], "tags": tags}
        if len(keys) > 1:
            chosen = {
                "tags": {
                    "dagster/asset_partition_range_start": keys[0],
                    "dagster/asset_partition_range_end": keys[-1],
                }
            }
        return job.execute_in_process(
            instance=instance,
            asset_selection=[AssetKey(name) for name in assets] if assets else None,
            run_config={
                "ops": {"assistants" if pairs else "members": {"config": config or {}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
            **chosen,
        )

    return run


@pytest.fixture
def made(instance: DagsterInstance) -> Callable[[ExecuteInProcessResult], dict[tuple[str, str], Any]]:
    """A run's materialization by (asset, partition), in the order in which they were made; each is one alone."""

    def made(result: ExecuteInProcessResult) -> dict[tuple[str, str], Any]:
        records = instance.get_records_for_run(
            result.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION
        ).records
        shown = [record.event_log_entry.asset_materialization for record in records]
        found = {(m.asset_key.to_user_string(), m.partition): m for m in shown}
        assert len(found) == len(shown)
        return found

    return made


def failed_partitions(instance: DagsterInstance, asset: str) -> set[str]:
    definition = assistant_members_def if asset in PAIR_APPS else members_def
    value = get_and_update_asset_status_cache_value(instance, AssetKey(asset), definition)
    if value is None or not value.serialized_failed_partition_subset:
        return set()
    return set(value.deserialize_failed_partition_subsets(definition).get_partition_keys())


def reason_of(result: ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def calls(simulator: Simulator) -> int:
    return simulator.stats()["total"]


def rows(engine: Engine, sql: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


@pytest.fixture
def some_members(venue_engine: Engine) -> list[str]:
    """Keys of three members of site 1001 who have a note, 555 first."""
    found = rows(
        venue_engine,
        "select site_id, member_id from biz.member_notes where site_id = 1001"
        " group by site_id, member_id order by member_id <> 555, member_id limit 3",
    )
    return [f"{site}:{member}" for site, member in found]


def test_the_steps_run_in_the_chains_order_and_app8_sets_the_clues_itself():
    assert set(steps_of(MEMBER_ASSETS)) == set(MEMBER_APPS)
    assert steps_of(MEMBER_ASSETS) == list(MEMBER_APPS)
    assert steps_of(set(PAIR_APPS)) == list(PAIR_APPS)
    assert steps_of({RETENTION_CLUE}) == [RETENTION_CLUE]
    assert steps_of({RETENTION_CLUE, "app7_customer"}) == [RETENTION_CLUE, "app7_customer"]


def test_the_definitions_hold_what_the_contract_says():
    graph = build_definitions().resolve_asset_graph()

    def parents(name: str) -> set[str]:
        return {key.to_user_string() for key in graph.get(AssetKey(name)).parent_keys}

    assert parents("app3_clue") == {"dws/settlements", "biz/members"}
    assert parents("app6_note") == {"biz/notes", "biz/members"}
    assert parents("app8_consolidation") == {"app3_clue", "app6_note"}
    assert parents("member_retention_clue") == {"app8_consolidation"}
    assert parents("app7_customer") == {"dws/settlements", "app8_consolidation", "biz/notes", "biz/members"}
    assert parents("app4_analysis") == {
        "app3_clue",
        "app7_customer",
        "app8_consolidation",
        "biz/assistants",
        "dws/settlements",
    }
    assert parents("app5_tactics") == {"app4_analysis"}
    for name in MEMBER_ASSETS | set(PAIR_APPS):
        node = graph.get(AssetKey(name))
        assert node.partitions_def == (assistant_members_def if name in PAIR_APPS else members_def)
        assert node.backfill_policy == BackfillPolicy.multi_run(100)
        assert node.group_name == ("assistants" if name in PAIR_APPS else "members")
    for parent in ("app3_clue", "app7_customer", "app8_consolidation"):
        mapping = graph.get_partition_mapping(AssetKey("app4_analysis"), AssetKey(parent))
        assert isinstance(mapping, AllPartitionMapping)
    assert members.can_subset
    assert assistants.can_subset


def test_all_about_one_member_is_made_in_order_with_what_an_operator_wants_to_see(
    run: Run, made, simulator: Simulator, venue_engine: Engine
):
    result = run(MEMBER)
    shown = made(result)
    assert result.success
    assert list(shown) == [
        (asset, MEMBER)
        for asset in (
            "app3_clue",
            "app6_note",
            "app8_consolidation",
            "member_retention_clue",
            "app7_customer",
        )
    ]
    assert calls(simulator) == 4
    metadata = {name: value.value for name, value in shown["app6_note", MEMBER].metadata.items()}
    assert metadata["outcome"] == "success"
    assert metadata["as-of date"] == "2026-06-30"
    assert metadata["tokens"] > 0
    assert 1 <= metadata["score"] <= 10
    assert f"**Score: {metadata['score']} of 10**" in metadata["answer"]
    assert shown["app6_note", MEMBER].tags["dagster/data_version"]
    clues = rows(
        venue_engine,
        "select source, count(*) from biz.member_retention_clue where member_id = 555 group by 1",
    )
    count = shown["member_retention_clue", MEMBER].metadata["retention clues set"].value
    assert ("ai_consumption", count) in clues
    assert rows(venue_engine, "select distinct trigger_type from biz.ai_run_logs") == [("manual",)]
    assert rows(venue_engine, "select distinct triggered_by from biz.ai_cache") == [("admin_manual",)]


def test_one_asset_alone_is_that_app_alone(run: Run, made, simulator: Simulator, venue_engine: Engine):
    result = run(MEMBER, assets={"app7_customer"})
    assert result.success
    assert list(made(result)) == [("app7_customer", MEMBER)]
    assert rows(venue_engine, "select app_type from biz.ai_run_logs") == [("app7_customer",)]


def test_a_second_run_reuses_and_forced_makes_anew(run: Run, made, simulator: Simulator):
    first = run(MEMBER, assets={"app3_clue", "app6_note"})
    again = run(MEMBER, assets={"app3_clue", "app6_note"})
    assert calls(simulator) == 2
    assert [m.metadata["reused"].value for m in made(again).values()] == [True, True]
    assert [m.tags for m in made(again).values()] == [m.tags for m in made(first).values()]
    forced = run(MEMBER, assets={"app3_clue", "app6_note"}, config={"forced": True})
    assert calls(simulator) == 4
    assert [m.metadata["reused"].value for m in made(forced).values()] == [False, False]


def test_a_range_is_one_batch_with_each_members_own_results(
    run: Run, made, simulator: Simulator, some_members, venue_engine: Engine
):
    result = run(*some_members, config={"concurrency": 2})
    assert result.success
    assert set(made(result)) == {(asset, key) for asset in MEMBER_ASSETS for key in some_members}
    assert calls(simulator) == 4 * 3
    assert rows(venue_engine, "select distinct trigger_type from biz.ai_run_logs") == [("batch",)]
    for key in some_members:
        order = [asset for asset, partition in made(result) if partition == key]
        assert order == [*MEMBER_APPS[:3], RETENTION_CLUE, *MEMBER_APPS[3:]]


def test_a_step_that_fails_is_red_and_the_others_stand(
    run: Run, made, simulator: Simulator, instance: DagsterInstance
):
    simulator.configure("app3", kind="data_inspection", fail=1.0)
    result = run(MEMBER)
    assert not result.success
    assert {asset for asset, _ in made(result)} == MEMBER_ASSETS - {"app3_clue"}
    assert failed_partitions(instance, "app3_clue") == {MEMBER}
    assert all(failed_partitions(instance, asset) == set() for asset in MEMBER_ASSETS - {"app3_clue"})
    assert "1 of 4 steps have no result" in reason_of(result)
    assert "content_filtered x 1" in reason_of(result)
    simulator.configure("app3", fail=0.0)
    assert run(MEMBER).success
    assert failed_partitions(instance, "app3_clue") == set()


def test_without_app8s_answer_the_retention_clues_are_red_too(
    run: Run, made, simulator: Simulator, instance: DagsterInstance, venue_engine: Engine
):
    before = rows(venue_engine, "select count(*) from biz.member_retention_clue")
    simulator.configure("app8", kind="data_inspection", fail=1.0)
    result = run(MEMBER)
    assert {asset for asset, _ in made(result)} == {"app3_clue", "app6_note", "app7_customer"}
    assert failed_partitions(instance, "app8_consolidation") == {MEMBER}
    assert failed_partitions(instance, "member_retention_clue") == {MEMBER}
    assert rows(venue_engine, "select count(*) from biz.member_retention_clue") == before


def test_the_retention_clues_alone_are_set_again_from_the_newest_answer_without_a_call(
    run: Run, made, simulator: Simulator, venue_engine: Engine
):
    none_yet = run(MEMBER, assets={RETENTION_CLUE})
    assert not none_yet.success
    assert "no_answer" in reason_of(none_yet)
    run(MEMBER, assets={"app3_clue", "app6_note", "app8_consolidation"})
    answered = calls(simulator)
    with venue_engine.begin() as connection:
        connection.execute(text("delete from biz.member_retention_clue where source <> 'manual'"))
    result = run(MEMBER, assets={RETENTION_CLUE}, config={"clue_source": "ai_note"})
    assert result.success
    assert list(made(result)) == [(RETENTION_CLUE, MEMBER)]
    assert calls(simulator) == answered
    ((source, count),) = rows(
        venue_engine,
        "select source, count(*) from biz.member_retention_clue where source <> 'manual' group by source",
    )
    assert (source, count) == (
        "ai_note",
        made(result)[RETENTION_CLUE, MEMBER].metadata["retention clues set"].value,
    )
    assert count > 0


def test_a_source_of_what_people_wrote_is_refused_before_anything_is_spent(run: Run, simulator: Simulator):
    with pytest.raises(Exception, match="clue_source"):
        run(MEMBER, config={"clue_source": "manual"})
    assert calls(simulator) == 0


def test_keys_that_are_none_and_members_that_are_not_there_fail_alone(
    run: Run, made, simulator: Simulator, instance: DagsterInstance
):
    result = run("1001:abc", MEMBER, "1001:99999999", "999:555", assets={"app3_clue"})
    assert not result.success
    assert list(made(result)) == [("app3_clue", MEMBER)]
    assert failed_partitions(instance, "app3_clue") == {"1001:abc", "1001:99999999", "999:555"}
    said = reason_of(result)
    assert "2 of 3 steps have no result, 1 partition keys are none" in said
    assert "SITE:MEMBER, such as 1001:555" in said
    assert "\n" not in said
    assert calls(simulator) == 1


def test_a_pair_is_made_in_order_and_its_keys_are_checked(
    run: Run, made, simulator: Simulator, instance: DagsterInstance
):
    result = run(PAIR, "1001:555", "1001:99999_555", assets=set(PAIR_APPS))
    assert not result.success
    assert list(made(result)) == [("app4_analysis", PAIR), ("app5_tactics", PAIR)]
    assert failed_partitions(instance, "app5_tactics") == {"1001:555", "1001:99999_555"}
    assert "SITE:ASSISTANT_MEMBER" in reason_of(result)
    assert calls(simulator) == 2
    alone = run(PAIR, assets={"app5_tactics"})
    assert alone.success
    assert made(alone)["app5_tactics", PAIR].metadata["outcome"].value in {"success", "reused"}


def test_a_guards_refusal_in_the_middle_stops_no_later_step(
    run: Run, simulator: Simulator, venue_engine: Engine
):
    use_a_token(venue_engine)
    result = run(MEMBER, daily_tokens=10)
    assert not result.success
    assert "budget_exceeded:day x 4" in reason_of(result)
    assert calls(simulator) == 0


def test_a_run_that_is_told_to_stop_ends_within_seconds_and_leaves_no_lease(
    run: Run, made, simulator: Simulator, some_members, venue_engine: Engine
):
    simulator.configure(latency=15)

    def stop_when_calls_are_in_flight() -> None:
        for _ in range(600):
            if simulator.stats()["in_flight"] >= 2:
                os.kill(os.getpid(), signal.SIGINT)
                return
            threading.Event().wait(0.05)

    stopper = threading.Thread(target=stop_when_calls_are_in_flight)
    stopper.start()
    began = time.monotonic()
    result = run(*some_members)
    took = time.monotonic() - began
    stopper.join()
    assert not result.success
    assert made(result) == {}
    assert took < 14
    assert rows(venue_engine, "select count(*) from biz.ai_leases") == [(0,)]
    assert calls(simulator) <= 3


@pytest.mark.parametrize("as_of", ["2026-05-20"])
def test_the_as_of_date_of_the_config_is_used(run: Run, made, as_of: str):
    result = run(MEMBER, assets={"app3_clue"}, config={"as_of": as_of})
    assert made(result)["app3_clue", MEMBER].metadata["as-of date"].value == as_of


@pytest.fixture
def take_notes_away(venue_engine: Engine) -> Callable[[], None]:
    """Delete the notes of member 555."""

    def take_away() -> None:
        with venue_engine.begin() as connection:
            connection.execute(text("delete from biz.member_notes where site_id = 1001 and member_id = 555"))

    return take_away


def test_among_others_app6_of_a_member_without_a_note_is_made_without_a_call_and_app8_reads_its_earlier_answer(
    run: Run, made, simulator: Simulator, venue_engine: Engine, take_notes_away, instance: DagsterInstance
):
    assert run(MEMBER, assets={"app6_note"}).success
    take_notes_away()
    (clues,) = rows(
        venue_engine,
        "select result_json -> 'clues' from biz.ai_cache where cache_type = 'app6_note_analysis'",
    )[0]
    simulator.reset()

    result = run(MEMBER)

    assert result.success
    assert {asset for asset, _ in made(result)} == MEMBER_ASSETS
    shown = made(result)["app6_note", MEMBER]
    assert shown.metadata["outcome"].value == "no note"
    assert shown.metadata["run log"].value == shown.metadata["cache"].value == "none"
    assert shown.tags["dagster/data_version"] == "no-note"
    assert simulator.calls("app6") == []
    assert clues[0]["summary"] in simulator.calls("app8")[0].prompt
    assert rows(
        venue_engine, "select count(*) from biz.ai_cache where cache_type = 'app6_note_analysis'"
    ) == [(1,)]
    assert rows(venue_engine, "select count(*) from biz.ai_run_logs where app_type = 'app6_note'") == [(1,)]


def test_a_member_without_a_note_is_green_with_its_checks_though_another_member_fails(
    run: Run, made, simulator: Simulator, take_notes_away, instance: DagsterInstance
):
    take_notes_away()
    result = run(MEMBER, "1001:99999999", assets={"app6_note", "app8_consolidation"})
    assert not result.success
    assert failed_partitions(instance, "app6_note") == {"1001:99999999"}
    for check in (SCHEMA, GROUNDED):
        records = instance.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(AssetKey("app6_note"), check), limit=10
        )
        assert {record.partition: record.status for record in records}[MEMBER] is Status.SUCCEEDED


def test_app6_of_one_member_alone_needs_a_note(
    run: Run, made, simulator: Simulator, take_notes_away, instance: DagsterInstance
):
    take_notes_away()
    alone = run(MEMBER, assets={"app6_note"})
    assert not alone.success
    assert made(alone) == {}
    assert failed_partitions(instance, "app6_note") == {MEMBER}
    assert calls(simulator) == 0


def test_app6_alone_for_many_members_makes_those_with_a_note(
    run: Run, made, some_members, take_notes_away, instance: DagsterInstance
):
    take_notes_away()
    result = run(*some_members, assets={"app6_note"})
    assert result.success
    outcomes = {key: shown.metadata["outcome"].value for (_, key), shown in made(result).items()}
    assert outcomes == {some_members[0]: "no note", some_members[1]: "success", some_members[2]: "success"}


def test_a_run_of_a_backfill_is_a_batch_though_it_has_one_member(
    run: Run, made, simulator: Simulator, take_notes_away, venue_engine: Engine
):
    take_notes_away()
    result = run(MEMBER, assets={"app6_note"}, tags={"dagster/backfill": "abc"})
    assert result.success
    assert made(result)["app6_note", MEMBER].metadata["outcome"].value == "no note"
    assert run(MEMBER, assets={"app3_clue"}, tags={"dagster/backfill": "abc"}).success
    assert rows(venue_engine, "select distinct trigger_type from biz.ai_run_logs") == [("batch",)]
