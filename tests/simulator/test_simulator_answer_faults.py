"""Answers that are wrong on purpose: each kind does what it says to text or usage, and no more."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from ai_assets.simulator.kinds import GROUPS, KINDS
from ai_assets.simulator.replies import APPS, Answer, answer, as_text
from ai_assets.simulator.server import Simulator
from ai_assets.simulator.spoil import spoiled_text

PROMPT = '{"本期": {"净收入": 12345.60}}'
GOOD = answer(7, "app2", PROMPT)


def _text(simulator: Simulator, ask: Any, kind: str, app: str = "app2") -> str:
    simulator.configure(kind=kind)
    return str(ask(app, PROMPT).text)


def _models(simulator: Simulator, ask: Any, kind: str) -> list[dict[str, Any]]:
    simulator.configure(kind=kind)
    return list(ask("app2", PROMPT).json["usage"]["models"])


def test_a_truncated_text_is_the_beginning_of_the_good_one_and_no_json(
    simulator: Simulator, ask: Any
) -> None:
    text = _text(simulator, ask, "truncated")
    assert as_text(GOOD).startswith(text)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(text)


def test_an_answer_cut_off_at_its_length_says_so(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="length")
    reply = ask("app2", PROMPT).json
    assert reply["output"]["finish_reason"] == "length"
    assert as_text(GOOD).startswith(reply["output"]["text"])
    assert len(reply["output"]["text"]) < len(as_text(GOOD))


@pytest.mark.parametrize("incremental", [False, True])
def test_a_stream_cut_off_at_its_length_says_so_in_its_last_frame_alone(
    simulator: Simulator, ask: Any, incremental: bool
) -> None:
    simulator.configure(kind="length")
    frames = [
        json.loads(frame["data"])
        for frame in ask("app2", PROMPT, stream=True, incremental=incremental).frames
    ]
    reasons = [frame["output"]["finish_reason"] for frame in frames]
    assert reasons == ["null"] * (len(frames) - 1) + ["length"]
    tokens = [frame["usage"]["models"][0]["output_tokens"] for frame in frames]
    assert tokens == sorted(tokens)


def test_fenced_and_prose_and_bom_hold_the_good_answer_inside(simulator: Simulator, ask: Any) -> None:
    fenced = _text(simulator, ask, "fenced")
    assert fenced.startswith("```json\n")
    assert json.loads(fenced.removeprefix("```json\n").removesuffix("\n```")) == GOOD
    before, inside, after = _text(simulator, ask, "prose").split("\n\n")
    assert before
    assert after
    assert json.loads(inside) == GOOD
    assert json.loads(_text(simulator, ask, "bom").removeprefix("\ufeff")) == GOOD


def test_single_quotes_hold_the_same_values(simulator: Simulator, ask: Any) -> None:
    import ast

    text = _text(simulator, ask, "single_quotes")
    assert '"' not in text
    assert ast.literal_eval(text) == GOOD


def test_single_quotes_survive_quotes_and_lines_in_the_text() -> None:
    import ast

    value: dict[str, object] = {"a": 'it\'s "so"\n\\', "b": [1, "二"], "c": {}}
    assert ast.literal_eval(spoiled_text("single_quotes", value)) == value


def test_nan_stands_beside_the_good_answer(simulator: Simulator, ask: Any) -> None:
    text = _text(simulator, ask, "nan")
    assert "NaN" in text
    read = json.loads(text)
    assert math.isnan(read.pop("confidence"))
    assert read == GOOD


def test_not_json_is_prose(simulator: Simulator, ask: Any) -> None:
    text = _text(simulator, ask, "not_json")
    assert text
    assert not set(text) & set("{}[]")


@pytest.mark.parametrize("app", APPS)
def test_wrong_schema_is_json_with_every_value_of_another_type(
    simulator: Simulator, ask: Any, app: str
) -> None:
    read, good = json.loads(_text(simulator, ask, "wrong_schema", app)), answer(7, app, PROMPT)
    assert list(read) == list(good)
    assert all(type(read[key]) is not type(good[key]) for key in good)


@pytest.mark.parametrize("app", APPS)
def test_nul_is_escaped_inside_good_json_and_nul_raw_stands_bare(
    simulator: Simulator, ask: Any, app: str
) -> None:
    text = _text(simulator, ask, "nul", app)
    assert "\\u0000" in text
    assert "\x00" in json.dumps(json.loads(text), ensure_ascii=False).replace("\\u0000", "\x00")
    assert _text(simulator, ask, "nul_raw", app) == as_text(answer(7, app, PROMPT)) + "\x00"


def test_nul_finds_a_place_in_an_answer_without_text() -> None:
    assert "\\u0000" in spoiled_text("nul", {"clues": []})


def test_false_figures_stand_where_the_true_ones_stood(simulator: Simulator, ask: Any) -> None:
    said: Answer = {
        "insights": [{"body": "净收入为 120.50 元，2026-06-30 客人 20 人", "tone": "good"}],
        "score": 7,
    }
    one = json.loads(spoiled_text("wrong_figure", said))
    every = json.loads(spoiled_text("wrong_figures", said))
    assert one["insights"][0]["body"] == "净收入为 167.50 元，2026-06-30 客人 20 人"
    assert every["insights"][0]["body"] == "净收入为 167.50 元，2026-06-30 客人 30 人"
    assert (every["score"], every["insights"][0]["tone"]) == (7, "good")
    simulator.configure(kind="wrong_figures")
    text = ask("app2", PROMPT).text
    assert text != as_text(GOOD)
    assert json.loads(text).keys() == GOOD.keys()


def test_an_empty_text_and_a_null_output_are_still_answers_of_200(simulator: Simulator, ask: Any) -> None:
    assert _text(simulator, ask, "empty") == ""
    simulator.configure(kind="null_output")
    plain = ask()
    assert (plain.status, plain.json["output"]) == (200, None)
    (frame,) = ask(stream=True).frames
    assert json.loads(frame["data"])["output"] is None


def test_a_partial_answer_is_flagged_in_a_header_alone(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="partial")
    for stream in (False, True):
        assert ask("app2", PROMPT, stream=stream).headers["x-dashscope-partialresponse"] == "true"
    assert ask("app2", PROMPT).text == as_text(GOOD)


def test_usage_can_be_missing_or_empty(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="missing_usage")
    assert "usage" not in ask().json
    assert all("usage" not in json.loads(frame["data"]) for frame in ask(stream=True).frames)
    simulator.configure(kind="usage_empty")
    assert ask().json["usage"] == {}


def test_absurd_usage_comes_in_its_three_forms_in_turn(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="absurd_usage")
    first, second, third = (ask("app2", PROMPT).json["usage"]["models"][0]["input_tokens"] for _ in range(3))
    assert first < 0
    assert isinstance(second, str)
    assert third == 10**12
    assert simulator.stats()["by_outcome"] == {"negative_usage": 1, "string_usage": 1, "huge_usage": 1}


def test_duplicate_models_sum_to_the_right_usage(simulator: Simulator, ask: Any) -> None:
    (good,) = ask("app2", PROMPT).json["usage"]["models"]
    models = _models(simulator, ask, "duplicate_models")
    assert [model["model_id"] for model in models] == [good["model_id"]] * 2
    for key in ("input_tokens", "output_tokens"):
        assert sum(model[key] for model in models) == good[key]


@pytest.mark.parametrize("kind", [*GROUPS["text"], *GROUPS["usage"]])
def test_every_answer_fault_also_streams_to_its_end(simulator: Simulator, ask: Any, kind: str) -> None:
    simulator.configure(kind=kind)
    plain = ask("app2", PROMPT, stream=False).json["output"]
    frames = [json.loads(f["data"]) for f in ask("app2", PROMPT, stream=True, incremental=True).frames]
    streamed = "".join((frame["output"] or {"text": ""})["text"] for frame in frames)
    assert streamed == ("" if plain is None else plain["text"])


def test_an_error_inside_a_200_stream_answers_plain_and_streaming_calls_alike(
    simulator: Simulator, ask: Any
) -> None:
    simulator.configure(kind="error_in_200_sse")
    for stream in (False, True):
        reply = ask(stream=stream)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert reply.body.startswith(b"id:1\nevent:error\n:HTTP_STATUS/400\ndata:{")


def test_an_sse_framed_body_can_be_labelled_json(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="error_in_400_sse_framed")
    reply = ask()
    assert reply.status == 400
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.body.startswith(b"id:1\nevent:error\n:HTTP_STATUS/400\ndata:{")


def test_a_gateway_answers_with_an_html_page(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="bad_gateway_html")
    reply = ask()
    assert (reply.status, reply.headers["content-type"]) == (502, "text/html")
    assert b"<html>" in reply.body


def test_retry_after_stands_on_errors_only(simulator: Simulator, ask: Any) -> None:
    simulator.configure(kind="throttling", retry_after=3)
    assert ask().headers["retry-after"] == "3"
    simulator.configure(retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert ask().headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    simulator.configure(kind="fenced")
    assert "retry-after" not in ask().headers
    simulator.configure(kind="throttling", retry_after="")
    assert "retry-after" not in ask().headers


def test_no_kind_is_named_twice() -> None:
    assert len(KINDS) == len(set(KINDS))
