"""How members are named is a setting that the launchpad shows, and that reaches the steps."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import sentinel

import pytest
from pydantic import ValidationError

from ai_assets.errors import ConfigurationError
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource
from ai_assets.resources.runtime import runtime
from ai_assets.settings import Settings, load_settings


def test_the_default_is_the_surname_and_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AI_MEMBER_NAMES", raising=False)
    assert load_settings().member_names == "surname"
    monkeypatch.setenv("AI_MEMBER_NAMES", "initials")
    with pytest.raises(ConfigurationError, match="AI_MEMBER_NAMES"):
        load_settings()


@pytest.mark.parametrize("names", ["full", "surname", "pseudonym"])
def test_what_the_environment_sets_is_the_launchpads_default(names: str, tmp_path: Path) -> None:
    resource = DashScopeResource.from_settings(Settings(AI_MEMBER_NAMES=names, AI_HOME=tmp_path))
    assert resource.member_names == names
    field = resource.to_config_schema().as_field().config_type.fields["member_names"]
    assert field.default_value == names
    assert {value.config_value for value in field.config_type.enum_values} == {"full", "surname", "pseudonym"}


def test_the_resource_gives_it_to_the_steps(service) -> None:
    dashscope = DashScopeResource(member_names="pseudonym")
    with runtime(DatabaseResource(), dashscope, GuardResource(), concurrency=None) as made:
        assert made.member_names == "pseudonym"
    with pytest.raises(ValidationError):
        DashScopeResource(**{**dashscope.model_dump(), "member_names": str(sentinel.initials)})
