"""The asset app2_finance: cells, boxes, failures that stay with their cells, and what a materialization shows."""

from __future__ import annotations

import pytest
from dagster import AssetKey, DagsterInstance, DagsterInvalidConfigError
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import Engine, text

from ai_assets.partitions import finance_partitions, range_tags
from ai_assets.simulator.server import Simulator
from tests.used_budget import use_a_token

FINANCE = AssetKey("app2_finance")


def made(result) -> dict[str, object]:
    return {m.partition: m for m in (e.materialization for e in result.get_asset_materialization_events())}


def failed_partitions(instance: DagsterInstance) -> set[str]:
    value = get_and_update_asset_status_cache_value(instance, FINANCE, finance_partitions)
    assert value is not None
    if not value.serialized_failed_partition_subset:
        return set()
    return set(value.deserialize_failed_partition_subsets(finance_partitions).get_partition_keys())


def reason_of(result) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def test_a_sites_range_is_72_cells_with_all_that_an_operator_wants_to_see(run_site, simulator: Simulator):
    result = run_site(tags=range_tags(1001))
    cells = made(result)
    assert result.success
    assert len(cells) == 72
    assert len(result.get_asset_materialization_events()) == 72
    shown = cells["1001:hallA|last_week"]
    metadata = {name: value.value for name, value in shown.metadata.items()}
    assert metadata["outcome"] == "success"
    assert metadata["reused"] is False
    assert metadata["tokens in"] > 0
    assert metadata["tokens"] == metadata["tokens in"] + metadata["tokens out"]
    assert metadata["cost (CNY)"] > 0
    assert metadata["latency (s)"] >= 0
    assert metadata["as-of date"] == "2026-06-30"
    assert metadata["DWS batch"].startswith("1001")
    assert metadata["app"] == "app2a_finance_area"
    assert int(metadata["run log"]) > 0
    assert metadata["trace"] == f"ai-assets explain {metadata['cache']}"
    assert metadata["figures"] > 0
    assert metadata["share of figures grounded"] == 1.0
    assert "星河台球" in metadata["prompt"]
    assert "**" in metadata["answer"]
    assert shown.tags["dagster/data_version"]

    again = run_site(tags=range_tags(1001))
    assert {m.metadata["reused"].value for m in made(again).values()} == {True}
    assert simulator.stats()["total"] == 72
    assert made(again)["1001:hallA|last_week"].tags == shown.tags


def test_one_cell_is_one_manual_call_and_forced_makes_it_anew(
    run_site, simulator: Simulator, venue_engine: Engine
):
    first = run_site(partition_key="1001:vip|this_month")
    forced = run_site(partition_key="1001:vip|this_month", config={"forced": True})
    assert set(made(first)) == set(made(forced)) == {"1001:vip|this_month"}
    assert simulator.stats()["total"] == 2
    with venue_engine.connect() as connection:
        rows = connection.execute(text("select trigger_type from biz.ai_run_logs")).scalars().all()
        triggered = connection.execute(text("select distinct triggered_by from biz.ai_cache")).scalars().all()
    assert (rows, triggered) == (["manual", "manual"], ["admin_manual"])


def test_a_box_over_two_sites_is_one_run(run_site, simulator: Simulator):
    box = {
        "dagster/asset_partition_range_start": "1001:ktv|this_week",
        "dagster/asset_partition_range_end": "1002:hall|last_week",
    }
    result = run_site(tags=box)
    assert result.success
    assert set(made(result)) == {
        f"{area}|{window}"
        for area in ("1001:ktv", "1002:all", "1002:hall")
        for window in ("this_week", "last_week")
    }


def test_only_failed_cells_fail_and_the_next_run_calls_only_for_them(
    run_site, simulator: Simulator, instance: DagsterInstance
):
    simulator.configure("app2", kind="data_inspection", fail=1.0)
    result = run_site(tags=range_tags(1001))
    assert not result.success
    assert len(instance.get_materialized_partitions(FINANCE)) == 64
    assert failed_partitions(instance) == {
        f"1001:all|{window}"
        for window in finance_partitions.get_partitions_def_for_dimension("time").get_partition_keys()
    }
    assert "8 of 72 cells have no result" in reason_of(result)
    assert "content_filtered x 8" in reason_of(result)
    simulator.configure("app2", fail=0.0)
    before = simulator.stats()["total"]
    again = run_site(tags=range_tags(1001))
    assert again.success
    assert simulator.stats()["total"] == before + 8
    assert failed_partitions(instance) == set()


def test_a_refusal_of_the_guard_is_a_failed_cell_with_its_reason(
    run_site, make_definitions, simulator: Simulator, venue_engine
):
    use_a_token(venue_engine)
    definitions = make_definitions(daily_tokens=10)
    result = run_site(definitions, partition_key="1001:all|this_week")
    assert not result.success
    assert "budget_exceeded:day x 1" in reason_of(result)
    assert simulator.stats()["total"] == 0


def test_the_as_of_date_of_the_config_is_used_and_a_wrong_one_refused(run_site, simulator: Simulator):
    result = run_site(partition_key="1001:all|this_month", config={"as_of": "2026-05-20"})
    (shown,) = made(result).values()
    assert shown.metadata["as-of date"].value == "2026-05-20"
    with pytest.raises(DagsterInvalidConfigError, match="as_of"):
        run_site(partition_key="1001:all|this_month", config={"as_of": 7})
    refused = run_site(partition_key="1001:all|this_month", config={"as_of": "2026-13-40"})
    assert not refused.success
    assert simulator.stats()["total"] == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg2://nobody@127.0.0.1:1/none", "Postgres cannot be reached"),
        ("empty", "ai-assets db upgrade"),
    ],
)
def test_a_database_that_is_away_or_unmigrated_is_one_clear_line(
    run_site, make_definitions, empty_database_url, url, said
):
    definitions = make_definitions(empty_database_url if url == "empty" else url)
    result = run_site(definitions, partition_key="1001:all|this_week")
    assert said in reason_of(result)


def test_the_key_is_nowhere_in_what_dagster_keeps(run_site, simulator: Simulator, instance: DagsterInstance):
    simulator.configure(kind="invalid_api_key", fail=1.0, times=1)
    result = run_site(tags=range_tags(1001))
    kept = str(
        [
            entry.to_json() if hasattr(entry, "to_json") else entry
            for entry in instance.all_logs(result.run_id)
        ]
    )
    run = instance.get_run_by_id(result.run_id)
    assert "sk-marked-secret" not in kept + str(run.run_config) + str(run.tags)
