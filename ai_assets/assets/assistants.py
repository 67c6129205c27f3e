"""The assets about an assistant and a member: an asset for each app about them. One can_subset multi_asset.

Not here: how they are run (`member_run`), the member's own assets (`members`).
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    multi_asset,
)

from ai_assets.apps.registry import APPS, PAIR_APPS
from ai_assets.assets.app_spec import app_spec
from ai_assets.assets.batches import members_backfill
from ai_assets.assets.checks import check_specs
from ai_assets.assets.config import StepsConfig
from ai_assets.assets.member_run import run_partitions
from ai_assets.member_partitions import assistant_members_def, parse_pair_key
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource

if TYPE_CHECKING:
    from ai_assets.chains.member_steps import About


@multi_asset(
    name="assistants",
    specs=[app_spec(APPS[name]) for name in PAIR_APPS],
    check_specs=[spec for name in PAIR_APPS for spec in check_specs(AssetKey(name), assistant_members_def)],
    can_subset=True,
    backfill_policy=members_backfill,
)
def assistants(
    context: AssetExecutionContext,
    config: StepsConfig,
    database: DatabaseResource,
    dashscope: DashScopeResource,
    guard: GuardResource,
) -> Iterator[Any]:
    """Make the selected assets of each pair of this run, and fail at the end if a step has no result."""

    def about(key: str) -> "About":
        # here: SQLAlchemy stays out of what the code location loads
        from ai_assets.chains.member_steps import About

        site_id, assistant_id, member_id = parse_pair_key(key)
        return About(site_id, member_id, assistant_id, as_of=config.as_of_date)

    yield from run_partitions(
        context, config, (database, dashscope, guard), about=about, example="1001:7_555"
    )


ASSETS: list[AssetsDefinition] = [assistants]
