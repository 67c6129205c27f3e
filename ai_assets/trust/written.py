"""A figure as it is written, and what it may stand for by its rounding and by words such as 约, 近 and 超过.

Here: the shape and the rounding. Not here: reading it from a text (`figures_in_text`), whether it is true (`judging`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_ABOUT = re.compile(r"(?:大约|约为|约|大概|差不多|左右|上下|几乎|基本在?|~|≈)\s?[为有占达]?\s?(?:[¥￥]|在)?$")
_NEAR = re.compile(r"(?:将近|接近|近|临近|逼近|近乎)\s?[¥￥]?$")
_UNDER = re.compile(
    r"(?:(?<![畅加尽赶])快|不到|不足|低于|少于|不满|未满|不超过|至多|最多|小于|未到|未达)\s?[了过]?[¥￥]?$"
)
_OVER = re.compile(r"(?:超过|超出|超|逾|突破|高于|多于|大于|不低于|不少于|至少|破)\s?[了过]?[¥￥]?$")
_AFTER_ABOUT = re.compile(r"\s?(?:左右|上下|前后)")
_A_LITTLE_MORE = re.compile(r"\s?(?:元|块钱?|单|次|天)?出头")
_AFTER_OVER = re.compile(r"\s?(?:以上|开外|有余|还多|不止|多(?!\s?[\d约近了出]))")
_AFTER_UNDER = re.compile(r"\s?(?:以下|以内|之内)")


@dataclass(frozen=True, slots=True)
class Written:
    """A figure as it is written, at `start` to `end` of the plain text.

    `kind` and `value`: yuan, orders, people, visits, count, number (bare), percent (in %), points (percentage
    points), ratio (times), discount (percent of the price), minutes, days, years, id, ordinal, clock (minutes
    of the day), date, month (both in `day`: year, month, day, each may be None). `low` to `high`: what it may
    stand for, by its rounding and by words such as 约, 近, 超过. `value` None: too long to be a number.
    """

    start: int
    end: int
    text: str
    kind: str
    value: Decimal | None
    low: float = 0.0
    high: float = 0.0
    day: tuple[int | None, int | None, int | None] | None = None
    exact: bool = True
    signed: bool = False

    @property
    def told(self) -> str:
        """The value for people."""
        if self.day is not None:
            return "-".join("?" if part is None else f"{part:02d}" for part in self.day)
        if self.value is None:
            return "a row of digits too long to be a number"
        if self.kind == "clock":
            return f"{int(self.value) // 60:02d}:{int(self.value) % 60:02d}"
        return f"{self.value:f} {self.kind}"


def ranged(
    text: str,
    start: int,
    end: int,
    kind: str,
    value: Decimal,
    step: Decimal,
    zeros: int = 0,
    more: str | None = None,
    *,
    signed: bool = False,
    raw_size: Decimal = Decimal(1),
) -> Written:
    """A figure with the bounds that its digits and the words before and behind it allow."""
    if kind == "discount":
        # 85折 and 8.5折 are the same
        while value >= 100:
            value, step = value / 10, step / 10
    if kind == "percent" and text[start:end].find("成") >= 0:
        tail = bool(re.search(r"成[一二三四五六七八九半\d]", text[start:end]))
        step = Decimal(1) if tail else Decimal(10)
        if re.search(r"成[一二三四五六七八九半\d]?(?:多|以上)", text[start:end]):
            more = "多"
    size = float(abs(value))
    half = float(step) / 2
    # rounding to even and to the far side both happen: a hair of the step is forgiven
    hair = half * 1e-3 + size * 1e-9
    low, high = size - half - hair, size + half + hair
    around = max(float(step), float(raw_size) * 10**zeros)
    exact = False
    before = text[max(0, start - 6) : start]
    if more in ("多", "余", "几"):
        low, high = size, size + max(float(step) if step > 1 else 0.0, around)
    elif _OVER.search(before) or _AFTER_OVER.match(text, end):
        low, high = size - (half if zeros == 0 else hair), size + max(around, size * 0.12)
    elif _UNDER.search(before) or _NEAR.search(before) or _AFTER_UNDER.match(text, end):
        low, high = size - max(around, size * 0.12), size + (half if zeros == 0 and step <= 1 else hair)
        if kind == "days" and _NEAR.search(before):
            # 近三个月, 近180天: a span by its name
            low, high = size * (0.94 if raw_size == 7 else 0.96), size * 1.04
    elif _A_LITTLE_MORE.match(text, end):
        low, high = size - hair, size + max(size * 0.12, float(step) if step <= 1 else 0.0)
    elif more == "来" or _ABOUT.search(before) or _AFTER_ABOUT.match(text, end):
        slack = max(half, size * 0.025, min(around / 2, size * 0.06))
        low, high = size - slack, size + slack
    else:
        exact = True
    if kind == "days" and raw_size >= 7 and exact:
        # weeks and months of days are told in whole ones
        slack = min(half, 0.04 * size) if raw_size >= 30 else half
        low, high = size - slack, size + slack
    if value < 0:
        low, high = -high, -low
    return Written(start, end, text[start:end], kind, value, low, high, exact=exact, signed=signed)
