"""The answers of App3 to App8: what is an answer, what is made plain in it, what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from ai_assets.apps.answers import (
    CATEGORIES,
    AnalysisAnswer,
    Answer,
    ClueAnswer,
    ConsolidationAnswer,
    CustomerAnswer,
    NoteAnswer,
    TacticsAnswer,
)
from ai_assets.dashscope.reading import read_answer
from ai_assets.simulator.replies import answer

CLUE = {"category": "消费习惯", "emoji": "📅", "summary": "周五晚上来", "detail": "近三个月 9 次"}
MERGED = {**CLUE, "providers": "消费分析"}
TACTIC = {"scenario": "微信问候", "script": "您好，周末有空吗？"}
ANALYSIS = {"task_description": "回访", "action_suggestions": ["发消息"], "one_line_summary": "保持联系"}
CUSTOMER = {"summary": "常客", "strategies": [{"title": "留台", "content": "周五留台"}]}


def dumped(schema: type[BaseModel], value: Any) -> dict[str, Any]:
    return schema.model_validate(value).model_dump(mode="json")


def first_clue(clue: dict[str, Any], schema: type[BaseModel] = ClueAnswer) -> dict[str, Any]:
    kept: dict[str, Any] = dumped(schema, {"clues": [clue]})["clues"][0]
    return kept


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (ClueAnswer, {"clues": [{**CLUE, "by": 1}], "more": {"a": None}}),
        (ClueAnswer, {"clues": []}),
        (AnalysisAnswer, {**ANALYSIS, "mood": "good"}),
        (TacticsAnswer, {"tactics": [{**TACTIC, "tone": ["x"]}], "n": 1}),
        (NoteAnswer, {"score": 8, "clues": [CLUE], "why": "具体"}),
        (CustomerAnswer, {**CUSTOMER, "risk": None}),
        (ConsolidationAnswer, {"clues": [{**MERGED, "from": 2}], "dropped": []}),
    ],
)
def test_a_good_answer_is_kept_as_it_came_with_all_extra_keys(
    schema: type[BaseModel], value: dict[str, Any]
) -> None:
    assert dumped(schema, value) == value


@pytest.mark.parametrize(
    ("app", "schema"),
    [
        ("app3", ClueAnswer),
        ("app4", AnalysisAnswer),
        ("app5", TacticsAnswer),
        ("app6", NoteAnswer),
        ("app7", CustomerAnswer),
        ("app8", ConsolidationAnswer),
    ],
)
@pytest.mark.parametrize("prompt", ["", '{"消费概况": {"到店次数": 12}}', '{"数据说明": "没有消费记录"}'])
def test_the_simulators_answers_fit_and_stay_as_they_are(
    app: str, schema: type[BaseModel], prompt: str
) -> None:
    said = answer(3, app, prompt)
    assert read_answer(json.dumps(said), schema).answer == said


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_known_category_is_kept_and_spaces_do_not_matter(category: str) -> None:
    kept = first_clue({**CLUE, "category": f" {category}\n"})
    assert kept["category"] == category
    assert "category_given" not in kept


@pytest.mark.parametrize(
    ("given_category", "noted"),
    [
        (" 会员喜好 ", "会员喜好"),
        ("clue", "clue"),
        ("消费习惯、玩法偏好", "消费习惯、玩法偏好"),
        (3, 3),
        (["消费习惯"],) * 2,
    ],
)
def test_another_category_is_kept_as_the_default_and_noted(given_category: Any, noted: Any) -> None:
    kept = first_clue({**CLUE, "category": given_category})
    assert kept["category"] == "客户基础"
    assert kept["category_given"] == noted


@pytest.mark.parametrize("category", [{}, {"category": None}, {"category": ""}, {"category": " \n"}])
def test_no_category_is_the_default_and_nothing_is_noted(category: dict[str, Any]) -> None:
    kept = first_clue({"summary": "周五晚上来", **category})
    assert kept == {"category": "客户基础", "emoji": "", "summary": "周五晚上来", "detail": ""}


@pytest.mark.parametrize("schema", [ClueAnswer, ConsolidationAnswer])
def test_missing_and_null_optional_parts_become_empty_texts(schema: type[BaseModel]) -> None:
    nulls = {"summary": "来", "emoji": None, "detail": None, "providers": None}
    for clue in ({"summary": "来"}, nulls if schema is ConsolidationAnswer else {**nulls, "providers": ""}):
        kept = first_clue(clue, schema)
        assert kept["emoji"] == kept["detail"] == kept.get("providers", "") == ""


@pytest.mark.parametrize(
    ("given_providers", "kept"),
    [
        ("消费分析", "消费分析"),
        (["消费分析", "小陈"], "消费分析、小陈"),
        ([" 消费分析 ", "", "  "], "消费分析"),
        ([], ""),
        (None, ""),
        (" ", ""),
    ],
)
def test_providers_are_one_text_whether_they_come_as_one_or_as_a_list(
    given_providers: Any, kept: str
) -> None:
    assert first_clue({**CLUE, "providers": given_providers}, ConsolidationAnswer)["providers"] == kept


@pytest.mark.parametrize(("schema", "most"), [(ClueAnswer, 20), (NoteAnswer, 20), (ConsolidationAnswer, 30)])
def test_as_many_clues_as_the_table_allows_are_an_answer_and_one_more_is_none(
    schema: type[BaseModel], most: int
) -> None:
    assert len(dumped(schema, {"score": 5, "clues": [CLUE] * most})["clues"]) == most
    assert dumped(schema, {"score": 5, "clues": []})["clues"] == []
    with pytest.raises(ValidationError):
        schema.model_validate({"score": 5, "clues": [CLUE] * (most + 1)})


@pytest.mark.parametrize(("count", "fits"), [(0, False), (1, True), (10, True), (11, False)])
def test_one_to_ten_tactics_are_an_answer(count: int, fits: bool) -> None:
    value = {"tactics": [TACTIC] * count}
    if fits:
        assert len(dumped(TacticsAnswer, value)["tactics"]) == count
    else:
        with pytest.raises(ValidationError):
            TacticsAnswer.model_validate(value)


@pytest.mark.parametrize("score", [8, 8.0, "8", " 8 ", "8.0"])
def test_a_score_is_a_whole_number_however_it_is_written(score: Any) -> None:
    kept = dumped(NoteAnswer, {"score": score, "clues": []})["score"]
    assert kept == 8
    assert type(kept) is int


@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.text(max_size=4) | st.none())
@settings(deadline=None, max_examples=200)
def test_only_whole_numbers_from_1_to_10_are_scores(score: Any) -> None:
    try:
        kept = dumped(NoteAnswer, {"score": score, "clues": []})["score"]
    except ValidationError:
        assert isinstance(score, bool | str | None) or not (1 <= score <= 10 and score == int(score))
    else:
        assert type(kept) is int
        assert 1 <= kept <= 10
        assert not isinstance(score, bool)
        assert kept == float(score)


@pytest.mark.parametrize("score", [0, 11, -3, 8.5, "11", "八", "8/10", "", None, True, [8], {"v": 8}])
def test_anything_else_is_no_score(score: Any) -> None:
    with pytest.raises(ValidationError):
        NoteAnswer.model_validate({"score": score, "clues": []})


def test_one_suggestion_alone_is_a_list_of_one_and_texts_are_stripped() -> None:
    kept = dumped(
        AnalysisAnswer, {**ANALYSIS, "task_description": " 回访\n", "action_suggestions": " 发消息 "}
    )
    assert kept["action_suggestions"] == ["发消息"]
    assert kept["task_description"] == "回访"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (ClueAnswer, {}),
        (ClueAnswer, []),
        (ClueAnswer, None),
        (ConsolidationAnswer, "好"),
        (ClueAnswer, {"clues": None}),
        (ClueAnswer, {"clues": CLUE}),
        (ClueAnswer, {"clues": ["周五来"]}),
        (ClueAnswer, {"clues": [{"category": "消费习惯"}]}),
        (ClueAnswer, {"clues": [{**CLUE, "summary": " "}]}),
        (ClueAnswer, {"clues": [{**CLUE, "summary": None}]}),
        (ClueAnswer, {"clues": [{**CLUE, "detail": 3}]}),
        (ClueAnswer, {"clues": [{**CLUE, "emoji": ["📅"]}]}),
        (NoteAnswer, {"clues": []}),
        (NoteAnswer, {"score": 5}),
        (ConsolidationAnswer, {"clues": [{**MERGED, "providers": [1]}]}),
        (ConsolidationAnswer, {"clues": [{**MERGED, "providers": {"a": "b"}}]}),
        (AnalysisAnswer, {**ANALYSIS, "action_suggestions": None}),
        (AnalysisAnswer, {**ANALYSIS, "action_suggestions": ""}),
        (AnalysisAnswer, {**ANALYSIS, "action_suggestions": ["发消息", " "]}),
        (AnalysisAnswer, {**ANALYSIS, "action_suggestions": [1]}),
        (AnalysisAnswer, {**ANALYSIS, "one_line_summary": ""}),
        (AnalysisAnswer, {"task_description": "回访", "action_suggestions": []}),
        (TacticsAnswer, {"tactics": [{"scenario": "问候"}]}),
        (TacticsAnswer, {"tactics": [{**TACTIC, "script": " "}]}),
        (CustomerAnswer, {"summary": "常客"}),
        (CustomerAnswer, {**CUSTOMER, "summary": ""}),
        (CustomerAnswer, {**CUSTOMER, "strategies": ["留台"]}),
        (CustomerAnswer, {**CUSTOMER, "strategies": [{"title": "留台", "content": None}]}),
    ],
)
def test_an_answer_that_breaks_the_schema_is_refused(schema: type[BaseModel], value: Any) -> None:
    with pytest.raises(ValidationError):
        schema.model_validate(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=6) | st.sampled_from(CATEGORIES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["category", "category_given", "summary", "detail", "emoji", "providers", "其他"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=4), st.sampled_from([ClueAnswer, ConsolidationAnswer]))
@settings(deadline=None, max_examples=200)
def test_whatever_is_taken_for_clues_is_well_formed_and_taking_it_again_changes_nothing(
    clues: list[Any], schema: type[Answer]
) -> None:
    try:
        kept = dumped(schema, {"clues": clues})
    except ValidationError:
        return
    for clue in kept["clues"]:
        assert clue["category"] in CATEGORIES
        assert clue["summary"].strip()
        assert isinstance(clue["emoji"], str)
        assert isinstance(clue["detail"], str)
    assert dumped(schema, kept) == kept
