"""What a member's step shows: its assets and partitions, the answer as people read it, never as markup."""

from __future__ import annotations

import pytest
from dagster import AssetKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.apps.base import Subject
from ai_assets.apps.registry import MEMBER_APPS, PAIR_APPS
from ai_assets.assets.answer_text import SHOWN_LIMIT, answer_markdown, plain
from ai_assets.assets.failures import failures_table
from ai_assets.assets.member_events import asset_partitions, member_events
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.errors import InputError

MEMBER = Subject(1001, member_id=555)
PAIR = Subject(1001, member_id=555, assistant_id=7)


def result(app: str, subject: Subject = MEMBER, **values) -> StepResult:
    return StepResult(app, subject, "555", values.pop("outcome", Outcome.SUCCESS), **values)


def shown(made: StepResult, *, trigger_job_id: int | None = 12) -> dict[str, dict[str, object]]:
    """Metadata values by asset."""
    return {
        key.to_user_string(): {name: value.value for name, value in event.metadata.items()}
        for key, _, event in member_events(made, trigger_job_id=trigger_job_id)
    }


@pytest.mark.parametrize("app", [name for name in MEMBER_APPS if name != "app8_consolidation"])
def test_a_members_app_makes_its_own_asset_in_the_members_partition(app):
    ((key, partition, event),) = member_events(result(app), trigger_job_id=None)
    assert (key, partition) == (AssetKey(app), "1001:555")
    assert (event.asset_key, event.partition) == (key, partition)
    assert "trigger job" not in event.metadata


@pytest.mark.parametrize("app", PAIR_APPS)
def test_a_pairs_app_makes_its_own_asset_in_the_pairs_partition(app):
    assert [(key, partition) for key, partition, _ in member_events(result(app, PAIR), trigger_job_id=1)] == [
        (AssetKey(app), "1001:7_555")
    ]


def test_app8_makes_the_retention_clues_too_and_they_say_how_many_and_of_which_answer():
    made = shown(result("app8_consolidation", clues_set=3, cache_id=9, run_log_id=8))
    assert set(made) == {"app8_consolidation", RETENTION_CLUE}
    assert made[RETENTION_CLUE] == {
        "retention clues set": 3,
        "changed": True,
        "target": "555",
        "cache": "9",
        "run log": "8",
        "trigger job": "12",
    }


def test_where_the_answer_has_no_clues_it_says_that_the_earlier_ones_stand():
    *_, (_, _, event) = member_events(result("app8_consolidation", cache_id=9), trigger_job_id=None)
    assert event.metadata["changed"].value is False
    assert "earlier ones stand" in event.description
    assert event.tags == {}


def test_the_clues_set_alone_are_the_same_data_as_those_set_with_the_answer():
    alone = member_events(result(RETENTION_CLUE, clues_set=3, cache_id=9), trigger_job_id=None)
    *_, with_app8 = member_events(result("app8_consolidation", clues_set=3, cache_id=9), trigger_job_id=None)
    ((key, partition, event),) = alone
    assert (key, partition) == (AssetKey(RETENTION_CLUE), "1001:555")
    assert event.tags == with_app8[2].tags


@pytest.mark.parametrize("app", [*MEMBER_APPS, *PAIR_APPS, RETENTION_CLUE])
def test_what_is_planned_for_a_step_is_what_it_makes(app):
    subject = PAIR if app in PAIR_APPS else MEMBER
    made = member_events(result(app, subject), trigger_job_id=None)
    assert asset_partitions(app, subject) == [(key, partition) for key, partition, _ in made]


def test_a_subject_without_a_member_has_no_partition():
    with pytest.raises(InputError, match="1001"):
        asset_partitions("app3_clue", Subject(1001))


def test_app6s_score_is_a_number_to_plot():
    assert shown(result("app6_note", result={"score": 8, "clues": []}))["app6_note"]["score"] == 8
    assert "score" not in shown(result("app3_clue", result={"clues": []}))["app3_clue"]


def test_figures_that_are_not_grounded_are_a_table_without_markup_of_their_own():
    one = {"text": "98|万", "path": "clues.0.summary", "nearest": "97 元 (实付)"}
    numbers = {"figures": 40, "share": 0.25, "ungrounded": [one] * 25, "left_out": 5}
    answer = {"clues": [], "_references": {"checks": {"numbers": numbers}}}
    told = shown(result("app3_clue", result=answer))["app3_clue"]
    assert (told["figures"], told["share of figures grounded"]) == (40, 0.25)
    table = told["figures not grounded"]
    assert table.count("| 98\\|万 | clues.0.summary | 97 元 (实付) |") == 20
    assert "… and 10 more, in the run log" in table


@pytest.mark.parametrize("checks", [None, {}, {"numbers": None}, "none"])
def test_an_answer_without_checked_figures_tells_none(checks):
    answer = {"clues": [], "_references": {"checks": checks}}
    assert "figures" not in shown(result("app3_clue", result=answer))["app3_clue"]


CLUES = [
    {
        "category": "玩法偏好",
        "emoji": "🎱",
        "summary": "常打斯诺克",
        "detail": "每周两次",
        "providers": "消费分析、小李",
    },
    {"category": "客户基础", "emoji": "", "summary": "老会员", "detail": ""},
]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"clues": CLUES, "_references": {"site": 1}},
            "- 🎱 **玩法偏好** 常打斯诺克 — 每周两次 (消费分析、小李)\n- **客户基础** 老会员",
        ),
        ({"score": 8, "clues": CLUES[1:]}, "**Score: 8 of 10**\n\n- **客户基础** 老会员"),
        ({"clues": []}, "No clues."),
        (
            {"summary": "稳定客户", "strategies": [{"title": "留住", "content": "送一小时"}]},
            "稳定客户\n\n1. **留住**  \n   送一小时",
        ),
        (
            {
                "task_description": "回访",
                "action_suggestions": ["打电话", "约时间"],
                "one_line_summary": "熟客",
            },
            "**熟客**\n\n回访\n\n- 打电话\n- 约时间",
        ),
        ({"tactics": [{"scenario": "到店", "script": "您好"}]}, "1. **到店**  \n   您好"),
        (
            {"insights": [{"title": "涨", "body": "多了", "tone": "good"}, {"title": "平", "body": "一样"}]},
            "1. 🟢 **涨**  \n   多了\n2. **平**  \n   一样",
        ),
    ],
)
def test_an_answer_is_a_list_that_people_read(answer, text):
    assert answer_markdown(answer) == text


def test_an_answer_of_no_known_form_is_json_without_the_references():
    text = answer_markdown({"other": "~~~~", "_references": {"secret": 1}})
    assert '"other": "~ ~ ~ ~"' in text
    assert "secret" not in text


def test_a_huge_answer_is_cut_and_says_so():
    text = answer_markdown({"clues": [{"category": "客户基础", "summary": "长" * 100_000}]})
    assert len(text) < SHOWN_LIMIT + 100
    assert "the rest is in the cache" in text


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_no_text_of_an_answer_becomes_markup_or_a_line_of_its_own(text):
    shown = plain(text)
    assert len(shown.splitlines()) <= 1
    unescaped = shown.replace("\\\\", "")
    for character in "`*_[]<>#|~":
        assert unescaped.count(character) == unescaped.count("\\" + character) == text.count(character)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
NAMES = [
    "clues",
    "score",
    "insights",
    "strategies",
    "tactics",
    "summary",
    "action_suggestions",
    "task_description",
]


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
@settings(deadline=None, max_examples=100)
def test_whatever_stands_in_the_cache_can_be_shown(answer):
    assert answer_markdown(answer)


def test_a_table_of_failures_shows_the_first_ones_and_how_many_more_there_are():
    failure = result("app3_clue", outcome=Outcome.FAILED, reason="http_500", message="a | b\nc")
    table = failures_table([failure] * 19, ["key x is none", "key y is none"]).splitlines()
    assert len(table) == 2 + 20 + 1
    assert table[2] == "| 1001 | app3\\_clue | 555 | http\\_500 | a \\| b c |"
    assert "key x is none" in table[-2]
    assert table[-1] == "| … | and 1 more | | | |"
    assert len(failures_table([failure], []).splitlines()) == 3
