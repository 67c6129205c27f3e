"""What must not hurt: bodies malformed, huge, slow; sockets that never read, too many; Postgres away."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ai_assets.gateway import bodies, database, protocols, sockets
from ai_assets.gateway.limits import Bucket, whole_seconds
from ai_assets.gateway.metrics import Metrics

EVENT = {"event_type": "consumption", "site_id": 1001, "member_id": 5}
ALERTS = "/ws/ai-alerts/1001"


def raw(gateway) -> socket.socket:
    where = urlsplit(gateway.url)
    made = socket.create_connection((where.hostname, where.port))
    made.settimeout(20)
    return made


def head(gateway, length: int | None = None, **headers: str) -> bytes:
    lines = ["POST /events HTTP/1.1", "Host: x", f"Authorization: Bearer {gateway.token()}"]
    lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status_of(client: socket.socket) -> int:
    return int(client.recv(65_536).split(b" ", 2)[1])


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not JSON",
        b'{"event_type": "\xff"}',
        b"[" * 100_000,
        b'{"payload":' * 20_000,
        b'{"site_id": ' + b"9" * 5000 + b"}",
        b"",
        b"\x00",
        "[]".encode("utf-16"),
    ],
    ids=range(9),
)
def test_a_malformed_body_is_a_problem_and_never_a_defect(gateway, body):
    answer = gateway.ask("POST", "/events", data=body, headers={"Content-Type": "application/json"})
    assert answer.status in (400, 422)
    assert answer.kind == "bad-input"


@pytest.mark.parametrize(
    "payload", [{"d": None}, {"n": 10**399}, {"t": "\ud800 \x00"}, {"x" * 1000: "y"}, {"__proto__": [[[]]]}]
)
def test_an_odd_payload_is_taken_in(gateway, payload):
    sent = gateway.ask(
        "POST",
        "/events",
        data=json.dumps({**EVENT, "payload": payload}),
        headers={"Content-Type": "application/json"},
    )
    assert (sent.status, sent.body["status"]) == (202, "pending")


def test_numbers_that_are_none_and_payloads_too_deep_or_large_do_no_harm(gateway):
    deep = "[" * 80 + "]" * 80
    for payload, status in (
        ('{"x": NaN, "y": Infinity}', "pending"),
        (f'{{"x": {deep}}}', "failed"),
        (f'{{"x": "{"y" * 300_000}"}}', "failed"),
    ):
        body = f'{{"event_type": "task_assigned", "site_id": 1001, "member_id": 5, "payload": {payload}}}'
        body = body.replace('"payload": {', '"payload": {"assistant_id": 7, ')
        sent = gateway.ask("POST", "/events", data=body, headers={"Content-Type": "application/json"})
        assert (sent.status, sent.body["status"]) == (202, status)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_413_and_not_held(gateway, chunked):
    huge = b'{"payload": {"x": "' + b"y" * 3_000_000
    data = (huge[n : n + 100_000] for n in range(0, len(huge), 100_000)) if chunked else huge
    answer = gateway.ask("POST", "/events", data=data, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.kind, answer.headers["connection"]) == (413, "too-large", "close")
    assert gateway.get("/sites/1001/alerts").status == 200


def test_who_asks_before_it_sends_a_huge_body_is_told_at_once(gateway):
    with raw(gateway) as client:
        client.sendall(head(gateway, 10**12, Expect="100-continue"))
        assert status_of(client) == 413


def test_of_who_has_no_token_no_body_is_read(gateway):
    with raw(gateway) as client:
        client.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert status_of(client) == 401


def test_a_body_that_does_not_come_is_408(gateway, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_S", 0.3)
    with raw(gateway) as client:
        client.sendall(head(gateway, 100) + b"{")
        assert status_of(client) == 408
    # a client that goes away in the middle of its body leaves nothing behind
    with raw(gateway) as client:
        client.sendall(head(gateway, 100) + b"{")
    assert gateway.get("/sites/1001/alerts").status == 200


def test_a_head_that_does_not_come_or_does_not_end_closes_the_connection(gateway, monkeypatch):
    monkeypatch.setattr(protocols, "HEAD_S", 0.3)
    with raw(gateway) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        assert gone(client)
    with raw(gateway) as client:
        assert gone(client)
    monkeypatch.setattr(protocols, "HEAD_S", 60)
    with raw(gateway) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
        try:
            for _ in range(200):
                client.sendall(b"X: " + b"y" * 10_000 + b"\r\n")
                time.sleep(0.001)
        except OSError:
            return
        assert gone(client)


def gone(client: socket.socket) -> bool:
    try:
        return client.recv(65_536) == b""
    except ConnectionResetError:
        return True


def test_a_token_that_asks_too_often_is_429_and_others_are_not(database_url, start_gateway):
    gateway = start_gateway(database_url, AI_GATEWAY_RATE_PER_S=5)
    busy, calm = gateway.token("read"), gateway.token("send")
    answers = [gateway.get("/sites/1001/alerts", token=busy) for _ in range(30)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert (refused[0].kind, refused[0].headers["retry-after"]) == ("rate-limited", "1")
    assert gateway.get("/sites/1001/alerts", token=calm).status == 200
    time.sleep(1.1)
    assert gateway.get("/sites/1001/alerts", token=busy).status == 200


def test_a_bucket_lets_through_its_size_at_once_and_its_rate_over_time():
    bucket = Bucket.full(5, 10, 0.0)
    assert sum(bucket.take(0.0) == 0 for _ in range(20)) == 10
    assert bucket.take(0.0) == pytest.approx(0.2)
    # two seconds: ten places, the last of them at the very end
    assert sum(bucket.take(n / 64) == 0 for n in range(1, 129)) == 10
    # a clock that goes back gives nothing
    assert bucket.take(0.0) > 0
    assert [whole_seconds(s) for s in (0.01, 1.0, 1.2)] == [1, 1, 2]


def test_too_many_sockets_are_refused_and_a_closed_one_makes_room(database_url, start_gateway):
    gateway = start_gateway(database_url, AI_GATEWAY_SOCKETS=3, AI_GATEWAY_TOKEN_SOCKETS=2)
    one, other = gateway.token("read"), gateway.token("send")
    with gateway.socket(ALERTS, token=one) as first, gateway.socket(ALERTS, token=one):
        gateway.heard(first)
        with pytest.raises(InvalidStatus) as refused:
            gateway.socket(ALERTS, token=one).__enter__()
        assert refused.value.response.status_code == 429
        assert b"too-many-sockets" in refused.value.response.body
        with gateway.socket(ALERTS, token=other):
            with pytest.raises(InvalidStatus) as refused:
                gateway.socket(ALERTS, token=other).__enter__()
            assert refused.value.response.status_code == 503
    ends = time.monotonic() + 10
    while gateway.parts.sockets.used:
        assert time.monotonic() < ends
        time.sleep(0.01)
    with gateway.socket(ALERTS, token=one) as again:
        assert gateway.heard(again)["type"] == "ready"
    assert (
        'ai_gateway_sockets_refused_total{status="429"} 1'
        in gateway.get("/metrics", token=None).body.decode()
    )


def deaf_socket(gateway) -> socket.socket:
    """A WebSocket whose client never reads what it is sent."""
    where = urlsplit(gateway.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect((where.hostname, where.port))
    client.sendall(
        f"GET {ALERTS} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {gateway.token()}\r\n\r\n".encode()
    )
    assert b" 101 " in client.recv(200)
    return client


def test_a_socket_that_never_reads_is_ended_and_holds_up_nobody(gateway, monkeypatch):
    monkeypatch.setattr(sockets, "SEND_S", 0.5)
    with deaf_socket(gateway), gateway.socket(ALERTS) as reader:
        gateway.heard(reader)
        # more than the system's buffers and the server's take
        with gateway.engine.begin() as connection:
            connection.exec_driver_sql(
                "insert into biz.ai_alerts (site_id, alert_type, message)"
                " select 1001, 'failed', repeat('字', 200) from generate_series(1, 4000)"
            )
        assert [gateway.heard(reader)["id"] for _ in range(4000)] == list(range(1, 4001))
        ends = time.monotonic() + 15
        while gateway.parts.sockets.used > 1:
            assert time.monotonic() < ends
            time.sleep(0.02)
        page = gateway.get("/metrics", token=None).body.decode()
        assert 'ai_gateway_sockets_ended_total{reason="too-slow"} 1' in page
        # and its connection is gone for good: nothing waits for it to read
        ends = time.monotonic() + 5
        while gateway.value("select 1") and len(open_sockets(gateway)) > 1:
            assert time.monotonic() < ends
            time.sleep(0.02)


def open_sockets(gateway) -> list[object]:
    import psutil

    port = urlsplit(gateway.url).port
    return [
        one
        for one in psutil.Process().net_connections("tcp")
        if one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED
    ]


def test_a_socket_whose_client_talks_without_end_is_ended(gateway):
    with gateway.socket(ALERTS) as talker:
        gateway.heard(talker)
        # it may be ended before all were sent
        with suppress(ConnectionClosed):
            for _ in range(100):
                talker.send("ping")
        with pytest.raises(ConnectionClosed) as ended:
            gateway.heard(talker)
    assert ended.value.rcvd.reason == "takes-no-messages"


def test_a_message_to_a_socket_that_is_too_large_ends_it(gateway):
    with gateway.socket(ALERTS) as talker:
        gateway.heard(talker)
        talker.send("x" * 10_000)
        with pytest.raises(ConnectionClosed) as ended:
            gateway.heard(talker)
    assert ended.value.rcvd.code == 1009


def test_postgres_away_is_503_with_no_word_of_ours_and_it_comes_back_by_itself(start_gateway, database_url):
    # nobody answers at this address
    gateway = start_gateway("postgresql://secret_user@127.0.0.1:1/secret_name", tokens_url=database_url)
    for answer in (gateway.get("/sites/1001/alerts"), gateway.post("/events", EVENT)):
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (
            503,
            "database-unavailable",
            "2",
        )
        assert "secret" not in str(answer.body)
    assert gateway.get("/readyz", token=None).status == 503
    assert gateway.get("/healthz", token=None).status == 200
    assert gateway.get("/metrics", token=None).status == 200


def test_a_postgres_that_is_silent_does_not_hold_requests_for_ever(gateway, monkeypatch):
    monkeypatch.setattr(database, "ANSWER_S", 0.3)
    token = gateway.token()
    assert gateway.get("/sites/1001/alerts", token=token).status == 200
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("lock table biz.ai_alerts in access exclusive mode")
        answer = gateway.get("/sites/1001/alerts", token=token)
    assert (answer.status, answer.kind) == (503, "database-unavailable")
    assert gateway.get("/sites/1001/alerts", token=token).status == 200


def test_more_requests_at_once_than_there_is_room_for_are_503(gateway):
    assert gateway.parts.requests.size > 100
    gateway.parts.requests.size = 0
    answer = gateway.get("/sites/1001/alerts")
    assert (answer.status, answer.kind) == (503, "busy")
    # who looks whether it lives is always let in
    assert gateway.get("/healthz", token=None).status == 200


def test_more_bodies_at_once_than_there_is_room_for_are_503(gateway):
    gateway.parts.bodies.size = 1000
    answer = gateway.post("/events", {**EVENT, "payload": {"x": "y" * 2000}})
    assert (answer.status, answer.kind) == (503, "busy")
    # what was held is let go of
    assert gateway.post("/events", EVENT).status == 202


def test_a_defect_is_500_and_told_to_the_log_alone(gateway, caplog):
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("alter table biz.member_retention_clue rename to elsewhere")
    answer = gateway.get("/sites/1001/clues/5")
    assert (answer.status, answer.kind) == (500, "defect")
    assert "member_retention_clue" not in str(answer.body)
    assert "member_retention_clue" in caplog.text


def test_the_metrics_page_is_prometheus_text():
    metrics = Metrics()
    metrics.count("events_total", 3, status='a"b\\c\n')
    metrics.gauge("sockets", "open", lambda: 7)
    metrics.took(0.003)
    metrics.took(99)
    lines = metrics.page().splitlines()
    assert 'ai_gateway_events_total{status="a\\"b\\\\c\\n"} 3' in lines
    assert "ai_gateway_sockets 7" in lines
    assert 'ai_gateway_request_seconds_bucket{le="0.0025"} 0' in lines
    assert 'ai_gateway_request_seconds_bucket{le="0.005"} 1' in lines
    assert 'ai_gateway_request_seconds_bucket{le="+Inf"} 2' in lines
    assert "ai_gateway_request_seconds_count 2" in lines


def test_no_label_names_a_site_or_an_address_that_anybody_made_up(gateway):
    gateway.get("/sites/1001/alerts")
    gateway.get("/made/up/987")
    gateway.ask("BREW", "/sites/1001/alerts")
    page = gateway.get("/metrics", token=None).body.decode()
    assert 'method="GET",route="/sites/{site_id}/alerts",status="200"' in page
    # the figures themselves may hold any digits
    labels = "\n".join(line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#"))
    assert "{" in labels
    assert not any(made_up in labels for made_up in ("1001", "987", "BREW"))
