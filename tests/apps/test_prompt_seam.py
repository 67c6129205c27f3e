from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.apps.canonical import canonical_json
from ai_assets.apps.prompt import make_prompt, prompt_hash, render
from ai_assets.apps.redaction import redact, redact_text

D = Decimal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (D("12345.60"), "12345.60"),
        (D("-0.05"), "-0.05"),
        (D("-0.00"), "0.00"),
        (D("0.00"), "0.00"),
        (D("1E+3"), "1000"),
        (D("9999999999999.99"), "9999999999999.99"),
        (7, "7"),
        (True, "true"),
        (None, "null"),
        (date(2026, 8, 9), '"2026-08-09"'),
        ('引号" 换行\n', '"引号\\" 换行\\n"'),
        ([], "[]"),
        ({}, "{}"),
        ({"甲": [1, 2]}, '{\n  "甲": [1, 2]\n}'),
        ([{"a": 1}, {"a": 2}], '[\n  {"a": 1},\n  {"a": 2}\n]'),
    ],
)
def test_values_are_written_in_one_plain_way(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    "value", [0.1, D("NaN"), D("Infinity"), datetime(2026, 8, 9, tzinfo=UTC), {1: 2}, b"x", {1}]
)
def test_what_has_no_exact_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json({"外": [value]})


def _values() -> st.SearchStrategy[Any]:
    amounts = st.integers(-(10**15), 10**15).map(lambda cents: D(cents).scaleb(-2))
    scalars = st.none() | st.booleans() | st.integers() | st.text() | amounts
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    )


@given(_values())
@settings(deadline=None, max_examples=100)
def test_the_text_is_json_that_reads_back_as_the_same_content(value: Any) -> None:
    assert json.loads(canonical_json(value), parse_float=D) == value


def test_keys_keep_the_order_they_were_put_in_and_a_long_row_is_broken_up() -> None:
    assert canonical_json({"乙": 1, "甲": 2}) == '{"乙": 1, "甲": 2}'
    broken = canonical_json({"长": "字" * 120, "长长": "字" * 120})
    assert broken.startswith('{\n  "长": ')
    assert broken.count("\n") == 3


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "电话13800138000。",
        "138-0013-8000",
        "138 0013 8000",
        "+86 13800138000",
        "+8613800138000",
        "008613800138000",
        "１３８００１３８０００",
        "0755-12345678",
        "010 12345678",
        "02112345678",
        "400-800-1234",
        "张三13800138000李四13900139000",
    ],
)
def test_phone_numbers_in_texts_are_replaced(text: str) -> None:
    redacted = redact_text(text)
    assert "[电话已隐去]" in redacted
    assert not any(part in redacted for part in ("8000", "1234", "８０００"))


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-19",
        "2026-08-19~2026-08-25",
        "2026-08-19T20:05:00+00:00",
        "净收入 12345678.90 元，订单 1380 笔",
        "last_3_months",
        "1001:hallA",
        "批次 202608190001",
        "10138001380009",
        "站点 1001，共 31 天",
    ],
)
def test_figures_dates_and_codes_are_left_as_they_are(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("会员生日1990-05-01，喜欢斯诺克", "会员生日[已隐去]，喜欢斯诺克"),
        ("生日是5月1日", "生日是[已隐去]"),
        ("出生日期：1990年5月1日", "出生日期：[已隐去]"),
        ("Birthday: 1990/5/1", "Birthday: [已隐去]"),
        ("2026-08-19 来过生日会", "2026-08-19 来过生日会"),
    ],
)
def test_birthdays_in_texts_are_replaced(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "key", ["手机号", "电话", "phone", "Phone", "mobile_phone", "生日", "birthday", "Birth Date"]
)
def test_fields_of_phones_and_birthdays_are_left_out_wherever_they_stand(key: str) -> None:
    member = {"姓名": "张三", key: 13800138000, "内": [{key: date(1990, 5, 1), "级别": "金"}]}
    assert redact(member) == {"姓名": "张三", "内": [{"级别": "金"}]}


@given(st.integers(-(10**14), 10**14), st.integers(0, 10**15), st.dates())
@settings(deadline=None, max_examples=100)
def test_amounts_counts_and_dates_that_are_no_text_pass_unharmed(cents: int, count: int, day: date) -> None:
    content = {"净收入": D(cents).scaleb(-2), "编号": count, "日期": day, "无": None, "是": True}
    assert redact(content) == content


@given(_values())
@settings(deadline=None, max_examples=60)
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    assert redact(redact(value)) == redact(value)


def test_every_prompt_and_its_references_pass_the_redaction() -> None:
    member = {"姓名": "张三 13800138000", "生日": date(1990, 5, 1), "余额": D("13800138000.00")}
    assert render(member) == '{"姓名": "张三 [电话已隐去]", "余额": 13800138000.00}'
    prompt = make_prompt(member, {"note": ("打 13800138000",), "phone": "1"})
    assert prompt.text == render(member)
    assert prompt.references == {"note": ["打 [电话已隐去]"]}


def test_the_hash_of_a_prompt_depends_on_app_version_and_text() -> None:
    base = prompt_hash("app2_finance", "1", "文")
    assert len(base) == 64
    assert set(base) <= set("0123456789abcdef")
    assert base == prompt_hash("app2_finance", "1", "文")
    others = {
        prompt_hash("app2a_finance_area", "1", "文"),
        prompt_hash("app2_finance", "2", "文"),
        prompt_hash("app2_finance", "1", "文 "),
    }
    assert len(others) == 3
    assert base not in others
