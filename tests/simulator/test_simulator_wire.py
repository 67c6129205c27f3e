"""The wire as it is documented, byte by byte where a client depends on it; and the checks of the service."""

from __future__ import annotations

import http.client
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ai_assets.simulator.http11 import MOST_BODY_BYTES
from ai_assets.simulator.server import Simulator

PATH = "/api/v1/apps/app2/completion"
KEY = {"Authorization": "Bearer k"}
GOOD_BODY = json.dumps({"input": {"prompt": "净收入 10 元"}, "parameters": {}}).encode()


def test_a_plain_answer_has_the_documented_shape(ask: Any) -> None:
    answer = ask()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json) == {"output", "usage", "request_id"}
    assert set(answer.json["output"]) == {"finish_reason", "session_id", "text"}
    assert re.fullmatch("[0-9a-f]{32}", answer.json["output"]["session_id"])
    assert uuid.UUID(answer.json["request_id"])


def test_a_stream_is_framed_as_dashscope_frames_it(ask: Any) -> None:
    answer = ask(stream=True, incremental=True)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert re.match(rb"id:1\nevent:result\n:HTTP_STATUS/200\ndata:\{", answer.body)
    assert b"[DONE]" not in answer.body
    messages = [json.loads(frame["data"]) for frame in answer.frames]
    assert [frame["id"] for frame in answer.frames] == [str(n) for n in range(1, len(messages) + 1)]
    assert {message["output"]["finish_reason"] for message in messages[:-1]} == {"null"}
    assert messages[-1]["output"]["finish_reason"] == "stop"


def test_usage_in_a_stream_is_cumulative(ask: Any) -> None:
    messages = [json.loads(frame["data"]) for frame in ask(stream=True, incremental=True).frames]
    outs = [message["usage"]["models"][0]["output_tokens"] for message in messages]
    assert outs == sorted(outs)
    assert outs[0] < outs[-1]


def test_frames_arrive_while_the_answer_is_still_being_made(
    simulator: Simulator, start_call: Callable[..., http.client.HTTPConnection]
) -> None:
    simulator.configure(latency=10)
    connection = start_call(stream=True, incremental=True)
    response = connection.getresponse()
    event = [response.readline() for _ in range(5)]
    assert (event[0], event[-1]) == (b"id:1\n", b"\n")
    # Leaving now is leaving early: the rest was not sent yet.
    response.close()
    connection.close()
    deadline = time.monotonic() + 20
    while simulator.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.005)
    assert simulator.stats()["abandoned"] == 1


def test_one_connection_serves_many_calls(ask: Any, connection: http.client.HTTPConnection) -> None:
    ask()
    socket = connection.sock
    assert socket is not None
    ask(stream=True)
    assert ask().status == 200
    assert connection.sock is socket


def test_a_caller_that_wants_the_connection_closed_gets_it_closed(request_raw: Any) -> None:
    answer = request_raw("POST", PATH, GOOD_BODY, {**KEY, "Connection": "close"})
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic abc"}])
def test_a_call_without_a_key_is_refused(request_raw: Any, headers: dict[str, str]) -> None:
    answer = request_raw("POST", PATH, GOOD_BODY, headers)
    assert (answer.status, answer.json["code"]) == (401, "InvalidApiKey")


def test_an_unknown_app_and_an_unknown_path_are_not_found(request_raw: Any) -> None:
    for path in ("/api/v1/apps/nobody/completion", "/api/v2/apps/app2/completion", "/"):
        answer = request_raw("POST", path, GOOD_BODY, KEY)
        assert (answer.status, answer.json["code"]) == (404, "NotFound")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"input":"text"}',
        b'{"input":{}}',
        b'{"input":{"prompt":""}}',
        b'{"input":{"prompt":7}}',
        b'{"input":{"prompt":"a","session_id":7}}',
        b'{"input":{"prompt":"a","biz_params":[]}}',
        b'{"input":{"prompt":"a"},"parameters":[]}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_body_or_a_missing_prompt_is_an_invalid_parameter(request_raw: Any, body: bytes) -> None:
    answer = request_raw("POST", PATH, body, KEY)
    assert (answer.status, answer.json["code"]) == (400, "InvalidParameter")
    assert "\n" not in answer.json["message"]


def test_a_body_over_16_mib_is_too_large_and_the_connection_lives_on(request_raw: Any) -> None:
    answer = request_raw("POST", PATH, b"x" * (MOST_BODY_BYTES + 1), KEY)
    assert (answer.status, answer.json["code"]) == (413, "BadRequest.TooLarge")
    assert request_raw("POST", PATH, GOOD_BODY, KEY).status == 200


def test_a_chunked_body_is_read_and_held_to_the_same_limit(request_raw: Any) -> None:
    def pieces(count: int) -> Iterator[bytes]:
        yield GOOD_BODY[:10]
        yield GOOD_BODY[10:]
        yield from (b" " * 1024 * 1024 for _ in range(count))

    assert request_raw("POST", PATH, pieces(1), KEY).status == 200
    assert request_raw("POST", PATH, pieces(17), KEY).status == 413
    assert request_raw("POST", PATH, pieces(1), KEY).status == 200


def test_a_caller_that_asks_first_is_told_to_go_on(connection: http.client.HTTPConnection) -> None:
    connection.connect()
    assert connection.sock is not None
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nExpect: 100-continue\r\n"
    connection.sock.sendall(f"{head}Content-Length: {len(GOOD_BODY)}\r\n\r\n".encode())
    assert connection.sock.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sock.sendall(GOOD_BODY)
    assert connection.sock.recv(20).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/2\r\n\r\n",
        b"POST /control HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /control HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /control HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
    ids=["no request", "version", "negative length", "length", "chunk", "long head"],
)
def test_bytes_that_are_no_request_get_one_clear_line_and_a_closed_connection(
    connection: http.client.HTTPConnection, sent: bytes
) -> None:
    connection.connect()
    assert connection.sock is not None
    connection.sock.sendall(sent)
    response = http.client.HTTPResponse(connection.sock)
    response.begin()
    assert response.status == 400
    message = json.loads(response.read())["message"]
    assert message
    assert "\n" not in message
    response.close()


def test_a_wrong_method_is_told_so(request_raw: Any) -> None:
    assert request_raw("GET", PATH).status == 405
    assert request_raw("POST", "/stats").status == 405


def test_a_prompt_that_utf8_cannot_hold_is_answered_and_shown(simulator: Simulator, request_raw: Any) -> None:
    body = b'{"input":{"prompt":"\\ud800 7 \\u0000"}}'
    assert request_raw("POST", PATH, body, KEY).status == 200
    shown = request_raw("GET", "/stats?prompts=1").json["prompts"]["app2"][0]["prompt"]
    assert shown == "\ud800 7 \x00"
