"""Text and JSON in the form that Postgres can hold."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.store.texts import storable, storable_json


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        ("", ""),
        ("普通 text 🎱\n\t", "普通 text 🎱\n\t"),
        ("a\x00b", "a\ufffdb"),
        ("half \ud83c", "half \ufffd"),
        ("\udfb1 other half", "\ufffd other half"),
        ("\ud83c\udfb1", "🎱"),
    ],
)
def test_what_no_text_column_holds_is_replaced_and_the_rest_stays(value, stored):
    assert storable(value) == stored


def test_json_keeps_chinese_and_says_what_json_has_no_form_for():
    value = {
        "时间": datetime(2026, 1, 31, 10, tzinfo=UTC),
        "日期": date(2026, 1, 31),
        "金额": Decimal("1.50"),
        "数": [1, 2.5, True, None, float("nan"), float("-inf")],
        7: ("a", {"b"}),
        "错": ValueError("x\x00"),
    }
    assert json.loads(storable_json(value)) == {
        "时间": "2026-01-31T10:00:00+00:00",
        "日期": "2026-01-31",
        "金额": "1.50",
        "数": [1, 2.5, True, None, None, None],
        "7": ["a", ["b"]],
        "错": "x\ufffd",
    }
    assert "时间" in storable_json(value)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters()) | st.sampled_from(["\x00", "\ud83c", "\udfb1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(value=anything)
def test_any_json_value_becomes_text_that_jsonb_takes(value):
    written = storable_json(value)
    assert "\x00" not in written
    assert "\\u0000" not in written
    written.encode("utf-8")
    assert storable_json(json.loads(written)) == written
