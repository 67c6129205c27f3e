"""Dates, months, spans of days and times of the day in a text: 6月13日, 8日至14日, 18:01, 晚上七点半.

Here: what these forms stand for. Not here: their patterns (`figure_forms`), other figures (`amounts`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ai_assets.trust.figure_forms import whole
from ai_assets.trust.written import Written

_PM = re.compile(r"(?:下午|傍晚|晚上|晚间|夜里|深夜|晚|夜间|午后)\s?$")
_DAY_BEFORE: Final = re.compile(r"(?<![\d月])(?:[12]?\d|3[01])[日号]?\s?[至到~-]\s?$")

_A_SPAN: Final = re.compile(
    r"(?:近|过去|最近|连续|为期|共|每|满|这|整|前|后|约|超过|不到|不足|长达|隔|已|第|编号|会员|助教)\s?$"
)
_A_SPAN_AFTER: Final = re.compile(
    r"\s?(?:内|之内|以内|均|间隔|未|没|台|桌|球|房|厅|包|店|机|助教|会员|技师|员工|位)|[后前](?:回访|联系|跟进|再)"
)
"""What makes 7日 a length of time, or 3号 a number."""


def date(
    text: str, start: int, end: int, year: str | None, month: str | None, day: str | None
) -> Written | None:
    """A date of which year or day may be missing. None: there is no such day."""
    y, m, d = whole(year), whole(month), whole(day)
    if m is None or not 1 <= m <= 12 or (day is not None and (d is None or not 1 <= d <= 31)):
        return None
    kind = "month" if d is None else "date"
    return Written(start, end, text[start:end], kind, Decimal(m if d is None else m * 100 + d), day=(y, m, d))


def span_start(text: str, match: re.Match[str], month: int | None) -> Written | None:
    """8日至14日: the day that a span begins at; its month may be told before, or not at all."""
    start, end = match.span()
    day = int(match["from"])
    behind = re.match(r"\s?[至到~-]\s?(\d{1,2})", text[end : end + 6])
    if not 1 <= day <= 31 or (behind is not None and day >= int(behind[1])):
        return None
    return Written(start, end, text[start:end], "date", Decimal(day), day=(None, month, day))


def is_day(text: str, start: int, behind: int, month: int | None) -> bool:
    """Whether 14日 or 14号 is a day of a month, and not a length of time (近7日, 7日内) or a number (3号台)."""
    if _A_SPAN.search(text, max(0, start - 6), start) or _A_SPAN_AFTER.match(text, behind):
        return bool(month is None and _DAY_BEFORE.search(text[max(0, start - 6) : start]))
    return True


def clock(text: str, start: int, end: int, hour: int, minute: int) -> Written | None:
    """18:01, 晚上7:30: minutes of the day."""
    if not (0 <= hour <= 24 and 0 <= minute < 60):
        return None
    if hour < 12 and _PM.search(text, max(0, start - 4), start):
        hour += 12
    value = hour * 60 + minute
    return Written(start, end, text[start:end], "clock", Decimal(value), float(value), float(value))


def oclock(text: str, match: re.Match[str]) -> Written | None:
    """七点半, 20点15分."""
    hour = whole(match["h2"])
    told = match["min2"]
    fixed = {None: 0, "半": 30, "整": 0, "一刻": 15, "三刻": 45}
    minute = fixed[told] if told in fixed else whole((told or "").rstrip("分"))
    if hour is None or minute is None:
        return None
    return clock(text, match.start(), match.end(), hour, minute)
