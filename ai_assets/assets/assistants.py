"""The assets about an assistant and a member: App4 and App5. One can_subset multi_asset.

Not here: how they are run (`member_run`), the member's own assets (`members`).
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dagster import (
    AllPartitionMapping,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    multi_asset,
)

from ai_assets.apps.registry import APPS
from ai_assets.assets.checks import check_specs
from ai_assets.assets.config import StepsConfig
from ai_assets.assets.member_events import CONSOLIDATION
from ai_assets.assets.member_run import run_partitions
from ai_assets.assets.members import CLUE, CUSTOMER
from ai_assets.assets.sources import BIZ_ASSISTANTS, DWS_SETTLEMENTS
from ai_assets.member_partitions import assistant_members_def, parse_pair_key
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource

if TYPE_CHECKING:
    from ai_assets.chains.member_steps import About

ANALYSIS = AssetKey("app4_analysis")
TACTICS = AssetKey("app5_tactics")


def _spec(key: AssetKey, deps: Sequence[AssetDep], description: str) -> AssetSpec:
    app = APPS[key.to_user_string()]
    return AssetSpec(
        key,
        deps=deps,
        partitions_def=assistant_members_def,
        group_name="assistants",
        kinds={"dashscope", "postgres"},
        code_version=f"{app.entry.alias}:{app.version}",
        skippable=True,
        description=description,
    )


@multi_asset(
    name="assistants",
    specs=[
        _spec(
            ANALYSIS,
            [
                # between two dynamic definitions any other mapping makes a backfill impossible
                *(
                    AssetDep(key, partition_mapping=AllPartitionMapping())
                    for key in (CLUE, CUSTOMER, CONSOLIDATION)
                ),
                AssetDep(BIZ_ASSISTANTS),
                AssetDep(DWS_SETTLEMENTS),
            ],
            "How assistant and member stand with each other, and the task to do. Give pairs a backfill of their own: "
            "Dagster begins one that holds members too only when every member's partition in it has succeeded.",
        ),
        _spec(TACTICS, [AssetDep(ANALYSIS)], "What to say to the member, built on App4's answer."),
    ],
    check_specs=[spec for key in (ANALYSIS, TACTICS) for spec in check_specs(key, assistant_members_def)],
    can_subset=True,
    backfill_policy=BackfillPolicy.single_run(),
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

    run_partitions(context, config, (database, dashscope, guard), about=about, example="1001:7_555")
    yield from ()


ASSETS: list[AssetsDefinition] = [assistants]
