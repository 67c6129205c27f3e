"""How Dagster splits a backfill: why decision 0003 and the READMEs send large ones to `fill_answers`."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance
from dagster._core.definitions.partitions.context import partition_loading_context

from ai_assets.member_partitions import members_def
from ai_assets.partitions import block_of, ensure_blocks, finance_partitions
from ai_assets.warehouse.windows import WINDOWS


def ranges(partitions_def, keys) -> int:
    return len(partitions_def.subset_with_partition_keys(keys).get_partition_key_ranges(partitions_def))


@pytest.fixture
def instance():
    with (
        DagsterInstance.ephemeral() as made,
        partition_loading_context(dynamic_partitions_store=made),
    ):
        ensure_blocks(made, [1001, 1002])
        made.add_dynamic_partitions("members", [f"1001:{member}" for member in range(1, 401)])
        yield made


def test_the_cells_of_a_site_are_a_range_for_each_window(instance):
    assert ranges(finance_partitions, [f"{area}|{w}" for area in block_of(1001) for w in WINDOWS]) == 8


def test_scattered_members_are_a_range_each_and_neighbours_are_one(instance):
    assert ranges(members_def, [f"1001:{member}" for member in range(1, 401, 2)]) == 200
    assert ranges(members_def, [f"1001:{member}" for member in range(1, 401)]) == 1
