"""What a text may not hold is found in every form that people write, and what it may hold passes."""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.privacy.digits import NUMERALS
from ai_assets.privacy.logs import log_defect
from ai_assets.privacy.numbers import is_bank_card, is_identity
from ai_assets.privacy.text import MARKS, redact_text

PHONE, IDENTITY, CARD = MARKS["phone"], MARKS["identity"], MARKS["card"]
WECHAT, BORN = MARKS["wechat"], MARKS["birthday"]
SPELLED = ("零一二三四五六七八九", "〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖", "零幺二三四五六七八九")
OTHERS = ("０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "⓪①②③④⑤⑥⑦⑧⑨", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")


def mobiles() -> st.SearchStrategy[str]:
    return st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@st.composite
def identities(draw: st.DrawFn) -> str:
    """A number of a person that nobody is, with the right check digit."""
    day = draw(st.dates(date(1930, 1, 1), date(2015, 12, 31)))
    place, turn = (
        draw(st.sampled_from(["110105", "310115", "440301", "510107", "650102"])),
        draw(st.integers(0, 999)),
    )
    body = f"{place}{day:%Y%m%d}{turn:03d}"
    return next(body + check for check in "0123456789X" if is_identity(body + check))


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A number of an issuer's range with the right Luhn digit."""
    issuer = draw(st.sampled_from(["62", "6228", "4", "51", "35", "955880"]))
    length = draw(st.integers(16, 19))
    body = issuer + "".join(draw(st.lists(st.sampled_from("0123456789"), min_size=length, max_size=length)))
    body = body[: length - 1]
    return next(body + check for check in "0123456789" if is_bank_card(body + check))


def groups(number: str, sizes: tuple[int, ...]) -> list[str]:
    pieces, rest = [], number
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    return [piece for piece in (*pieces, rest) if piece]


PARTED = ["", " ", "-", "－", "–", ".", "·", "\u200b", "\u2060\u200d", " - ", "\u00a0", "\ufe0f", "_"]
AROUND = st.tuples(
    st.sampled_from(
        ["", "电话", "他说打", "vip客人，", "星期一", "张三", "（", "联系：", "tel:", "A", '{"x": "']
    ),
    st.sampled_from(["", "。", "次日联系", "一起来", "）", " 李四", "元旦后", "，3 次", "b", '"}']),
)


@given(
    mobiles(),
    st.sampled_from([(3, 4), (3, 3), (4, 3), (3, 8), (7, 4), (2, 2, 2, 2, 2)]),
    st.sampled_from(PARTED),
    AROUND,
)
@settings(deadline=None, max_examples=150)
def test_a_mobile_number_is_found_however_its_digits_are_parted(
    number: str, sizes: tuple[int, ...], parting: str, around: tuple[str, str]
) -> None:
    written = parting.join(groups(number, sizes))
    assert redact_text(f"{around[0]}{written}{around[1]}") == f"{around[0]}{PHONE}{around[1]}"


AMOUNTS = st.integers(0, 10**11).map(lambda cents: cents / 100)
LISTED = [
    "，",
    "、",
    ",",
    "\n",
    "|",
    "*",
    "~",
    "；",
    "：",
    "。",
    " | ",
    ", ",
    "，\n",
    "～",
    "=",
    "+",
    "\r\n",
    "😀",
    "<>",
    "…",
    "“”",
]


@given(
    mobiles(),
    st.sampled_from([(3, 4), (3, 3), (3, 5), (4, 3), (4, 4), (5, 3), (3, 8), (7, 4)]),
    st.lists(st.sampled_from(LISTED), min_size=2, max_size=2),
    st.sampled_from([None, *SPELLED, *OTHERS]),
    AROUND,
)
@settings(deadline=None, max_examples=100)
def test_a_mobile_number_is_found_though_its_digits_are_parted_as_a_list_is(
    number: str, sizes: tuple[int, ...], between: list[str], spelled: str | None, around: tuple[str, str]
) -> None:
    if re.fullmatch(r"1\d\d(20[0-4]\d20[0-4]\d|20\d\d[01]\d[0-3]\d)", number):
        return  # years, or a day
    pieces = groups(number, sizes)
    written = "".join(piece + sign for piece, sign in zip(pieces, [*between, ""], strict=False))
    written = written[: -len(between[-1])] if len(pieces) == 2 and written.endswith(between[1]) else written
    if spelled is not None:
        written = written.translate(str.maketrans("0123456789", spelled))
    if (spelled and around[0].endswith(("一", "三"))) or (spelled and around[1].startswith("一")):
        return  # 星期一 or 张三 before a number in numerals is one digit more
    redacted = redact_text(f"{around[0]}{written}{around[1]}")
    assert redacted == f"{around[0]}{PHONE}{around[1]}"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("座机0755，8654，3210", f"座机{PHONE}"),
        ("021|86543210", PHONE),
        ("电话：8654，3210，10 次", f"电话：{PHONE}，10 次"),
        ("手机 1、3、8、0、0、1、3、8、0、0、0", f"手机 {PHONE}"),
        ("+86，138，1234，5678", f"+86，{PHONE}"),
        ("138，1234，5678，139，1234，5678", f"{PHONE}，{PHONE}"),
        ("2026-08-19，138，1234，5678，3 次", f"2026-08-19，{PHONE}，3 次"),
        ("110105，19491231，0011", IDENTITY),
        ("110105，19491231，002X，常客", f"{IDENTITY}，常客"),
        ("110105\n19491231\n002ｘ", IDENTITY),
        ("138，1234，5678张先生", f"{PHONE}张先生"),
        ("138，1234，5678时总", f"{PHONE}时总"),
        ("138，1234，5678分机2", f"{PHONE}分机2"),
    ],
)
def test_landlines_labels_several_phones_and_id_cards_are_found_in_lists_too(
    text: str, redacted: str
) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "1,380,013,800",
        "13,800,138,000",
        "净收入 1,380,013,800 元",
        "138，1234，5678，1390",
        "1200、138、1234、5678",
        "138, 1234, 5678 元",
        "138, 1234, 5678 张",
        "110105，19491231，001X",
        "138.50, 1234.50, 5678.90",
        "1.138, 1234, 5678",
        "138, 1234, 5678.5",
        "8，9，7，10，6，8，9，7，10，8，9",
        "1, 3, 8, 0, 0, 1, 3, 8, 0, 0, 0",
        "138, 2025, 2026",
        "158，20260819",
        "2026-08-19，2026-08-20，2026-08-21",
        "20260819、20260820、20260821",
        "138|0.25|13.8%|1234",
        "20:15, 21:30, 22:45",
        "15800，128500",
    ],
)
def test_amounts_with_separators_and_lists_of_dates_ids_and_scores_pass(text: str) -> None:
    assert redact_text(text) == text


@given(
    # three, six and nine figures may be as many phones
    st.lists(st.integers(100, 99_999), min_size=4, max_size=11).filter(lambda figures: len(figures) % 3),
    st.sampled_from(["，", "、", ", ", "\n", " | ", "；"]),
)
@settings(deadline=None, max_examples=100)
def test_a_list_of_four_plain_figures_or_more_passes(figures: list[int], between: str) -> None:
    text = between.join(map(str, figures))
    assert redact_text(text) == text


@given(st.lists(AMOUNTS, min_size=1, max_size=8), st.sampled_from(["，", "、", ", ", "\n", " | "]))
@settings(deadline=None, max_examples=200)
def test_amounts_with_thousands_separators_pass(amounts: list[float], between: str) -> None:
    text = between.join(f"{amount:,.0f}" for amount in amounts)
    assert redact_text(text) == text


@given(mobiles(), st.sampled_from([*SPELLED, *OTHERS]), st.sampled_from(["", " ", "-", "\u200b"]))
@settings(deadline=None, max_examples=200)
def test_a_mobile_number_is_found_in_any_digits(number: str, digits: str, parting: str) -> None:
    spelled = number.translate(str.maketrans("0123456789", digits))
    assert redact_text("打" + parting.join(groups(spelled, (3, 4))) + "找他") == f"打{PHONE}找他"


@given(mobiles(), st.lists(st.sampled_from([None, *SPELLED, *OTHERS]), min_size=11, max_size=11))
@settings(deadline=None, max_examples=200)
def test_a_mobile_number_is_found_in_digits_of_several_kinds(number: str, kinds: list[str | None]) -> None:
    mixed = "".join(kind[int(digit)] if kind else digit for digit, kind in zip(number, kinds, strict=True))
    # a Chinese digit at an end may be left where the rest is a phone number of another form: no number is left then
    redacted = redact_text(f"打{mixed}。")
    assert redacted.startswith("打")
    assert redacted.count(PHONE) == 1
    assert len(redacted) <= len(f"打{PHONE}。") + 1


@given(mobiles())
@settings(deadline=None, max_examples=50)
def test_a_mobile_number_is_found_in_json_that_writes_its_characters_as_escapes(number: str) -> None:
    escaped = "".join(f"\\u{ord(char):04x}" for char in number)
    assert redact_text(f'{{"a": "{escaped}"}}') == f'{{"a": "{PHONE}"}}'
    assert redact_text(json.dumps({"a": f"\u200b{number[:3]}\u200b{number[3:]}"})).count(PHONE) == 1


@given(identities(), st.sampled_from([(), (6, 8), (6, 4, 4), (3, 3, 4, 4)]), st.sampled_from(PARTED), AROUND)
@settings(deadline=None, max_examples=120)
def test_an_id_card_is_found_however_it_is_parted(
    number: str, sizes: tuple[int, ...], parting: str, around: tuple[str, str]
) -> None:
    if number.endswith("X") and around[1] == "b":
        return
    written = parting.join(groups(number, sizes))
    assert redact_text(f"{around[0]}{written}{around[1]}") == f"{around[0]}{IDENTITY}{around[1]}"


def test_an_id_card_of_15_digits_is_found_and_one_with_a_wrong_check_digit_only_beside_its_word() -> None:
    assert redact_text("他的是110105491231002，") == f"他的是{IDENTITY}，"
    assert redact_text("身份证号：110105194912310021") == f"身份证号：{IDENTITY}"
    assert redact_text("结算单 110105194912310021") == "结算单 110105194912310021"


@given(
    cards(),
    st.sampled_from([(), (4, 4, 4), (4, 4, 4, 4), (6,)]),
    st.sampled_from(["", " ", "-", "\u200b"]),
    AROUND,
)
@settings(deadline=None, max_examples=120)
def test_a_bank_card_is_found_however_it_is_parted(
    number: str, sizes: tuple[int, ...], parting: str, around: tuple[str, str]
) -> None:
    written = parting.join(groups(number, sizes))
    redacted = redact_text(f"{around[0]}{written}{around[1]}")
    # 19 digits after a word of phones are no phone, but they go; a 一 beside them may be taken for one more
    begin, end = around[0].rstrip("一"), around[1].lstrip("一")
    assert redacted in {
        f"{one}{mark}{other}"
        for mark in (CARD, PHONE)
        for one in (around[0], begin)
        for other in (around[1], end)
    }


def test_digits_with_a_wrong_luhn_sum_are_a_bank_card_only_beside_its_word() -> None:
    assert redact_text("结算单 4111111111111112") == "结算单 4111111111111112"
    assert redact_text("流水 6222021234567890120") == "流水 6222021234567890120"
    assert redact_text("银行卡号：4111 1111 1111 1112") == f"银行卡号：{CARD}"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("wxid_a1b2c3d4e5f6", WECHAT),
        ("微信wxid_a1b2c3d4e5f6。", f"微信{WECHAT}。"),
        ("微信: abc123", f"微信: {WECHAT}"),
        ("微信号：abc123，常来", f"微信号：{WECHAT}，常来"),
        ("微信号是zhang_san", f"微信号是{WECHAT}"),
        ("他的微信abc123", f"他的微信{WECHAT}"),
        ("vx:abc123", f"vx:{WECHAT}"),
        ("VX abc123", f"VX {WECHAT}"),
        ("v x：abc123", f"v x：{WECHAT}"),
        ("wx=abc-123", f"wx={WECHAT}"),
        ("V信abc123", f"V信{WECHAT}"),
        ("薇信 abc123", f"薇信 {WECHAT}"),
        ("加微 abc123", f"加微 {WECHAT}"),
        ("加他v：abc123", f"加他v：{WECHAT}"),
        ("WeChat ID: Lao_Wang", f"WeChat ID: {WECHAT}"),
        ("weixin：laowang88", f"weixin：{WECHAT}"),
        ("ｗｘ：ａｂｃ１２３", f"ｗｘ：{WECHAT}"),
        ("微\u200b信：ab\u200bc123", f"微\u200b信：{WECHAT}"),
        ("微信号 12345678", f"微信号 {WECHAT}"),
        ("abc_123（微信）", f"{WECHAT}（微信）"),
        ("abc123是他的微信", f"{WECHAT}是他的微信"),
        ('{"微信号": "abc123"}', f'{{"微信号": "{WECHAT}"}}'),
        ("微信同号13800138000", f"微信同号{PHONE}"),
    ],
)
def test_wechat_ids_are_found_as_people_write_them(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "用微信支付 188 元",
        "微信群里说周五有比赛",
        "微信小程序 v2 上线",
        "扫微信二维码",
        "微信12000元",
        "VIP 包厢",
        "vx",
        "WiFi 密码问前台",
        "wx mini program",
        "会员用 wechat pay 付款",
        "v2.1.0",
    ],
)
def test_talk_of_wechat_is_no_id(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("生日1990-05-01", f"生日{BORN}"),
        ("生日：1990年5月1日，金牛", f"生日：{BORN}，金牛"),
        ("生日是5月1号", f"生日是{BORN}"),
        ("农历生日五月初一", f"农历生日{BORN}"),
        ("生日腊月廿三", f"生日{BORN}"),
        ("生日0501", f"生日{BORN}"),
        ("生日19900501", f"生日{BORN}"),
        ("出生于一九九〇年五月一日", f"出生于{BORN}"),
        ("5月1日是他生日", f"{BORN}是他生日"),
        ("5月1日过生日", f"{BORN}过生日"),
        ("1990年5月1日生", f"{BORN}生"),
        ("90年5月1日出生", f"{BORN}出生"),
        ("Birthday: May 1, 1990", f"Birthday: {BORN}"),
        ("born on 1 May 1990", f"born on {BORN}"),
        ("DOB 1990/5/1", f"DOB {BORN}"),
        ("１９９０－０５－０１ 的金牛座", f"{BORN} 的金牛座"),
        ("他是1990.05.01的", f"他是{BORN}的"),
        ('{"生日": "1990-05-01"}', f'{{"生日": "{BORN}"}}'),
    ],
)
def test_days_of_birth_are_found(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "text", ["2026-08-19 来过生日会", "5月生日，送券", "90后", "1990年的老客", "生日月打八折"]
)
def test_a_year_a_month_and_a_party_are_no_day_of_birth(text: str) -> None:
    assert redact_text(text) == text


FIGURES = st.one_of(
    AMOUNTS.map(lambda amount: f"{amount:,.2f} 元"),
    AMOUNTS.map(lambda amount: f"{amount:.2f}元"),
    AMOUNTS.map(lambda amount: f"¥{amount:.2f}"),
    st.integers(0, 10**8).map(lambda count: f"{count} 笔"),
    st.integers(0, 10**8).map(lambda count: f"{count:,}单"),
    st.floats(0, 1, allow_nan=False).map(lambda share: f"{share:.4f}"),
    st.floats(-200, 200, allow_nan=False).map(lambda change: f"{change:+.1f}%"),
    st.dates(date(2015, 1, 1), date(2035, 12, 31)).map(str),
    st.dates(date(2015, 1, 1), date(2035, 12, 31)).map(lambda day: f"{day:%Y/%m/%d}"),
    st.dates(date(2015, 1, 1), date(2035, 12, 31)).map(lambda day: f"{day.year}年{day.month}月{day.day}日"),
    st.datetimes(datetime.fromisoformat("2015-01-01"), datetime.fromisoformat("2035-12-31")).map(
        lambda at: f"{at:%Y-%m-%d %H:%M:%S}"
    ),
    st.dates(date(2015, 1, 1), date(2035, 1, 1)).map(lambda day: f"{day}~{day + timedelta(days=6)}"),
    st.integers(0, 1439).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}"),
    st.integers(1, 999_999_999).map(lambda number: f"结算单 {number}"),
    st.integers(27 * 10**14, 28 * 10**14).map(lambda number: f"结算单 {number}"),
    st.integers(15 * 10**17, 18 * 10**17).map(lambda number: f"会员编号 {number}"),
    st.integers(1_500_000_000_000, 1_900_000_000_000).map(str),
    st.dates(date(2015, 1, 1), date(2035, 12, 31)).map(lambda day: f"批次 {day:%Y%m%d}0001"),
    st.uuids(version=4).map(str),
    st.integers(1, 99).map(lambda percent: f"第{percent}名，打{percent % 10}折"),
    st.sampled_from(
        ["一共十三次", "二三十个人", "三五好友", "一三五晚上来", "第一百二十八号台", "百分之三十八点五"]
    ),
)


@given(st.lists(FIGURES, min_size=1, max_size=6), st.sampled_from(["，", "；", "、", " | ", "\n", ", "]))
@settings(deadline=None, max_examples=500)
def test_amounts_counts_dates_times_and_ids_pass(figures: list[str], between: str) -> None:
    text = between.join(figures)
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    ["0.13800138000", "占比 0.15384615384", "单价 1380013.80", "2026-08-19 2026-08-25 3 笔", "1500 2300 180元",
     "¥1500 2300 180", "4111.11 1111.11 元", "5 2026-08-19 2026-08-25 12"],
)  # fmt: skip
def test_fractions_dates_side_by_side_and_amounts_in_a_row_pass(text: str) -> None:
    assert redact_text(text) == text


@given(st.lists(st.one_of(FIGURES, mobiles(), identities(), st.text(max_size=12), st.sampled_from([
    "138，", "1234、", "0013，", ",", "5678",
    "生日", "微信", "vx", ":", "电话", "[", "]", "abc_123", "5月1日", *MARKS.values(),
])), max_size=10).map("".join))  # fmt: skip
@settings(deadline=None, max_examples=250)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


def test_a_text_without_anything_of_it_is_the_same_and_marks_hold_no_figure() -> None:
    assert redact_text("会员常约周五，喜欢斯诺克") == "会员常约周五，喜欢斯诺克"
    assert redact_text("") == ""
    assert not any(char.isdigit() or char in NUMERALS for mark in MARKS.values() for char in mark)


@pytest.mark.parametrize(
    "text",
    ["1" * 100_000, "1 " * 50_000, "9 " * 50_000, "vx " * 33_000, "微信" + " " * 100_000, "生日" * 50_000,
     "138,1234," * 11_000, "138,1234,5678," * 7_000, "1," * 50_000,
     "\u200b1" * 50_000, "\\u0031" * 50_000, "w" + "a-" * 50_000, "1." * 50_000, "2026-08-19 " * 9_000],
    ids=["digits", "ones", "nines", "vx", "blanks", "birthdays", "pieces", "phones", "list", "hidden", "escapes",
         "letters", "points", "dates"],
)  # fmt: skip
def test_any_text_of_100_000_characters_takes_time_by_its_length_alone(text: str) -> None:
    began = time.process_time()
    redact_text(text)
    # measured: at most 0.6 s; what grows with the square would take minutes
    assert time.process_time() - began < 10


def test_a_defects_traceback_is_logged_without_what_its_errors_quote(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # named here: a traceback quotes the lines of code that raise
    row, note = "bad row: 13800138000", "in the note 微信：abc123"
    try:
        try:
            raise ValueError(row)
        except ValueError as error:
            raise RuntimeError(note) from error
    except RuntimeError as error:
        log_defect(logging.getLogger("ai_assets.test"), error, "job %s of %s", 7, "13900139000")
    assert "Traceback" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "job 7" in caplog.text
    assert not any(secret in caplog.text for secret in ("13800138000", "abc123", "13900139000"))
