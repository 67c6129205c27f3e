"""The prompt of App8: two sets of clues to merge."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.apps import app6_note, app8_consolidation
from ai_assets.apps.base import Subject
from ai_assets.apps.clue_parts import clues_part, customer_part, note_author
from ai_assets.apps.member_source import Given, MemberSource
from ai_assets.apps.names import IN_FULL
from ai_assets.errors import InputError, WarehouseError
from ai_assets.simulator.replies import answer
from ai_assets.warehouse.people import Note

SourceOf = Callable[..., MemberSource]
MEMBER = Subject(1001, member_id=555)
MADE = datetime(2026, 6, 28, 18, 5, tzinfo=UTC)
BOUGHT = {"category": "消费习惯", "emoji": "📅", "summary": "周五晚上来", "detail": "三个月 9 次"}
NOTED = {"category": "重要反馈", "emoji": "", "summary": "嫌空调冷", "detail": ""}
WRITTEN_BY = {"note": {"noted_by": "前台小陈"}}


def both() -> dict[str, Given]:
    return {
        "app3_clue": Given({"clues": [BOUGHT]}, None, 11, 21),
        "app6_note": Given({"score": 6, "clues": [NOTED], "_references": WRITTEN_BY}, MADE, 12, 22),
    }


@pytest.fixture
def merging(source_of: SourceOf) -> SourceOf:
    """A source of which nothing can be read from the warehouse."""

    def made(answers: dict[str, Given]) -> MemberSource:
        source = source_of(given=answers)
        for part in ("member", "assistant", "notes", "open_tasks", "together"):
            del source.data.__dict__[part]
        return source

    return made


def content(source: MemberSource) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(app8_consolidation.build(source, MEMBER).text)
    return read


def test_app8_is_told_both_sets_with_when_they_were_made_and_reads_nothing_else(merging: SourceOf) -> None:
    told = content(merging(both()))
    assert told["线索组"] == [
        {
            "来源": "消费分析",
            "生成时间": "",
            "线索": [{"类别": "消费习惯", "表情": "📅", "摘要": "周五晚上来", "详情": "三个月 9 次"}],
        },
        {
            "来源": "前台小陈",
            "生成时间": "2026-06-29 02:05",
            "线索": [{"类别": "重要反馈", "表情": "", "摘要": "嫌空调冷", "详情": ""}],
        },
    ]
    assert (told["截止日期"], told["站点"]["编号"], told["会员编号"]) == ("2026-06-30", 1001, 555)
    assert '"providers"' in told["回答格式"]


@pytest.mark.parametrize("answers", [{}, {"app3_clue": Given({"clues": []}, MADE), "app6_note": Given({})}])
def test_without_any_clue_the_prompt_is_well_formed_and_says_so(
    merging: SourceOf, answers: dict[str, Given]
) -> None:
    told = content(merging(answers))
    assert [group["线索"] for group in told["线索组"]] == ["暂无线索", "暂无线索"]
    assert [group["来源"] for group in told["线索组"]] == ["消费分析", "备注"]
    assert answer(1, "app8", json.dumps(told)) == {"clues": []}


@pytest.mark.parametrize("alone", ["app3_clue", "app6_note"])
def test_one_set_alone_is_told_beside_words_that_the_other_is_not_there(
    merging: SourceOf, alone: str
) -> None:
    groups = content(merging({alone: both()[alone]}))["线索组"]
    assert [group["线索"] == "暂无线索" for group in groups] == [alone != "app3_clue", alone != "app6_note"]


def test_the_simulator_merges_the_clues_and_names_who_gave_them(merging: SourceOf) -> None:
    prompt = app8_consolidation.build(merging(both()), MEMBER).text
    merged: Any = answer(1, "app8", prompt)["clues"]
    assert [(c["category"], c["summary"], c["providers"]) for c in merged] == [
        ("消费习惯", "周五晚上来", "消费分析"),
        ("重要反馈", "嫌空调冷", "前台小陈"),
    ]


def test_the_author_comes_from_the_references_that_app6s_own_prompt_made(source_of: SourceOf) -> None:
    note = Note("嫌空调冷", "前台小陈", MADE, 3)
    made = app6_note.build(source_of(note), MEMBER).references
    assert note_author(Given({"clues": [], "_references": made})) == "前台小陈"


@pytest.mark.parametrize(
    "references",
    [None, [], {}, {"note": None}, {"note": {}}, {"note": {"noted_by": None}}, {"note": {"noted_by": 3}}],
)
def test_an_unknown_author_is_called_by_what_the_clues_came_from(references: Any) -> None:
    assert note_author(Given({"_references": references})) == "备注"


def test_the_same_clues_give_the_same_text_whatever_else_the_answers_hold(merging: SourceOf) -> None:
    first = app8_consolidation.build(merging(both()), MEMBER).text
    stored = both()
    stored["app3_clue"] = Given(
        {"_references": {"as_of": "x"}, "clues": [dict(reversed(BOUGHT.items())) | {"category_given": "y"}]},
        None,
        99,
        98,
    )
    stored["app6_note"] = replace(stored["app6_note"], cache_id=97)
    assert app8_consolidation.build(merging(stored), MEMBER).text == first


def test_another_time_of_making_is_another_text(merging: SourceOf) -> None:
    later = both()
    later["app6_note"] = replace(later["app6_note"], made_at=MADE.replace(minute=6))
    assert content(merging(later)) != content(merging(both()))


def test_the_references_name_the_versions_of_both_answers(merging: SourceOf) -> None:
    made = app8_consolidation.build(merging(both()), MEMBER).references
    assert made["app"] == {"name": "app8_consolidation", "version": app8_consolidation.VERSION}
    assert made["answers"] == {
        "app3_clue": {"cache_id": 11, "run_log_id": 21, "made_at": None},
        "app6_note": {"cache_id": 12, "run_log_id": 22, "made_at": "2026-06-28T18:05:00+00:00"},
    }
    assert app8_consolidation.build(merging({}), MEMBER).references["answers"] == {
        "app3_clue": None,
        "app6_note": None,
    }


def test_phone_numbers_and_birthdays_in_clues_never_appear(merging: SourceOf) -> None:
    said = {**NOTED, "summary": "电话 13800138000", "detail": "生日：1990-05-01"}
    answers = {"app6_note": Given({"clues": [said], "_references": {"note": {"noted_by": "陈13800138000"}}})}
    text = app8_consolidation.build(merging(answers), MEMBER).text
    assert not any(part in text for part in ("8000", "1990"))


@pytest.mark.parametrize("subject", [Subject(1001), Subject(1002, member_id=555), Subject(1001, member_id=5)])
def test_a_subject_that_is_no_member_or_not_the_datas_is_refused(merging: SourceOf, subject: Subject) -> None:
    with pytest.raises(InputError):
        app8_consolidation.build(merging(both()), subject)


def test_a_site_in_a_time_zone_that_does_not_exist_fails_the_prompt(merging: SourceOf) -> None:
    source = merging(both())
    source.data.site = replace(source.data.site, timezone="Mars/Base")
    with pytest.raises(WarehouseError, match="Mars/Base"):
        app8_consolidation.build(source, MEMBER)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["clues", "category", "summary", "detail", "strategies", "title", "_references", "note"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["clues", "summary", "strategies", "_references"]), json_values))
@settings(deadline=None, max_examples=150)
def test_whatever_an_answer_holds_only_texts_of_it_go_on(result: dict[str, Any]) -> None:
    clues = clues_part(Given(result), IN_FULL)
    assert clues == "暂无线索" or all(
        isinstance(text, str) for clue in clues if isinstance(clue, dict) for text in clue.values()
    )
    told = customer_part(Given(result), IN_FULL)
    assert isinstance(told, dict)
    assert isinstance(told["概述"], str)
    assert all(isinstance(text, str) for strategy in told["策略"] for text in strategy.values())
    assert note_author(Given(result))
