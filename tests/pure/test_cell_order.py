"""In which order cells are made: what a budget that runs out should have been spent on first."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.chains.cells import Cell, cells_of_site, priority
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

SITES = st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True)


def stage(cell: Cell) -> str:
    if cell.area == "all":
        return "all"
    return "running" if cell.window in {"this_week", "this_month", "this_quarter"} else "closed"


@given(sites=SITES, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_area_all_of_every_site_comes_first_then_every_running_window_then_the_rest(sites, seed):
    cells = [Cell(site, area, window) for site in sites for area in AREAS for window in WINDOWS]
    random.Random(seed).shuffle(cells)
    ordered = sorted(cells, key=priority)
    count = len(sites)
    assert [stage(cell) for cell in ordered] == (
        ["all"] * 8 * count + ["running"] * 24 * count + ["closed"] * 40 * count
    )
    # the sites take turns: however far it gets, none is more than one cell ahead
    for end in range(len(ordered)):
        made = [sum(cell.site_id == site for cell in ordered[:end]) for site in sites]
        assert max(made) - min(made) <= 1


def test_area_all_begins_with_its_running_windows():
    assert [cell.window for cell in cells_of_site(1)[:8]] == [
        "this_month",
        "this_week",
        "this_quarter",
        "last_month",
        "last_week",
        "last_quarter",
        "last_3_months",
        "last_6_months",
    ]


def test_a_sites_72_cells_come_in_that_order():
    cells = cells_of_site(1)
    assert len(set(cells)) == 72
    assert cells == sorted(cells, key=priority)
