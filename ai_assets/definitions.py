"""The code location. Importing it opens no connection, reads no file and calls no service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import Definitions, FilesystemIOManager, in_process_executor

from ai_assets.assets.assistants import ASSETS as ASSISTANT_ASSETS
from ai_assets.assets.finance import ASSETS as FINANCE_ASSETS
from ai_assets.assets.members import ASSETS as MEMBER_ASSETS
from ai_assets.assets.sources import SOURCES
from ai_assets.event_worker import event_worker
from ai_assets.fill_job import fill_answers
from ai_assets.jobs import JOBS
from ai_assets.replay_job import replay
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource
from ai_assets.schedules import SCHEDULES
from ai_assets.sensors.business_events import business_events
from ai_assets.sensors.dws_completed import dws_completed
from ai_assets.settings import load_settings


def build_definitions(overrides: Mapping[str, Any] | None = None) -> Definitions:
    """The definitions with the environment's resources, or with others in their place (tests, tools).

    Raises ConfigurationError where a setting is wrong; secrets are read only when a run needs them.
    """
    settings = load_settings()
    resources: dict[str, Any] = {
        "database": DatabaseResource(),
        "dashscope": DashScopeResource.from_settings(settings),
        "guard": GuardResource.from_settings(settings),
        # Dagster's default without its run config, which takes a folder, also one that a variable names
        "io_manager": FilesystemIOManager()
        .get_resource_definition()
        .configured(lambda _nothing: {}, config_schema={}),
    }
    return Definitions(
        assets=[*SOURCES, *FINANCE_ASSETS, *MEMBER_ASSETS, *ASSISTANT_ASSETS],
        jobs=[*JOBS, event_worker, fill_answers, replay],
        sensors=[business_events, dws_completed],
        schedules=SCHEDULES,
        # a run is one step that goes side by side inside: a process of its own for it would only cost two seconds,
        # and outlive its run when that is killed
        executor=in_process_executor,
        resources={**resources, **(overrides or {})},
    )


defs = build_definitions()
