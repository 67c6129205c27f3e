"""What run config can change: limits and choices. No secret, no address, no environment variable."""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from collections.abc import Iterator
from typing import Any

import pytest
from dagster import Config, DagsterInvalidConfigError, EnvVar, JobDefinition, job, op
from dagster._config import ConfigType, ConfigTypeKind
from dagster._config.config_type import ScalarUnion

from ai_assets.definitions import build_definitions
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.settings import Settings
from ai_assets.simulator.server import Simulator

REPOSITORY = build_definitions().get_repository_def()
JOBS = REPOSITORY.get_all_jobs()
"""Every job, Dagster's own one for assets that a person chooses among them."""


class Leaky(Config):
    names: list[str]


@op
def leak(config: Leaky) -> None: ...


@job
def leaking() -> None:
    leak()


FROM_THE_ENVIRONMENT = {
    "api_key",
    "base_url",
    "url",
    "database_url",
    "postgres_url",
    "password",
    "token",
    "workspace",
    "app_ids",
    "host",
    "base_dir",
}


def fields_of(kind: ConfigType, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], ConfigType]]:
    """Every place in a schema with its type."""
    yield path, kind
    if isinstance(kind, ScalarUnion):
        yield from fields_of(kind.non_scalar_type, (*path, "?"))
    elif kind.kind in {ConfigTypeKind.ARRAY, ConfigTypeKind.NONEABLE, ConfigTypeKind.MAP}:
        yield from fields_of(
            kind.inner_type, (*path, "*") if kind.kind is not ConfigTypeKind.NONEABLE else path
        )
    elif ConfigTypeKind.has_fields(kind.kind):
        for name, field in kind.fields.items():
            yield from fields_of(field.config_type, (*path, name))


def places(of: JobDefinition) -> list[tuple[tuple[str, ...], ConfigType]]:
    return list(fields_of(of.run_config_schema.config_type))


@pytest.mark.parametrize("of", JOBS, ids=lambda of: of.name)
def test_no_field_of_any_job_reads_the_environment(of: JobDefinition) -> None:
    assert [path for path, kind in places(of) if isinstance(kind, ScalarUnion) or path[-1:] == ("env",)] == []


@pytest.mark.parametrize("of", JOBS, ids=lambda of: of.name)
def test_no_field_of_any_job_is_a_secret_or_an_address(of: JobDefinition) -> None:
    assert [path for path, _ in places(of) if FROM_THE_ENVIRONMENT & set(path)] == []


def test_the_walk_reaches_the_fields_of_resources_and_of_steps() -> None:
    every = {path for of in JOBS for path, _ in places(of)}
    assert ("resources", "guard", "config", "daily_tokens") in every
    assert ("resources", "dashscope", "config", "repaired_answers") in every
    assert ("ops", "app2_finance", "config", "as_of") in every
    assert ("ops", "replay_jobs", "config", "states", "*") in every


def test_the_walk_sees_a_field_that_reads_the_environment() -> None:
    assert any(isinstance(kind, ScalarUnion) for _, kind in places(leaking))


@pytest.mark.parametrize(
    "config",
    [
        {"resources": {"dashscope": {"config": {"base_url": "https://evil.example/api/v1"}}}},
        {"resources": {"dashscope": {"config": {"api_key": {"env": "HOME"}}}}},
        {"resources": {"dashscope": {"config": {"app_ids": {"app2_finance": {"env": "HOME"}}}}}},
        {"resources": {"dashscope": {"config": {"repaired_answers": {"env": "HOME"}}}}},
        {"resources": {"dashscope": {"config": {"concurrency": {"env": "HOME"}}}}},
        {"resources": {"database": {"config": {"url": "postgresql://evil.example/x"}}}},
        {"resources": {"guard": {"config": {"daily_tokens": {"env": "HOME"}}}}},
        {"resources": {"io_manager": {"config": {"base_dir": {"env": "HOME"}}}}},
        {"ops": {"app2_finance": {"config": {"as_of": {"env": "HOME"}}}}},
        {"ops": {"app2_finance": {"config": {"forced": {"env": "HOME"}}}}},
    ],
    ids=str,
)
def test_a_run_that_asks_for_another_address_or_a_variable_is_refused_and_sends_nothing(
    make_definitions, simulator: Simulator, instance, config: dict[str, Any]
) -> None:
    insights = make_definitions().resolve_job_def("site_insights")
    with pytest.raises(DagsterInvalidConfigError):
        insights.execute_in_process(instance=instance, partition_key="1001:all|this_week", run_config=config)
    assert simulator.stats()["total"] == 0


def test_a_resource_says_where_its_secrets_come_from_and_has_none(tmp_path) -> None:
    dashscope = DashScopeResource.from_settings(
        Settings(DASHSCOPE_API_KEY="sk-marked-secret", AI_HOME=tmp_path)
    )
    shown = dashscope.get_resource_definition()
    for name in ("DASHSCOPE_API_KEY", "DASHSCOPE_BASE_URL", "DASHSCOPE_WORKSPACE", "AI_APP_ID"):
        assert name in (shown.description or "")
    assert "sk-marked-secret" not in f"{dashscope!r} {shown.description}"
    assert "AI_DATABASE_URL" in (DatabaseResource().get_resource_definition().description or "")


def test_no_resource_takes_a_reference_to_the_environment_in_code_either() -> None:
    assert not any(
        isinstance(value, EnvVar)
        for resource in REPOSITORY.get_top_level_resources().values()
        for value in getattr(resource, "__dict__", {}).values()
    )
