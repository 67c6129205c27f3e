"""DashScope as a Dagster resource: how the apps are called. Not here: which service and with which key (settings)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field

from ai_assets.resources.defaults import with_defaults
from ai_assets.resources.run_config_types import Text, Whole, YesNo
from ai_assets.settings import MemberNames, Settings, load_settings

if TYPE_CHECKING:
    from ai_assets.dashscope.client import DashScopeClient


class DashScopeResource(ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own generic is for IO managers
    """How DashScope's apps are called.

    Where a call goes comes from the environment of the process that runs, and no run config changes it: the address
    (DASHSCOPE_BASE_URL), the key (DASHSCOPE_API_KEY), the workspace (DASHSCOPE_WORKSPACE) and the apps' ids
    (AI_APP_ID_…).
    """

    step_timeout_s: float = Field(180.0, gt=0, le=3600, description="Seconds one call may take in all")
    concurrency: Whole = Field(16, ge=1, le=256, description="Calls side by side in one run")
    member_names: MemberNames = Field(
        "surname", description="What members are called in prompts: full, surname or pseudonym"
    )
    repaired_answers: Text = Field(
        "all",
        description="Apps of which a mended answer is good enough: all, none, or names such as app6,app8",
    )
    ask_again: YesNo = Field(
        True, description="Ask an app once more, and tell why, if its answer cannot be read"
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> DashScopeResource:
        """The environment's values as defaults of what run config may change."""
        return with_defaults(
            cls,
            {
                "step_timeout_s": settings.step_timeout_s,
                "concurrency": settings.concurrency,
                "member_names": settings.member_names,
                "repaired_answers": settings.repaired_answers,
                "ask_again": settings.ask_again,
            },
        )

    def client(self, pool_size: int) -> DashScopeClient:
        """A client with its own connections; close it. Raises ConfigurationError where the environment is wrong."""
        from ai_assets.dashscope.client import client_from

        return client_from(load_settings(), pool_size=pool_size)

    def app_ids(self) -> dict[str, str]:
        """The DashScope app id by app name; empty where it is not set."""
        return load_settings().app_ids
