from __future__ import annotations

import pytest

from ai_assets.errors import InputError
from ai_assets.warehouse.areas import AREA_LABELS, AREAS, LEAF_AREAS, leaves


def test_the_areas_stand_in_the_contracts_order_and_each_has_a_label() -> None:
    assert " ".join(AREAS) == "all hall hallA hallB hallC vip snooker mahjong ktv"
    assert set(AREA_LABELS) == set(AREAS)
    assert len(set(AREA_LABELS.values())) == len(AREAS)


def test_hall_is_its_three_parts_all_is_everything_and_a_leaf_is_its_own() -> None:
    assert leaves("hall") == ("hallA", "hallB", "hallC")
    assert leaves("all") == LEAF_AREAS
    assert set(LEAF_AREAS) == set(AREAS) - {"all", "hall"}
    assert all(leaves(leaf) == (leaf,) for leaf in LEAF_AREAS)


@pytest.mark.parametrize("area", ["", "halla", "bar", "ALL"])
def test_an_unknown_area_is_refused_with_the_known_names(area: str) -> None:
    with pytest.raises(InputError, match=r"unknown area .*all, hall, hallA.*ktv"):
        leaves(area)
