"""What `ai-assets guard` takes: names of apps, and durations."""

from __future__ import annotations

import pytest

from ai_assets.catalog import CATALOG
from ai_assets.cli.guard import app_names, seconds
from ai_assets.errors import InputError


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), (" 1 d ", 86_400), ("366d", 366 * 86_400)],
)
def test_a_duration_is_a_number_with_a_unit_or_of_seconds(typed, expected):
    assert seconds(typed) == expected


@pytest.mark.parametrize("typed", ["", "0", "-5m", "5x", "m", "1h30m", "367d", "inf", "nan", "９０s", "1e9"])
def test_what_is_no_duration_is_told_with_examples(typed):
    with pytest.raises(InputError, match="such as 90s, 30m, 2h or 1d"):
        seconds(typed)


def test_an_app_is_named_whole_or_short_and_all_are_all():
    assert app_names(["app2a", "app2a_finance_area", "app3"]) == ["app2a_finance_area", "app3_clue"]
    assert app_names(["app3", "all"]) == list(CATALOG)


def test_an_app_that_there_is_not_is_told_with_those_there_are():
    with pytest.raises(InputError, match=r"unknown app 'app9'.*app2_finance"):
        app_names(["app3", "app9"])
