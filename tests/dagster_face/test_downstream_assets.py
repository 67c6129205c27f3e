"""Assets of a person's own, downstream of the apps' assets, in the same run; the example of docs/apps.md itself."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    BetaWarning,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    asset,
    define_asset_job,
)
from sqlalchemy import Engine, text

from ai_assets.assets.batches import cells_backfill, members_backfill
from ai_assets.member_partitions import MEMBERS, members_def
from ai_assets.partitions import ensure_blocks, finance_partitions, range_tags
from ai_assets.simulator.server import Simulator

APPS_PAGE = Path(__file__).parents[2] / "docs" / "apps.md"


def quietly(make: Callable[[], Any]) -> Any:
    """Make something that uses the backfill policy of `@asset`, which Dagster marks as beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)
        return make()


def make_below_finance() -> AssetsDefinition:
    @asset(deps=["app2_finance"], partitions_def=finance_partitions, backfill_policy=cells_backfill)
    def below_finance() -> None:
        """Made after its cell."""

    return below_finance


def make_below_members() -> AssetsDefinition:
    @asset(
        deps=["app7_customer", "member_retention_clue"],
        partitions_def=members_def,
        backfill_policy=members_backfill,
    )
    def below_members() -> None:
        """Made after its member."""

    return below_members


BELOW_FINANCE, BELOW_MEMBERS = quietly(make_below_finance), quietly(make_below_members)


@pytest.fixture
def run(make_definitions: Callable[..., Definitions]) -> Callable[..., ExecuteInProcessResult]:
    """Run a person's asset together with everything of ours that it is made from."""

    def run(instance: DagsterInstance, below: Any, **how: Any) -> ExecuteInProcessResult:
        job = define_asset_job("below", AssetSelection.assets(below).upstream())
        merged = Definitions.merge(make_definitions(), Definitions(assets=[below], jobs=[job]))
        return merged.resolve_job_def("below").execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
            **how,
        )

    return run


def materializations(instance: DagsterInstance, result: ExecuteInProcessResult) -> Counter[tuple[str, str]]:
    """How many materializations of this run each (asset, partition) has."""
    records = instance.get_records_for_run(
        result.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION
    ).records
    shown = [record.event_log_entry.asset_materialization for record in records]
    return Counter((one.asset_key.to_user_string(), one.partition) for one in shown)


def member_range(*keys: str) -> dict[str, Any]:
    tags = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    return {"tags": tags}


def test_a_downstream_asset_is_made_in_the_run_of_a_site_and_each_cell_once(
    run, postgres_instance: DagsterInstance
):
    ensure_blocks(postgres_instance, [1001])
    result = run(postgres_instance, BELOW_FINANCE, tags=range_tags(1001))
    assert result.success
    found = materializations(postgres_instance, result)
    assert {name for name, _ in found} == {"app2_finance", "below_finance"}
    assert len(found) == 2 * 72
    assert set(found.values()) == {1}


@pytest.mark.parametrize("keys", [("1001:555",), ("1001:555", "1001:503")], ids=["one", "a range"])
def test_a_downstream_asset_is_made_in_the_run_of_members_and_each_member_once(
    run, instance: DagsterInstance, venue_engine: Engine, keys: tuple[str, ...]
):
    with venue_engine.begin() as connection:
        # a member without a note stops nothing downstream either
        connection.execute(text("delete from biz.member_notes where member_id = 555"))
    instance.add_dynamic_partitions(MEMBERS, list(keys))
    how = {"partition_key": keys[0]} if len(keys) == 1 else member_range(*keys)
    result = run(instance, BELOW_MEMBERS, **how)
    assert result.success
    found = materializations(instance, result)
    assert {partition for _, partition in found} == set(keys)
    assert len(found) == (5 + 1) * len(keys)
    assert set(found.values()) == {1}


def test_an_output_adds_nothing_to_what_a_partition_shows(run, instance: DagsterInstance):
    instance.add_dynamic_partitions(MEMBERS, ["1001:555"])
    result = run(instance, BELOW_MEMBERS, partition_key="1001:555")
    (shown,) = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == AssetKey("app7_customer")
    ]
    assert shown.metadata["outcome"].value == "success"
    # a code version would make Dagster call every partition out of date with each batch of any site
    assert not any("code_version" in tag or "input" in tag for tag in shown.tags)


def test_after_a_failure_the_downstream_asset_does_not_start_and_what_was_made_is_kept(
    run, instance: DagsterInstance, simulator: Simulator
):
    keys = ("1001:555", "1001:503")
    instance.add_dynamic_partitions(MEMBERS, list(keys))
    simulator.configure("app3", kind="data_inspection", fail=1.0)
    result = run(instance, BELOW_MEMBERS, **member_range(*keys))
    assert not result.success
    found = materializations(instance, result)
    assert {name for name, _ in found} == {
        "app6_note",
        "app8_consolidation",
        "member_retention_clue",
        "app7_customer",
    }
    assert set(found.values()) == {1}
    assert result.get_step_skipped_events() == []


def test_the_example_of_the_apps_page_makes_its_asset(make_definitions, instance: DagsterInstance):
    (example,) = re.findall(r"```python\n(# greeting\.py.*?)```", APPS_PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "greeting"}
    quietly(lambda: exec(compile(example, "docs/apps.md", "exec", dont_inherit=True), names))
    instance.add_dynamic_partitions(MEMBERS, ["1001:555", "1001:503"])
    own = Definitions(assets=[names["greeting"]], jobs=[names["greeting_job"]])
    job = Definitions.merge(make_definitions(), own).resolve_job_def("greeting_job")
    result = job.execute_in_process(instance=instance, **member_range("1001:555", "1001:503"))
    assert result.success
    made = {event.partition: event.materialization for event in result.get_asset_materialization_events()
            if event.asset_key == AssetKey("greeting")}  # fmt: skip
    assert set(made) == {"1001:555", "1001:503"}
    assert all(shown.metadata["strategies"].value > 0 for shown in made.values())
