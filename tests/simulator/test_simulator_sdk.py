"""The official SDK, pointed at the simulator, understands everything that the real service would send."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from ai_assets.simulator.kinds import ERROR_ROWS, ErrorRow
from ai_assets.simulator.replies import APPS, answer, as_text, tokens
from ai_assets.simulator.server import Simulator

Sdk = Callable[..., Any]
PROMPT = '{"本期": {"净收入": 12345.60, "订单数": 321}}'


@pytest.mark.parametrize("app", APPS)
def test_the_sdk_parses_a_plain_answer_of_every_app(sdk: Sdk, app: str) -> None:
    reply = sdk(app, PROMPT)
    assert (reply.status_code, reply.output.finish_reason) == (200, "stop")
    assert reply.output.text == as_text(answer(7, app, PROMPT))
    assert len(reply.output.session_id) == 32
    assert reply.request_id
    (model,) = reply.usage.models
    assert model.model_id == "qwen-plus"
    assert (model.input_tokens, model.output_tokens) == (tokens(PROMPT), tokens(reply.output.text))


@pytest.mark.parametrize("app", APPS)
def test_the_sdk_puts_an_incremental_stream_together_to_the_plain_answer(sdk: Sdk, app: str) -> None:
    frames = list(sdk(app, PROMPT, stream=True, incremental_output=True))
    assert len(frames) > 2
    assert [frame.output.finish_reason for frame in frames] == ["null"] * (len(frames) - 1) + ["stop"]
    assert "".join(frame.output.text for frame in frames) == as_text(answer(7, app, PROMPT))
    assert frames[-1].usage.models[0].output_tokens == tokens(as_text(answer(7, app, PROMPT)))


def test_the_sdk_sees_each_frame_of_a_cumulative_stream_grow(sdk: Sdk) -> None:
    texts = [frame.output.text for frame in sdk("app2", PROMPT, stream=True)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert texts[-1] == as_text(answer(7, "app2", PROMPT))


def test_the_sdk_merges_frames_itself_when_told_so(sdk: Sdk) -> None:
    *_, last = sdk("app3", PROMPT, stream=True, incremental_output=False)
    assert last.output.text == as_text(answer(7, "app3", PROMPT))


def test_a_session_that_the_sdk_continues_keeps_its_id(sdk: Sdk) -> None:
    first = sdk("app5").output.session_id
    assert sdk("app5", session_id=first).output.session_id == first
    assert sdk("app5").output.session_id != first


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", ERROR_ROWS, ids=lambda row: row.kind)
def test_the_sdk_reads_every_row_of_the_error_table(
    simulator: Simulator, sdk: Sdk, row: ErrorRow, stream: bool
) -> None:
    simulator.configure(kind=row.kind)
    reply = next(sdk("app2", stream=True)) if stream else sdk("app2")
    assert (reply.status_code, reply.code, reply.message) == (row.status, row.code, row.message)
    assert reply.request_id


def test_the_sdk_reads_an_error_that_comes_inside_a_good_stream(simulator: Simulator, sdk: Sdk) -> None:
    simulator.configure(kind="error_in_200_sse")
    (reply,) = sdk("app2", stream=True)
    assert (reply.status_code, reply.code) == (400, "InvalidParameter")


def test_the_sdk_reads_an_error_after_good_frames(simulator: Simulator, sdk: Sdk) -> None:
    simulator.configure(kind="error_mid_stream")
    *good, last = sdk("app2", stream=True, incremental_output=True)
    assert good
    assert all(frame.status_code == 200 for frame in good)
    assert (last.status_code, last.code) == (400, "InvalidParameter")


def test_the_sdk_takes_a_gateways_html_page_as_unknown(simulator: Simulator, sdk: Sdk) -> None:
    simulator.configure(kind="bad_gateway_html")
    reply = sdk("app2")
    assert (reply.status_code, reply.code) == (502, "Unknown")
    assert "502 Bad Gateway" in reply.message


def test_the_sdk_is_told_of_an_app_that_does_not_exist(sdk: Sdk) -> None:
    reply = sdk("app99")
    assert (reply.status_code, reply.code) == (404, "NotFound")


def test_what_the_sdk_sends_is_what_the_simulator_keeps(simulator: Simulator, sdk: Sdk) -> None:
    parameters = {"user_prompt_params": {"city": "杭州"}}
    sdk("app4", PROMPT, biz_params=parameters, workspace="ws-1")
    (call,) = simulator.calls("app4")
    assert (call.prompt, call.stream, call.outcome) == (PROMPT, False, "ok")
    assert call.biz_params == parameters
