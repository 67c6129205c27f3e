"""The eight time windows as pure functions of an as-of date, each with the window it is compared with.

Here: dates only. Not here: the clock (an as-of date is always given), rows, wording of prompts.
Source of the rule: docs/behaviour.md, The apps; weeks start on Monday.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from ai_assets.errors import InputError

WINDOWS: tuple[str, ...] = (
    "this_month",
    "last_month",
    "this_week",
    "last_week",
    "this_quarter",
    "last_quarter",
    "last_3_months",
    "last_6_months",
)

WINDOW_LABELS: dict[str, str] = {
    "this_month": "本月",
    "last_month": "上月",
    "this_week": "本周",
    "last_week": "上周",
    "this_quarter": "本季度",
    "last_quarter": "上季度",
    "last_3_months": "最近三个整月",
    "last_6_months": "最近六个整月",
}

EARLIEST_AS_OF = date(1900, 1, 1)
LATEST_AS_OF = date(2999, 12, 31)

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Window:
    """A span of business dates and the span it is compared with; all four ends are inclusive.

    `running`: the window still runs on the as-of date and ends there; else it is a closed whole period.
    """

    name: str
    start: date
    end: date
    comparison_start: date
    comparison_end: date
    running: bool

    @property
    def days(self) -> int:
        """Calendar days in the window."""
        return (self.end - self.start).days + 1

    @property
    def comparison_days(self) -> int:
        """Calendar days in the window it is compared with."""
        return (self.comparison_end - self.comparison_start).days + 1


def check_window_name(name: str) -> None:
    """Raise InputError listing the known names if this is none of them."""
    if name not in WINDOWS:
        raise InputError(f"unknown time window {name!r}: use one of {', '.join(WINDOWS)}")


def check_as_of(as_of: date) -> None:
    """Raise InputError for an as-of date that no window can be made from."""
    if not EARLIEST_AS_OF <= as_of <= LATEST_AS_OF:
        raise InputError(f"as-of date {as_of} is out of range: use {EARLIEST_AS_OF} to {LATEST_AS_OF}")


def window(name: str, as_of: date) -> Window:
    """The window of this name as it stands on the as-of date (a business date of the site).

    A running window is compared with the same elapsed days of the previous week, month or quarter, cut at
    that period's end; a closed one with the whole window of the same kind right before it.
    Raises InputError for an unknown name (listing the known ones) or an as-of date out of range.
    """
    check_window_name(name)
    check_as_of(as_of)
    month = as_of.year * 12 + as_of.month - 1
    quarter = month - month % 3
    monday = as_of - timedelta(days=as_of.weekday())
    match name:
        case "this_month":
            return _running(name, as_of, _first_day(month), _first_day(month - 1))
        case "this_quarter":
            return _running(name, as_of, _first_day(quarter), _first_day(quarter - 3))
        case "this_week":
            return _running(name, as_of, monday, monday - _WEEK)
        case "last_week":
            return Window(
                name, monday - _WEEK, monday - _DAY, monday - 2 * _WEEK, monday - _WEEK - _DAY, running=False
            )
        case "last_month":
            return _whole_months(name, month, 1)
        case "last_quarter":
            return _whole_months(name, quarter, 3)
        case "last_3_months":
            return _whole_months(name, month, 3)
        case _:
            return _whole_months(name, month, 6)


def first_day_needed(as_of: date) -> date:
    """The earliest business date that any window, or what it is compared with, covers on this as-of date."""
    return min(window(name, as_of).comparison_start for name in WINDOWS)


def _first_day(month: int) -> date:
    """The first day of a month counted from year 0."""
    return date(month // 12, month % 12 + 1, 1)


def _running(name: str, as_of: date, start: date, previous_start: date) -> Window:
    comparison_end = min(previous_start + (as_of - start), start - _DAY)
    return Window(name, start, as_of, previous_start, comparison_end, running=True)


def _whole_months(name: str, before: int, count: int) -> Window:
    """The `count` whole months before month `before`, compared with as many before those."""
    start = _first_day(before - count)
    return Window(
        name, start, _first_day(before) - _DAY, _first_day(before - 2 * count), start - _DAY, running=False
    )
