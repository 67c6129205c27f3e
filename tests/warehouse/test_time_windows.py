from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.errors import InputError
from ai_assets.warehouse.windows import WINDOW_LABELS, WINDOWS, first_day_needed, window

AS_OF = st.dates(date(1990, 1, 1), date(2100, 12, 31))
RUNNING = {"this_month", "this_week", "this_quarter"}
ONE_DAY = timedelta(days=1)


def d(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("as_of", "name", "start", "end", "comparison_start", "comparison_end"),
    [
        # an ordinary day
        ("2026-08-19", "this_month", "2026-08-01", "2026-08-19", "2026-07-01", "2026-07-19"),
        ("2026-08-19", "last_month", "2026-07-01", "2026-07-31", "2026-06-01", "2026-06-30"),
        ("2026-08-19", "this_week", "2026-08-17", "2026-08-19", "2026-08-10", "2026-08-12"),
        ("2026-08-19", "last_week", "2026-08-10", "2026-08-16", "2026-08-03", "2026-08-09"),
        ("2026-08-19", "this_quarter", "2026-07-01", "2026-08-19", "2026-04-01", "2026-05-20"),
        ("2026-08-19", "last_quarter", "2026-04-01", "2026-06-30", "2026-01-01", "2026-03-31"),
        ("2026-08-19", "last_3_months", "2026-05-01", "2026-07-31", "2026-02-01", "2026-04-30"),
        ("2026-08-19", "last_6_months", "2026-02-01", "2026-07-31", "2025-08-01", "2026-01-31"),
        # the last day of a month that is longer than the one before: cut at that month's end
        ("2026-03-31", "this_month", "2026-03-01", "2026-03-31", "2026-02-01", "2026-02-28"),
        ("2024-03-30", "this_month", "2024-03-01", "2024-03-30", "2024-02-01", "2024-02-29"),
        ("2026-03-28", "this_month", "2026-03-01", "2026-03-28", "2026-02-01", "2026-02-28"),
        ("2026-04-30", "this_month", "2026-04-01", "2026-04-30", "2026-03-01", "2026-03-30"),
        # the first day of a month
        ("2026-03-01", "this_month", "2026-03-01", "2026-03-01", "2026-02-01", "2026-02-01"),
        ("2026-03-01", "last_month", "2026-02-01", "2026-02-28", "2026-01-01", "2026-01-31"),
        ("2024-03-01", "last_month", "2024-02-01", "2024-02-29", "2024-01-01", "2024-01-31"),
        # leap day
        ("2024-02-29", "this_month", "2024-02-01", "2024-02-29", "2024-01-01", "2024-01-29"),
        ("2024-02-29", "this_quarter", "2024-01-01", "2024-02-29", "2023-10-01", "2023-11-29"),
        # ends of quarters: the first has 90 or 91 days, the others 91 and 92
        ("2026-03-31", "this_quarter", "2026-01-01", "2026-03-31", "2025-10-01", "2025-12-29"),
        ("2026-06-30", "this_quarter", "2026-04-01", "2026-06-30", "2026-01-01", "2026-03-31"),
        ("2026-09-30", "this_quarter", "2026-07-01", "2026-09-30", "2026-04-01", "2026-06-30"),
        ("2026-06-30", "last_quarter", "2026-01-01", "2026-03-31", "2025-10-01", "2025-12-31"),
        ("2026-07-01", "this_quarter", "2026-07-01", "2026-07-01", "2026-04-01", "2026-04-01"),
        ("2026-07-01", "last_quarter", "2026-04-01", "2026-06-30", "2026-01-01", "2026-03-31"),
        # over the year
        ("2025-12-31", "this_month", "2025-12-01", "2025-12-31", "2025-11-01", "2025-11-30"),
        ("2026-01-01", "this_month", "2026-01-01", "2026-01-01", "2025-12-01", "2025-12-01"),
        ("2026-01-01", "last_month", "2025-12-01", "2025-12-31", "2025-11-01", "2025-11-30"),
        ("2026-01-01", "this_week", "2025-12-29", "2026-01-01", "2025-12-22", "2025-12-25"),
        ("2026-01-01", "last_quarter", "2025-10-01", "2025-12-31", "2025-07-01", "2025-09-30"),
        ("2026-01-01", "last_3_months", "2025-10-01", "2025-12-31", "2025-07-01", "2025-09-30"),
        ("2026-01-31", "last_6_months", "2025-07-01", "2025-12-31", "2025-01-01", "2025-06-30"),
        ("2026-02-01", "last_3_months", "2025-11-01", "2026-01-31", "2025-08-01", "2025-10-31"),
        # Monday and Sunday
        ("2026-08-17", "this_week", "2026-08-17", "2026-08-17", "2026-08-10", "2026-08-10"),
        ("2026-08-17", "last_week", "2026-08-10", "2026-08-16", "2026-08-03", "2026-08-09"),
        ("2026-08-16", "this_week", "2026-08-10", "2026-08-16", "2026-08-03", "2026-08-09"),
        ("2026-08-16", "last_week", "2026-08-03", "2026-08-09", "2026-07-27", "2026-08-02"),
    ],
)
def test_a_window_and_its_comparison_have_these_dates(
    as_of: str, name: str, start: str, end: str, comparison_start: str, comparison_end: str
) -> None:
    made = window(name, d(as_of))
    assert (made.start, made.end) == (d(start), d(end))
    assert (made.comparison_start, made.comparison_end) == (d(comparison_start), d(comparison_end))
    assert made.running == (name in RUNNING)


def test_the_windows_stand_in_the_contracts_order_and_each_has_a_label() -> None:
    assert " ".join(WINDOWS) == (
        "this_month last_month this_week last_week this_quarter last_quarter last_3_months last_6_months"
    )
    assert set(WINDOW_LABELS) == set(WINDOWS)
    assert len(set(WINDOW_LABELS.values())) == len(WINDOWS)


def test_an_unknown_window_is_refused_with_the_known_names() -> None:
    with pytest.raises(InputError, match=r"unknown time window 'this_year'.*this_month.*last_6_months"):
        window("this_year", date(2026, 8, 19))


@pytest.mark.parametrize("as_of", [date.min, date.max])
@pytest.mark.parametrize("name", WINDOWS)
def test_an_as_of_date_that_no_window_can_be_made_from_is_refused(name: str, as_of: date) -> None:
    with pytest.raises(InputError, match="out of range"):
        window(name, as_of)


@given(AS_OF, st.sampled_from(sorted(RUNNING)))
@settings(deadline=None, max_examples=200)
def test_a_running_window_ends_at_the_as_of_date_and_its_comparison_is_never_longer(
    as_of: date, name: str
) -> None:
    made = window(name, as_of)
    assert made.running
    assert made.start <= made.end == as_of
    assert 1 <= made.comparison_days <= made.days
    # either the same elapsed days, or all of the shorter period before
    assert made.comparison_days == made.days or made.comparison_end == made.start - ONE_DAY
    assert made.comparison_end < made.start


@given(AS_OF, st.sampled_from(sorted(set(WINDOWS) - RUNNING)))
@settings(deadline=None, max_examples=200)
def test_a_closed_window_ended_before_the_as_of_date_and_its_comparison_ends_right_before_it(
    as_of: date, name: str
) -> None:
    made = window(name, as_of)
    assert not made.running
    assert made.comparison_start <= made.comparison_end == made.start - ONE_DAY
    assert made.start <= made.end < as_of


def _period(name: str, day: date) -> object:
    if name.endswith("week"):
        return day - timedelta(days=day.weekday())
    return (day.year, (day.month - 1) // 3) if name.endswith("quarter") else (day.year, day.month)


@given(AS_OF, st.integers(0, 100), st.sampled_from(WINDOWS))
@settings(deadline=None, max_examples=400)
def test_a_closed_window_changes_exactly_when_its_week_month_or_quarter_turns(
    as_of: date, later: int, name: str
) -> None:
    other = as_of + timedelta(days=later)
    if name in RUNNING:
        assert (window(name, as_of) == window(name, other)) == (later == 0)
    else:
        same_period = _period(name, as_of) == _period(name, other)
        assert (window(name, as_of) == window(name, other)) == same_period


@given(AS_OF)
@settings(deadline=None, max_examples=100)
def test_the_windows_of_one_kind_follow_each_other_without_a_gap(as_of: date) -> None:
    for kind in ("month", "week", "quarter"):
        assert window(f"last_{kind}", as_of).end + ONE_DAY == window(f"this_{kind}", as_of).start
        assert window(f"last_{kind}", as_of).comparison_end + ONE_DAY == window(f"last_{kind}", as_of).start
    assert window("last_3_months", as_of).end == window("last_month", as_of).end
    assert window("last_6_months", as_of).end == window("last_month", as_of).end
    assert window("last_6_months", as_of).start == window("last_3_months", as_of).comparison_start
    assert window("this_week", as_of).start.weekday() == 0


@given(AS_OF)
@settings(deadline=None, max_examples=100)
def test_no_window_needs_a_day_before_the_first_day_needed(as_of: date) -> None:
    first = first_day_needed(as_of)
    starts = {window(name, as_of).comparison_start for name in WINDOWS}
    assert first in starts
    assert all(first <= start for start in starts)
    assert as_of - first <= timedelta(days=397)
