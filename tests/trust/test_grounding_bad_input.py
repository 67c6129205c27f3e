"""Whatever an answer holds, the verdict is clear and comes within bounds of time and memory."""

from __future__ import annotations

import re
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.trust.grounding import DEEPEST, ground

SECONDS = 5.0
"""Some twenty times what one takes: a machine at work must not fail it, a quadratic one must."""
MEGABYTES = 40

HOSTILE = {
    "a megabyte of one digit": "1" * 1_000_000,
    "numbers": "123 " * 250_000,
    "sentences": "净收入394838.58元，较对比期下降22.8%。" * 30_000,
    "no full stop": "净收入下降和订单数与客人数增长22.8%、" * 25_000,
    "numerals": "一二三四五六七八九十百千万亿" * 70_000,
    "zero width": "3\u200b9\u200b4\u200e838.58元" * 60_000,
    "right to left": "\u202e22.8%\u202c" * 90_000,
    "dates": "6月13日" * 200_000,
    "separators": "1,234,567," * 100_000,
    "dots": "." * 1_000_000,
    "another script": "٣٩٤٨٣٨" * 100_000,
    "labels": "净收入订单数" * 160_000,
    "list numbers": "\n1." * 300_000,
    "areas and days": "大厅A区KTV区6月13日周三净收入1元" * 40_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_megabyte_of_anything_is_judged_in_bounds_and_never_taken_for_grounded(
    finance: str, body: str
) -> None:
    began = time.perf_counter()
    found = ground(finance, {"insights": [{"title": "x", "body": body}]})
    assert time.perf_counter() - began < SECONDS
    assert found.figures <= 1_001
    assert found.ungrounded[-1].value == "more figures or text than are checked"
    assert len(found.as_json()["ungrounded"]) <= 100


def test_the_memory_for_a_megabyte_is_bounded(finance: str) -> None:
    tracemalloc.start()
    try:
        ground(finance, {"a": HOSTILE["areas and days"]})
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 1_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_nested_too_deep_is_listed_and_not_passed_over(finance: str) -> None:
    answer: dict[str, Any] = {"x": "净收入1.23元"}
    for _ in range(1_000):
        answer = {"x": answer}
    (found,) = ground(finance, answer).ungrounded
    assert found.path.count(".") == DEEPEST - 1


@pytest.mark.parametrize(
    "prompt", ["", "[" * 100_000, "null", "NaN", '{"a": [[[]]], "b": {"0": 1e999}}', "净收入12元"]
)
def test_a_prompt_that_is_no_prompt_of_ours_supports_nothing_it_does_not_say(prompt: str) -> None:
    assert [one.text for one in ground(prompt, {"a": "净收入77元"}).ungrounded] == ["77元"]


TURNS = re.split(
    " ",
    "净收入 订单 客人数 台费 大厅A区 KTV区 大厅A、B区 6月13日 8日至14日 周末 周六 上期 本期 对比期 前者 "
    "后者 分别 依次 两者 由 从 降至 增长 下降 较 占 占比 日均 每单 最高 第二 前三天 近30天 的 中 里 和 "
    "、 ， 。 （ ） ： → 39.5万 394838.58元 1957单 22.8% 三成 2.7倍",
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(TURNS), max_size=40))
def test_no_order_of_the_words_it_knows_makes_it_raise(finance: str, told: list[str]) -> None:
    assert 0 <= ground(finance, {"a": "".join(told)}).share <= 1


LETTERS = (
    "净收入订单大厅A区较对比期由从降至增长占约近超过分别和、，。（）%百分之"
    "万亿成折倍元单天周月日点半第一二三十0123456789.,-→:/\u200b\u202e "
)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=LETTERS, max_size=120) | st.text(max_size=80))
def test_no_text_at_all_makes_it_raise_and_every_place_is_the_texts_own(finance: str, body: str) -> None:
    found = ground(finance, {"insights": [{"title": "净收入", "body": body}]})
    assert 0 <= found.share <= 1
    for one in found.ungrounded:
        if one.path == "insights.0.body":
            assert body[one.start : one.end] == one.text or one.end - one.start > 60
