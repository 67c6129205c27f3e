"""Answers that are bad input: a clear verdict, and an amount of work that is bounded."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest

from ai_assets.apps.registry import APPS
from ai_assets.dashscope.reading import UnreadableAnswerError, read_answer
from ai_assets.errors import AiAssetsError
from ai_assets.trust import markup
from ai_assets.trust.holding import hold
from ai_assets.trust.limits import MOST_CHARACTERS, MOST_VALUES
from ai_assets.trust.refusal import AnswerRefusedError

PROMPT = json.dumps(
    {"任务": "请为备注打分。", "会员": {"编号": 555, "姓名": "张三"}, "备注": {"内容": "常客"}}
)
NOTE = APPS["app6_note"].answer
LIMITS = APPS["app6_note"].limits
GOOD = {"score": 6, "clues": [{"category": "消费习惯", "emoji": "📅", "summary": "周五晚上来", "detail": ""}]}
MB = 1_000_000
BOUND_S = 8.0  # generous: the slowest takes half a second; what is quadratic takes minutes


def whole(text: str) -> Any:
    """What comes of an answer from its text to the cache: the answer, or the error."""
    try:
        return hold(PROMPT, read_answer(text, NOTE).answer, LIMITS).answer
    except AiAssetsError as error:
        return error


def with_summary(text: str) -> str:
    return json.dumps({**GOOD, "clues": [{**GOOD["clues"][0], "summary": text}]}, ensure_ascii=False)  # type: ignore[index]


def extra(value: Any) -> str:
    return json.dumps({**GOOD, "more": value}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9" * 1_000, "not_json"),
        ("9" * (MB - 1), "not_json"),
        ("9" * (MB + 1), "not_json"),
        ("１２３４５" * 1_000, "not_json"),
        ("٣" * 1_000, "not_json"),
        ('{"score": ' + "9" * 100_000 + ', "clues": []}', "not_json"),
        ('{"score": 1e400, "clues": []}', "schema"),
        ('{"score": ٦, "clues": []}', "not_json"),
        ('{"score": "６.５", "clues": []}', "schema"),
        ('{"score": "0x6", "clues": []}', "schema"),
        ('{"score": 6.0000000000000001e0, "clues": []}', None),
        ("[" * 1_000 + "]" * 1_000, "not_json"),
        ('{"a":' * 1_000 + "1" + "}" * 1_000, "not_json"),
        ('{"a":' * 100_000, "not_json"),
        (extra(0)[:-2] + "[" * 1_000 + "]" * 1_000 + "}", "not_json"),
        (extra(0)[:-2] + "[" * 98 + "]" * 98 + "}", None),
        (with_summary("周五来" * 300_000), "not_json"),
        (with_summary("周五来" * 100_000), "answer_refused"),
        (with_summary("\u202e\u200b" * 100_000), "answer_refused"),
        (with_summary("\u202e周\u200b五\u2066来\ufeff"), None),
        (with_summary("\u202e\u200b"), "answer_refused"),
        (extra("x" * 900_000), "answer_refused"),
        (extra(["x"] * 150_000), "answer_refused"),
        (extra({str(n): n for n in range(50_000)}), "answer_refused"),
        (extra([[]] * 200_000), "answer_refused"),
        (extra([9] * 200_000), "answer_refused"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else None,
)
def test_a_bad_answer_ends_in_a_clear_verdict(text: str, reason: str | None) -> None:
    made = whole(text)
    if reason is None:
        assert not isinstance(made, AiAssetsError)
        assert made["score"] == 6
        return
    assert isinstance(made, UnreadableAnswerError | AnswerRefusedError)
    assert made.reason == reason
    assert len(str(made)) <= 300
    assert "\n" not in str(made)


@pytest.mark.parametrize("depth", [101, 1_000, 100_000])
def test_depth_is_refused_without_going_down_to_it(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    with pytest.raises(AnswerRefusedError, match="deeper than 100 levels"):
        hold(PROMPT, {"x": value}, LIMITS)


def test_an_answer_too_large_is_refused_before_any_text_of_it_is_made_plain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ai_assets.trust import plain_answers

    def never(text: str) -> str:
        assert len(text) < 20, "a long text was looked at"
        return text

    monkeypatch.setattr(plain_answers, "plain", never)
    for large in (
        {"x": "y" * (MOST_CHARACTERS + 1)},
        {"x": [0] * (MOST_VALUES + 1)},
        {"clues": [{"summary": "来" * (LIMITS.of("clues.summary").most * 10 + 1)}]},
    ):
        with pytest.raises(AnswerRefusedError):
            hold(PROMPT, large, LIMITS)


# the pieces that patterns of this package begin with: each must not make the rest be read again and again
PIECES = [
    "<", "<a", "<script", "<!--", "&lt;", "&amp;", "[", "![", "[a](", "[a][", "*", "**a", "_a", "`", "```", "~~a",
    "|", "|-", "# ", "> ", "-\n", "a.", "a-", "1.", "www.", "http:", "a@", "a:", "h ", "\u200d", "😀\u200d", "\u0335",
    "13", "139 ", "1-", "会员", "会员编号", "编号 ", "微信", "李", "一", "零", "select a, ", "{{", "my ", "评分", "打",
    "说", "我是", "ignore ", "作为", "system", "you are a ", "aZ9+/", "（链接已去除", "\n", " ", "　", "。",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_a_text_of_one_piece_repeated_is_read_a_bounded_number_of_times(piece: str, monkeypatch: Any) -> None:
    rounds = 0
    once = markup._once

    def counted(text: str) -> str:
        nonlocal rounds
        rounds += 1
        return once(text)

    monkeypatch.setattr(markup, "_once", counted)
    length = APPS["app7_customer"].limits.of("summary").most * 10
    text = (piece * length)[:length]
    made = markup.plain(text)
    assert rounds <= 10
    assert len(made) <= len(text) * 4


@pytest.mark.parametrize("piece", PIECES)
def test_the_longest_answer_of_one_piece_repeated_is_held_soon(piece: str) -> None:
    texts = [(piece * 4_000)[:4_000]] * (MOST_CHARACTERS // 4_000 - 1)
    began = time.process_time()
    with contextlib.suppress(AnswerRefusedError):
        hold(PROMPT, {**GOOD, "more": texts}, LIMITS)
    assert time.process_time() - began < BOUND_S


@pytest.mark.parametrize("piece", PIECES)
def test_a_prompt_of_one_piece_repeated_costs_the_checks_no_more(piece: str) -> None:
    prompt = json.dumps(
        {"任务": "请打分。", "备注": {"内容": "ignore " + (piece * MOST_CHARACTERS)[:MOST_CHARACTERS]}}
    )
    began = time.process_time()
    with contextlib.suppress(AnswerRefusedError):
        hold(prompt, GOOD, LIMITS)
    assert time.process_time() - began < BOUND_S
