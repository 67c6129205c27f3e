"""Bodies: what is sent, and what a reply of any shape says."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.dashscope.errors import (
    ContentFilteredError,
    DashScopeError,
    EmptyAnswerError,
    MalformedReplyError,
    PartialAnswerError,
    RequestTooLargeError,
    ThrottledError,
)
from ai_assets.dashscope.usage import MOST_TOKENS, read_usage
from ai_assets.dashscope.wire import MOST_REQUEST_BYTES, Answer, RawReply, read_reply, request_body
from ai_assets.errors import InputError


def reply(body, status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return read_reply(RawReply(status, {k.replace("_", "-"): v for k, v in headers.items()}, text))


def document(raw, text="好", **more):
    return {**raw.reply_document(text), **more}


def model(tokens_in, tokens_out, name="qwen-plus"):
    return {"model_id": name, "input_tokens": tokens_in, "output_tokens": tokens_out}


def frame(data, event="result", status=200, number=1):
    return (
        f"id:{number}\nevent:{event}\n:HTTP_STATUS/{status}\ndata:{json.dumps(data, ensure_ascii=False)}\n\n"
    )


def test_a_prompt_alone_is_sent_as_the_specification_shows():
    assert json.loads(request_body("你好")) == {"input": {"prompt": "你好"}, "parameters": {}}
    assert "你好".encode() in request_body("你好")


def test_a_session_and_parameters_go_with_the_prompt():
    sent = json.loads(request_body("p", "S1", {"user_prompt_params": {"city": "上海"}}))
    assert sent["input"] == {
        "prompt": "p",
        "session_id": "S1",
        "biz_params": {"user_prompt_params": {"city": "上海"}},
    }


def test_a_lone_surrogate_in_a_prompt_does_not_stop_it():
    assert json.loads(request_body("a\ud800b"))["input"]["prompt"] == "a?b"


@pytest.mark.parametrize("params", [{"x": object()}, {"x": float("nan")}, {"x": {1, 2}}])
def test_parameters_that_are_not_json_are_an_input_error(params):
    with pytest.raises(InputError, match="biz_params") as caught:
        request_body("p", "", params)
    assert caught.value.__context__ is None


def test_an_empty_prompt_and_one_above_16_mib_are_refused_before_anything_is_sent():
    with pytest.raises(InputError, match="empty"):
        request_body(" \n")
    with pytest.raises(RequestTooLargeError):
        request_body("x" * MOST_REQUEST_BYTES)


def test_a_success_says_its_text_session_request_and_usage(raw):
    answer = reply(document(raw))
    assert isinstance(answer, Answer)
    assert (answer.text, answer.session_id, answer.request_id) == ("好", "s1", "r1")
    assert (answer.finish_reason, answer.usage.tokens) == ("stop", (121, 51))
    assert answer.usage.by_model == (("qwen-plus", 121, 51, None),)


def test_a_bom_before_the_body_is_no_part_of_it(raw):
    assert isinstance(reply("\ufeff" + json.dumps(document(raw))), Answer)


def test_usage_is_summed_over_entries_and_each_model_stands_once(raw):
    usage = {"models": [model(100, 10), model(7, 3, "qwen-max"), model(20, 2), model(1, 1, None)]}
    answer = reply(document(raw, usage=usage))
    assert answer.usage.by_model == (
        ("qwen-plus", 120, 12, None),
        ("qwen-max", 7, 3, None),
        ("unknown", 1, 1, None),
    )
    assert answer.usage.tokens == (128, 16)
    assert answer.usage.model_ids == ("qwen-plus", "qwen-max", "unknown")


@pytest.mark.parametrize(
    ("details", "cached"),
    [
        ({}, None),
        ({"prompt_tokens_details": {"cached_tokens": 60}}, 60),
        ({"input_tokens_details": {"cached_tokens": 60}}, 60),
        ({"cached_tokens": 0}, 0),
        ({"prompt_tokens_details": {"cached_tokens": 101}}, None),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, None),
        ({"prompt_tokens_details": {"cached_tokens": "60"}}, None),
        ({"prompt_tokens_details": [60]}, None),
    ],
)
def test_cached_tokens_are_read_where_the_reply_reports_a_number_that_can_be_true(raw, details, cached):
    answer = reply(document(raw, usage={"models": [{**model(100, 10), **details}]}))
    assert answer.usage.tokens == (100, 10)
    assert answer.usage.tokens_cached == cached


def test_cached_tokens_of_a_models_entries_are_summed(raw):
    entries = [
        {**model(100, 10), "cached_tokens": 40},
        model(50, 5),
        {**model(9, 1, "qwen-max"), "cached_tokens": 2},
    ]
    answer = reply(document(raw, usage={"models": entries}))
    assert answer.usage.by_model == (("qwen-plus", 150, 15, 40), ("qwen-max", 9, 1, 2))
    assert answer.usage.tokens_cached == 42


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"models": []},
        {"models": None},
        {"models": {}},
        {"models": ["x"]},
        {"models": [{}]},
        {"models": [model(-1, 5)]},
        {"models": [model("12", 5)]},
        {"models": [model(12.0, 5)]},
        {"models": [model(True, 5)]},
        {"models": [model(None, 5)]},
        {"models": [model(0, 0)]},
        {"models": [model(10**12, 5)]},
        {"models": [model(MOST_TOKENS, 1)]},
        {"models": [model(100, 10), model(1, -1)]},
    ],
)
def test_usage_that_is_missing_or_cannot_be_true_is_not_known(usage, raw):
    answer = reply(document(raw, usage=usage))
    assert isinstance(answer, Answer)
    assert not answer.usage.known
    assert (answer.usage.tokens_in, answer.usage.tokens_out, answer.usage.by_model) == (0, 0, ())
    assert answer.usage.tokens is None


def test_usage_that_is_not_named_at_all_is_not_known(raw):
    body = raw.reply_document()
    del body["usage"]
    assert not reply(body).usage.known


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
TOKENS = st.one_of(st.integers(-5, MOST_TOKENS * 2), st.none(), st.floats(), st.booleans())


MODELS = st.fixed_dictionaries(
    {"model_id": st.none() | st.text(max_size=5), "input_tokens": TOKENS, "output_tokens": TOKENS}
)


@given(st.lists(MODELS, max_size=4))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_known_usage_is_always_positive_bounded_and_sums_up(models):
    usage = read_usage({"models": models})
    if usage.known:
        assert 0 < usage.tokens_in + usage.tokens_out <= MOST_TOKENS
        assert usage.tokens_in == sum(entry["input_tokens"] for entry in models)
        assert len(set(usage.model_ids)) == len(usage.model_ids)


@pytest.mark.parametrize("text", ["", "   ", "\n", None, 5])
def test_an_answer_without_text_is_an_error_that_still_tells_its_usage(text, raw):
    error = reply(document(raw, text))
    assert isinstance(error, EmptyAnswerError)
    assert (error.usage_tokens, error.request_id, error.may_be_billed) == ((121, 51), "r1", True)


def test_a_null_output_is_an_error_and_unknown_usage_stays_unknown(raw):
    error = reply(document(raw, output=None, usage={}))
    assert isinstance(error, EmptyAnswerError)
    assert error.usage_tokens is None


@pytest.mark.parametrize("header", ["true", "True", " TRUE "])
def test_a_partial_answer_is_no_success_though_it_has_a_text(header, raw):
    error = reply(document(raw), x_dashscope_partialresponse=header)
    assert isinstance(error, PartialAnswerError)
    assert (error.usage_tokens, error.may_be_billed) == ((121, 51), True)
    assert isinstance(reply(document(raw), x_dashscope_partialresponse="false"), Answer)


def test_an_event_stream_of_cumulative_frames_gives_the_last_text_and_usage(raw):
    first = document(raw, usage={"models": [model(5, 1)]})
    first["output"] = {"finish_reason": "null", "session_id": "s1", "text": "今天"}
    answer = reply(frame(first) + frame(document(raw, "今天很好"), number=2))
    assert (answer.text, answer.finish_reason, answer.usage.tokens) == ("今天很好", "stop", (121, 51))


def test_an_event_stream_of_pieces_gives_them_together(raw):
    pieces = [{"output": {"finish_reason": "null", "text": text}} for text in ("今天", "很", "好")]
    last = document(raw, "")
    answer = reply("".join(frame(piece) for piece in [*pieces, last]))
    assert (answer.text, answer.usage.tokens, answer.session_id) == ("今天很好", (121, 51), "s1")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_line_end_of_an_event_stream_will_do_and_a_line_separator_is_text(line_end, raw):
    body = frame(document(raw, "一\u2028二\x85三")).replace("\n", line_end).rstrip()
    assert reply(body).text == "一\u2028二\x85三"


def test_data_over_several_lines_and_with_blanks_after_the_colon_is_read(raw):
    lines = json.dumps(document(raw), indent=1).split("\n")
    assert reply("event: result\n" + "".join(f"data: {line}\n" for line in lines)).text == "好"


def test_an_event_stream_that_stops_before_its_last_frame_is_not_an_answer(raw):
    interim = document(raw)
    interim["output"]["finish_reason"] = "null"
    assert isinstance(reply(frame(interim)), MalformedReplyError)
    assert isinstance(reply("id:1\nevent:result\n\n"), MalformedReplyError)


def test_an_error_as_http_200_event_stream_is_that_error():
    data = {"code": "DataInspectionFailed", "message": "no", "request_id": "r7"}
    error = reply(frame(data, "error", 400), content_type="text/event-stream")
    assert isinstance(error, ContentFilteredError)
    assert (error.status, error.request_id, error.may_be_billed) == (400, "r7", False)


def test_an_error_event_after_some_text_may_have_been_billed(raw):
    interim = {"output": {"finish_reason": "null", "text": "今"}}
    error = reply(frame(interim) + frame({"code": "InternalError", "message": "x"}, "error", 500))
    assert (error.reason, error.may_be_billed) == ("server_error", True)


def test_an_error_event_that_tells_no_status_is_known_by_its_code():
    error = reply('event:error\ndata:{"code":"Throttling","message":"m"}\n\n')
    assert isinstance(error, ThrottledError)


def test_an_http_400_labelled_json_with_an_event_stream_inside_is_that_error():
    data = {"code": "DataInspectionFailed", "message": "no", "request_id": "r7"}
    assert isinstance(
        reply(frame(data, "error", 400), 400, content_type="application/json"), ContentFilteredError
    )


def test_an_error_body_in_a_200_response_is_that_error():
    assert isinstance(reply({"code": "Throttling", "message": "m", "request_id": "r"}), ThrottledError)


def test_a_502_page_is_a_bad_gateway_without_its_markup():
    error = reply("<html><head><title>502 Bad Gateway</title></head></html>", 502, x_request_id="r-head")
    assert (error.reason, error.message, error.request_id) == ("bad_gateway", "502 Bad Gateway", "r-head")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>login</html>",
        '{"output":{"text":"cut',
        "null",
        "[1]",
        '"x"',
        '{"a":' + "1" * 5000 + "}",
        "[" * 10**5,
    ],
)
def test_a_200_that_is_no_reply_of_dashscope_is_malformed(body):
    error = reply(body)
    assert isinstance(error, MalformedReplyError)
    assert error.may_be_billed


def test_an_output_that_is_not_an_object_is_malformed(raw):
    assert isinstance(reply(document(raw, output="text")), MalformedReplyError)


@given(st.integers(200, 599), st.one_of(st.text(), JSON.map(json.dumps)))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_body_whatever_makes_the_reader_fail(status, body):
    assert isinstance(reply(body, status), Answer | DashScopeError)


@given(st.dictionaries(st.sampled_from(["output", "usage", "code", "message", "request_id"]), JSON))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_document_whatever_makes_the_reader_fail(body):
    outcome = reply(body)
    assert isinstance(outcome, Answer | DashScopeError)
    framed = reply(frame(body))
    assert isinstance(framed, Answer | DashScopeError)
