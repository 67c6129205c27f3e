from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from ai_assets.apps import app2_finance, app2a_finance_area
from ai_assets.apps.base import Prompt, Subject
from ai_assets.errors import InputError, PromptError
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.finance import SiteFinance
from ai_assets.warehouse.finance_frames import Row
from ai_assets.warehouse.windows import WINDOWS

AreaRow = Callable[..., Row]
FinanceOf = Callable[..., SiteFinance]
YearOfRows = Callable[[str], tuple[list[Row], list[Row]]]

RUNNING = ("this_month", "this_week", "this_quarter")
CELLS = list(product(WINDOWS, AREAS))


def build(finance: SiteFinance, window: str, area: str) -> Prompt:
    app = app2_finance.APP if area == "all" else app2a_finance_area.APP
    return app.build(finance, Subject(1001, window, area))


def content(finance: SiteFinance, window: str, area: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(build(finance, window, area).text, parse_float=Decimal)
    return read


def texts(finance: SiteFinance) -> dict[tuple[str, str], str]:
    return {(window, area): build(finance, window, area).text for window, area in CELLS}


def changed(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> set[tuple[str, str]]:
    return {cell for cell in before if before[cell] != after[cell]}


@pytest.mark.parametrize(
    ("today", "tomorrow"),
    [("2026-08-18", "2026-08-19"), ("2026-02-25", "2026-02-26"), ("2024-02-28", "2024-02-29")],
)
def test_the_day_after_only_the_27_cells_of_running_windows_change(
    finance_of: FinanceOf, year_of_rows: YearOfRows, today: str, tomorrow: str
) -> None:
    before = texts(finance_of(today, *year_of_rows(today)))
    after = texts(finance_of(tomorrow, *year_of_rows(tomorrow)))
    assert len(before) == 72
    assert len(set(before.values())) == 72
    assert changed(before, after) == set(product(RUNNING, AREAS))


def test_on_a_monday_the_closed_week_changes_too(finance_of: FinanceOf, year_of_rows: YearOfRows) -> None:
    before = texts(finance_of("2026-08-16", *year_of_rows("2026-08-16")))
    after = texts(finance_of("2026-08-17", *year_of_rows("2026-08-17")))
    assert changed(before, after) == set(product((*RUNNING, "last_week"), AREAS))


def test_the_same_data_gives_the_same_text_whatever_the_order_of_rows_and_the_batch(
    finance_of: FinanceOf, year_of_rows: YearOfRows
) -> None:
    area_rows, site_rows = year_of_rows("2026-08-19")
    first = texts(finance_of("2026-08-19", area_rows, site_rows))
    again = finance_of("2026-08-19", area_rows[::-1], site_rows[::-1])
    without_batch = SiteFinance(
        again.site, again.as_of, None, again.areas, again.site_days, again.others, again.faults
    )
    assert texts(without_batch) == first


def test_cells_built_side_by_side_are_the_same_as_one_after_another(
    finance_of: FinanceOf, year_of_rows: YearOfRows
) -> None:
    serial = texts(finance_of("2026-08-19", *year_of_rows("2026-08-19")))
    fresh = finance_of("2026-08-19", *year_of_rows("2026-08-19"))
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda cell: (cell, build(fresh, *cell).text), CELLS)
    assert dict(made) == serial


def test_a_later_row_beside_the_windows_changes_no_prompt(
    finance_of: FinanceOf, year_of_rows: YearOfRows, area_row: AreaRow
) -> None:
    area_rows, site_rows = year_of_rows("2026-08-19")
    late = area_row("2026-08-20", "hallA", net_revenue="5000", orders=5)
    with_it = finance_of("2026-08-19", [*area_rows, late], site_rows)
    without = finance_of("2026-08-19", area_rows, site_rows)
    for window, area in product(RUNNING, ("all", "hall", "hallA")):
        assert build(with_it, window, area).text == build(without, window, area).text


def test_the_as_of_date_stands_only_where_the_window_still_runs_and_every_prompt_is_a_few_kb(
    finance_of: FinanceOf, year_of_rows: YearOfRows
) -> None:
    for (window, _), text in texts(finance_of("2026-08-19", *year_of_rows("2026-08-19"))).items():
        assert ("2026-08-19" in text) == (window in RUNNING)
        assert json.loads(text).get("截止日期") == ("2026-08-19" if window in RUNNING else None)
        # it is paid for by the token
        assert 1_000 < len(text) < 8_000


def test_a_prompt_says_site_window_area_figures_and_what_they_are_compared_with(
    finance_of: FinanceOf, area_row: AreaRow
) -> None:
    rows = [
        area_row(
            "2026-08-17", "hallA", table_fee="1234.5", discount="34.5", net_revenue="1200", orders=3, guests=4
        ),
        area_row("2026-08-18", "hallB", goods_fee="5.5", net_revenue="5.5", orders=1, guests=1),
        area_row("2026-08-10", "hallA", table_fee="1000", net_revenue="1000", orders=4, guests=5),
    ]
    made = content(finance_of("2026-08-19", rows), "this_week", "hall")
    assert made["站点"] == {"编号": 1001, "名称": "一号店"}
    assert made["区域"] == {"代码": "hall", "名称": "大厅", "包含": ["大厅A区", "大厅B区", "大厅C区"]}
    assert made["时间窗口"] == {
        "代码": "this_week",
        "名称": "本周",
        "开始": "2026-08-17",
        "结束": "2026-08-19",
        "天数": 3,
    }
    assert (made["对比窗口"]["开始"], made["对比窗口"]["结束"]) == ("2026-08-10", "2026-08-12")
    assert made["经营指标"]["净收入"] == {
        "本期": Decimal("1205.50"),
        "对比期": Decimal("1000.00"),
        "变化": Decimal("205.50"),
        "变化%": Decimal("20.6"),
    }
    assert made["经营指标"]["订单数"] == {"本期": 4, "对比期": 4, "变化": 0, "变化%": Decimal("0.0")}
    assert made["费用构成"]["台费"]["占比%"] == Decimal("99.6")
    assert made["每日走势"] == [
        {"日期": "2026-08-17", "星期": "一", "净收入": Decimal("1200.00"), "订单数": 3, "客人数": 4},
        {"日期": "2026-08-18", "星期": "二", "净收入": Decimal("5.50"), "订单数": 1, "客人数": 1},
    ]
    assert [day["日期"] for day in made["最好的日子"]] == ["2026-08-17"]
    assert [day["日期"] for day in made["最差的日子"]] == ["2026-08-18"]
    assert "insights" in made["回答格式"]
    assert "区域净收入构成" not in made
    assert "充值与会员" not in made


def test_amounts_are_plain_numbers_with_two_decimals_and_chinese_is_not_escaped(
    finance_of: FinanceOf, area_row: AreaRow
) -> None:
    rows = [area_row("2026-08-17", "vip", table_fee="12345.6", net_revenue="-12345678.9", orders=1)]
    text = build(finance_of("2026-08-19", rows), "this_week", "vip").text
    assert '"费用合计": {"本期": 12345.60, "对比期": null}' in text
    assert '"净收入": {"本期": -12345678.90, "对比期": null}' in text
    assert "\\u" not in text
    assert not re.search(r"\d[eE][+-]?\d", text)


def test_all_holds_the_areas_and_the_sites_own_figures(
    finance_of: FinanceOf, area_row: AreaRow, site_row: Callable[..., Row]
) -> None:
    rows = [
        area_row("2026-08-18", "ktv", net_revenue="75", orders=1),
        area_row("2026-08-18", "bar", net_revenue="25", orders=1),
    ]
    finance = finance_of(
        "2026-08-19", rows, [site_row("2026-08-18", recharge_amount="300", recharge_count=2)]
    )
    made = content(finance, "this_week", "all")
    assert {name: part["占比%"] for name, part in made["区域净收入构成"].items()} == {
        "KTV区": Decimal("75.0"),
        "其他": Decimal("25.0"),
    }
    assert made["充值与会员"]["充值金额"]["本期"] == Decimal("300.00")
    assert made["充值与会员"]["每笔充值"]["本期"] == Decimal("150.00")
    assert any("bar" in note and "其他" in note for note in made["数据说明"])
    assert not any("bar" in note for note in content(finance, "this_week", "ktv")["数据说明"])


def test_without_any_data_every_prompt_is_still_well_formed_and_says_so(finance_of: FinanceOf) -> None:
    finance = finance_of("2026-08-19")
    for window, area in CELLS:
        made = content(finance, window, area)
        assert "时间窗口内全店没有任何经营数据，无法给出本期数字。" in made["数据说明"]
        assert "对比窗口内全店没有任何经营数据，无法比较。" in made["数据说明"]
        assert made["经营指标"]["净收入"] == {"本期": None, "对比期": None}
        assert made["每周走势" if "每周走势" in made else "每日走势"] == []


def test_an_area_without_records_in_a_site_with_data_says_that_it_is_the_area(
    finance_of: FinanceOf, year_of_rows: YearOfRows
) -> None:
    area_rows, site_rows = year_of_rows("2026-08-19")
    finance = finance_of("2026-08-19", [row for row in area_rows if row[1] != "ktv"], site_rows)
    notes = content(finance, "last_month", "ktv")["数据说明"]
    assert "时间窗口内该区域没有任何经营记录，无法给出本期数字。" in notes


def test_the_notes_tell_nulls_missing_days_repeated_rows_and_unequal_lengths(
    finance_of: FinanceOf, area_row: AreaRow, site_row: Callable[..., Row]
) -> None:
    rows = [
        area_row("2026-03-01", "vip", orders=None, net_revenue=None),
        area_row("2026-03-02", "vip", orders=None),
        area_row("2026-03-02", "vip", orders=2),
        area_row("2026-02-05", "vip", table_fee=None),
    ]
    finance = finance_of("2026-03-31", rows, [site_row("2026-03-01", new_members=None)])
    assert content(finance, "this_month", "all")["数据说明"] == [
        "时间窗口共31天，其中29天全店没有数据：2026-03-03、2026-03-04、2026-03-05、2026-03-06、2026-03-07等29个。",
        "对比窗口共28天，其中27天全店没有数据：2026-02-01、2026-02-02、2026-02-03、2026-02-04、2026-02-06等27个。",
        "时间窗口为31天，对比窗口为28天，比较总额时请留意天数不同。",
        "对比窗口内没有充值与会员数据。",
        "时间窗口内净收入有1处空值，按零计。",
        "时间窗口内订单数有2处空值，按零计。",
        "时间窗口内有1行与同一日期、同一区域的另一行并存，已相加。",
        "时间窗口内新会员数有1处空值，按零计。",
        "对比窗口内台费有1处空值，按零计。",
    ]
    # what lies outside of a cell is not told there
    assert not any("空值" in note for note in content(finance, "this_month", "hall")["数据说明"])


def test_clean_and_whole_data_needs_no_notes(finance_of: FinanceOf, year_of_rows: YearOfRows) -> None:
    finance = finance_of("2026-08-19", *year_of_rows("2026-08-19"))
    assert content(finance, "this_week", "all")["数据说明"] == []


def test_the_references_tell_what_a_prompt_was_built_from(
    finance_of: FinanceOf, year_of_rows: YearOfRows
) -> None:
    prompt = build(finance_of("2026-08-19", *year_of_rows("2026-08-19")), "this_month", "all")
    references = json.loads(json.dumps(prompt.references))
    assert references == prompt.references
    assert references["app"] == {"name": "app2_finance", "version": app2_finance.APP.version}
    assert references["site"] == {"site_id": 1001, "name": "一号店"}
    assert references["window"] == {
        "name": "this_month",
        "start": "2026-08-01",
        "end": "2026-08-19",
        "comparison_start": "2026-07-01",
        "comparison_end": "2026-07-19",
        "running": True,
    }
    assert references["area"]["name"] == "all"
    assert len(references["area"]["leaves"]) == 7
    assert references["as_of"] == "2026-08-19"
    assert references["batch"] == {
        "batch_id": "b-77",
        "biz_date": "2026-08-19",
        "finished_at": "2026-08-19T20:05:00+00:00",
    }
    assert references["sources"] == [
        {
            "table": table,
            "used_for": used_for,
            "rows": rows,
            "first_date": f"2026-{month}-01",
            "last_date": f"2026-{month}-19",
        }
        for table, used_for, rows, month in (
            ("dws.finance_area_daily", "window", 133, "08"),
            ("dws.finance_area_daily", "comparison", 133, "07"),
            ("dws.finance_site_daily", "window", 19, "08"),
            ("dws.finance_site_daily", "comparison", 19, "07"),
        )
    ]
    assert references["data_notes"] == []


def test_an_areas_references_count_its_own_rows_only_and_nothing_is_told_where_there_are_none(
    finance_of: FinanceOf, area_row: AreaRow
) -> None:
    finance = finance_of("2026-08-19", [area_row("2026-08-18", "vip"), area_row("2026-08-18", "ktv")])
    references = build(finance, "this_week", "vip").references
    assert references["sources"] == [
        {
            "table": "dws.finance_area_daily",
            "used_for": "window",
            "rows": 1,
            "first_date": "2026-08-18",
            "last_date": "2026-08-18",
        },
        {
            "table": "dws.finance_area_daily",
            "used_for": "comparison",
            "rows": 0,
            "first_date": None,
            "last_date": None,
        },
    ]
    assert references["app"]["name"] == "app2a_finance_area"


def test_a_phone_number_in_the_sites_name_or_an_areas_reaches_neither_prompt_nor_references(
    finance_of: FinanceOf, area_row: AreaRow
) -> None:
    rows = [area_row("2026-08-18", "吧台 138-0013-8000", net_revenue="13800138000".removesuffix("8000"))]
    prompt = build(finance_of("2026-08-19", rows, name="一号店13912345678"), "this_week", "all")
    everything = prompt.text + json.dumps(prompt.references, ensure_ascii=False)
    assert "13912345678" not in everything
    assert "0013-8000" not in everything
    assert "一号店[电话已隐去]" in prompt.text
    assert "1380013.00" in prompt.text


def test_a_bad_row_fails_its_cells_and_leaves_the_others(
    finance_of: FinanceOf, year_of_rows: YearOfRows, area_row: AreaRow
) -> None:
    area_rows, site_rows = year_of_rows("2026-08-19")
    finance = finance_of("2026-08-19", [*area_rows, area_row("2026-08-18", "ktv", orders=-1)], site_rows)
    with pytest.raises(PromptError, match="orders of site 1001 on 2026-08-18, area ktv is -1"):
        build(finance, "this_week", "ktv")
    clean = texts(finance_of("2026-08-19", area_rows, site_rows))
    failing = set(product(RUNNING, ("all", "ktv")))
    for window, area in set(CELLS) - failing:
        assert build(finance, window, area).text == clean[window, area]


def test_another_sites_data_is_refused(finance_of: FinanceOf) -> None:
    with pytest.raises(InputError, match=r"site 7 .* of site 1001"):
        app2_finance.build(finance_of("2026-08-19"), Subject(7, "this_week"))


@pytest.mark.parametrize("module", [app2_finance, app2a_finance_area])
def test_a_wrong_subject_is_refused_by_build_too(finance_of: FinanceOf, module: Any) -> None:
    with pytest.raises(InputError, match="needs a time window"):
        module.build(finance_of("2026-08-19"), Subject(1001, area="all"))
