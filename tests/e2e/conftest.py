"""The real commands as processes of their own, each with a home, a database and a Dagster database of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import Engine, text

from ai_assets.catalog import CATALOG
from ai_assets.simulator.server import Simulator
from ai_assets.store import embedded
from ai_assets.store.databases import ensure_database

PATIENCE_S = 180


def wait_for(what: str, look: Callable[[], object], service=None) -> object:
    """Look until there is something to see; how long it takes decides nothing but giving up."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        if service is not None and service.process.poll() is not None:
            pytest.fail(f"the service ended: {service.log.read_text()[-2000:]}")
        time.sleep(0.25)
    log = service.log.read_text()[-3000:] if service else ""
    return pytest.fail(f"waited {PATIENCE_S} s for {what}\n{log}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_of_run(dagster: Engine, run_id: str) -> int:
    sql = "select event from event_logs where run_id = :run and event like '%for run (pid: %' order by id limit 1"
    with dagster.connect() as connection:
        said = connection.execute(text(sql), {"run": run_id}).scalar_one()
    return int(re.search(r"for run \(pid: (\d+)\)", said).group(1))


@pytest.fixture
def waiting() -> SimpleNamespace:
    """Waiting for what processes do: `wait_for`, `free_port`, `process_of_run`."""
    return SimpleNamespace(wait_for=wait_for, free_port=free_port, process_of_run=process_of_run)


CLI = str(Path(sys.executable).parent / "ai-assets")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def plain_environment() -> dict[str, str]:
    """This process's environment without anything that this project reads."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AI_", "DASHSCOPE_", "DAGSTER_"))
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def venue_environment(venue_url: str, simulator: Simulator, home: Path, server_url: str) -> dict[str, str]:
    """The environment of a working installation: the venue's database, the simulator, wide limits."""
    dagster_url = embedded.with_database(
        venue_url, venue_url.rpartition("/")[2].partition("?")[0] + "_dagster"
    )
    ensure_database(dagster_url)
    return {
        **plain_environment(),
        "AI_HOME": str(home),
        "AI_DATABASE_URL": venue_url,
        "DAGSTER_POSTGRES_URL": dagster_url,
        "DASHSCOPE_BASE_URL": simulator.base_url,
        "AI_RATE_PER_MINUTE": "100000",
        "AI_LEASE_S": "5",
        # a killed call holds its target until its step could have ended
        "AI_STEP_TIMEOUT_S": "10",
        **{entry.env: entry.alias for entry in CATALOG.values()},
    }


@pytest.fixture
def ai_assets(venue_environment: dict[str, str]) -> Run:
    """Run one command to its end in that environment; keyword `environment` changes it (None: take it away)."""

    def run(*arguments: str, environment: Mapping[str, str | None] | None = None):
        merged = {**venue_environment, **(environment or {})}
        return subprocess.run(
            [CLI, *arguments],
            env={name: value for name, value in merged.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


class Service:
    """A command that serves until it is told to stop."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [CLI, *arguments], env=environment, stdout=output, stderr=output, start_new_session=True
            )

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def serve(venue_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a serving command; what is left of it is killed at the end of the test."""
    started: list[Service] = []

    def start(*arguments: str, environment: dict[str, str] | None = None) -> Service:
        service = Service(
            list(arguments), environment or venue_environment, tmp_path / f"service-{len(started)}.log"
        )
        started.append(service)
        return service

    yield start
    for service in started:
        if service.process.poll() is None:
            for process in [*service.descendants(), psutil.Process(service.process.pid)]:
                process.kill()
            service.process.wait(10)


@pytest.fixture
def demo_home() -> Iterator[Path]:
    """A home that the embedded server's own user can reach, as root too: not under tmp_path."""
    with tempfile.TemporaryDirectory(prefix="ai_assets_demo_") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def demo_command(demo_home: Path) -> Run:
    """The small demo, once, with nothing set but its home."""

    def run():
        return subprocess.run(
            [CLI, "demo", "--once", "--sites", "1", "--days", "200"],
            env={**plain_environment(), "AI_HOME": str(demo_home)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
