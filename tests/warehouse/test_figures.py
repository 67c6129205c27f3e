from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.errors import PromptError
from ai_assets.warehouse.areas import AREAS, LEAF_AREAS
from ai_assets.warehouse.figures import Cell, cell
from ai_assets.warehouse.finance import site_finance
from ai_assets.warehouse.finance_frames import AREA_TABLE, OTHER, SITE_TABLE, Row, Table
from ai_assets.warehouse.sites import Site
from ai_assets.warehouse.windows import WINDOWS, window

D = Decimal
SITE = Site(1001, "一号店", "Asia/Shanghai", is_active=True)
AS_OF = date(2026, 8, 19)


def _values(table: Table, measures: dict[str, str | int | None]) -> tuple[Decimal | None, ...]:
    given_values = dict.fromkeys(table.measures, 0) | measures
    return tuple(None if v is None else D(v) for v in (given_values[m] for m in table.measures))


def area_row(day: str, area: str, **measures: str | int | None) -> Row:
    return date.fromisoformat(day), area, _values(AREA_TABLE, measures)


def site_row(day: str, **measures: str | int | None) -> Row:
    return date.fromisoformat(day), None, _values(SITE_TABLE, measures)


def made(name: str, area: str, rows: list[Row], site_rows: list[Row] | None = None) -> Cell:
    return cell(site_finance(SITE, AS_OF, None, rows, site_rows or []), window(name, AS_OF), area)


WEEK = [
    area_row(
        "2026-08-17",
        "hallA",
        table_fee="100",
        goods_fee="20",
        discount="30",
        net_revenue="90",
        orders=4,
        guests=6,
        play_minutes=250,
    ),
    area_row(
        "2026-08-18",
        "hallB",
        assistant_fee="60.5",
        other_fee="19.5",
        net_revenue="80",
        orders=2,
        guests=2,
        play_minutes=90,
    ),
    area_row("2026-08-19", "vip", table_fee="1000", net_revenue="1000", orders=1, guests=3, play_minutes=60),
    area_row(
        "2026-08-10",
        "hallA",
        table_fee="150",
        discount="15",
        net_revenue="135",
        orders=5,
        guests=5,
        play_minutes=300,
    ),
    area_row("2026-08-13", "hallA", table_fee="9999", net_revenue="9999", orders=9),
]


def test_a_cell_adds_up_its_areas_over_its_window_and_over_what_it_is_compared_with() -> None:
    figures = made("this_week", "hall", WEEK).figures
    assert {name: (c.now, c.before, c.change, c.change_percent) for name, c in figures.items()} == {
        "gross": (D("200.00"), D("150.00"), D("50.00"), D("33.3")),
        "discount": (D("30.00"), D("15.00"), D("15.00"), D("100.0")),
        "net_revenue": (D("170.00"), D("135.00"), D("35.00"), D("25.9")),
        "discount_rate": (D("15.0"), D("10.0"), D("5.0"), None),
        "orders": (6, 5, 1, D("20.0")),
        "guests": (8, 5, 3, D("60.0")),
        "play_minutes": (340, 300, 40, D("13.3")),
        "net_per_order": (D("28.33"), D("27.00"), D("1.33"), D("4.9")),
        "net_per_guest": (D("21.25"), D("27.00"), D("-5.75"), D("-21.3")),
        "minutes_per_order": (D("56.7"), D("60.0"), D("-3.3"), D("-5.5")),
        "business_days": (2, 1, 1, D("100.0")),
        "net_per_business_day": (D("85.00"), D("135.00"), D("-50.00"), D("-37.0")),
    }


def test_fees_tell_their_share_of_all_fees() -> None:
    fees = made("this_week", "hall", WEEK).fees
    assert {fee: part.share for fee, part in fees.items()} == {
        "table_fee": D("50.0"),
        "assistant_fee": D("30.3"),
        "goods_fee": D("10.0"),
        "other_fee": D("9.8"),
    }
    assert fees["table_fee"].amount.before == D("150.00")


def test_all_is_told_by_area_and_lists_only_areas_with_records() -> None:
    areas = made("this_week", "all", [*WEEK, area_row("2026-08-17", "bar", net_revenue="30")]).areas
    assert {area: (part.share, part.amount.now, part.amount.before) for area, part in areas.items()} == {
        "hallA": (D("7.5"), D("90.00"), D("135.00")),
        "hallB": (D("6.7"), D("80.00"), None),
        "vip": (D("83.3"), D("1000.00"), None),
        OTHER: (D("2.5"), D("30.00"), None),
    }


@pytest.mark.parametrize("area", [area for area in AREAS if area != "all"])
def test_figures_of_the_site_and_the_areas_composition_belong_to_all_alone(area: str) -> None:
    one = made("this_week", area, WEEK, [site_row("2026-08-18", recharge_amount="500")])
    assert (one.areas, one.site_now, one.site_before, one.site_figures) == ({}, None, None, {})


def test_all_holds_recharges_balance_and_members() -> None:
    site_rows = [
        site_row(
            "2026-08-17",
            recharge_amount="500",
            recharge_count=2,
            balance_spent="80",
            new_members=1,
            active_members=9,
        ),
        site_row("2026-08-18", recharge_amount="100", recharge_count=1, active_members=8),
        site_row("2026-08-12", recharge_amount="300", recharge_count=1, new_members=2, active_members=20),
    ]
    figures = made("this_week", "all", WEEK, site_rows).site_figures
    assert {name: (c.now, c.before) for name, c in figures.items()} == {
        "recharge_amount": (D("600.00"), D("300.00")),
        "recharge_count": (3, 1),
        "amount_per_recharge": (D("200.00"), D("300.00")),
        "balance_spent": (D("80.00"), D("0.00")),
        "new_members": (1, 2),
        "active_members": (17, 20),
    }


def test_without_records_there_are_no_figures_rather_than_zeros() -> None:
    none = made("this_week", "ktv", WEEK)
    assert all(c.now is None and c.before is None and c.change is None for c in none.figures.values())
    assert all(part.share is None for part in none.fees.values())
    assert (none.series, none.best_days, none.worst_days, none.missing_days) == ((), (), (), ())
    nothing = made("last_6_months", "all", [])
    assert (nothing.now.rows, nothing.areas, len(nothing.missing_days)) == (0, {}, nothing.window.days)


def _many(days: int, net: Callable[[int], int]) -> list[Row]:
    return [
        area_row(str(AS_OF - timedelta(days=ago)), "vip", net_revenue=net(ago), orders=1)
        for ago in range(days)
    ]


def test_a_short_window_is_told_by_day_and_a_long_one_by_week_cut_at_its_ends() -> None:
    rows = _many(400, lambda ago: 1 + ago % 7)
    month = made("last_month", "vip", rows)
    assert not month.weekly
    assert [p.start for p in month.series] == [date(2026, 7, 1) + timedelta(days=n) for n in range(31)]
    assert all(p.start == p.end for p in month.series)
    quarter = made("last_quarter", "vip", rows)
    assert quarter.weekly
    # 1 April 2026 is a Wednesday, 30 June a Tuesday
    assert (quarter.series[0].start, quarter.series[0].end) == (date(2026, 4, 1), date(2026, 4, 5))
    assert (quarter.series[1].start, quarter.series[1].end) == (date(2026, 4, 6), date(2026, 4, 12))
    assert (quarter.series[-1].start, quarter.series[-1].end) == (date(2026, 6, 29), date(2026, 6, 30))


@given(
    st.dictionaries(st.integers(0, 396), st.integers(-(10**9), 10**9), max_size=80), st.sampled_from(WINDOWS)
)
@settings(deadline=None, max_examples=40)
def test_the_series_adds_up_to_the_windows_net_revenue_and_its_points_touch_only_the_window(
    cents_by_day: dict[int, int], name: str
) -> None:
    rows = [
        area_row(str(AS_OF - timedelta(days=ago)), "ktv", net_revenue=str(D(cents) / 100), orders=1)
        for ago, cents in cents_by_day.items()
    ]
    one = made(name, "ktv", rows)
    span = one.window
    inside = [c for ago, c in cents_by_day.items() if span.start <= AS_OF - timedelta(days=ago) <= span.end]
    assert sum(p.net_revenue for p in one.series) * 100 == sum(inside)
    assert one.figures["net_revenue"].now == (D(sum(inside)) / 100 if inside else None)
    assert all(span.start <= p.start <= p.end <= span.end for p in one.series)
    assert [p.start for p in one.series] == sorted({p.start for p in one.series})
    for point in one.series:
        cents = [
            c for ago, c in cents_by_day.items() if point.start <= AS_OF - timedelta(days=ago) <= point.end
        ]
        assert (point.net_revenue * 100, point.orders) == (sum(cents), len(cents))
    assert all(a.end < b.start for a, b in zip(one.series, one.series[1:], strict=False))
    assert all(not one.weekly or p.start.weekday() == 0 or p.start == span.start for p in one.series)


@pytest.mark.parametrize(
    ("net_by_day", "best", "worst"),
    [
        ([], [], []),
        ([5], [0], []),
        ([5, 9], [1], [0]),
        ([5, 9, 7], [1, 2], [0]),
        ([1, 2, 3, 4, 5, 6, 7], [6, 5, 4], [0, 1, 2]),
        # of equal days the earlier comes first
        ([4, 4, 4, 4, 4, 4, 4], [0, 1, 2], [3, 4, 5]),
        ([-3, 8, 8, 1, 1, 1, 1], [1, 2, 3], [0, 4, 5]),
    ],
)
def test_the_best_and_worst_days_are_ranked_by_net_revenue_and_no_day_is_both(
    net_by_day: list[int], best: list[int], worst: list[int]
) -> None:
    monday = date(2026, 8, 10)
    rows = [
        area_row(str(monday + timedelta(days=n)), "vip", net_revenue=net, orders=1)
        for n, net in enumerate(net_by_day)
    ]
    got = made("last_week", "vip", rows)
    assert [(p.start - monday).days for p in got.best_days] == best
    assert [(p.start - monday).days for p in got.worst_days] == worst


def test_a_day_without_business_is_neither_a_business_day_nor_a_worst_day() -> None:
    rows = [
        area_row("2026-08-10", "vip"),
        area_row("2026-08-11", "vip", net_revenue="10", orders=1),
        area_row("2026-08-12", "vip", net_revenue="20", orders=1),
        # refunds only
        area_row("2026-08-13", "vip", net_revenue="-5"),
    ]
    got = made("last_week", "vip", rows)
    assert got.figures["business_days"].now == 3
    assert [p.start for p in got.best_days] == [date(2026, 8, 12), date(2026, 8, 11)]
    assert [p.start for p in got.worst_days] == [date(2026, 8, 13)]


def test_days_without_any_row_of_the_whole_site_are_told_as_missing_in_every_area() -> None:
    for area in ("all", "hallA", "ktv"):
        got = made("this_week", area, WEEK)
        assert got.missing_days == ()
        assert got.missing_comparison_days == (date(2026, 8, 11), date(2026, 8, 12))


@pytest.mark.parametrize(
    ("bad", "failing"),
    [
        # in this week: also this month and this quarter, and nothing closed
        (
            area_row("2026-08-18", "hallB", orders=-2),
            {(w, a) for w in ("this_week", "this_month", "this_quarter") for a in ("hallB", "hall", "all")},
        ),
        # 1 February 2026: in the last 6 months, and in what the last quarter and last 3 months compare with
        (
            area_row("2026-02-01", "ktv", guests=-1),
            {(w, a) for w in ("last_6_months", "last_quarter", "last_3_months") for a in ("ktv", "all")},
        ),
        (
            site_row("2026-08-04", new_members=-1),
            {(w, "all") for w in ("this_month", "this_quarter", "last_week")},
        ),
    ],
)
def test_only_the_cells_that_would_count_a_bad_row_fail_and_say_which_row_it_is(
    bad: Row, failing: set[tuple[str, str]]
) -> None:
    site_rows, rows = ([bad], WEEK) if bad[1] is None else ([], [*WEEK, bad])
    finance = site_finance(SITE, AS_OF, None, rows, site_rows)
    failed: dict[tuple[str, str], str] = {}
    for name in WINDOWS:
        for area in AREAS:
            try:
                cell(finance, window(name, AS_OF), area)
            except PromptError as error:
                failed[name, area] = str(error)
    assert set(failed) == failing
    for message in failed.values():
        assert f"of site 1001 on {bad[0]}" in message
        assert "a count cannot be negative" in message
        assert "\n" not in message


def test_a_refusal_names_table_column_site_day_area_and_value_and_counts_the_rest() -> None:
    rows = [area_row("2026-08-18", "vip", orders=-2), area_row("2026-08-19", "vip", guests=-7, orders=-1)]
    finance = site_finance(SITE, AS_OF, None, rows, [])
    with pytest.raises(PromptError) as caught:
        cell(finance, window("this_week", AS_OF), "vip")
    assert str(caught.value) == (
        "dws.finance_area_daily.orders of site 1001 on 2026-08-18, area vip is -2: "
        "a count cannot be negative (and 2 more); correct the source and run again"
    )


def test_a_refusal_stays_one_line_whatever_the_source_calls_the_area() -> None:
    finance = site_finance(SITE, AS_OF, None, [area_row("2026-08-18", "吧\n台" * 50, orders=-1)], [])
    with pytest.raises(PromptError) as caught:
        cell(finance, window("this_week", AS_OF), "all")
    assert "area '吧\\n台" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_every_leaf_area_has_its_share_and_the_shares_come_to_a_hundred() -> None:
    rows = [area_row("2026-08-18", area, net_revenue="100") for area in LEAF_AREAS]
    shares = [part.share for part in made("this_week", "all", rows).areas.values()]
    assert shares == [D("14.3")] * 7
