"""Where the measures run: a throwaway Postgres with its usual settings, databases on it, a simulator process.

Here: starting and ending these. Not here: measuring. The simulator is a process of its own, as in the demo, so
that it takes no time from the one that is measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine, text

from ai_assets.catalog import CATALOG
from ai_assets.chains.runtime import Runtime, runtime_from
from ai_assets.samples.contract import create_contract_tables
from ai_assets.samples.venue import load_venue
from ai_assets.settings import Settings
from ai_assets.store import embedded
from ai_assets.store.databases import ensure_database
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade

SITE = 1001
CONCURRENCY = 16
VENUE_DAYS = 400
# a Wednesday in the middle of its month and quarter: the day before it is in the same week, month and quarter
LAST_DAY = date(2026, 6, 17)
_OURS = ("AI_", "DASHSCOPE_", "DAGSTER_")
_AI_ASSETS = str(Path(sys.executable).with_name("ai-assets"))


def forget_environment() -> None:
    """Take the project's variables out of this process: the measures do not depend on who runs them."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]


@dataclass
class Places:
    """The server of one run of the bench, and the folder that everything is in."""

    home: Path
    server_url: str
    _count: int = 0
    _venue: str = ""

    def database(self, *, venue: bool = False) -> str:
        """The URL of a fresh database with the tables of the project and the contract; `venue`: with one site."""
        if not venue:
            return self._migrated()
        if not self._venue:
            url = self._migrated()
            engine = make_engine(url)
            load_venue(engine, sites=1, days=VENUE_DAYS, end=LAST_DAY)
            engine.dispose()
            self._venue = url.rpartition("/")[2].partition("?")[0]
        name = self._next_name()
        admin = create_engine(self.server_url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"create database {name} template {self._venue}"))
        admin.dispose()
        return embedded.with_database(self.server_url, name)

    def _migrated(self) -> str:
        url = embedded.with_database(self.server_url, self._next_name())
        ensure_database(url)
        upgrade(url)
        engine = make_engine(url)
        with engine.begin() as connection:
            create_contract_tables(connection)
        engine.dispose()
        return url

    def _next_name(self) -> str:
        self._count += 1
        return f"bench_{self._count}"

    def variables(self, database_url: str) -> dict[str, str]:
        """The environment of an `ai-assets` process on this database."""
        dagster_url = embedded.with_database(self.server_url, "bench_dagster")
        ensure_database(dagster_url)
        return {
            **os.environ,
            "AI_HOME": str(self.home),
            "AI_DATABASE_URL": database_url,
            "DAGSTER_POSTGRES_URL": dagster_url,
        }


@contextmanager
def places() -> Iterator[Places]:
    """A server in a folder of its own; both are gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="ai_assets_bench_"))
    # the server runs as a user of its own where this runs as root
    home.chmod(0o755)
    try:
        yield Places(home, embedded.start(home))
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True)
class SimulatorProcess:
    """A running simulator, asked over HTTP."""

    base_url: str

    @property
    def _root(self) -> str:
        return self.base_url.removesuffix("/api/v1")

    def stats(self) -> dict[str, Any]:
        """The counters."""
        answer: dict[str, Any] = requests.get(f"{self._root}/stats", timeout=10).json()
        return answer

    def calls(self) -> int:
        """Calls since the last reset."""
        return int(self.stats()["total"])

    def first_call_at(self) -> datetime:
        """When the first call since the last reset arrived; aware."""
        return datetime.fromisoformat(self.stats()["first_request_at"])

    def reset(self) -> None:
        """Count from zero."""
        requests.post(f"{self._root}/control/reset", timeout=10).raise_for_status()


@contextmanager
def simulator(latency_s: float) -> Iterator[SimulatorProcess]:
    """A simulator that takes `latency_s` for each answer; ended at the end."""
    command = [_AI_ASSETS, "simulate", "--port", "0", "--latency", str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not (base_url := process.stdout.readline().strip()):
                raise SystemExit("the simulator did not start")
            yield SimulatorProcess(base_url)
        finally:
            process.terminate()


def limits_out_of_the_way(base_url: str) -> dict[str, str]:
    """Settings for this simulator with a rate that holds nothing up, by variable."""
    return {
        "DASHSCOPE_API_KEY": "simulator",
        "DASHSCOPE_BASE_URL": base_url,
        "AI_RATE_PER_MINUTE": "100000",
        "AI_DAILY_TOKENS": "1000000000",
        "AI_CONCURRENCY": str(CONCURRENCY),
        **{entry.env: entry.alias for entry in CATALOG.values()},
    }


def runtime(database_url: str, base_url: str) -> Runtime:
    """The core's runtime on this database and simulator; close it."""
    given: dict[str, Any] = dict(limits_out_of_the_way(base_url))
    return runtime_from(Settings(**given), database_url=database_url)


def ai_assets(*arguments: str) -> list[str]:
    """The command of an `ai-assets` process."""
    return [_AI_ASSETS, *arguments]
