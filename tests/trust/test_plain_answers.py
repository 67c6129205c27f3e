"""An answer made plain text: links, markup and what cannot be seen go; figures and people's punctuation stay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.apps import registry
from ai_assets.simulator.replies import answer as simulated
from ai_assets.trust.limits import LONGEST_NUMBER, MOST_CHARACTERS, MOST_VALUES
from ai_assets.trust.markup import LINK_MARK, plain
from ai_assets.trust.plain_answers import held
from ai_assets.trust.refusal import AnswerRefusedError


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("详情见 https://evil.example/u?id=1&x=会员", f"详情见 {LINK_MARK}会员"),
        ("详情见https://evil.example/a。请看", f"详情见{LINK_MARK}。请看"),
        ("www.abc.com/x", LINK_MARK),
        ("去evil.com看", f"去{LINK_MARK}看"),
        ("打开百度.com", LINK_MARK),
        ("ｗｗｗ．ｅｖｉｌ．ｃｏｍ", LINK_MARK),
        ("evil。com", LINK_MARK),
        ("hxxp://evil.example evil[.]com", f"{LINK_MARK} {LINK_MARK}"),
        ("h\u200bttps://e\u200bvil.example", LINK_MARK),
        ("http: //evil.example", LINK_MARK),
        ("weixin://dl/chat?x 和 tel:13912345678", f"{LINK_MARK} 和 {LINK_MARK}"),
        ("javascript:alert(1)", LINK_MARK),
        ("data:text/html;base64,PHNjcmlwdD4=", LINK_MARK),
        ("去evil.ninja看", f"去{LINK_MARK}看"),
        ("去 a-b.evil.photography/x?y=1 看", f"去 {LINK_MARK} 看"),
        ("evil.中国", LINK_MARK),
        ("去evil.中国看看", f"去{LINK_MARK}看看"),
        ("evil。中国", LINK_MARK),
        ("打开例子.公司", LINK_MARK),
        ("xn--fsq.xn--fiqs8s 和 evil.xn--p1ai", f"{LINK_MARK} 和 {LINK_MARK}"),
        ("пример.рф", LINK_MARK),
        ("evil。ninja，ｅｖｉｌ．ｎｉｎｊａ", f"{LINK_MARK}，{LINK_MARK}"),
        ("EVIL。COM", LINK_MARK),
        ("evil.𝐜𝐨𝐦、ⓔⓥⓘⓛ.com", f"{LINK_MARK}、{LINK_MARK}"),
        ("去no.evil.io看，tel.evil.top", f"去{LINK_MARK}看，{LINK_MARK}"),
        ("a_b.evil.top", LINK_MARK),
        ("evil(dot)ninja、evil[点]com", f"{LINK_MARK}、{LINK_MARK}"),
        ("见 10.0.0.1。", f"见 {LINK_MARK}。"),
        ("见10.0.0.1. 再说", f"见{LINK_MARK}. 再说"),
        ("evil.bank:8443", LINK_MARK),
        ("163.com", LINK_MARK),
        ("写信到 a@例子.中国", f"写信到 {LINK_MARK}"),
        ("写信到 a.b@evil.example", f"写信到 {LINK_MARK}"),
        ("http://10.0.0.1:8080/x 10.0.0.1:80", f"{LINK_MARK} {LINK_MARK}"),
        ("见[会员中心](https://evil.example/a(b)c)", "见会员中心"),
        ("[会员中心][1]\n[1]: https://evil.example", f"会员中心\n[1]: {LINK_MARK}"),
        ("![图](http://evil.example/a.png?n=1)常客", "图常客"),
    ],
)
def test_links_go_and_the_words_of_a_markdown_link_stay(text: str, made: str) -> None:
    assert plain(text) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("<b>重点</b><br/>好", "重点好"),
        ("好<script>alert(1)</script>的<style>a{}</style>", "好的"),
        ("好<script>alert(1)", "好"),
        ("<img src=x onerror=alert(1)>常客", "常客"),
        ("常客<img src=x onerror=alert(1)", "常客＜img src=x onerror=alert(1)"),
        ("&lt;b&gt;好&lt;/b&gt; A&amp;B", "好 A&B"),
        ("&amp;amp;lt;b&amp;amp;gt;好", "好"),
        ("<scr<script>ipt>alert(1)</scr</script>ipt>好", "好"),
        ("<!-- 藏 -->好", "好"),
        ("**重点**、__要点__、*次要*、~~旧~~、`码`", "重点、要点、次要、旧、码"),
        ("# 标题\n> 引用\n正文", "标题\n引用\n正文"),
        ("```json\n好\n```", "好"),
        ("| 项 | 值 |\n|---|---|\n| 净收入 | 12 |", "项，值\n净收入，12"),
        ("一\n***\n二", "一\n二"),
    ],
)
def test_markup_goes_and_its_words_stay(text: str, made: str) -> None:
    assert plain(text) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("甲\u202e乙\u2066丙\u200b丁\ufeff\U000e0041", "甲乙丙丁"),
        ("甲\x00\x07\x1b[31m乙\x85\ud800", "甲[31m乙"),
        ("一\r\n二\r三\u2028四", "一\n二\n三\n四"),
        ("一\n\n\n\n二   三\t四　五 ", "一\n\n二 三 四 五"),
        ("👨‍👩‍👧 ❤️", "👨‍👩‍👧 ❤️"),
    ],
)
def test_what_cannot_be_seen_goes_and_white_space_is_one_blank(text: str, made: str) -> None:
    assert plain(text) == made


@pytest.mark.parametrize(
    "text",
    [
        "本月净收入 1,234.50 元，较上期 +12.5%，占比 35.0%，共 3.5 次/周。",
        "余额<100元且>0元，3*5=15，5/6 的订单，app2_finance_area，v1.2 版",
        "周五 20:15 到店，2026-06-01~2026-06-30，比例 3:7，评分 8/10，±5%",
        "- 先问候\n- 再邀约\n1. 预留台位",
        "「常客」“自己带杆”（周三）——『VIP』[电话已隐去]",
        "No.1 会员，Mr. Wang 说：OK。下次见。",
        "满300减50、买2送1，A&B 组，#1 号台，@小雨，50％",
        "会员偏好A区。B区较少。",
        "A。B。C区的台",
        "3.5、12.50元、v1.2、V1.2.3.4、A.B、U.S.A.、a.m. 8p.m.",
        "report.pdf、2026-06.xlsx、app2.json、图.png",
        "Mr.Wang 和 No.1、vs.B组、Dr.Li",
        "1.VIP包厢\n2.KTV\n3.app 下单",
        "喜欢KTV。VIP包厢常约。OK。App里下单",
        "打得不错。中国选手常来。公司聚会.信息已记",
        "好.再来.下次",
        "8点半来，9点KTV",
    ],
)
def test_what_an_honest_answer_holds_stays_to_the_letter(text: str) -> None:
    assert plain(text) == text


TRICKS = st.text("<>/!-&lt;amp#*_`~[]()|\n .:comwwhtps@a1\u200b\u202e。．ｗ（链接已去除）", max_size=80)


@given(st.text(max_size=60) | TRICKS)
@settings(deadline=None, max_examples=400)
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    once = plain(text)
    assert plain(once) == once


@given(
    TRICKS, st.sampled_from(["<b>", "https://a.cn/b", "\u200b", "\x00", "<script>", "www.a.com", "![a](b)"])
)
@settings(deadline=None, max_examples=200)
def test_no_tag_link_or_hidden_character_is_left_whatever_stands_around_it(around: str, piece: str) -> None:
    import re

    made = plain(around + piece + around)
    assert not re.search(r"<[a-zA-Z/!?]|https?://|www\.a\.com|[\u200b\u202e\x00]", made)


LIMITS = registry.APPS["app6_note"].limits
CLUE = {"category": "消费习惯", "emoji": "📅", "summary": "周五晚上来", "detail": "近三个月 9 次"}


def test_every_text_and_key_of_an_answer_is_made_plain_and_what_was_done_is_noted() -> None:
    answer = {
        "clues": [{**CLUE, "summary": "**常客**", "by<b>": {"x\u200b": ["http://a.cn"]}}],
        "score": 8,
    }
    made = held(answer, LIMITS)
    assert made.answer == {
        "clues": [{**CLUE, "summary": "常客", "by": {"x": [LINK_MARK]}}],
        "score": 8,
    }
    assert set(made.notes) == {
        "clues.summary: made plain text",
        "a key was made plain (2 times)",
        "clues.….…: made plain text",
    }
    assert answer["clues"][0]["summary"] == "**常客**", "what was given stays as it was"


def test_a_key_made_plain_takes_no_other_key_s_place() -> None:
    made = held(
        {"summary": "好", "strategies": [], "sum\u200bmary": "坏", "<b></b>": 1, "http://a.cn": 2}, LIMITS
    )
    assert made.answer == {"summary": "好", "strategies": []}


@pytest.mark.parametrize("app", registry.APPS)
@pytest.mark.parametrize("prompt", ["", '{"消费概况": {"到店次数": 12, "实付合计": 1234.50}}'])
def test_an_honest_answer_of_every_app_is_kept_as_it_is_without_a_note(app: str, prompt: str) -> None:
    entry = registry.APPS[app].entry
    answer = simulated(5, entry.alias, prompt)
    made = held(answer, registry.APPS[app].limits)
    assert (made.answer, made.notes) == (answer, ())


@pytest.mark.parametrize("app", registry.APPS)
def test_every_text_field_of_every_schema_has_a_limit_of_its_own(app: str) -> None:
    assert set(_text_paths(registry.APPS[app].answer.model_json_schema())) <= set(
        registry.APPS[app].limits.by_path
    )


def _text_paths(schema: dict[str, Any]) -> list[str]:
    """The paths of the fields of type string, as `Limits` writes them."""

    def walk(node: dict[str, Any], path: str) -> list[str]:
        if "$ref" in node:
            return walk(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], path)
        if node.get("type") == "array":
            return walk(node["items"], path)
        if node.get("type") == "string":
            return [path]
        return [
            found
            for key, inner in node.get("properties", {}).items()
            for found in walk(inner, f"{path}.{key}" if path else key)
        ]

    return walk(schema, "")


def test_a_long_text_is_cut_at_the_end_of_a_sentence_and_noted() -> None:
    limit = LIMITS.of("clues.detail").most
    sentence = "会员在周五晚上来打了两小时的球。"
    made = held({"clues": [{**CLUE, "detail": sentence * 60}]}, LIMITS)
    detail = made.answer["clues"][0]["detail"]
    assert limit - len(sentence) < len(detail) <= limit
    assert detail == sentence * (len(detail) // len(sentence))
    assert made.notes == (f"clues.detail: cut to {limit} characters",)


def test_a_long_text_without_a_sentence_is_cut_with_a_mark() -> None:
    summary = held({"clues": [{**CLUE, "summary": "来" * 300}]}, LIMITS).answer["clues"][0]["summary"]
    assert summary == "来" * (LIMITS.of("clues.summary").most - 1) + "…"


def test_a_text_as_long_as_its_limit_is_whole_and_a_long_emoji_is_left_out() -> None:
    most = LIMITS.of("clues.summary").most
    clue = {**CLUE, "summary": "来" * most, "emoji": "📅" * 13}
    assert held({"clues": [clue]}, LIMITS).answer["clues"][0] == {**clue, "emoji": ""}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"clues": [{**CLUE, "summary": "来" * 2_001}]}, r"clues\.summary holds 2,001 characters"),
        ({"clues": [{**CLUE, "summary": "https://a.cn/b"}]}, r"nothing is left of clues\.summary"),
        ({"clues": [{**CLUE, "summary": "<b></b> **"}]}, r"nothing is left of clues\.summary"),
        ({"x": ["y"] * (MOST_VALUES + 1)}, "more than 3,000 values"),
        ({"x": "y" * (MOST_CHARACTERS + 1)}, "more than 100,000 characters"),
        ({"y" * (MOST_CHARACTERS + 1): 1}, "more than 100,000 characters"),
    ],
)
def test_an_absurd_answer_or_one_of_which_nothing_is_left_is_refused(
    answer: dict[str, Any], why: str
) -> None:
    with pytest.raises(AnswerRefusedError, match=why) as refused:
        held(answer, LIMITS)
    assert refused.value.reason == "answer_refused"
    assert len(str(refused.value)) < 150


def test_an_optional_text_may_be_nothing_but_a_link_and_says_so() -> None:
    assert (
        held({"clues": [{**CLUE, "detail": "https://a.cn/b"}]}, LIMITS).answer["clues"][0]["detail"]
        == LINK_MARK
    )


@pytest.mark.parametrize("number", [10**400, -(10**16), 1e300])
def test_a_number_beyond_any_figure_becomes_null_and_is_noted(number: float) -> None:
    made = held({"score": 5, "share": number, "clues": []}, LIMITS)
    assert made.answer["share"] is None
    assert made.notes == ("…: a number beyond any figure became null",)
    assert held({"n": LONGEST_NUMBER, "f": 0.5, "b": True}, LIMITS).answer == {
        "n": LONGEST_NUMBER,
        "f": 0.5,
        "b": True,
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TRICKS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=10), values, max_size=4))
@settings(deadline=None, max_examples=200)
def test_holding_what_is_held_changes_nothing_more(answer: dict[str, Any]) -> None:
    try:
        once = held(answer, LIMITS).answer
    except AnswerRefusedError:
        return
    again = held(once, LIMITS)
    assert (again.answer, again.notes) == (once, ())
