"""The Dagster face on this test's venue: definitions with its resources, an instance in memory, the job to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, Definitions, ExecuteInProcessResult
from sqlalchemy import Engine

from ai_assets.catalog import CATALOG
from ai_assets.definitions import build_definitions
from ai_assets.partitions import ensure_blocks
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.guard import GuardResource
from ai_assets.simulator.server import Simulator
from ai_assets.store.engine import make_engine

SECRET = "sk-marked-secret"


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        ensure_blocks(made, [1001, 1002])
        yield made


@pytest.fixture
def postgres_instance(empty_database_url: str, tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance whose event log is on Postgres, as in production."""
    overrides = {
        "storage": {"postgres": {"postgres_url": empty_database_url}},
        "telemetry": {"enabled": False},
    }
    with DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as made:
        yield made


@pytest.fixture
def venue_engine(venue_url: str) -> Iterator[Engine]:
    engine = make_engine(venue_url)
    yield engine
    engine.dispose()


@pytest.fixture
def service(venue_url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The environment of this test's venue and simulator; call it with a URL to set another database."""

    def use(url: str) -> None:
        monkeypatch.setenv("AI_DATABASE_URL", url)

    use(venue_url)
    monkeypatch.setenv("DASHSCOPE_API_KEY", SECRET)
    monkeypatch.setenv("DASHSCOPE_BASE_URL", simulator.base_url)
    for entry in CATALOG.values():
        monkeypatch.setenv(entry.env, entry.alias)
    return use


@pytest.fixture
def make_definitions(service: Callable[[str], None]) -> Callable[..., Definitions]:
    def make(url: str | None = None, **limits: Any) -> Definitions:
        if url is not None:
            service(url)
        return build_definitions(
            {
                "dashscope": DashScopeResource(step_timeout_s=20),
                "guard": GuardResource(**{"rate_per_minute": 100_000, **limits}),
            }
        )

    return make


@pytest.fixture
def run_site(make_definitions, instance: DagsterInstance) -> Callable[..., ExecuteInProcessResult]:
    """Run `site_insights` in this process; `tags` or `partition_key` say for which cells."""

    def run(definitions: Definitions | None = None, *, config: dict[str, Any] | None = None, **how: Any):
        job = (definitions or make_definitions()).resolve_job_def("site_insights")
        return job.execute_in_process(
            instance=instance,
            run_config={
                "ops": {"app2_finance": {"config": config or {}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
            **how,
        )

    return run
