"""The command: prints its URL, serves, stops cleanly; and Simulator refuses what it should."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from ai_assets.errors import InputError
from ai_assets.simulator.cli import simulate
from ai_assets.simulator.kinds import KINDS, OK
from ai_assets.simulator.server import Simulator

Process = subprocess.Popen[str]


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[Process]:
    """The command as a process of its own, with the options given as the fixture's parameter."""
    program = "from ai_assets.simulator.cli import simulate; simulate()"
    started = subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", *request.param], stdout=subprocess.PIPE, text=True
    )
    yield started
    if started.poll() is None:
        started.kill()
    started.wait()
    if started.stdout is not None:
        started.stdout.close()


def _first_line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


OPTIONS = [
    *("--latency", "0-0.01", "--fail", "0", "--seed", "5", "--keep-prompts", "3"),
    *("--app-latency", "app3=0.02", "--app-fail", "app2a=1:throttling", "--app-fail", "app4=0.5"),
]


@pytest.mark.parametrize("process", [OPTIONS], indirect=True)
def test_the_command_prints_its_url_serves_as_told_and_ends_on_sigterm(process: Process) -> None:
    url = _first_line(process)
    assert url.endswith("/api/v1")
    root = url.removesuffix("/api/v1")
    with urllib.request.urlopen(f"{root}/healthz", timeout=20) as answer:
        assert json.load(answer) == {"status": "ok"}
    with urllib.request.urlopen(f"{root}/control", timeout=20) as answer:
        shown = json.load(answer)
    assert shown["seed"] == 5
    assert shown["apps"]["app2"]["latency"] == [0, 0.01]
    assert shown["apps"]["app3"]["latency"] == [0.02, 0.02]
    assert (shown["apps"]["app2a"]["fail"], shown["apps"]["app2a"]["kind"]) == (1, "throttling")
    assert (shown["apps"]["app4"]["fail"], shown["apps"]["app4"]["kind"]) == (0.5, "internal_error")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("process", [["--kind", "hang_after_headers"]], indirect=True)
def test_the_command_ends_on_ctrl_c_with_calls_open(process: Process) -> None:
    host, _, port = _first_line(process).removeprefix("http://").removesuffix("/api/v1").partition(":")
    body = b'{"input":{"prompt":"p"}}'
    line = "POST /api/v1/apps/app2/completion HTTP/1.1"
    head = f"{line}\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"
    with socket.create_connection((host, int(port)), timeout=20) as caller:
        caller.sendall(head.encode() + b"\r\n\r\n" + body)
        assert caller.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "99999"], "99999"),
        (["--host", "0.0.0.0"], "loopback"),
        (["--host", "example.com"], "loopback"),
        (["--latency", "soon"], "soon"),
        (["--latency", "2-1"], "latency"),
        (["--latency", "-1"], "latency"),
        (["--latency", "nan"], "latency"),
        (["--fail", "2"], "fail"),
        (["--fail", "often"], "often"),
        (["--kind", "explode"], "explode"),
        (["--app-latency", "app2"], "app2"),
        (["--app-latency", "app9=1"], "app9"),
        (["--app-latency", "app2=x"], "x"),
        (["--app-fail", "app2=x"], "x"),
        (["--app-fail", "app2=0.5:explode"], "explode"),
        (["--app-fail", "app2=0.5:"], "kind"),
        (["--keep-prompts", "-1"], "-1"),
        (["--seed", "x"], "x"),
    ],
)
def test_a_wrong_value_is_exit_code_2_and_one_line_that_names_it(options: list[str], named: str) -> None:
    result = CliRunner().invoke(simulate, options)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert named in line


def test_a_port_in_use_is_exit_code_2_and_one_line() -> None:
    with Simulator() as running:
        port = running.root_url.rpartition(":")[2]
        result = CliRunner().invoke(simulate, ["--port", port])
        with pytest.raises(InputError, match=f"port {port}"):
            Simulator(port=int(port)).start()
    assert result.exit_code == 2
    assert f"port {port}" in result.stderr


def test_help_lists_every_kind() -> None:
    shown = CliRunner().invoke(simulate, ["--help"]).output
    assert not [kind for kind in KINDS if kind != OK and kind not in shown]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "", "127.0.0.1.example.com"])
def test_the_simulator_refuses_to_listen_beyond_loopback(host: str) -> None:
    with pytest.raises(InputError, match="loopback only"):
        Simulator(host)


def test_loopback_has_more_than_one_name() -> None:
    with Simulator("localhost") as named, Simulator("127.0.0.9") as other:
        assert named.base_url.startswith("http://127.0.0.1:")
        assert other.base_url.startswith("http://127.0.0.9:")


def test_a_simulator_that_is_not_running_has_no_url_and_one_that_is_cannot_start_twice() -> None:
    simulator = Simulator()
    simulator.close()
    with pytest.raises(InputError, match="before it is started"):
        _ = simulator.base_url
    with simulator, pytest.raises(InputError, match="already started"):
        simulator.start()
