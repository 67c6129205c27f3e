"""The number reader: every figure written in a Chinese text, with what it may stand for.

Here: the walk over a text, and which form is read by whom. Not here: the forms (`figure_forms`), what each stands for
(`amounts`, `dates_and_times`), whether a figure is true (`judging`), what it is about (`topics`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from ai_assets.trust.amounts import (
    amount,
    days_before,
    fraction,
    halves,
    hours_and_minutes,
    pair,
    percent_words,
)
from ai_assets.trust.dates_and_times import clock, date, oclock, span_start
from ai_assets.trust.figure_forms import FORM, LIST_NUMBER, NO_FIGURE, PERCENT_WORDS, UNITS, number
from ai_assets.trust.written import Written


def figures_in_text(text: str) -> Iterator[Written]:
    """The figures of a plain text (`plain_text.plain`), in its order."""
    at = 0
    numbered = [(m.start(), m.end()) for m in LIST_NUMBER.finditer(text)]
    blocked = numbered + [(m.start(), m.end()) for m in NO_FIGURE.finditer(text)]
    blocked.sort()
    block = 0
    month: int | None = None
    while match := FORM.search(text, at):
        start = match.start()
        while block < len(blocked) and blocked[block][1] <= start:
            block += 1
        if block < len(blocked) and blocked[block][0] <= start < blocked[block][1]:
            at = max(blocked[block][1], start + 1)
            continue
        if percent := PERCENT_WORDS.match(text, start) if text.startswith("百分之", start) else None:
            found = percent_words(text, percent)
            at = percent.end()
        else:
            found = _read(text, match, month)
            at = match.end() if match.end() > start else start + 1
        if found is None:
            continue
        if found.day is not None:
            month = found.day[1]
        yield found
        at = max(at, found.end)


def _read(text: str, match: re.Match[str], month: int | None) -> Written | None:
    group = match.group
    start, end = match.span()
    if group("ymd"):
        return date(text, start, end, group("y1"), group("m1"), group("d1"))
    if group("ym"):
        return date(text, start, end, group("y2"), group("m2") or group("m2b"), None)
    if group("md"):
        return date(text, start, end, None, group("m3"), group("d3"))
    if group("slash"):
        left, right = re.split("[/-]", group("slash"))
        return date(text, start, end, None, left, right)
    if group("days"):
        return span_start(text, match, month)
    if group("months"):
        return date(text, start, end, None, group("m5"), None)
    if group("month"):
        return date(text, start, end, None, group("m4"), None)
    if group("clock"):
        return clock(text, start, end, int(group("h1")), int(group("min1")))
    if group("hourspan"):
        return clock(text, start, end, int(group("h3")), 0)
    if group("hourend"):
        return clock(text, start, end, int(group("h4")), 0)
    if group("oclock"):
        return oclock(text, match)
    if group("fraction"):
        return fraction(text, match)
    if group("half"):
        kind_low, kind_high = (50.0, 65.0) if group("half") == "过半" else (45.0, 55.0)
        return Written(start, end, text[start:end], "percent", Decimal(50), kind_low, kind_high, exact=False)
    if group("ordinal"):
        value, _, _ = number(group("rank"))
        if value is None:
            return None
        if group(0)[0] == "前" and group("rankunit") not in (None, "名", "大", "个", "位", "家", "项"):
            return days_before(text, match, value)
        return Written(start, end, text[start:end], "ordinal", value, float(value), float(value))
    if group("double"):
        return Written(start, end, text[start:end], "ratio", Decimal(2), 1.9, 2.15, exact=False)
    if group("hm"):
        return hours_and_minutes(text, match)
    if group("halves"):
        return halves(text, start, end)
    if group("pair"):
        return pair(text, match)
    if group("teens"):
        kind, size = UNITS[group("teenunit")]
        return Written(
            start, end, text[start:end], kind, Decimal(11 * size), 11.0 * size, 19.0 * size, exact=False
        )
    return amount(text, match, month)
