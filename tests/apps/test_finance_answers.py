from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ai_assets.apps.answers import FinanceAnswer

GOOD = {"title": "收入上升", "body": "净收入比上周多 20.6%。", "tone": "good"}


def dumped(answer: Any) -> dict[str, Any]:
    return FinanceAnswer.model_validate(answer).model_dump(mode="json")


def test_a_good_answer_is_kept_as_it_came_with_all_extra_keys() -> None:
    answer = {"insights": [{**GOOD, "重要": 1, "by": ["x"]}], "summary": None, "_more": {"a": 1}}
    assert dumped(answer) == answer


@pytest.mark.parametrize("tone", [{}, {"tone": None}, {"tone": "neutral"}, {"tone": " Neutral "}])
def test_a_missing_tone_is_neutral_and_case_and_spaces_do_not_matter(tone: dict[str, Any]) -> None:
    assert dumped({"insights": [{"title": "题", "body": "文", **tone}]})["insights"][0]["tone"] == "neutral"


@pytest.mark.parametrize("count", [1, 10])
def test_one_to_ten_insights_are_an_answer(count: int) -> None:
    assert len(dumped({"insights": [GOOD] * count})["insights"]) == count


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        "好",
        {"insights": []},
        {"insights": None},
        {"insights": GOOD},
        {"insights": [GOOD] * 11},
        {"insights": ["收入上升"]},
        {"insights": [GOOD, {"title": "题"}]},
        {"insights": [{**GOOD, "title": ""}]},
        {"insights": [{**GOOD, "body": " \n "}]},
        {"insights": [{**GOOD, "title": None}]},
        {"insights": [{**GOOD, "body": 12}]},
        {"insights": [{**GOOD, "tone": "great"}]},
        {"insights": [{**GOOD, "tone": 1}]},
        {"insights": [{**GOOD, "tone": ["good"]}]},
    ],
)
def test_an_answer_that_breaks_the_schema_is_refused(answer: Any) -> None:
    with pytest.raises(ValidationError):
        FinanceAnswer.model_validate(answer)
