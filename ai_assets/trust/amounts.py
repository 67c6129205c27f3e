"""Amounts, shares and durations in a text: 39.5万, 百分之二十, 近三成, 8.5折, 2.1倍, 1小时52分钟, 三分之一, 两三次.

Here: what these forms stand for. Not here: their patterns (`figure_forms`), dates and times (`dates_and_times`),
rounding (`written`).
"""

from __future__ import annotations

import re
from decimal import Decimal

from ai_assets.trust.chinese_numerals import DIGITS
from ai_assets.trust.dates_and_times import is_day
from ai_assets.trust.figure_forms import LONGEST_NUMBER, SCALES, UNITS, number
from ai_assets.trust.written import Written, ranged


def amount(text: str, match: re.Match[str], month: int | None) -> Written | None:
    """A number with its scale and unit: 39.5万元, 两成多, 8.5折, 1900多单. None: it says no number."""
    words, unit = match["num"], match["unit"] or ""
    start, end = match.span()
    if words[0] in "0123456789" and len(words.replace(",", "")) > LONGEST_NUMBER:
        return Written(start, end, text[start : start + 40], "number", None)
    before = text[start - 1] if start else ""
    if words[0] in "0123456789" and before.isascii() and (before.isalpha() or before == "_") and not unit:
        return None
    if unit == "折" and len(words) == 2 and all(letter in DIGITS for letter in words):
        # 八五折: digit by digit
        words = "".join(str(DIGITS[letter]) for letter in words)
    value, step, zeros = number(words)
    if value is None:
        return None
    chinese = words[0] not in "0123456789"
    if chinese and len(words) == 1 and before in ("周", "期", "拜"):
        return None
    scale, more = match["scale"], match["more"]
    if chinese and not _counts(words, unit, scale, more):
        return None
    size = Decimal(SCALES[scale]) if scale else Decimal(1)
    value, step = value * size, step * size
    if chinese and not scale and not unit.startswith("成"):
        # 三十万 is written to the ten thousand, 三千 to the thousand
        trailing = next((letter for letter in reversed(words) if letter in "亿万千百"), None)
        if trailing == words[-1] and trailing in ("亿", "万"):
            step = Decimal(SCALES[trailing])
            zeros = 0
    if match["sign"] and match["sign"][0] == "-":
        value = -value
    signed = bool(match["sign"])
    if unit == "日" and 1 <= value <= 31 and not more and not scale and is_day(text, start, end, month):
        return Written(start, end, text[start:end], "date", value, day=(None, month, int(value)))
    if unit == "号" and 1 <= value <= 31 and not more and not scale and is_day(text, start, end, month):
        return Written(start, end, text[start:end], "date", value, day=(None, month, int(value)))
    if unit == "年" and 1900 <= value <= 2999:
        return Written(
            start,
            end,
            text[start:end],
            "year",
            value,
            float(value),
            float(value),
            day=(int(value), None, None),
        )
    kind, times, extra = _kind_of(unit, match)
    if match["money"]:
        kind = "yuan"
    value, step = (value + extra) * times, step * times / (4 if extra and not scale else 1)
    return ranged(text, start, end, kind, value, step, zeros, more, signed=signed, raw_size=size * times)


def _counts(words: str, unit: str, scale: str | None, more: str | None) -> bool:
    """Whether a Chinese numeral here says a number: a single one needs a unit that counts."""
    if unit.startswith(("成", "折", "倍", "%", "个百分点", "百分点")):
        return not (unit == "折" and words in ("打", "一"))
    if words == "一":
        return bool(scale) or unit in ("小时", "个小时", "分钟", "个半小时") or unit.startswith("个半")
    if len(words) == 1 and not scale:
        if not unit or unit in ("张", "家", "号", "日", "分", "回", "年", "类", "项", "条", "名", "块"):
            return unit in ("年", "项", "类", "条") and words not in "零〇两"
        return not (words == "两" and unit in ("个", "位", "个人")) and words not in "零〇"
    if not unit and not more:
        # 三千 送 五百 is money; 百, 千 alone are not
        return any(letter in "十百千万亿" for letter in words) and words not in ("十",)
    return True


def _kind_of(unit: str, match: re.Match[str]) -> tuple[str, Decimal, Decimal]:
    """Kind, the size of the unit, and what is added before it (个半: a half)."""
    none, half = Decimal(0), Decimal("0.5")
    if unit in ("%", "pct"):
        return "percent", Decimal(1), none
    if unit == "‰":
        return "percent", Decimal("0.1"), none
    if unit in ("个百分点", "百分点", "pp"):
        return "points", Decimal(1), none
    if unit.startswith("成"):
        tail = match["chengtail"]
        if tail == "半":
            return "percent", Decimal(10), half
        value, _, _ = number(tail) if tail else (none, none, 0)
        return "percent", Decimal(10), (value or none) / 10
    if unit == "折":
        return "discount", Decimal(10), none
    if unit == "倍":
        return "ratio", Decimal(1), none
    if unit == "年半":
        return "days", Decimal(365), half
    if unit.startswith("个半"):
        return ("minutes", Decimal(60), half) if unit != "个半月" else ("days", Decimal(30), half)
    kind, size = UNITS.get(unit, ("number", 1))
    return kind, Decimal(size), none


def percent_words(text: str, match: re.Match[str]) -> Written | None:
    """百分之二十."""
    value, step, _ = number(match["num"])
    if value is None:
        return None
    return ranged(text, match.start(), match.end(), "percent", value, step)


def days_before(text: str, match: re.Match[str], value: Decimal) -> Written:
    """前180天: a span of days, told like a rank."""
    kind, size = UNITS.get(match["rankunit"], ("number", 1))
    start, end = match.start("rank"), match.end()
    return Written(start, end, text[start:end], kind, value * size, float(value * size), float(value * size))


def fraction(text: str, match: re.Match[str]) -> Written | None:
    """三分之一, and 百分之 and 千分之 with digits."""
    start, end = match.span()
    if match["below"] in ("百", "100"):
        value, step, _ = number(match["above"])
        return None if value is None else ranged(text, start, end, "percent", value, step)
    if match["below"] == "千":
        value, step, _ = number(match["above"])
        return None if value is None else ranged(text, start, end, "percent", value / 10, step / 10)
    below, _, _ = number(match["below"])
    above, _, _ = number(match["above"])
    if not below or above is None:
        return None
    value = above * 100 / below
    # a fraction is a rounded way to say a share: a third is 30 % to 36 %
    return Written(
        start,
        end,
        text[start:end],
        "percent",
        round(value, 4),
        float(value) - 3,
        float(value) + 3,
        exact=False,
    )


def hours_and_minutes(text: str, match: re.Match[str]) -> Written | None:
    """1小时52分钟."""
    hours, minutes = number(match["hours"])[0], number(match["minutes"])[0]
    if hours is None or minutes is None:
        return None
    return ranged(text, match.start(), match.end(), "minutes", hours * 60 + minutes, Decimal(1))


def halves(text: str, start: int, end: int) -> Written:
    """半小时, 半年."""
    unit = text[start + 1 : end]
    kind, size = {"天": ("days", Decimal("0.5"))}.get(unit, (UNITS[unit][0], Decimal(UNITS[unit][1]) / 2))
    slack = 0.06 if size > 20 else 0.0
    return Written(
        start,
        end,
        text[start:end],
        kind,
        size,
        float(size) * (1 - slack),
        float(size) * (1 + slack),
        exact=False,
    )


def pair(text: str, match: re.Match[str]) -> Written | None:
    """两三次, 七八成: from the one to the other."""
    low, high = (number(letter)[0] for letter in match["two"])
    if low is None or high is None or high != low + 1:
        return None
    tens = 10 if match["pairunit"] else 1
    kind, size = ("percent", 10) if match["pu"] == "成" else UNITS[match["pu"]]
    size *= tens
    start, end = match.span()
    return Written(
        start, end, text[start:end], kind, low * size, float(low) * size, float(high) * size, exact=False
    )
