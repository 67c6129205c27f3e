"""What the apps answer: fits the schema for any prompt, quotes the prompt's own figures, never changes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.simulator import finance_replies, member_replies
from ai_assets.simulator.replies import APPS, answer, as_text, tokens

CATEGORIES = {"客户基础", "消费习惯", "玩法偏好", "促销偏好", "社交关系", "重要反馈"}
NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")

FINANCE = json.dumps(
    {
        "任务": "写出洞察；值为 null 表示没有数据，不要猜测；若没有数据，请如实说明",
        "站点": {"编号": 1001, "名称": "星河台球"},
        "时间窗口": {"名称": "this_month", "开始": "2026-05-01", "结束": "2026-05-12", "天数": 12},
        "数据说明": [],
        "经营指标": {
            "净收入": {"本期": "12345.60", "对比期": 13000.25, "变化": -654.65, "变化%": -5.04},
            "订单数": {"本期": 321, "对比期": 300, "变化": 21, "变化%": 7.0},
            "优惠金额": {"本期": 345.25, "对比期": 300.5},
        },
        "费用构成": {"台费": {"占比%": 61.2, "本期": 8000.5}},
        "最好的日子": [{"日期": "2026-05-09", "净收入": 2100.75}],
        "每日走势": [{"日期": f"2026-05-{day:02d}", "净收入": 1000.5 + day} for day in range(1, 13)],
    },
    ensure_ascii=False,
)
NO_DATA = json.dumps(
    {
        "时间窗口": {"天数": 12},
        "数据说明": ["时间窗口内全店没有任何经营数据，无法给出本期数字。"],
        "经营指标": {"净收入": {"本期": None, "对比期": 13000.25}, "订单数": {"本期": 0, "对比期": 300}},
    },
    ensure_ascii=False,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=25,
)
chinese_keys = st.sampled_from(
    ["净收入", "台费", "优惠", "变化", "订单数", "最好的一天", "日期", "名称", "category", "摘要"]
)
venue_values = st.recursive(
    st.integers(-(10**9), 10**9)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str)
    | st.text("0123456789.,-%元 净收入", max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(chinese_keys, inner, max_size=5),
    max_leaves=30,
)
prompts = (
    st.text()
    | st.text("本期净收入为是：0123456789.,-/年月日 元没有数据", max_size=80)
    | json_values.map(lambda value: json.dumps(value, ensure_ascii=False))
    | venue_values.map(lambda value: json.dumps(value, ensure_ascii=False))
)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _check_texts(item: dict[str, Any], *keys: str) -> None:
    for key in keys:
        assert isinstance(item[key], str)
        assert item[key].strip()


def _check_clues(clues: Any, most: int, *more: str) -> None:
    assert isinstance(clues, list)
    assert len(clues) <= most
    for clue in clues:
        _check_texts(clue, "category", "emoji", "summary", "detail", *more)
        assert clue["category"] in CATEGORIES


def check_schema(app: str, value: dict[str, Any]) -> None:
    """The table "What each app answers"."""
    if app in ("app2", "app2a"):
        assert set(value) == {"insights"}
        assert 1 <= len(value["insights"]) <= 10
        for insight in value["insights"]:
            _check_texts(insight, "title", "body")
            assert insight["tone"] in {"good", "neutral", "bad"}
    elif app == "app3":
        _check_clues(value["clues"], 20)
    elif app == "app4":
        _check_texts(value, "task_description", "one_line_summary")
        assert value["action_suggestions"]
        assert all(isinstance(suggestion, str) and suggestion for suggestion in value["action_suggestions"])
    elif app == "app5":
        assert 1 <= len(value["tactics"]) <= 10
        for tactic in value["tactics"]:
            _check_texts(tactic, "scenario", "script")
    elif app == "app6":
        assert type(value["score"]) is int
        assert 1 <= value["score"] <= 10
        _check_clues(value["clues"], 20)
    elif app == "app7":
        _check_texts(value, "summary")
        assert value["strategies"]
        for strategy in value["strategies"]:
            _check_texts(strategy, "title", "content")
    else:
        _check_clues(value["clues"], 30, "providers")


@pytest.mark.parametrize("app", APPS)
@settings(deadline=None, max_examples=120)
@given(prompt=prompts, seed=st.integers(0, 5))
def test_any_prompt_gets_an_answer_that_fits_the_schema_and_quotes_only_its_figures(
    app: str, prompt: str, seed: int
) -> None:
    value = answer(seed, app, prompt)
    check_schema(app, value)
    assert json.loads(as_text(value).encode()) == value
    for text in _texts(value):
        for number in NUMBER.findall(text):
            assert number in prompt


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("prompt", [FINANCE, NO_DATA], ids=["figures", "no data"])
@pytest.mark.parametrize("seed", range(5))
def test_real_prompts_get_answers_that_fit(app: str, prompt: str, seed: int) -> None:
    check_schema(app, answer(seed, app, prompt))


def test_a_sentence_quotes_a_figure_with_its_label_and_unit_as_it_is_written() -> None:
    insights: list[Any] = [answer(seed, "app2", FINANCE)["insights"] for seed in range(20)]
    bodies = [insight["body"] for made in insights for insight in made]
    assert any("本期净收入为 12345.60 元" in body for body in bodies)
    assert any("净收入变化为 -654.65 元" in body or "净收入变化为 -5.04%" in body for body in bodies)


def test_every_finance_answer_quotes_figures() -> None:
    for seed in range(20):
        for app in ("app2", "app2a"):
            quoted = [n for text in _texts(answer(seed, app, FINANCE)) for n in NUMBER.findall(text)]
            assert len(quoted) >= 3


def test_a_fall_is_bad_and_a_rise_is_good_but_not_of_discounts() -> None:
    def tone(label: str, change: float) -> str:
        insights: Any = answer(0, "app2", json.dumps({"变化": {label: change}}))["insights"]
        return str(insights[0]["tone"])

    assert (tone("净收入", -3.5), tone("净收入", 3.5), tone("净收入", 0)) == ("bad", "good", "neutral")
    assert (tone("优惠", -3.5), tone("优惠", 3.5)) == ("good", "bad")


@pytest.mark.parametrize(
    "prompt",
    [
        NO_DATA,
        '{"无数据": true, "净收入": 0}',
        '{"有数据": false}',
        "门店星河本月没有数据。",
        '{"\\u65e0\\u6570\\u636e": true}',
    ],
)
def test_a_prompt_without_data_gets_an_insight_that_says_so(prompt: str) -> None:
    insights: Any = answer(0, "app2", prompt)["insights"]
    (insight,) = insights
    assert "没有数据" in insight["body"]


def test_data_that_is_missing_in_part_is_told_beside_the_figures() -> None:
    insights: Any = answer(0, "app2", '{"说明": "对比期没有数据", "本期": {"净收入": 10.00}}')["insights"]
    assert "没有数据" in insights[0]["body"]
    assert "本期净收入为 10.00 元" in insights[1]["body"]


@pytest.mark.parametrize(
    "prompt",
    [
        FINANCE,
        "若没有数据，请如实说明。本期净收入 10 元。",
        '{"提示": "如果没有数据就说没有数据", "本期": {"净收入": 10.00}}',
        '{"回答格式": "没有记录就写无", "本期": {"净收入": 10.00}}',
    ],
)
def test_an_instruction_about_missing_data_is_no_statement_that_it_is_missing(prompt: str) -> None:
    assert "没有数据" not in as_text(answer(0, "app2", prompt))


def test_app8_merges_the_clues_of_the_prompt_with_their_providers() -> None:
    clue = {"category": "玩法偏好", "summary": "喜欢斯诺克", "detail": "常在晚间到店", "emoji": "🎱"}
    prompt = json.dumps(
        {
            "消费线索": [{**clue, "providers": "系统"}, {**clue, "summary": "周末来", "category": "别的"}],
            "备注线索": {"记录人": "小燕", "线索": [{"类别": "重要反馈", "摘要": "嫌空调冷"}, clue]},
        },
        ensure_ascii=False,
    )
    clues: Any = answer(0, "app8", prompt)["clues"]
    assert [(c["category"], c["summary"], c["providers"]) for c in clues] == [
        ("玩法偏好", "喜欢斯诺克", "系统"),
        ("客户基础", "周末来", "系统"),
        ("重要反馈", "嫌空调冷", "小燕"),
    ]


def test_app8_has_no_clues_where_there_is_nothing_to_merge() -> None:
    assert answer(0, "app8", '{"消费线索": [], "说明": "没有线索"}') == {"clues": []}


def test_app6_scores_a_complaint_low_and_praise_high() -> None:
    def scores(text: str) -> list[Any]:
        return [answer(seed, "app6", text)["score"] for seed in range(40)]

    assert set(scores("客人投诉空调太吵")) == {1, 2, 3, 4}
    assert set(scores("客人很满意")) == {7, 8, 9, 10}
    assert set(scores("客人常在晚间来")) == {4, 5, 6, 7}


def test_an_answer_is_a_function_of_seed_app_and_prompt_in_any_process() -> None:
    here = [as_text(answer(3, app, FINANCE)) for app in APPS]
    program = (
        "import sys; from ai_assets.simulator.replies import *\n"
        "prompt = sys.stdin.buffer.read().decode()\n"
        "sys.stdout.buffer.write('\\n'.join(as_text(answer(3, a, prompt)) for a in APPS).encode())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=FINANCE.encode(), capture_output=True, check=True
    )
    assert run.stdout.decode().split("\n") == here


def test_another_seed_and_another_prompt_give_other_answers() -> None:
    assert len({as_text(answer(seed, "app2", FINANCE)) for seed in range(10)}) > 1
    assert answer(0, "app2", FINANCE) != answer(0, "app2", NO_DATA)


@pytest.mark.parametrize("module", [finance_replies, member_replies])
def test_the_templates_hold_no_number_of_their_own(module: Any) -> None:
    from pathlib import Path

    literals = re.findall(
        r'"([^"\n]*[\u4e00-\u9fff][^"\n]*)"', Path(module.__file__).read_text(encoding="utf-8")
    )
    spoken = [literal for literal in literals if not re.search(r"[|()\\{}]", literal)]
    assert spoken
    assert not [literal for literal in spoken if re.search(r"[0-9一二三四五六七八九十百千万亿两半]", literal)]


@settings(deadline=None, max_examples=50)
@given(st.text(), st.text())
def test_tokens_grow_with_characters(one: str, other: str) -> None:
    assert 1 <= tokens(one) <= tokens(one + other)


def test_a_deep_or_long_prompt_is_answered() -> None:
    for prompt in ("[" * 50_000, "[" * 3000 + "]" * 3000, '{"净收入": ' + "9" * 10_000 + "}", "1 " * 100_000):
        check_schema("app2", answer(0, "app2", prompt))
