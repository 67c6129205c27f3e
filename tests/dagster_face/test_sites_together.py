"""One range over several sites: their blocks stand next to each other, and the run makes what matters first."""

from __future__ import annotations

from dagster import DagsterInstance
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.partitions import (
    AREA_PARTITIONS,
    after,
    area_key,
    block_of,
    ensure_blocks,
    ensure_together,
    parse_area_key,
    plan_together,
    stands_alone,
)
from ai_assets.simulator.server import Simulator
from ai_assets.warehouse.areas import AREAS

SITES = st.integers(1, 6)
KEYS = st.lists(st.builds(area_key, SITES, st.sampled_from(AREAS)), unique=True)
BLOCKS = st.permutations(range(1, 7)).map(lambda sites: [key for site in sites for key in block_of(site)])


def sites_of(keys: list[str]) -> list[int]:
    return [parse_area_key(key)[0] for key in keys]


@given(existing=st.one_of(KEYS, BLOCKS), wanted=st.lists(SITES, unique=True, min_size=1))
@settings(deadline=None, max_examples=200)
def test_afterwards_the_wanted_sites_stand_next_to_each_other_and_nothing_else_moved(existing, wanted):
    keys = after(existing, plan_together(existing, wanted))
    positions = [position for position, site in enumerate(sites_of(keys)) if site in wanted]
    assert len(positions) == 9 * len(wanted) == positions[-1] - positions[0] + 1
    assert all(stands_alone(keys, site) for site in wanted)
    others = [key for key in existing if parse_area_key(key)[0] not in wanted]
    assert [key for key in keys if parse_area_key(key)[0] not in wanted] == others
    assert not plan_together(keys, wanted)


def test_sites_that_stand_together_are_left_alone_in_whatever_order_they_are_asked_for():
    existing = [key for site in (4, 1, 2, 3) for key in block_of(site)]
    assert not plan_together(existing, [2, 1])
    assert plan_together(existing, [1, 3])


def test_the_range_over_two_sites_holds_their_144_cells_and_no_third_sites(
    run_site, instance: DagsterInstance, simulator: Simulator
):
    ensure_blocks(instance, [1001, 7, 1002])
    tags = ensure_together(instance, [1002, 1001])
    assert set(sites_of(list(instance.get_dynamic_partitions(AREA_PARTITIONS)))) == {7, 1001, 1002}
    result = run_site(tags=tags, config={"concurrency": 1})
    made = [event.materialization.partition for event in result.get_asset_materialization_events()]
    assert result.success
    assert len(made) == len(set(made)) == 144
    # area all of both, then the running windows of both, then the rest
    assert all(":all|" in key for key in made[:16])
    assert all("|this_" in key for key in made[16:64])
    assert not any("|this_" in key or ":all|" in key for key in made[64:])


def test_the_range_of_one_site_begins_and_ends_with_it(instance: DagsterInstance):
    tags = ensure_together(instance, [1002])
    assert tags == {
        "dagster/asset_partition_range_start": "1002:all|this_month",
        "dagster/asset_partition_range_end": "1002:ktv|last_6_months",
    }
