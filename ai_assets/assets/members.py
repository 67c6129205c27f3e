"""The assets about a member: an asset for each app about one, and the retention clues. One can_subset multi_asset.

Not here: how they are run (`member_run`), the pairs' assets (`assistants`). A step that fails has no
materialization: its partition shows as failed when the run ends in Failure, the others stand.
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    multi_asset,
)
from pydantic import Field

from ai_assets.apps.registry import APPS, MEMBER_APPS
from ai_assets.assets.app_spec import app_spec, code_version
from ai_assets.assets.batches import members_backfill
from ai_assets.assets.checks import check_specs
from ai_assets.assets.config import StepsConfig
from ai_assets.assets.freshness import CONSUMED_THESE_DAYS
from ai_assets.assets.member_events import CONSOLIDATION, RETENTION_CLUE
from ai_assets.assets.member_run import run_partitions
from ai_assets.member_partitions import members_def, parse_member_key
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource

if TYPE_CHECKING:
    from ai_assets.chains.member_steps import About


class MemberStepsConfig(StepsConfig):
    """As for every asset, and what App8's clues are filed under."""

    clue_source: Literal["ai_consumption", "ai_note"] = Field(
        "ai_consumption", description="Source of the retention clues that are set: those of it are replaced"
    )


def _specs() -> Iterator[AssetSpec]:
    for name in MEMBER_APPS:
        yield app_spec(APPS[name])
        if name == CONSOLIDATION.to_user_string():
            yield AssetSpec(
                RETENTION_CLUE,
                deps=[CONSOLIDATION],
                partitions_def=members_def,
                group_name="members",
                kinds={"postgres"},
                code_version=code_version(APPS[name]),
                skippable=True,
                freshness_policy=CONSUMED_THESE_DAYS,
                description="The member's retention clues as the venue sees them, replaced from App8's answer; what "
                "people wrote stays. Alone: set again from the newest answer, without a call.",
            )


@multi_asset(
    name="members",
    specs=list(_specs()),
    check_specs=[spec for name in MEMBER_APPS for spec in check_specs(AssetKey(name), members_def)],
    can_subset=True,
    backfill_policy=members_backfill,
)
def members(
    context: AssetExecutionContext,
    config: MemberStepsConfig,
    database: DatabaseResource,
    dashscope: DashScopeResource,
    guard: GuardResource,
) -> Iterator[Any]:
    """Make the selected assets of each member of this run, and fail at the end if a step has no result."""

    def about(key: str) -> "About":
        # here: SQLAlchemy stays out of what the code location loads
        from ai_assets.chains.member_steps import About

        site_id, member_id = parse_member_key(key)
        return About(site_id, member_id, as_of=config.as_of_date, clue_source=config.clue_source)

    yield from run_partitions(context, config, (database, dashscope, guard), about=about, example="1001:555")


ASSETS: list[AssetsDefinition] = [members]
