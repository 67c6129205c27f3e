"""The key is in the Authorization header, and in nothing that is printed, logged, raised or pickled."""

from __future__ import annotations

import copy
import logging
import pickle
import socket
import traceback

import pytest
from pydantic import SecretStr

from ai_assets.dashscope.client import DashScopeClient, Limits
from ai_assets.dashscope.errors import DashScopeError
from ai_assets.dashscope.key import KeyAuth
from ai_assets.errors import ConfigurationError


def everything_of(error: BaseException) -> str:
    """All that can be seen of an exception: itself, its chain, its frames' locals, its pickle."""
    seen, rest = [], [error]
    while rest:
        one = rest.pop()
        seen += [str(one), repr(one), repr(one.args), repr(vars(one)), repr(getattr(one, "__notes__", ""))]
        rest += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
    for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
        if frame.filename != __file__:  # a test's own variables hold the key, of course
            seen += [frame.filename, *(frame.locals or {}).values()]
    seen.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(seen)


def everything_in(thing: object, depth: int = 6) -> str:
    """repr of `thing` and of whatever hangs on it."""
    seen, known = [repr(thing), str(thing)], {id(thing)}
    level = [thing]
    for _ in range(depth):
        below = []
        for one in level:
            hanging = (
                list(one.values()) if isinstance(one, dict) else list(getattr(one, "__dict__", {}).values())
            )
            below += [item for item in hanging if id(item) not in known and not isinstance(item, SecretStr)]
            known.update(map(id, below))
        seen += [repr(one) for one in below]
        level = below
    return "\n".join(seen)


def echoes(request):
    return request.headers["authorization"]


def in_a_json_error(peer, request):
    peer.fail(401, "InvalidApiKey", f"Incorrect API key: {echoes(request)}")


def in_a_code(peer, request):
    peer.fail(400, f"Bad.{echoes(request)}")


def in_a_page(peer, request):
    peer.respond(f"<html>{request.headers}</html>".encode(), 502)


def in_headers(peer, request):
    key = echoes(request).split()[1]
    peer.respond(b"", 500, {"X-Request-Id": key, "Retry-After": key})


def in_a_malformed_reply(peer, request):
    peer.respond(echoes(request).encode())


def in_an_event(peer, request):
    peer.chunked(
        [f'event:error\n:HTTP_STATUS/400\ndata:{{"code":"X","message":"{echoes(request)}"}}\n\n'.encode()]
    )


def in_a_redirect(peer, request):
    peer.respond(b"", 302, {"Location": f"/{echoes(request)}"})


def in_a_bad_status_line(peer, request):
    peer.send(f"{echoes(request)}\r\n\r\n".encode())
    return False


def in_a_broken_header(peer, request):
    peer.send(f"HTTP/1.1 200 OK\r\n{echoes(request)}\r\nContent-Length: 9\r\n\r\n".encode())
    return False


def dropped(_peer, _request):
    return False


def hung(peer, _request):
    peer.hang()


WAYS = [
    in_a_json_error,
    in_a_code,
    in_a_page,
    in_headers,
    in_a_malformed_reply,
    in_an_event,
    in_a_redirect,
    in_a_bad_status_line,
    in_a_broken_header,
    dropped,
    hung,
]


@pytest.mark.parametrize("way", WAYS)
def test_no_error_shows_the_key_even_when_the_server_echoes_it(serve, client_of, key, caplog, way):
    server = serve(way)
    client = client_of(server, max_attempts=2, sleep=lambda _s: None, limits=Limits(read_s=0.2))
    with caplog.at_level(logging.DEBUG), pytest.raises(DashScopeError) as caught:
        client.call("app2", "p", deadline_s=10)
    assert key in server.requests[0].headers["authorization"]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    seen = everything_of(caught.value)
    assert "ai_assets/dashscope/client.py" in seen
    assert key not in seen
    assert key not in caplog.text
    assert key not in "".join(repr(vars(record)) for record in caplog.records)


def test_no_error_of_a_connection_that_was_never_made_shows_the_key(client_of, key):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/api/v1", f"https://127.0.0.1:{port}/api/v1"):
        with pytest.raises(DashScopeError) as caught:
            client_of(url, max_attempts=1).call("app2", "p", deadline_s=10)
        assert caught.value.__context__ is None
        assert key not in everything_of(caught.value)


def test_an_answer_that_echoes_the_key_comes_without_it(serve, client_of, key):
    server = serve(lambda peer, request: peer.answer(f"你的 {echoes(request)}", request_id=echoes(request)))
    reply = client_of(server).call("app2", "p", deadline_s=10)
    assert "你的" in reply.text
    assert key not in repr(reply)


def test_the_client_shows_its_address_and_no_key(serve, client_of, key):
    client = client_of(serve(lambda peer, _request: peer.answer()))
    client.call("app2", "p", deadline_s=10)
    assert key not in everything_in(client)
    assert "127.0.0.1" in repr(client)


def test_the_client_and_its_key_cannot_be_pickled_or_copied(client_of):
    client = client_of("http://127.0.0.1:1/api/v1")
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            way(client)
    with pytest.raises(TypeError):
        pickle.dumps(KeyAuth(SecretStr("sk-something-long")))


@pytest.mark.parametrize(
    "bad", ["sk-abc\ndefghijk", "sk-abc defghijk", "sk-abc\x00defghijk", "sk-钥匙-abcdefghijk"]
)
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_being_shown(bad):
    with pytest.raises(ConfigurationError, match="DASHSCOPE_API_KEY") as caught:
        DashScopeClient(api_key=SecretStr(bad), base_url="http://127.0.0.1/api/v1")
    assert "defghijk" not in str(caught.value)


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_key_is_refused_by_name(empty):
    with pytest.raises(ConfigurationError, match="DASHSCOPE_API_KEY is empty"):
        DashScopeClient(api_key=SecretStr(empty), base_url="http://127.0.0.1/api/v1")


def test_a_line_break_after_the_key_is_no_part_of_it(serve):
    server = serve(lambda peer, _request: peer.answer())
    with DashScopeClient(api_key=SecretStr("sk-abc\n"), base_url=server.base_url) as client:
        client.call("app2", "p", deadline_s=10)
    assert server.requests[0].headers["authorization"] == "Bearer sk-abc"


def test_a_password_in_the_base_url_is_refused_without_being_shown():
    with pytest.raises(ConfigurationError) as caught:
        DashScopeClient(api_key=SecretStr("k"), base_url="http://someone:hunter2@127.0.0.1/api/v1")
    assert "hunter2" not in str(caught.value)
