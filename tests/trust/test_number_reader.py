"""The number reader: every figure in every supported form is read back, and what is no figure is left alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.trust.chinese_numerals import chinese_number, write_chinese
from ai_assets.trust.figures_in_text import figures_in_text
from ai_assets.trust.plain_text import plain
from ai_assets.trust.written import Written

QUICK = settings(deadline=None, max_examples=150)
WIDE = str.maketrans("0123456789.,%", "０１２３４５６７８９．，％")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
MARKS = "\u200b\u200f\u202e\u2060\ufeff"


def read(text: str) -> list[Written]:
    return list(figures_in_text(plain(text).text))


def only(text: str) -> Written:
    found = read(text)
    assert len(found) == 1, [one.text for one in found]
    return found[0]


def decimals(places: int, most: int = 10**9) -> st.SearchStrategy[Decimal]:
    return st.integers(1, most).map(lambda n: Decimal(n).scaleb(-places))


@QUICK
@given(decimals(2), st.sampled_from(["{:f}元", "{:,f}元", "¥{:,f}", "{:f} 元"]))
def test_any_amount_is_read_back_with_and_without_thousands_separators(value: Decimal, form: str) -> None:
    found = only(f"净收入为{form.format(value)}，")
    assert (found.value, found.kind) == (value, "yuan")
    assert found.low <= float(value) <= found.high


@QUICK
@given(decimals(2), st.sampled_from([WIDE, ARABIC]))
def test_any_amount_in_other_scripts_digits_is_read_back(value: Decimal, script: dict[int, int]) -> None:
    assert only(f"净收入{value:f}元".translate(script)).value == value


@QUICK
@given(decimals(2, 10**7), st.sampled_from([("万", 10**4), ("亿", 10**8), ("千", 10**3)]))
def test_any_scaled_amount_is_read_back_and_stands_for_what_rounds_to_it(
    value: Decimal, scale: tuple[str, int]
) -> None:
    name, size = scale
    found = only(f"共{value:f}{name}元")
    assert found.value == value * size
    assert found.high - found.low == pytest.approx(0.01 * size, rel=0.02, abs=float(value) * size * 1e-6)


@QUICK
@given(st.integers(2, 10**12 - 1))
def test_any_whole_number_in_chinese_numerals_is_read_back(number: int) -> None:
    assert chinese_number(write_chinese(number)) == number
    assert only(f"共{write_chinese(number)}元").value == number


@QUICK
@given(st.integers(2, 99), st.integers(0, 9))
def test_any_percentage_is_read_back_in_all_its_forms(whole: int, tenth: int) -> None:
    value = Decimal(f"{whole}.{tenth}")
    words = write_chinese(whole) + "点" + "零一二三四五六七八九"[tenth]
    for form in (f"{value}%", f"{value}％", f"{value} %", f"百分之{words}", f"百分之{value}"):
        found = only(f"占比{form}。")
        assert (found.value, found.kind) == (value, "percent")
    assert (only(f"上升{value}个百分点").kind, only(f"上升{value}个百分点").value) == ("points", value)
    assert only(f"是上期的{value}倍").kind == "ratio"


@QUICK
@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_any_date_is_read_back_in_all_its_forms(day: date) -> None:
    full = (day.year, day.month, day.day)
    for form in (f"{day:%Y-%m-%d}", f"{day:%Y/%m/%d}", f"{day.year}年{day.month}月{day.day}日"):
        assert only(f"在{form}到店").day == full
    for form in (
        f"{day.month}月{day.day}日",
        f"{day.month}月{day.day}号",
        f"{write_chinese(day.month)}月{write_chinese(day.day)}日",
    ):
        assert only(f"在{form}到店").day == (None, *full[1:])


@QUICK
@given(st.integers(0, 23), st.integers(0, 59))
def test_any_time_of_day_is_read_back(hour: int, minute: int) -> None:
    assert only(f"结账{hour}:{minute:02d}。").value == hour * 60 + minute
    assert only(f"结账{hour:02d}：{minute:02d}。").value == hour * 60 + minute


@QUICK
@given(st.integers(2, 400), st.integers(1, 59))
def test_any_duration_is_read_back(hours: int, minutes: int) -> None:
    assert only(f"打了{hours}小时{minutes}分钟").value == hours * 60 + minutes
    assert only(f"打了{hours}个小时").value == hours * 60
    assert only(f"共{hours}天").kind == "days"
    assert only(f"共{hours}周").value == hours * 7


@QUICK
@given(st.integers(10**3, 10**8), st.lists(st.tuples(st.integers(0, 11), st.sampled_from(MARKS)), max_size=6))
def test_marks_that_no_one_sees_do_not_split_a_figure_and_its_place_is_the_originals(
    number: int, marks: list[tuple[int, str]]
) -> None:
    written = f"{number}元"
    for place, mark in marks:
        written = written[:place] + mark + written[place:]
    text = plain(f"净收入{written}。")
    found = only(f"净收入{written}。")
    assert found.value == number
    start, end = text.original(found.start), text.original(found.end - 1) + 1
    assert plain(f"净收入{written}。"[start:end]).text == f"{number}元"


@pytest.mark.parametrize(
    ("text", "kind", "low", "high"),
    [
        ("近40万元", "yuan", 351_000, 400_000),
        ("不到2小时", "minutes", 61, 120),
        ("超过39万元", "yuan", 390_000, 436_000),
        ("1900多单", "orders", 1900, 2000),
        ("39万余元", "yuan", 390_000, 400_000),
        ("近四成", "percent", 30, 40),
        ("两成多", "percent", 20, 30),
        ("三成五", "percent", 34.6, 35.4),
        ("三分之一", "percent", 31, 36),
        ("8.5折", "discount", 84.6, 85.4),
        ("八五折", "discount", 84.6, 85.4),
        ("两三次", "visits", 2, 3),
        ("十几次", "visits", 11, 19),
        ("翻了一番", "ratio", 1.9, 2.1),
        ("一半", "percent", 46, 54),
        ("半小时", "minutes", 29, 31),
        ("两个半小时", "minutes", 145, 155),
    ],
)
def test_rounding_words_and_spoken_forms_allow_what_they_mean_and_no_more(
    text: str, kind: str, low: float, high: float
) -> None:
    found = only(text)
    assert found.kind == kind
    assert found.low <= low <= high <= found.high
    assert found.low > low - 0.3 * max(low, 10)
    assert found.high < high + 0.3 * max(high, 10)


@pytest.mark.parametrize(
    "text",
    [
        "一方面要稳住老客，另一方面拓展新客。",
        "三五好友的二人世界，万一改期也千万不要催。",
        "第一时间跟进，第一次来也要周到。",
        "中八与九球都喜欢，十分满意，百分百用心。",
        "1. 先问候\n2. 再邀约\n（3）跟进",
        "一对一服务，一站式安排。",
        "大厅A区的一个角落",
    ],
)
def test_idioms_list_numbers_and_single_numerals_in_words_are_no_figures(text: str) -> None:
    assert [one.text for one in read(text)] == []


def test_a_day_after_a_date_with_a_month_is_a_date() -> None:
    assert [one.day for one in read("6月1日至17日")] == [(None, 6, 1), (None, 6, 17)]


def test_a_span_of_days_needs_no_month() -> None:
    assert [one.day for one in read("（8日至14日）")] == [(None, None, 8), (None, None, 14)]
    assert [one.kind for one in read("14日至8日")] != ["date", "date"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("净收入从45.86万回升", "number"),
        ("39.48万分别", "number"),
        ("当前169元", "yuan"),
        ("目前1957单", "orders"),
        ("比前30天的1523元多10.3%", "yuan"),
    ],
)
def test_a_letter_of_another_word_is_no_unit_and_no_rank(text: str, kind: str) -> None:
    found = next(one for one in read(text) if one.kind not in ("days", "percent"))
    assert found.kind == kind
    assert found.low < float(found.value or 0) < found.high


def test_a_count_after_a_month_is_no_day() -> None:
    assert [(one.kind, one.text) for one in read("5月一共3单")] == [("month", "5月"), ("orders", "3单")]
