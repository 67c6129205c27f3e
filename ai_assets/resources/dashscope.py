"""DashScope as a Dagster resource: which service, which apps, how long a call may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import ConfigurableResource, EnvVar
from pydantic import Field, SecretStr

from ai_assets.catalog import CATALOG
from ai_assets.resources.defaults import with_defaults
from ai_assets.settings import MemberNames, Settings

if TYPE_CHECKING:
    from ai_assets.dashscope.client import DashScopeClient


class DashScopeResource(ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own generic is for IO managers
    """The client's settings. The key is a secret: give it as an EnvVar."""

    api_key: str = Field(
        repr=False, description="Key of the account (DASHSCOPE_API_KEY); any text where the URL is loopback"
    )
    base_url: str = Field(description="Base URL, ends in /api/v1 (DASHSCOPE_BASE_URL)")
    workspace: str = Field("", description="Workspace id; empty: the default one")
    app_ids: dict[str, str] = Field(description="DashScope app id by app name; empty where it is not set")
    step_timeout_s: float = Field(180.0, gt=0, le=3600, description="Seconds one call may take in all")
    concurrency: int = Field(16, ge=1, le=256, description="Calls side by side in one run")
    member_names: MemberNames = Field(
        "surname", description="What members are called in prompts: full, surname or pseudonym"
    )
    repaired_answers: str = Field(
        "all",
        description="Apps of which a mended answer is good enough: all, none, or names such as app6,app8",
    )
    ask_again: bool = Field(
        True, description="Ask an app once more, and tell why, if its answer cannot be read"
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> DashScopeResource:
        """What the environment sets; the key stays a reference to it."""
        return with_defaults(
            cls,
            {
                "api_key": EnvVar("DASHSCOPE_API_KEY"),
                "base_url": settings.dashscope_base_url,
                "workspace": settings.dashscope_workspace,
                "app_ids": {name: getattr(settings, entry.setting) for name, entry in CATALOG.items()},
                "step_timeout_s": settings.step_timeout_s,
                "concurrency": settings.concurrency,
                "member_names": settings.member_names,
                "repaired_answers": settings.repaired_answers,
                "ask_again": settings.ask_again,
            },
        )

    def client(self, pool_size: int) -> DashScopeClient:
        """A client with its own connections; close it."""
        from ai_assets.dashscope.client import DashScopeClient

        return DashScopeClient(
            api_key=SecretStr(self.api_key),
            base_url=self.base_url,
            workspace=self.workspace,
            pool_size=pool_size,
        )
