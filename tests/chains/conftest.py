"""The runtime that steps run on: this test's venue, the simulator, limits as the test wants them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ai_assets.catalog import CATALOG
from ai_assets.chains.outcome import StepResult
from ai_assets.chains.runtime import Runtime, runtime_from
from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import WorkerLimits, WorkerSummary
from ai_assets.guard.admission import Guard
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import Settings
from ai_assets.simulator.server import Simulator
from ai_assets.store import inbox
from ai_assets.store.engine import make_engine
from ai_assets.store.trigger_jobs import TriggerJob

AS_OF = "2026-06-30"
Make = Callable[..., Runtime]


@pytest.fixture
def make_runtime(venue_url: str, simulator: Simulator) -> Iterator[Make]:
    """Build a runtime on this test's venue; keyword arguments are limits, or as named here."""
    made: list[Runtime] = []

    def make(
        *, step_timeout_s: float = 20.0, concurrency: int = 16, ask_again: bool = True, **limits: object
    ) -> Runtime:
        settings = Settings(
            DASHSCOPE_API_KEY="sk-marked-secret",
            DASHSCOPE_BASE_URL=simulator.base_url,
            AI_RATE_PER_MINUTE=100_000,
            AI_STEP_TIMEOUT_S=step_timeout_s,
            **{entry.env: entry.alias for entry in CATALOG.values()},
        )
        runtime = runtime_from(settings, database_url=venue_url, concurrency=concurrency)
        guard = Guard(
            runtime.engine, replace(GuardLimits.from_settings(settings), **limits), apps=tuple(CATALOG)
        )
        runtime = replace(runtime, guard=guard, ask_again=ask_again)
        made.append(runtime)
        return runtime

    yield make
    for runtime in made:
        runtime.close()


class Shown:
    """A reporter that keeps what it is told, and can be made to act on it."""

    def __init__(self) -> None:
        self.jobs: list[int] = []
        self.planned: list[Any] = []
        self.steps: list[tuple[int, StepResult]] = []
        self.on_step: Callable[[TriggerJob, StepResult], None] = lambda _job, _step: None

    def began(self, job: TriggerJob, steps: Any) -> None:
        self.jobs.append(job.id)
        self.planned.append(steps)

    def made(self, job: TriggerJob, result: StepResult) -> None:
        self.steps.append((job.id, result))
        self.on_step(job, result)


class Inbox:
    """This test's inbox: send events, let a worker empty it, look at what came of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shown = Shown()

    def fire(
        self, event: str, *, site: int = 1001, member: int | None = 555, forced: bool = False, **payload: Any
    ):
        with self.engine.begin() as connection:
            return inbox.fire(
                connection, event, site_id=site, member_id=member, payload=payload, is_forced=forced
            )

    def consumption(self, **payload: Any) -> int:
        return self.fire("consumption", **{"occurred_at": f"{AS_OF}T20:00:00+08:00", **payload})

    def consumption_of(self, member: int, **payload: Any) -> int:
        return self.fire("consumption", member=member, occurred_at=f"{AS_OF}T20:00:00+08:00", **payload)

    def note(self, content: str = "会员说想学斯诺克", **payload: Any) -> int:
        return self.fire(
            "note_created",
            **{
                "note_content": content,
                "noted_by_name": "前台小李",
                "noted_by_created_at": f"{AS_OF}T19:00:00",
                "occurred_at": f"{AS_OF}T19:00:00+08:00",
                **payload,
            },
        )

    def task(self, assistant: int = 7, **payload: Any) -> int:
        return self.fire(
            "task_assigned", assistant_id=assistant, **{"occurred_at": f"{AS_OF}T18:00:00+08:00", **payload}
        )

    def work(self, runtime: Runtime, **limits: Any) -> WorkerSummary:
        """One worker, until the inbox is empty."""
        settings = {"until_empty": True, "ends_in_failure": False, "lease_s": 30.0, **limits}
        return Worker(runtime, WorkerLimits(**settings), self.shown, worker_id="test-worker").run()

    def job(self, job_id: int) -> TriggerJob:
        with self.engine.connect() as connection:
            found = inbox.job(connection, job_id)
        assert found is not None
        return found

    def outcomes(self, job_id: int) -> dict[str, str]:
        """Outcome by app name of a job's steps, in their order."""
        return {step["app"]: step["outcome"] for step in self.job(job_id).step_results}

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(sql), parameters))

    def run(self, sql: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), parameters)


@pytest.fixture
def events(venue_url: str) -> Iterator[Inbox]:
    engine = make_engine(venue_url)
    yield Inbox(engine)
    engine.dispose()


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"chains_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


step_bench = _load(Path(__file__).with_name("step_bench.py"))
cutting_proxy = _load(Path(__file__).with_name("cutting_proxy.py"))
raw_server = _load(Path(__file__).parents[1] / "dashscope" / "raw_server.py")


@pytest.fixture
def raw() -> ModuleType:
    """The module `raw_server`."""
    return raw_server


@pytest.fixture
def cutting() -> ModuleType:
    """The module `cutting_proxy`."""
    return cutting_proxy


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """`serve(handler)` → a running RawServer, closed after the test."""
    servers: list[Any] = []

    def start(handler: Any) -> Any:
        servers.append(raw_server.RawServer(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def bench(database_url: str, simulator: Simulator) -> Iterator[Any]:
    """Steps without a venue, against the simulator unless a runtime is told otherwise."""
    made = step_bench.StepBench(database_url, simulator.base_url)
    yield made
    made.close()


@pytest.fixture
def bench_on() -> Iterator[Callable[..., Any]]:
    """`bench_on(database_url, base_url)` → the same on another database, closed after the test."""
    benches: list[Any] = []

    def make(url: str, base_url: str) -> Any:
        benches.append(step_bench.StepBench(url, base_url))
        return benches[-1]

    yield make
    for made in benches:
        made.close()
