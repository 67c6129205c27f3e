"""A pooled connection that is lost: for free and at once only while no byte of the answer has come."""

from __future__ import annotations

import pytest

from ai_assets.dashscope.client import Backoff


def resets(peer):
    peer.reset()
    return False


def closes(_peer):
    return False


@pytest.mark.parametrize("ends", [resets, closes])
@pytest.mark.parametrize(
    "begun", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX-A: b"]
)
def test_a_pooled_connection_lost_in_the_middle_of_an_answer_may_have_been_billed(
    serve, client_of, begun, ends
):
    def handler(peer, request):
        if request.number == 2:
            peer.send(begun)
            peer.wait_until_read()
            return ends(peer)
        return peer.answer()

    server = serve(handler)
    client = client_of(server, pool_size=1, backoff=Backoff(first_s=0.01))
    assert client.call("a", "p", deadline_s=20).unsettled_attempts == 0
    reply = client.call("a", "p", deadline_s=20)
    assert (server.requests[1].connection, server.requests[2].connection) == (1, 2)
    assert (reply.attempts, reply.unsettled_attempts) == (2, 1)


@pytest.mark.parametrize("ends", [resets, closes])
def test_a_pooled_connection_lost_before_any_byte_of_the_answer_is_no_attempt_that_was_billed(
    serve, client_of, ends
):
    server = serve(lambda peer, request: ends(peer) if request.number == 2 else peer.answer())
    client = client_of(server, pool_size=1)
    client.call("a", "p", deadline_s=20)
    reply = client.call("a", "p", deadline_s=20)
    assert (reply.attempts, reply.unsettled_attempts) == (2, 0)
