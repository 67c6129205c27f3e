"""No token can use up what the gateway shares: requests at once, bytes of bodies, runs, sockets."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus

from ai_assets.gateway.problems import Problem
from ai_assets.gateway.quota import Quota

EVENT = {"event_type": "consumption", "site_id": 1001, "member_id": 5}
ALERTS = "/ws/ai-alerts/1001"


def taken(quota: Quota, token: int) -> int:
    """Take all that the token may have; how many places it got."""
    for count in range(quota.size + 1):
        try:
            quota.take(token)
        except Problem:
            return count
    raise AssertionError("it has no end")


def unfinished(gateway, token: str) -> socket.socket:
    """A request whose body has not come yet."""
    where = urlsplit(gateway.url)
    made = socket.create_connection((where.hostname, where.port))
    made.settimeout(20)
    made.sendall(
        f"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    return made


@pytest.mark.parametrize("size", [4, 8, 100, 400, 1000])
def test_one_token_may_hold_three_quarters_and_a_quarter_is_kept_for_others(size):
    quota = Quota(size, "places")
    assert taken(quota, 1) == size * 3 // 4
    assert taken(quota, 2) >= 1
    assert quota.used <= size


def test_a_place_stays_free_for_the_next_token_however_many_take_all_they_may():
    quota = Quota(400, "places")
    shares = [taken(quota, token) for token in range(1, 6)]
    assert min(shares) >= 1
    quota.take(99)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_token_that_holds_nothing_may_take_what_is_free_however_small(size):
    quota = Quota(size, "places")
    assert taken(quota, 1) >= 1
    if size > 1:
        quota.take(2)


def test_what_the_others_leave_is_shared_anew_as_they_end():
    quota = Quota(100, "places")
    for _ in range(taken(quota, 1)):
        quota.release(1)
    assert taken(quota, 2) == 75
    for _ in range(75):
        quota.release(2)
    assert quota.used == 0


def test_whose_share_is_used_is_429_and_where_all_is_used_it_is_503():
    quota = Quota(2, "places", kind="too-many")
    quota.take(1)
    with pytest.raises(Problem) as own:
        quota.take(1)
    quota.take(2)
    with pytest.raises(Problem) as full:
        quota.take(3)
    assert [(error.value.status, error.value.kind) for error in (own, full)] == [
        (429, "too-many"),
        (503, "too-many"),
    ]
    assert own.value.headers["Retry-After"]


def test_unfinished_bodies_of_one_token_leave_room_for_another(gateway):
    gateway.parts.requests.size = 8
    greedy, other = gateway.token("send"), gateway.token("operate")
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(unfinished(gateway, greedy)) for _ in range(12)]
        # those beyond its share are answered at once, the others wait for the rest of their body
        refused = 0
        while gateway.parts.requests.used < 6 or refused < 6:
            for client in clients:
                client.settimeout(0.05)
                try:
                    head = client.recv(65_536)
                except TimeoutError:
                    continue
                if head:
                    assert head.split(b" ", 2)[1] == b"429"
                    refused += 1
        assert gateway.post("/events", EVENT, token=other).status == 202
        assert gateway.get("/sites/1001/alerts", token=greedy).kind == "busy"


def test_bodies_of_one_token_leave_bytes_for_another(gateway):
    gateway.parts.bodies.size = 1000
    greedy, other = gateway.token("send"), gateway.token("operate")
    gateway.parts.bodies.take(_id(greedy), 700)
    too_much = {**EVENT, "payload": {"x": "y" * 100}}
    assert gateway.post("/events", too_much, token=greedy).status == 429
    assert gateway.post("/events", too_much, token=other).status == 202
    assert gateway.parts.bodies.used == 700


def test_sockets_of_one_token_leave_some_for_another(database_url, start_gateway):
    gateway = start_gateway(database_url, AI_GATEWAY_SOCKETS=4)
    greedy, other = gateway.token("read"), gateway.token("send")
    with ExitStack() as open_ones:
        for _ in range(3):
            gateway.heard(open_ones.enter_context(gateway.socket(ALERTS, token=greedy)))
        with pytest.raises(InvalidStatus) as refused:
            gateway.socket(ALERTS, token=greedy).__enter__()
        assert refused.value.response.status_code == 429
        with gateway.socket(ALERTS, token=other) as socket_of_other:
            assert gateway.heard(socket_of_other)["type"] == "ready"


@pytest.mark.parametrize(
    ("path", "role"), [("/events", "read"), ("/apps/app3_clue/run", "send"), ("/apps/app9/run", "send")]
)
def test_the_role_is_checked_before_the_body_is_read(gateway, path, role):
    where = urlsplit(gateway.url)
    with socket.create_connection((where.hostname, where.port)) as client:
        client.settimeout(20)
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.token(role)}\r\n"
            "Content-Length: 1000000\r\n\r\n".encode()
        )
        answer = client.recv(65_536)
    assert answer.split(b" ", 2)[1] == b"403"
    assert b"connection: close" in answer.lower()


def test_of_an_address_that_is_not_there_no_body_is_read(gateway):
    where = urlsplit(gateway.url)
    for request, status in ((b"POST /nothing", b"404"), (b"POST /sites/1001/alerts", b"405")):
        with socket.create_connection((where.hostname, where.port)) as client:
            client.settimeout(20)
            client.sendall(
                request
                + f" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.token()}\r\n".encode()
                + b"Content-Length: 1000000\r\n\r\n"
            )
            assert client.recv(65_536).split(b" ", 2)[1] == status


def test_those_without_a_known_token_leave_room_for_those_with_one(gateway):
    known = gateway.token("read")
    assert gateway.get("/sites/1001/alerts", token=known).status == 200
    gateway.parts.requests.size = 4
    for _ in range(3):
        gateway.parts.requests.take(None)
    unknown = "aia_999_" + "a" * 43
    assert gateway.get("/sites/1001/alerts", token=unknown).kind == "busy"
    assert gateway.get("/sites/1001/alerts", token=known).status == 200


def _id(token: str) -> int:
    return int(token.split("_")[1])
