"""Chinese numerals as exact numbers: 三千五百, 十二, 两万零三, 二〇二六, 三点五.

Here: the words for numbers alone. Not here: units, percent, what stands around them (`figures_in_text`).
"""

from __future__ import annotations

from decimal import Decimal

DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
NUMERAL = r"[零〇一二两三四五六七八九十百千万亿]{1,24}(?:点[零〇一二三四五六七八九]{1,8})?"
"""A pattern of what may be a numeral; `chinese_number` says whether it is."""


def chinese_number(words: str) -> Decimal | None:
    """The number, with as many decimals as are said; None where the words make no number (千万, 三五, 百)."""
    whole, _, decimals = words.partition("点")
    value = _whole(whole)
    if value is None:
        return None
    digits = "".join(str(DIGITS[letter]) for letter in decimals)
    return Decimal(f"{value}.{digits}") if digits else Decimal(value)


def write_chinese(number: int) -> str:
    """How people write a whole number below 10^12 (25 is 二十五, 12 is 十二, 20003 is 二万零三)."""
    if number == 0:
        return "零"
    told = ""
    for scale, name in ((10**8, "亿"), (10**4, "万"), (1, "")):
        part, number = divmod(number, scale)
        if part:
            told += ("零" if told and part < 1000 else "") + _below_ten_thousand(part) + name
    return told.removeprefix("一") if told.startswith("一十") else told


def _below_ten_thousand(number: int) -> str:
    told, gap = "", False
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, scale)
        if digit:
            told += ("零" if gap and told else "") + "零一二三四五六七八九"[digit] + name
            gap = False
        else:
            gap = True
    return told


def _whole(words: str) -> int | None:
    if not words:
        return None
    if not any(letter in SCALES for letter in words):
        # digit by digit only as years and codes are told; 三五 is "a few"
        if len(words) == 1 or len(words) >= 4:
            return int("".join(str(DIGITS[letter]) for letter in words))
        return None
    return _scaled(words)


def _scaled(words: str) -> int | None:
    """Sections of ten thousand, each of thousands, hundreds, tens. A short tail counts: 三万五 is 35000."""
    total = section = 0
    digit: int | None = None
    largest, last_scale = 10**12, 0
    for place, letter in enumerate(words):
        if letter in DIGITS:
            if digit not in (None, 0):
                return None
            digit = DIGITS[letter]
            if digit == 0:
                last_scale = 0
            continue
        scale = SCALES[letter]
        if scale >= 10**4:
            section += digit or 0
            if section == 0 or scale >= largest:
                return None
            total += section * scale
            section, largest = 0, scale
        else:
            if digit is None and not (scale == 10 and place in (0,)):
                return None
            if digit is None:
                digit = 1
            section += digit * scale
        digit, last_scale = None, scale
    if digit:
        section += digit * (last_scale // 10 if last_scale > 10 else 1)
    return total + section
