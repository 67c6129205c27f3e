"""Partition keys: their form, and a site's areas standing together whatever stood there before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.chains.cells import cells_of_site
from ai_assets.errors import InputError
from ai_assets.partitions import (
    after,
    area_key,
    block_of,
    cell_of,
    finance_partitions,
    parse_area_key,
    partition_key_of,
    plan_blocks,
    stands_alone,
)
from ai_assets.warehouse.areas import AREAS

SITES = st.integers(1, 6)
KEYS = st.lists(st.builds(area_key, SITES, st.sampled_from(AREAS)), unique=True)


@given(existing=KEYS, wanted=st.lists(SITES, unique=True))
@settings(deadline=None, max_examples=200)
def test_afterwards_every_wanted_site_stands_alone_and_nothing_else_moved(existing, wanted):
    changes = plan_blocks(existing, wanted)
    keys = after(existing, changes)
    assert len(keys) == len(set(keys))
    assert all(stands_alone(keys, site) for site in wanted)
    others = [key for key in existing if parse_area_key(key)[0] not in wanted]
    assert [key for key in keys if parse_area_key(key)[0] not in wanted] == others
    assert not plan_blocks(keys, wanted)


def test_a_foreign_key_inside_a_sites_block_is_seen():
    keys = [*block_of(1)[:4], area_key(2, "all"), *block_of(1)[4:]]
    assert not stands_alone(keys, 1)


def test_every_cell_has_a_key_that_leads_back_to_it():
    for cell in cells_of_site(1001):
        assert cell_of(str(partition_key_of(cell))) == cell


def test_dimensions_are_area_and_time():
    assert finance_partitions.partition_dimension_names == ["area", "time"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "1001",
        "1001:attic|this_week",
        "x:all|this_week",
        "1001:all|someday",
        "0:all|this_week",
        "1001:all",
        "|",
    ],
)
def test_a_key_that_is_not_of_the_form_is_named(key):
    with pytest.raises(InputError, match="key") as caught:
        cell_of(key)
    assert "\n" not in str(caught.value)
