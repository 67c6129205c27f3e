"""Reading an answer: what is strict, found, mended, refused; and all of it in bounded time."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.dashscope.reading import (
    MOST_BYTES,
    NotJsonError,
    Reading,
    SchemaMismatchError,
    UnreadableAnswerError,
    read_answer,
)
from ai_assets.dashscope.repair import UnrepairableJsonError, repair
from ai_assets.dashscope.spans import DEEPEST, Span, object_spans
from ai_assets.errors import PermanentError


class Insight(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    title: str
    body: str
    tone: str = "neutral"


class Insights(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    insights: list[Insight] = pydantic.Field(min_length=1, max_length=10)


class Note(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    score: int = pydantic.Field(ge=1, le=10)
    clues: list[str] = []


class Anything(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")


class Clues(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    clues: list[dict[str, str]] = []


def read(text: str, schema: type[pydantic.BaseModel]) -> Reading | UnreadableAnswerError:
    """What comes of it, either way."""
    try:
        return read_answer(text, schema)
    except UnreadableAnswerError as error:
        return error


GOOD = {"insights": [{"title": "营业额上升", "body": "本月净收入 1234.50 元", "tone": "good"}]}
TEXT = json.dumps(GOOD, ensure_ascii=False)
HANG_S = 600.0  # no measure of speed: all of them take about 20 s on an idle core


def test_strict_json_is_taken_as_it_is():
    assert read_answer(TEXT, Insights) == Reading(GOOD, "strict", ())


@pytest.mark.parametrize("text", ["\ufeff" + TEXT, f"  \n{TEXT}\n ", f"\n\ufeff {TEXT}"])
def test_a_bom_and_blanks_around_the_answer_are_still_strict(text):
    assert read_answer(text, Insights).how == "strict"


def test_defaults_are_filled_in_and_keys_that_no_one_knows_are_kept():
    text = '{"insights":[{"title":"a","body":"b","mood":{"x":[1]}}],"extra":null}'
    answer = read_answer(text, Insights).answer
    assert answer == {
        "insights": [{"title": "a", "body": "b", "tone": "neutral", "mood": {"x": [1]}}],
        "extra": None,
    }


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (f"```json\n{TEXT}\n```", "taken out of a code fence"),
        (f"```JSON\n{TEXT}```", "taken out of a code fence"),
        (f"好的，结果如下：\n```\n{TEXT}\n```\n希望有帮助", "taken out of a code fence"),
        (f"```json\n{TEXT}", "taken out of a code fence"),
        (f"好的：{TEXT} 以上。", "taken out of the text around it"),
        (f'他说 "好{{的}}"：{TEXT}', "taken out of the text around it"),
        (f"[{TEXT}]", "taken out of the text around it"),
        (f"格式是 {{}}，答案是 {TEXT}", "taken out of the text around it"),
    ],
)
def test_an_object_between_fences_or_prose_is_found(text, note):
    assert read_answer(text, Insights) == Reading(GOOD, "fenced", (note,))


def test_of_several_objects_that_fit_the_longest_is_the_answer():
    small = '{"insights":[{"title":"例","body":"子"}]}'
    assert read_answer(f"例如 {small}\n答案：{TEXT}", Insights).answer == GOOD
    assert read_answer(f"答案：{TEXT}\n格式 {small}", Insights).answer == GOOD


def test_a_list_of_several_objects_is_not_an_answer():
    with pytest.raises(NotJsonError, match="list of several objects"):
        read_answer(f"[{TEXT}, {TEXT}]", Insights)


def test_an_object_inside_a_broken_one_is_never_taken_for_the_answer():
    with pytest.raises(NotJsonError):
        read_answer('{"clues": [{"summary": "a"}], "more": ', Clues)


@pytest.mark.parametrize(
    "text",
    [
        str(GOOD),
        TEXT.replace("}]}", "},]}"),
        TEXT.replace('"insights"', "insights"),
        TEXT[:-1],
        TEXT[:-2],
        TEXT.replace('", "body"', '" "body"'),
        TEXT.replace("{", "{ // 说明\n", 1),
        "结果：" + TEXT[:-2] + "\n```",
    ],
)
def test_what_models_get_wrong_is_mended(text):
    reading = read_answer(text, Insights)
    assert (reading.answer, reading.how) == (GOOD, "repaired")
    assert reading.mended


def test_quotes_inside_a_string_are_mended():
    reading = read_answer('{"insights":[{"title":"他说"你好"了","body":"x"}]}', Insights)
    assert reading.answer["insights"][0]["title"] == '他说"你好"了'
    assert reading.how == "repaired"


def test_raw_line_breaks_in_strings_are_read_exactly():
    reading = read_answer('{"insights":[{"title":"一\n二","body":"三\t四"}]}', Insights)
    assert reading.answer["insights"][0]["title"] == "一\n二"
    assert (reading.how, reading.mended) == ("repaired", ("raw control characters in strings",))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none_become_null_and_are_never_strict(number):
    reading = read_answer(f'{{"score": 5, "share": {number}}}', Note)
    assert (reading.answer["share"], reading.how) == (None, "repaired")
    assert "became null" in reading.mended[0]
    with pytest.raises(SchemaMismatchError, match="score"):
        read_answer(f'{{"score": {number}}}', Note)


def test_nan_among_single_quotes_becomes_null_too():
    assert read_answer("{'score': 5, 'share': NaN}", Note).answer["share"] is None


WHOLE = (
    '{"insights":[{"title":"甲","body":"净收入128,500元"},{"title":"丙","body":"丁","share":[1.25,true]}]}'
)


def test_an_answer_that_lacks_only_its_last_brackets_gets_them_and_says_so():
    reading = read_answer(WHOLE[:-3], Insights)
    assert reading.answer == read_answer(WHOLE, Insights).answer
    assert (reading.how, reading.mended) == ("repaired", ("the answer has no proper end",))


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_an_answer_cut_off_anywhere_holds_no_value_that_was_not_whole(end):
    outcome = read(WHOLE[:end], Anything)
    assert isinstance(outcome, Reading) == (
        WHOLE[:end].endswith(('"', "}", "]", "true")) and _values_end(WHOLE[:end])
    )


def _values_end(cut: str) -> bool:
    """Whether every string and every pair of an object is whole at the end of `cut`."""
    closers = "".join(reversed([{"{": "}", "[": "]"}[c] for c in _open(cut)]))
    try:
        json.loads(cut + closers)
    except ValueError:
        return False
    return True


def _open(cut: str) -> list[str]:
    left: list[str] = []
    for char in cut:
        if char in "{[":
            left.append(char)
        elif char in "}]":
            left.pop()
    return left


@pytest.mark.parametrize(
    "text",
    [
        # json-repair closes each of these, also in strict mode
        '{"body": "净收入128,',
        '{"body": "净收入128,}',
        "{'body': '净收入128,}",
        "{'body': '净收入128, 'title': 'x'}",
        '{"body": "净收入128, "title": "x", "tone": "good}',
        "{'body': 净收入128'}",
        "{'score': 5, 'clues': ['a', 'b]}",
        "{'body': “净收入128}",
        '```json\n{"body": "净收入128,\n```',
    ],
)
def test_an_unclosed_string_is_never_repaired(text):
    with pytest.raises(NotJsonError):
        read_answer(text, Anything)


@pytest.mark.parametrize("text", ['{"score": 1', '{"score": 1.2', '{"score": -', '{"ok": tru', '{"ok": 1e'])
def test_a_number_or_word_at_the_end_may_have_lost_a_part_and_is_no_value(text):
    with pytest.raises(NotJsonError):
        read_answer(text, Anything)


@pytest.mark.parametrize(
    "text",
    [
        '{"insights":[{"title":"a","body":',
        '{"insights":[{"title":"a","body":"b"},{"title":"c","body":',
        '{"insights":[{"title":"a","body":"b"},{"title":"c","body"',
        '{"insights":[{"title":"a","body":"b"},',
    ],
)
def test_a_value_that_was_never_written_is_not_made_up(text):
    with pytest.raises(NotJsonError):
        read_answer(text, Insights)


def test_a_list_that_was_never_finished_is_not_taken_for_an_empty_one():
    assert read_answer('{"score": 5, "clues": [],}', Note).answer == {"score": 5, "clues": []}
    with pytest.raises(NotJsonError):
        read_answer('{"score": 5, "clues": [', Note)


def test_what_json_repair_would_invent_is_refused(monkeypatch):
    import json_repair

    for invented in (
        {"score": 5, "clues": ["从未写过"]},
        {"score": 7},
        {"score": 5, "other": True},
        {"score": 5, "other": None},
        {"score": 5, "other": {}},
        {"score": 5, "新键": "a"},
    ):
        monkeypatch.setattr(json_repair, "loads", lambda *_a, value=invented, **_k: value)
        with pytest.raises(NotJsonError, match="invent"):
            read_answer("{'score': 5, 'clues': ['a']}", Note)


def test_escapes_and_numbers_of_another_spelling_are_no_invention():
    reading = read_answer("{'score': 5.0, 'clues': ['\\u4e2d\\u6587 a\\nb'],}", Note)
    assert reading.answer == {"score": 5, "clues": ["中文 a\nb"]}


@pytest.mark.parametrize(
    "text", ["", "   ", "抱歉，我无法回答。", "null", "5", '"text"', "[]", "[1, 2]", "}{"[:1]]
)
def test_a_text_without_an_object_is_not_json(text):
    with pytest.raises(NotJsonError) as caught:
        read_answer(text, Insights)
    assert caught.value.reason == "not_json"
    assert isinstance(caught.value, PermanentError)
    assert caught.value.__context__ is None


def test_an_object_that_breaks_the_schema_is_told_with_its_place():
    with pytest.raises(SchemaMismatchError, match=r"insights\.0\.body: Field required") as caught:
        read_answer('{"insights":[{"title":"a"}]}', Insights)
    assert caught.value.reason == "schema"
    assert caught.value.__context__ is None
    with pytest.raises(SchemaMismatchError, match="insights"):
        read_answer('```json\n{"wrong": 1}\n```', Insights)


def test_a_schema_error_stays_one_short_line_and_quotes_nothing_of_the_answer():
    text = json.dumps({"insights": [{"x": "秘密" * 500}] * 10})
    with pytest.raises(SchemaMismatchError, match="and 17 more") as caught:
        read_answer(text, Insights)
    assert len(str(caught.value)) <= 300
    assert "秘密" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，李女士的电话是13912345678。",
        '{"score": 李女士 13912345678',
        '{"score": "13912345678", "clues": []}',
    ],
)
def test_no_message_quotes_the_answer_for_it_goes_to_alerts(text):
    with pytest.raises(UnreadableAnswerError) as caught:
        read_answer(text, Note)
    assert "李女士" not in str(caught.value)
    assert "139" not in str(caught.value)


@pytest.mark.parametrize("invented", [{"score": "李女士 13912345678"}, {"score": 13912345678}])
def test_nor_does_the_one_about_what_mending_would_make_up(monkeypatch, invented):
    import json_repair

    monkeypatch.setattr(json_repair, "loads", lambda *_a, **_k: invented)
    with pytest.raises(NotJsonError, match="invent") as caught:
        read_answer("{'score': 5}", Note)
    assert "李女士" not in str(caught.value)
    assert "139" not in str(caught.value)


def test_nul_and_control_characters_and_lone_surrogates_are_taken_out_and_noted():
    text = json.dumps({"insights": [{"title": "a\x00b\x07\ud800c", "body": "行\n\t\r😀", "k\x00": 1}]})
    reading = read_answer(text, Insights)
    assert reading.answer["insights"][0] == {"title": "abc", "body": "行\n\t😀", "tone": "neutral", "k": 1}
    assert reading.how == "strict"
    assert reading.mended == ("removed 4 control characters", "removed 1 lone surrogates")


def test_a_raw_nul_in_the_text_is_taken_out():
    reading = read_answer('{"insights":[{"title":"a\x00b","body":"c"}]}', Insights)
    assert reading.answer["insights"][0]["title"] == "ab"
    assert "removed 1 control characters" in reading.mended


STRINGS = st.text(st.characters(codec=None, categories=("L", "N", "P", "Z", "Cc", "Cs")), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(STRINGS, VALUES, max_size=4)


def storable(value):
    """Whether Postgres takes it: no number that is none, nothing without a UTF-8 form, no NUL."""
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    if isinstance(value, dict):
        return all(storable(key) and storable(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(storable, value))
    return not isinstance(value, str) or "\x00" not in value


@given(OBJECTS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_object_is_read_strictly_and_can_be_stored(value):
    reading = read_answer(json.dumps(value), Anything)
    assert reading.how == "strict"
    assert storable(reading.answer)
    if not reading.mended:
        assert reading.answer == value


@given(OBJECTS, st.text(st.characters(exclude_characters='{}[]"\\', codec="utf-8"), max_size=30))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_object_is_found_in_prose_and_fences(value, prose):
    text = f"{prose}答：```json\n{json.dumps(value)}\n``` {prose}。"
    reading = read_answer(text, Anything)
    assert reading.how == "fenced"
    assert reading.answer == read_answer(json.dumps(value), Anything).answer


@given(st.text(st.sampled_from("{}[]\"'\\:,a1 \n`null"), max_size=60) | st.text(max_size=60))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_either_read_or_clearly_refused(text):
    outcome = read(text, Anything)
    if isinstance(outcome, Reading):
        assert storable(outcome.answer)
    else:
        assert outcome.reason in {"not_json", "schema"}
        assert str(outcome).isprintable()


@given(OBJECTS.map(json.dumps), st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_text_cut_off_anywhere_never_gives_what_was_not_in_it(text, data):
    cut = text[: data.draw(st.integers(0, len(text)))]
    outcome = read(cut, Anything)
    if isinstance(outcome, Reading) and outcome.how != "strict":
        assert "the answer has no proper end" in outcome.mended


@given(st.text(st.sampled_from('{}[]"\\ab '), max_size=80))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_object_spans_are_in_order_apart_and_begin_with_a_brace(text):
    end = 0
    for span in object_spans(text):
        assert end <= span.start < span.end <= len(text)
        assert text[span.start] == "{"
        assert span.end == len(text) or span.closed
        assert not span.closed or text[span.end - 1] in "}]"
        end = span.end


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


def test_nesting_is_read_to_its_limit_and_refused_beyond():
    assert read_answer(nested(DEEPEST), Anything).how == "strict"
    for depth in (DEEPEST + 1, 500, 1_000, 100_000):
        with pytest.raises(NotJsonError):
            read_answer(nested(depth), Anything)


def test_nesting_hidden_from_a_counter_of_brackets_is_refused_too():
    for level in ('{"}": ', "{'}': "):
        text = level * 400 + "1" + "}" * 400
        with pytest.raises(NotJsonError):
            read_answer(text, Anything)


BIG = MOST_BYTES - 100
HOSTILE = {
    "digits": "1" * BIG,
    "digits in an object": '{"a":' + "1" * BIG + "}",
    "a long fraction": '{"a":1.' + "1" * BIG + "}",
    "braces": "{" * BIG,
    "pairs of braces": "{}" * (BIG // 2),
    "brackets": "[" * BIG,
    "quotes": '{"' * (BIG // 2),
    "escapes": '{"a":"' + '\\"' * (BIG // 2),
    "commas": "{" + "," * BIG,
    "prose": "好" * (BIG // 3),
    "fences": "```" * (BIG // 3),
    "objects cut off": '{"a":' * (BIG // 5),
    "quadratic for json-repair": "{'}'" * 4_000,
    "the same, longer": "{'}'" * (95_000 // 4),
    "quadratic for its strict mode": "{" + "a:b," * (95_000 // 4) + "}",
    "keys without quotes": "{" + "".join(f"k{n}:b{n}," for n in range(8_000)) + "}",
    "one key many times": "{" + "'a':'b'," * 11_000 + "}",
    "quotes within a string": "{'a': '" + "x'y" * 31_000 + "'}",
    "parentheses": '{"a":' + "(" * 95_000,
    "two at once": "{'}'" * 10_000 + '"}' + "{'}'" * 10_000,
    "many objects cut off": "{'a}" * 900,
    "mixed": "{[" * 47_000,
    "unquoted": "{" + "a" * 95_000,
    "one long broken string": "{'a': '" + "字" * 95_000,
}


def test_every_hostile_text_is_refused_and_none_keeps_the_reader_for_long():
    # in a process of its own, so that a reader that never ends fails this test and does not stop the suite
    script = (
        "import sys, runpy\n"
        f"module = runpy.run_path({__file__!r})\n"
        "for name, text in module['HOSTILE'].items():\n"
        "    outcome = module['read'](text, module['Insights'])\n"
        "    assert isinstance(outcome, module['UnreadableAnswerError']), name\n"
        "    assert len(str(outcome)) < 400, name\n"
        "    print(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.splitlines() == list(HOSTILE)


@pytest.mark.parametrize("size", [16_000, 95_000])
def test_the_work_of_a_repair_is_counted_and_cut_short(monkeypatch, size):
    import json_repair

    reads = 0

    def endless(text: str, **_: object) -> None:
        nonlocal reads
        for at in itertools.cycle(range(len(text))):
            _ = text[at]
            reads += 1

    text = "{'}'" * (size // 4) + "}"
    monkeypatch.setattr(json_repair, "loads", endless)
    with pytest.raises(UnrepairableJsonError):
        repair(text, Span(0, len(text)))
    assert size < reads <= 1_000_000


def test_a_text_above_the_limit_is_refused_by_its_bytes():
    for text in ("字" * (MOST_BYTES // 3 + 1), "x" * (MOST_BYTES + 1)):
        with pytest.raises(NotJsonError, match="too long"):
            read_answer(text, Anything)


def test_a_long_honest_answer_is_read():
    value = {"insights": [{"title": "t", "body": "长" * 30_000}] * 10}
    text = json.dumps(value, ensure_ascii=False)
    assert read_answer(text, Insights).how == "strict"


def test_a_broken_text_too_long_to_repair_is_refused():
    with pytest.raises(NotJsonError, match="too long to repair"):
        read_answer("{'insights': '" + "x" * 300_000 + "'}", Insights)
