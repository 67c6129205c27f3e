from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.warehouse.areas import AREAS, LEAF_AREAS, leaves
from ai_assets.warehouse.finance_frames import (
    AREA_TABLE,
    OTHER,
    REPEATED,
    ROWS,
    SITE_TABLE,
    Row,
    area_sums,
    nulls_of,
    site_sums,
)

DAY = date(2026, 8, 19)
D = Decimal


def row(area: str | None, *, day: date = DAY, **measures: str | None) -> Row:
    values = dict.fromkeys(AREA_TABLE.measures, "0") | measures
    return day, area, tuple(None if v is None else D(v) for v in (values[m] for m in AREA_TABLE.measures))


def the_sum(rows: list[Row], area: str, measure: str) -> int:
    return int(area_sums(rows)[0][area].frame[measure].sum())


def test_hall_adds_its_parts_and_all_adds_everything() -> None:
    rows = [row(area, net_revenue=f"{n}.01") for n, area in enumerate(LEAF_AREAS, 1)]
    assert the_sum(rows, "hall", "net_revenue") == 101 + 201 + 301
    assert the_sum(rows, "hallB", "net_revenue") == 201
    assert the_sum(rows, "all", "net_revenue") == sum(100 * n + 1 for n in range(1, 8))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*LEAF_AREAS, "bar"]),
            st.integers(0, 9),
            st.integers(-(10**11), 10**11),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=40)
def test_sums_are_exact_to_the_cent_for_any_rows_also_repeated_ones(
    entries: list[tuple[str, int, int]],
) -> None:
    rows = [
        row(area, day=DAY - timedelta(days=ago), net_revenue=str(D(cents) / 100))
        for area, ago, cents in entries
    ]
    sums, _, faults = area_sums(rows)
    assert faults == ()
    for area in AREAS:
        inside = {*leaves(area)} | ({"bar"} if area == "all" else set())
        for ago in range(10):
            day = DAY - timedelta(days=ago)
            got = sums[area].between(day, day)
            mine = [cents for name, back, cents in entries if name in inside and back == ago]
            assert int(got.frame["net_revenue"].sum()) == sum(mine)
            assert int(got.frame[ROWS].sum()) == len(mine)


def test_an_amount_that_floats_cannot_hold_is_kept_exactly() -> None:
    rows = [row("vip", table_fee="0.1"), row("vip", table_fee="0.2"), row("ktv", table_fee="9999999999.99")]
    assert the_sum(rows, "vip", "table_fee") == 30
    assert the_sum(rows, "all", "table_fee") == 1_000_000_000_029


def test_an_area_that_nobody_knows_counts_in_all_alone_and_is_told() -> None:
    rows = [row("vip", orders="2"), row("bar", orders="3"), row(None, orders="4")]
    sums, others, faults = area_sums(rows)
    assert int(sums["all"].frame["orders"].sum()) == 9
    assert int(sums[OTHER].frame["orders"].sum()) == 7
    assert all(int(sums[area].frame["orders"].sum()) == 0 for area in AREAS if area not in ("all", "vip"))
    assert others == ((DAY, ""), (DAY, "bar"))
    assert faults == ()


def test_nulls_are_zero_and_counted_by_measure() -> None:
    sums, _, faults = area_sums([row("vip", guests=None), row("vip", guests="3"), row("ktv", guests=None)])
    assert int(sums["all"].frame["guests"].sum()) == 3
    assert int(sums["all"].frame[nulls_of("guests")].sum()) == 2
    assert int(sums["vip"].frame[nulls_of("guests")].sum()) == 1
    assert int(sums["vip"].frame[nulls_of("orders")].sum()) == 0
    assert faults == ()


def test_rows_beyond_the_first_of_a_day_and_area_are_added_and_counted() -> None:
    sums, _, _ = area_sums([row("vip", orders="1"), row("vip", orders="2"), row("ktv", orders="4")])
    assert [int(sums["all"].frame[c].sum()) for c in ("orders", ROWS, REPEATED)] == [7, 3, 1]


@pytest.mark.parametrize("measure", AREA_TABLE.counts)
def test_a_negative_count_is_a_fault_and_not_counted(measure: str) -> None:
    rows = [row("vip", **{measure: "-3"}), row("vip", **{measure: "5"})]
    sums, _, (fault,) = area_sums(rows)
    assert (fault.table, fault.column, fault.day, fault.area, fault.value) == (
        AREA_TABLE.name,
        measure,
        DAY,
        "vip",
        "-3",
    )
    assert int(sums["vip"].frame[measure].sum()) == 5


@pytest.mark.parametrize("measure", AREA_TABLE.money)
def test_money_may_be_negative(measure: str) -> None:
    sums, _, faults = area_sums([row("vip", **{measure: "-3.50"})])
    assert faults == ()
    assert int(sums["vip"].frame[measure].sum()) == -350


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "10000000000.00", "-10000000000"])
def test_an_absurd_amount_is_a_fault(value: str) -> None:
    _, _, (fault,) = area_sums([row("vip", net_revenue=value)])
    assert fault.column == "net_revenue"


@pytest.mark.parametrize(
    ("faulty", "area", "touched"),
    [
        ("hallA", "hallA", True),
        ("hallA", "hall", True),
        ("hallA", "all", True),
        ("hallA", "hallB", False),
        ("hallA", "vip", False),
        ("bar", "all", True),
        ("bar", "vip", False),
    ],
)
def test_a_fault_touches_only_the_areas_that_hold_its_row(faulty: str, area: str, *, touched: bool) -> None:
    _, _, (fault,) = area_sums([row(faulty, orders="-1")])
    assert fault.touches(area, [(DAY, DAY)]) is touched
    assert not fault.touches(area, [(DAY - timedelta(days=9), DAY - timedelta(days=1))])
    assert fault.touches(area, [(date(2020, 1, 1), date(2020, 1, 2)), (DAY, DAY)]) is touched


@pytest.mark.parametrize(("roll_up", "refused"), [("all", {"all"}), ("hall", {"all", "hall"})])
def test_a_row_of_a_roll_up_is_never_counted_twice_but_refused_where_it_belongs(
    roll_up: str, refused: set[str]
) -> None:
    sums, others, (fault,) = area_sums([row("hallA", orders="1"), row(roll_up, orders="1")])
    assert {area for area in AREAS if fault.touches(area, [(DAY, DAY)])} == refused
    assert int(sums["all"].frame["orders"].sum()) == 1
    assert others == ()


def test_a_fault_of_the_sites_own_table_touches_all_alone() -> None:
    values = dict.fromkeys(SITE_TABLE.measures, D(0)) | {"new_members": D(-1)}
    sums, (fault,) = site_sums([(DAY, None, tuple(values[m] for m in SITE_TABLE.measures))])
    assert {area for area in AREAS if fault.touches(area, [(DAY, DAY)])} == {"all"}
    assert int(sums.frame[ROWS].sum()) == 1


def test_no_rows_at_all_give_empty_sums_for_every_area() -> None:
    sums, others, faults = area_sums([])
    assert set(sums) == {*AREAS, OTHER}
    assert all(daily.days == () and len(daily.frame) == 0 for daily in sums.values())
    assert (others, faults) == ((), ())
    assert site_sums([])[0].days == ()
