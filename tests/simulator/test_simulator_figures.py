"""Reading figures out of a prompt: labels, units, and what is no figure."""

from __future__ import annotations

import json

import pytest

from ai_assets.simulator.figures import MOST_OF_A_LIST, figures_in, parsed


def said(prompt: str) -> list[str]:
    return [figure.said() for figure in figures_in(prompt, parsed(prompt))]


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ('{"本期": {"净收入": 12345.00}}', "本期净收入为 12345.00 元"),
        ('{"本期": {"净收入": "12345.00"}}', "本期净收入为 12345.00 元"),
        ('{"本期": {"净收入（元）": 7}}', "本期净收入为 7 元"),
        ('{"本期": {"收益_元": 7}}', "本期收益为 7 元"),
        ('{"数据": {"本期": {"净收入": {"金额": 1.50}}}}', "本期中净收入金额为 1.50 元"),
        ('{"每日": [{"日期": "2026-05-01", "净收入": 3.10}]}', "每日中2026-05-01的净收入为 3.10 元"),
        ('{"订单数": 12}', "订单数为 12 单"),
        ('{"会员": {"到店次数": 5}}', "会员到店次数为 5 次"),
        ('{"变化率": "-5.04%"}', "变化率为 -5.04%"),
        ('{"经营指标": {"净收入": {"本期": 12345.60}}}', "本期净收入为 12345.60 元"),
        ('{"经营指标": {"净收入": {"变化": -654.65}}}', "净收入变化为 -654.65 元"),
        ('{"经营指标": {"净收入": {"变化%": -5.0}}}', "净收入变化为 -5.0%"),
        ('{"经营指标": {"优惠率%": {"对比期": 5.5}}}', "对比期优惠率为 5.5%"),
        ('{"经营指标": {"优惠率%": {"变化": -1.0}}}', "优惠率变化为 -1.0 个百分点"),
        ('{"经营指标": {"优惠率%": {"变化%": -18.2}}}', "优惠率变化为 -18.2%"),
        ('{"经营指标": {"消费时长（分钟）": {"本期": 40}}}', "本期消费时长为 40 分钟"),
        ('{"区域净收入构成": {"A厅": {"占比%": 40.1}}}', "区域净收入构成中A厅占比为 40.1%"),
        ('{"区域净收入构成": {"A厅": {"本期": 5.00}}}', "区域净收入构成中A厅本期为 5.00 元"),
        ('{"客单价": "1,234.50"}', "客单价为 1,234.50 元"),
        ("本月净收入为 88.10 元，", "本月净收入为 88.10 元"),
        ("净收入：-3 元", "净收入为 -3 元"),
        ("共 42 ", "资料中提到的数值为 42"),
    ],
)
def test_a_figure_is_said_with_its_label_and_unit(prompt: str, sentence: str) -> None:
    assert said(prompt) == [sentence]


@pytest.mark.parametrize(
    "prompt",
    [
        '{"门店编号": 1001, "电话": 13800000000, "日期": 20260501, "member_id": 7}',
        '{"净收入": null, "有": true, "说明": "约 3 天"}',
        '{"净收入": NaN, "台费": Infinity}',
        '{"\\u51c0": "\\u0031\\u0032"}',
        "2026-05-01 至 2026/05/31，8:30，5月，A12，1.2.3",
        "",
        "{}",
        '{"!!!": 5}',
    ],
)
def test_ids_dates_phones_and_words_are_no_figures(prompt: str) -> None:
    assert said(prompt) == []


def test_of_a_long_series_only_a_spread_is_read() -> None:
    days = [{"日期": f"第{number}日", "净收入": number} for number in range(1000, 1400)]
    read = said(json.dumps({"每日": days}, ensure_ascii=False))
    assert len(read) == MOST_OF_A_LIST
    assert read[0].endswith("1000 元")
    assert read[-1].endswith("1399 元")


@pytest.mark.parametrize(("text", "sign"), [("3", 1), ("-0.5", -1), ("-0.00", 0), ("0", 0), ("1,000.00", 1)])
def test_a_figure_knows_its_sign(text: str, sign: int) -> None:
    prompt = json.dumps({"净收入": text})
    assert [figure.sign for figure in figures_in(prompt, parsed(prompt))] == [sign]
