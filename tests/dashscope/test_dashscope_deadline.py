"""A call ends within its time whatever the server does, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
import time

import psutil
import pytest
from pydantic import SecretStr

from ai_assets.dashscope.attempt import Attempt
from ai_assets.dashscope.client import Backoff, Limits
from ai_assets.dashscope.errors import (
    AnswerTimeoutError,
    CallCancelledError,
    CallTimeoutError,
    ClientBusyError,
    Effect,
)
from ai_assets.dashscope.key import KeyAuth
from ai_assets.dashscope.transport import Transport
from ai_assets.dashscope.wire import RawReply
from ai_assets.errors import TransientError

DEADLINE_S = 0.3
GENEROUS_S = 5.0

HEAD = b"HTTP/1.1 200 OK\r\n"


def never_answers(peer, _request):
    peer.hang()


def drips_the_status_line(peer, _request):
    peer.send(b"HTTP/1.1 200 O")
    peer.drip(b"K")


def drips_one_header(peer, _request):
    peer.send(HEAD + b"X-Slow: ")
    peer.drip(b"a")


def drips_many_headers(peer, _request):
    peer.send(HEAD)
    peer.drip(b"X-A: b\r\n", 0.1)


def keeps_saying_continue(peer, _request):
    peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def hangs_after_its_headers(peer, _request):
    peer.send(HEAD + b"Content-Length: 100\r\n\r\n")
    peer.hang()


def drips_its_body(peer, _request):
    peer.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
    peer.drip(b" ")


def drips_a_chunk_size(peer, _request):
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;")
    peer.drip(b"x")


def drips_small_chunks(peer, _request):
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\n \r\n")


def never_ends_an_event_stream(peer, _request):
    peer.send(HEAD + b"Content-Type: text/event-stream\r\n\r\n")
    peer.drip(b":keep-alive\n\n")


def answers_and_never_closes(peer, _request):
    peer.send(HEAD + b'\r\n{"output":{"text":"x"}}')
    peer.hang()


STUCK = [
    never_answers,
    drips_the_status_line,
    drips_one_header,
    drips_many_headers,
    keeps_saying_continue,
    hangs_after_its_headers,
    drips_its_body,
    drips_a_chunk_size,
    drips_small_chunks,
    never_ends_an_event_stream,
    answers_and_never_closes,
]


def eventually(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("behaviour", STUCK)
def test_a_stuck_server_costs_no_more_than_the_deadline_and_no_worker(serve, client_of, behaviour):
    def handler(peer, request):
        return behaviour(peer, request) if request.number == 1 else peer.answer("again")

    server = serve(handler)
    client = client_of(server, pool_size=1)
    began = time.monotonic()
    with pytest.raises(CallTimeoutError) as caught:
        client.call("app2", "p", deadline_s=DEADLINE_S)
    assert DEADLINE_S * 0.9 <= time.monotonic() - began < GENEROUS_S
    error = caught.value
    assert (error.reason, error.effect, error.may_be_billed) == ("timeout", Effect.COUNTS, True)
    assert isinstance(error, TransientError)
    assert error.unsettled_attempts == 1
    # The only worker of the client is free again, and the server has been left.
    assert client.call("app2", "p", deadline_s=GENEROUS_S).text == "again"
    assert server.peers[0].gone.wait(GENEROUS_S)


def test_neither_threads_nor_sockets_are_left_when_the_client_is_closed(serve, client_of):
    server = serve(lambda peer, request: STUCK[request.number % len(STUCK)](peer, request))
    process = psutil.Process()
    before = process.num_fds()
    client = client_of(server, pool_size=4, max_attempts=1)

    def caller():
        with pytest.raises(CallTimeoutError):
            client.call("a", "p", deadline_s=0.3)

    callers = [threading.Thread(target=caller) for _ in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(GENEROUS_S)
    client.close()
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("dashscope")])
    eventually(lambda: all(peer.gone.is_set() for peer in server.peers))
    eventually(lambda: process.num_fds() <= before)


def test_a_server_that_accepts_nothing_is_left_at_the_deadline(client_of):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        client = client_of(f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1")
        with pytest.raises(CallTimeoutError):
            client.call("a", "p", deadline_s=DEADLINE_S)


def test_time_that_is_up_before_the_request_sends_nothing_and_bills_nothing(serve, client_of):
    server = serve(lambda peer, _request: peer.answer())
    for deadline_s in (0.0, -1.0, float("nan")):
        with pytest.raises(CallTimeoutError) as caught:
            client_of(server).call("a", "p", deadline_s=deadline_s)
        assert not caught.value.may_be_billed
    assert server.requests == []


def test_a_caller_for_whom_no_worker_became_free_is_told_so_and_the_app_is_not_blamed(serve, client_of):
    asked = threading.Event()

    def handler(peer, _request):
        asked.set()
        peer.hang()

    client = client_of(serve(handler), pool_size=1)

    def caller():
        with pytest.raises(CallCancelledError):
            client.call("a", "p", deadline_s=60)

    first = threading.Thread(target=caller)
    first.start()
    assert asked.wait(GENEROUS_S)
    with pytest.raises(ClientBusyError) as caught:
        client.call("a", "p", deadline_s=0.2)
    assert (caught.value.reason, caught.value.effect) == ("timeout", Effect.NEUTRAL)
    assert not caught.value.may_be_billed
    client.close()
    first.join(GENEROUS_S)


def test_a_read_timeout_shorter_than_the_deadline_leaves_time_for_another_attempt(serve, client_of):
    server = serve(lambda peer, request: peer.hang() if request.number == 1 else peer.answer())
    client = client_of(server, limits=Limits(read_s=0.3), sleep=lambda _s: None)
    reply = client.call("a", "p", deadline_s=20)
    assert (reply.attempts, reply.unsettled_attempts) == (2, 1)


def test_read_timeouts_alone_are_named_so_and_counted_as_maybe_billed(serve, client_of):
    server = serve(lambda peer, _request: peer.hang())
    client = client_of(server, limits=Limits(read_s=0.1), sleep=lambda _s: None)
    with pytest.raises(AnswerTimeoutError) as caught:
        client.call("a", "p", deadline_s=20)
    error = caught.value
    assert (error.reason, error.attempts, error.unsettled_attempts) == ("read_timeout", 3, 3)


def test_a_timeout_after_a_failed_attempt_tells_of_both(serve, client_of):
    server = serve(
        lambda peer, request: peer.fail(500, "InternalError") if request.number == 1 else peer.hang()
    )
    client = client_of(server, backoff=Backoff(first_s=0.01))
    with pytest.raises(CallTimeoutError, match=r"the attempt before it failed \(server_error\)") as caught:
        client.call("a", "p", deadline_s=0.5)
    assert caught.value.attempts == 2


def test_a_cancelled_call_ends_at_once_and_frees_its_worker(serve, client_of):
    cancelled = threading.Event()

    def handler(peer, request):
        if request.number > 1:
            return peer.answer()
        cancelled.set()
        return peer.hang()

    server = serve(handler)
    client = client_of(server, pool_size=1)
    began = time.monotonic()
    with pytest.raises(CallCancelledError) as caught:
        client.call("a", "p", deadline_s=60, cancelled=cancelled)
    assert time.monotonic() - began < GENEROUS_S
    assert (caught.value.effect, caught.value.may_be_billed) == (Effect.NEUTRAL, True)
    assert client.call("a", "p", deadline_s=GENEROUS_S).attempts == 1


def test_a_call_cancelled_before_it_began_sends_nothing(serve, client_of):
    server = serve(lambda peer, _request: peer.answer())
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CallCancelledError) as caught:
        client_of(server).call("a", "p", deadline_s=9, cancelled=cancelled)
    assert not caught.value.may_be_billed
    assert server.requests == []


def test_a_wait_between_attempts_ends_when_the_call_is_cancelled(serve, client_of):
    server = serve(lambda peer, _request: peer.fail(429, "Throttling", headers={"Retry-After": "30"}))
    cancelled = threading.Event()
    timer = threading.Timer(0.3, cancelled.set)
    timer.start()
    took_a_place = []
    began = time.monotonic()
    with pytest.raises(CallCancelledError, match=r"failed \(throttled\)"):
        client_of(server).call(
            "a", "p", deadline_s=120, cancelled=cancelled, before_attempt=lambda *a: took_a_place.append(a)
        )
    assert time.monotonic() - began < GENEROUS_S
    assert (len(server.requests), took_a_place) == (1, [])


def test_closing_the_client_ends_the_calls_under_way(serve, client_of):
    asked = threading.Event()

    def handler(peer, _request):
        asked.set()
        peer.hang()

    client = client_of(serve(handler))
    caught = []

    def caller():
        with pytest.raises(CallCancelledError) as error:
            client.call("a", "p", deadline_s=60)
        caught.append(error.value)

    thread = threading.Thread(target=caller)
    thread.start()
    assert asked.wait(GENEROUS_S)
    client.close()
    thread.join(GENEROUS_S)
    assert "closed" in str(caught[0])
    with pytest.raises(CallCancelledError, match="closed"):
        client.call("a", "p", deadline_s=1)


def test_an_abort_after_the_answer_was_read_spares_the_connections_next_user(serve, key):
    server = serve(lambda peer, _request: peer.answer())
    attempt, ticks = Attempt(), []

    def clock():
        ticks.append(1)
        if len(ticks) > 1:  # the answer is read, its connection given back, the request not yet over
            attempt.abort()
        return 0.0

    transport = Transport(
        auth=KeyAuth(SecretStr(key)),
        base_url=server.base_url,
        workspace="",
        allow_http=False,
        pool_size=1,
        limits=Limits(),
        clock=clock,
    )
    assert isinstance(transport.send(attempt, "/a", b"{}", 10.0), RawReply)
    assert attempt.aborted
    assert isinstance(transport.send(Attempt(), "/a", b"{}", 10.0), RawReply)
    assert server.connections == 1
    transport.close()
