"""Answers that come late, badly or not at all, and the end of them all when the server closes."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ai_assets.simulator.server import Simulator

Open = Callable[[], http.client.HTTPConnection]
PATIENCE_S = 20


def _eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true; polls, with far more patience than it should need."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def test_an_answer_takes_its_latency(simulator: Simulator, ask: Any) -> None:
    simulator.configure("app2", latency=0.2)
    begun = time.monotonic()
    ask("app2")
    assert time.monotonic() - begun >= 0.2


def test_a_stream_takes_its_latency_over_its_frames(simulator: Simulator, ask: Any) -> None:
    simulator.configure(latency=(0.2, 0.3))
    begun = time.monotonic()
    ask(stream=True)
    assert time.monotonic() - begun >= 0.19


def test_sixty_four_slow_calls_are_held_at_once(
    simulator: Simulator, more_connections: Open, send_call: Any
) -> None:
    simulator.configure(latency=0.5)
    opened = [more_connections() for _ in range(64)]
    begun = time.monotonic()
    for number, one in enumerate(opened):
        send_call(one, prompt=f"第 {number} 号")
    assert all(one.getresponse().read() for one in opened)
    # One after the other they would take 32 s.
    assert time.monotonic() - begun < 16
    assert simulator.stats()["max_in_flight"] == 64


def test_a_hanging_call_stays_in_flight_until_its_caller_leaves(
    simulator: Simulator, start_call: Any, more_connections: Open, send_call: Any
) -> None:
    simulator.configure("app2", kind="hang")
    hanging = start_call("app2")
    assert _eventually(lambda: simulator.stats()["in_flight"] == 1)
    other = more_connections()
    send_call(other, "app3")
    assert other.getresponse().status == 200
    hanging.close()
    assert _eventually(lambda: simulator.stats()["in_flight"] == 0)
    assert simulator.stats()["abandoned"] == 1


def test_hang_after_headers_sends_the_headers_and_no_byte_more(simulator: Simulator, start_call: Any) -> None:
    simulator.configure(kind="hang_after_headers")
    connection = start_call()
    response = connection.getresponse()
    assert response.status == 200
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        response.read(1)


def test_a_dripping_body_comes_byte_by_byte_after_whole_headers(
    simulator: Simulator, start_call: Any
) -> None:
    simulator.configure(kind="drip", drip_ms=60_000)
    connection = start_call()
    response = connection.getresponse()
    assert response.read1(1000) == b"{"
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        response.read1(1000)


def test_dripping_headers_come_byte_by_byte(simulator: Simulator, start_call: Any) -> None:
    simulator.configure(kind="drip_headers", drip_ms=60_000)
    raw: socket.socket = start_call().sock
    assert raw.recv(1000) == b"H"
    raw.settimeout(0.1)
    with pytest.raises(TimeoutError):
        raw.recv(1000)


@pytest.mark.parametrize("kind", ["drip", "drip_headers"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_drips_is_the_good_answer(simulator: Simulator, ask: Any, kind: str, stream: bool) -> None:
    good = ask("app7", stream=stream)
    simulator.configure("app7", kind=kind, drip_ms=0)
    dripped = ask("app7", stream=stream)
    assert dripped.status == 200
    if stream:
        assert len(dripped.frames) == len(good.frames)
    else:
        assert dripped.text == good.text


def test_drop_closes_before_any_byte(simulator: Simulator, start_call: Any) -> None:
    simulator.configure(kind="drop")
    raw: socket.socket = start_call().sock
    assert raw.recv(1) == b""


@pytest.mark.parametrize("stream", [False, True])
def test_drop_midway_closes_inside_the_body(simulator: Simulator, start_call: Any, stream: bool) -> None:
    simulator.configure(kind="drop_midway")
    response = start_call(stream=stream).getresponse()
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    if not stream:
        assert caught.value.partial


def test_a_dropped_call_is_counted_as_answered_and_the_next_one_is_served(
    simulator: Simulator, start_call: Any, more_connections: Open, send_call: Any
) -> None:
    simulator.configure(kind="drop", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        start_call().getresponse()
    fresh = more_connections()
    send_call(fresh)
    assert fresh.getresponse().status == 200
    assert simulator.stats()["by_outcome"] == {"drop": 1, "ok": 1}
    assert _eventually(lambda: simulator.stats()["in_flight"] == 0)
    assert simulator.stats()["abandoned"] == 0


@pytest.mark.parametrize("kind", ["hang", "hang_after_headers", "drip", "drip_headers"])
def test_closing_the_server_ends_calls_that_would_never_end(
    kind: str, connect_to: Any, send_call: Any
) -> None:
    simulator = Simulator(kind=kind).start()
    simulator.configure(drip_ms=60_000)
    opened = connect_to(simulator)
    send_call(opened)
    assert _eventually(lambda: simulator.stats()["in_flight"] == 1)
    begun = time.monotonic()
    simulator.close()
    assert time.monotonic() - begun < 5
    assert opened.sock is not None
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        opened.getresponse().read()
    opened.close()


def test_closing_the_server_ends_slow_calls_and_frees_the_port(connect_to: Any, send_call: Any) -> None:
    others = set(threading.enumerate())
    simulator = Simulator(latency=600).start()
    port = int(simulator.root_url.rpartition(":")[2])
    opened = connect_to(simulator)
    send_call(opened, stream=True)
    assert _eventually(lambda: simulator.stats()["in_flight"] == 1)
    simulator.close()
    simulator.close()
    opened.close()
    with Simulator(port=port) as again:
        assert again.base_url == f"http://127.0.0.1:{port}/api/v1"
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name == "simulator"]
