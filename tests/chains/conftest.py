"""The runtime that steps run on: this test's venue, the simulator, limits as the test wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ai_assets.apps.catalog import CATALOG
from ai_assets.chains.runtime import Runtime, runtime_from
from ai_assets.guard.admission import Guard
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import Settings
from ai_assets.simulator.server import Simulator

Make = Callable[..., Runtime]


@pytest.fixture
def make_runtime(venue_url: str, simulator: Simulator) -> Iterator[Make]:
    """Build a runtime on this test's venue; keyword arguments are limits, `step_timeout_s` or `concurrency`."""
    made: list[Runtime] = []

    def make(*, step_timeout_s: float = 20.0, concurrency: int = 16, **limits: object) -> Runtime:
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
        runtime = replace(runtime, guard=guard)
        made.append(runtime)
        return runtime

    yield make
    for runtime in made:
        runtime.close()
