"""The client over real sockets: what it sends, what it reuses, when it sends again."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time

import pytest
from pydantic import SecretStr

from ai_assets.dashscope.attempt import Attempt
from ai_assets.dashscope.client import DashScopeClient, Limits
from ai_assets.dashscope.errors import (
    BadGatewayError,
    ConnectionFailedError,
    EmptyAnswerError,
    MalformedReplyError,
    NotFoundError,
    RedirectedError,
    ReplyTooLargeError,
    ServerFailedError,
    ServerTimeoutError,
    ThrottledError,
)
from ai_assets.dashscope.key import KeyAuth
from ai_assets.dashscope.transport import Transport
from ai_assets.errors import ConfigurationError, InputError

DEADLINE_S = 20.0


def call(client, prompt="今天的营业额", **more):
    return client.call("app2", prompt, **{"deadline_s": DEADLINE_S, **more})


@pytest.fixture
def scripted(serve):
    """`scripted(step, …)`: each step serves one request, the last one all that follow."""

    def start(*steps):
        return serve(lambda peer, request: steps[min(request.number, len(steps)) - 1](peer))

    return start


@pytest.fixture
def in_no_time(client_of, fake_time):
    """A client whose waits take no real time: `(client, fake_time)`."""

    def make(server, **settings):
        return client_of(server, clock=fake_time.clock, sleep=fake_time.sleep, **settings), fake_time

    return make


def ok(peer):
    return peer.answer()


def test_a_call_sends_what_the_wire_asks_for_and_tells_what_came(serve, client_of, key):
    server = serve(lambda peer, _request: peer.answer("很好"))
    reply = call(client_of(server, workspace="ws-1"), session_id="S0", biz_params={"a": 1})
    (request,) = server.requests
    assert request.path == "/api/v1/apps/app2/completion"
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["x-dashscope-workspace"] == "ws-1"
    assert request.document == {
        "input": {"prompt": "今天的营业额", "session_id": "S0", "biz_params": {"a": 1}},
        "parameters": {},
    }
    assert (reply.text, reply.session_id, reply.request_id) == ("很好", "s1", "r1")
    assert (reply.tokens_in, reply.tokens_out, reply.usage_known) == (121, 51, True)
    assert (reply.model_ids, reply.usage_by_model) == (("qwen-plus",), (("qwen-plus", 121, 51, None),))
    assert (reply.attempts, reply.unsettled_attempts, reply.truncated) == (1, 0, False)
    assert 0 <= reply.latency_ms < DEADLINE_S * 1000


def test_an_app_id_cannot_leave_its_place_in_the_path(serve, client_of):
    server = serve(lambda peer, _request: peer.answer())
    client_of(server).call("../x?y#z", "p", deadline_s=DEADLINE_S)
    assert server.requests[0].path == "/api/v1/apps/..%2Fx%3Fy%23z/completion"


def test_the_text_is_read_as_utf_8_whatever_the_label_says(serve, client_of, raw):
    body = json.dumps(raw.reply_document("斯诺克🎱"), ensure_ascii=False).encode()
    server = serve(
        lambda peer, _request: peer.respond(body, headers={"Content-Type": "text/plain; charset=gbk"})
    )
    assert call(client_of(server)).text == "斯诺克🎱"


def test_an_event_stream_in_chunks_that_split_characters_is_read(serve, client_of, raw):
    data = json.dumps(raw.reply_document("台球"), ensure_ascii=False)
    encoded = f"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{data}\n\n".encode()
    parts = [encoded[i : i + 5] for i in range(0, len(encoded), 5)]
    server = serve(lambda peer, _request: peer.chunked(parts))
    client = client_of(server)
    assert [call(client).text for _ in range(3)] == ["台球"] * 3
    assert server.connections == 1


@pytest.mark.parametrize("reason", ["length", "LENGTH"])
def test_a_length_limited_answer_is_marked_truncated(serve, client_of, raw, reason):
    output = {"finish_reason": reason, "session_id": "s", "text": "半"}
    server = serve(lambda peer, _request: peer.answer(output=output))
    assert call(client_of(server)).truncated


@pytest.mark.parametrize("last", [{"text": ""}, {"text": "半"}, {}])
def test_so_is_one_that_comes_as_an_event_stream(serve, client_of, raw, last):
    outputs = [
        {"finish_reason": "null", "session_id": "s", "text": "半"},
        {"finish_reason": "length", **last},
    ]
    frames = [
        f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps({'output': output})}\n\n".encode()
        for number, output in enumerate(outputs, 1)
    ]
    server = serve(lambda peer, _request: peer.chunked(frames))
    assert call(client_of(server)).truncated


def test_a_compressed_reply_is_read_though_none_was_asked_for(serve, client_of, raw):
    body = gzip.compress(json.dumps(raw.reply_document("长" * 50_000)).encode())
    server = serve(lambda peer, _request: peer.respond(body, headers={"Content-Encoding": "gzip"}))
    client = client_of(server)
    assert len(call(client).text) == 50_000
    assert call(client).attempts == 1
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.connections == 1


def test_broken_compression_is_a_malformed_reply_tried_once_more(scripted, in_no_time):
    server = scripted(lambda peer: peer.respond(b"not gzip", headers={"Content-Encoding": "gzip"}))
    client, _ = in_no_time(server)
    with pytest.raises(MalformedReplyError) as caught:
        call(client)
    assert (len(server.requests), caught.value.attempts, caught.value.unsettled_attempts) == (2, 2, 2)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_huge_reply_is_cut_off_with_a_clear_error(serve, client_of, compressed):
    body = b"x" * 2_000_000
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    data = gzip.compress(body) if compressed else body
    server = serve(lambda peer, _request: peer.respond(data, headers=headers))
    client = client_of(server, limits=Limits(reply_bytes=100_000))
    with pytest.raises(ReplyTooLargeError, match="more than 100,000 bytes") as caught:
        call(client)
    assert (caught.value.may_be_billed, len(server.requests)) == (True, 1)


def test_a_huge_error_body_is_cut_off_too(serve, client_of):
    server = serve(lambda peer, _request: peer.respond(b"x" * 2_000_000, 301, {"Location": "/elsewhere"}))
    with pytest.raises(ReplyTooLargeError):
        call(client_of(server, limits=Limits(reply_bytes=100_000)))


def test_connections_are_reused_and_as_many_as_callers(serve, client_of):
    gate = threading.Barrier(4)

    def handler(peer, request):
        if request.number <= 4:
            gate.wait(10)
        peer.answer()

    server = serve(handler)
    client = client_of(server, pool_size=4)
    callers = [threading.Thread(target=call, args=(client,)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    for _ in range(8):
        call(client)
    assert (server.connections, len(server.requests)) == (4, 12)


def test_a_connection_stays_good_after_an_error_reply(scripted, in_no_time):
    server = scripted(lambda peer: peer.fail(500, "InternalError"), ok)
    client, _ = in_no_time(server)
    assert call(client).attempts == 2
    assert server.connections == 1


def test_server_errors_are_tried_again_with_growing_waits_and_counted(scripted, in_no_time):
    server = scripted(
        lambda peer: peer.fail(500, "InternalError"), lambda peer: peer.fail(503, "ServiceUnavailable"), ok
    )
    client, time = in_no_time(server)
    places = []
    reply = call(client, before_attempt=lambda number, remaining: places.append((number, remaining)))
    assert (reply.attempts, len(server.requests)) == (3, 3)
    assert 0.25 <= time.slept[0] <= 0.5 <= time.slept[1] <= 1.0
    assert places == [
        (2, pytest.approx(DEADLINE_S - time.slept[0])),
        (3, pytest.approx(DEADLINE_S - sum(time.slept))),
    ]
    assert reply.latency_ms == round(sum(time.slept) * 1000)


def test_the_last_error_is_raised_when_the_attempts_are_used_up(scripted, in_no_time):
    server = scripted(lambda peer: peer.fail(500, "InternalError"))
    client, time = in_no_time(server, max_attempts=4)
    with pytest.raises(ServerFailedError) as caught:
        call(client)
    assert (caught.value.attempts, len(server.requests), len(time.slept)) == (4, 4, 3)
    assert caught.value.app_id == "app2"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "InvalidApiKey"),
        (403, "App.AccessDenied"),
        (404, "NotFound"),
        (400, "Arrearage"),
        (429, "PrepaidBillOverdue"),
    ],
)
def test_permanent_errors_are_not_tried_again(scripted, in_no_time, status, code):
    server = scripted(lambda peer: peer.fail(status, code))
    client, time = in_no_time(server)
    with pytest.raises(Exception, match=code) as caught:
        call(client)
    assert (caught.value.code, len(server.requests), time.slept) == (code, 1, [])


def test_a_request_that_timed_out_at_the_server_is_tried_once_more_and_no_oftener(scripted, in_no_time):
    server = scripted(lambda peer: peer.fail(500, "RequestTimeOut"))
    client, _ = in_no_time(server, max_attempts=9)
    with pytest.raises(ServerTimeoutError) as caught:
        call(client)
    assert (len(server.requests), caught.value.unsettled_attempts, caught.value.may_be_billed) == (2, 2, True)


def test_what_an_earlier_attempt_may_have_cost_is_not_forgotten(scripted, in_no_time):
    timed_out = lambda peer: peer.fail(500, "RequestTimeOut")  # noqa: E731
    client, _ = in_no_time(scripted(timed_out, ok))
    assert call(client).unsettled_attempts == 1
    client, _ = in_no_time(scripted(timed_out, lambda peer: peer.fail(404, "NotFound")))
    with pytest.raises(NotFoundError) as caught:
        call(client)
    assert (caught.value.may_be_billed, caught.value.unsettled_attempts) == (True, 1)


def test_retry_after_is_waited_for(scripted, in_no_time):
    server = scripted(lambda peer: peer.fail(429, "Throttling", headers={"Retry-After": "7"}), ok)
    client, time = in_no_time(server)
    assert call(client).attempts == 2
    assert 7.0 <= time.slept[0] <= 7.7


def test_a_retry_after_beyond_the_deadline_is_an_error_now(scripted, in_no_time):
    server = scripted(lambda peer: peer.fail(429, "Throttling.RateQuota", headers={"Retry-After": "3600"}))
    client, time = in_no_time(server)
    with pytest.raises(ThrottledError) as caught:
        call(client)
    assert (caught.value.retry_after_s, time.slept, len(server.requests)) == (3600.0, [], 1)


def test_tokens_per_minute_are_waited_for_when_the_time_allows(scripted, in_no_time):
    server = scripted(lambda peer: peer.fail(429, "Throttling.AllocationQuota"), ok)
    client, time = in_no_time(server)
    assert call(client, deadline_s=180).attempts == 2
    assert 60.0 <= time.slept[0] <= 66.0


def test_what_the_guard_raises_before_an_attempt_passes_through_as_it_is(scripted, in_no_time):
    class RefusedError(Exception):
        pass

    refusal = RefusedError("rate_limited")

    def refuse(_number, _remaining):
        raise refusal

    server = scripted(lambda peer: peer.fail(500, "InternalError"))
    client, _ = in_no_time(server)
    with pytest.raises(RefusedError) as caught:
        call(client, before_attempt=refuse)
    assert caught.value is refusal
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert len(server.requests) == 1


def test_a_first_attempt_takes_no_place_of_its_own(scripted, client_of):
    places = []
    call(client_of(scripted(ok)), before_attempt=lambda *a: places.append(a))
    assert places == []


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_pooled_connection_dropped_before_a_byte_is_sent_again_at_once(serve, in_no_time, raw, how):
    def handler(peer, request):
        if request.number == 2:
            if how == "reset":
                peer.reset()
            return raw.CLOSE
        return peer.answer()

    server = serve(handler)
    client, time = in_no_time(server, max_attempts=1)
    call(client)
    places = []
    reply = call(client, before_attempt=lambda number, _remaining: places.append(number))
    assert (reply.attempts, reply.unsettled_attempts, places, time.slept) == (2, 0, [2], [])
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_fresh_connection_dropped_before_a_byte_is_tried_again_only_after_a_wait(scripted, in_no_time, raw):
    server = scripted(lambda _peer: raw.CLOSE, ok)
    client, time = in_no_time(server)
    reply = call(client)
    assert (reply.attempts, reply.unsettled_attempts, len(time.slept)) == (2, 1, 1)


def test_a_pooled_connection_dropped_after_a_byte_is_no_stale_one(serve, in_no_time, raw):
    def handler(peer, request):
        if request.number == 2:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
            return raw.CLOSE
        return peer.answer()

    client, time = in_no_time(serve(handler))
    call(client)
    reply = call(client)
    assert (reply.attempts, reply.unsettled_attempts, len(time.slept)) == (2, 1, 1)


@pytest.mark.parametrize(
    "broken",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"output"',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 20",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_breaks_off_is_a_lost_connection_that_may_have_been_billed(
    serve, in_no_time, raw, broken
):
    def handler(peer, _request):
        peer.send(broken)
        return raw.CLOSE

    server = serve(handler)
    client, _ = in_no_time(server)
    with pytest.raises(ConnectionFailedError, match="lost the connection") as caught:
        call(client)
    assert (caught.value.attempts, len(server.requests), caught.value.unsettled_attempts) == (3, 3, 3)
    assert caught.value.reason == "connection"


def test_a_server_that_is_not_there_is_a_connection_error_that_cost_nothing(in_no_time):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client, time = in_no_time(f"http://127.0.0.1:{port}/api/v1")
    with pytest.raises(ConnectionFailedError, match="Connection refused") as caught:
        call(client)
    assert (caught.value.may_be_billed, caught.value.unsettled_attempts) == (False, 0)
    assert len(time.slept) == 2


def test_a_redirect_is_not_followed_and_the_key_stays_here(serve, client_of):
    thief = serve(lambda peer, _request: peer.answer())
    server = serve(lambda peer, _request: peer.respond(b"", 307, {"Location": thief.base_url}))
    with pytest.raises(RedirectedError):
        call(client_of(server))
    assert (len(server.requests), thief.requests) == (1, [])


def test_cookies_of_a_server_are_not_kept(serve, client_of, raw):
    body = json.dumps(raw.reply_document()).encode()
    server = serve(lambda peer, _request: peer.respond(body, headers={"Set-Cookie": "acw_tc=1; path=/"}))
    client = client_of(server)
    call(client)
    call(client)
    assert all("cookie" not in request.headers for request in server.requests)


def test_a_502_page_is_tried_again(scripted, in_no_time):
    server = scripted(
        lambda peer: peer.respond(b"<html>502 Bad Gateway</html>", 502, {"Content-Type": "text/html"})
    )
    client, _ = in_no_time(server)
    with pytest.raises(BadGatewayError):
        call(client)
    assert len(server.requests) == 3


def test_an_empty_answer_is_not_asked_for_again_and_its_tokens_are_told(scripted, in_no_time):
    server = scripted(lambda peer: peer.answer(""))
    client, _ = in_no_time(server)
    with pytest.raises(EmptyAnswerError) as caught:
        call(client)
    assert (len(server.requests), caught.value.usage_tokens, caught.value.unsettled_attempts) == (
        1,
        (121, 51),
        0,
    )


def test_a_password_file_never_takes_the_keys_place(serve, client_of, key, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(lambda peer, _request: peer.answer())
    call(client_of(server))
    assert server.requests[0].headers["authorization"] == f"Bearer {key}"


def test_loopback_is_asked_directly_and_other_hosts_through_the_proxy(serve, client_of, monkeypatch, key):
    proxy = serve(lambda peer, _request: peer.answer("through the proxy"))
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    server = serve(lambda peer, _request: peer.answer("direct"))
    assert call(client_of(server)).text == "direct"
    assert call(client_of("http://dashscope.invalid/api/v1", allow_http=True)).text == "through the proxy"
    assert proxy.requests[0].path == "http://dashscope.invalid/api/v1/apps/app2/completion"
    assert proxy.requests[0].headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    "base_url",
    ["", "dashscope.aliyuncs.com/api/v1", "ftp://x/api/v1", "http://", "http://x:y:z/", "http://h/a?b=c"],
)
def test_a_base_url_that_cannot_be_one_is_refused_by_name(base_url):
    with pytest.raises(ConfigurationError, match="DASHSCOPE_BASE_URL"):
        DashScopeClient(api_key=SecretStr("k"), base_url=base_url)


@pytest.mark.parametrize("host", ["dashscope.example", "10.0.0.7:8080", "127.0.0.1.example", "[::2]"])
def test_plain_http_to_another_machine_is_refused_unless_it_is_allowed(host, key):
    base_url = f"http://{host}/api/v1"
    with pytest.raises(ConfigurationError, match="DASHSCOPE_ALLOW_HTTP"):
        DashScopeClient(api_key=SecretStr(key), base_url=base_url)
    DashScopeClient(api_key=SecretStr(key), base_url=base_url, allow_http=True).close()


@pytest.mark.parametrize(
    "base_url", ["http://127.8.9.1/v1", "http://[::1]:80/v1", "http://localhost/v1", "https://h/v1"]
)
def test_loopback_may_be_plain_http_and_every_host_https(base_url, key):
    DashScopeClient(api_key=SecretStr(key), base_url=base_url).close()


def test_a_session_with_the_key_sends_to_its_own_service_only(serve, key):
    thief = serve(lambda peer, _request: peer.answer())
    server = serve(lambda peer, _request: peer.answer())
    transport = Transport(
        auth=KeyAuth(SecretStr(key)), base_url=server.base_url, workspace="", allow_http=False, pool_size=1,
        limits=Limits(), clock=time.monotonic,
    )  # fmt: skip
    # by whatever way the wrong address came to be there
    transport.base_url = thief.base_url
    with pytest.raises(ConfigurationError):
        transport.send(Attempt(), "/apps/app2/completion", b"{}", time.monotonic() + 5)
    transport.close()
    assert (server.requests, thief.requests) == ([], [])


def test_a_trailing_slash_of_the_base_url_does_not_matter(serve, client_of):
    server = serve(lambda peer, _request: peer.answer())
    call(client_of(server.base_url + "/"))
    assert server.requests[0].path == "/api/v1/apps/app2/completion"


def test_a_missing_app_id_or_prompt_is_refused_before_anything_is_sent(serve, client_of):
    server = serve(lambda peer, _request: peer.answer())
    client = client_of(server)
    with pytest.raises(ConfigurationError, match="AI_APP_ID"):
        client.call(" ", "p", deadline_s=1)
    with pytest.raises(InputError):
        client.call("app2", "", deadline_s=1)
    assert server.requests == []


@pytest.mark.parametrize("settings", [{"pool_size": 0}, {"max_attempts": 0}, {"workspace": "a\nb"}])
def test_settings_out_of_bounds_are_refused(settings):
    with pytest.raises(ConfigurationError):
        DashScopeClient(api_key=SecretStr("k"), base_url="http://127.0.0.1/api/v1", **settings)
