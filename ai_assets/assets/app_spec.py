"""What Dagster is told of an app about a member or a pair: its asset, made of what the app says of itself.

Not here: how the assets are run (`member_run`), the finance asset, which is two apps (`finance`).
"""

from __future__ import annotations

from typing import Any

from dagster import AllPartitionMapping, AssetDep, AssetKey, AssetSpec

from ai_assets.apps.base import App, Kind
from ai_assets.apps.registry import APPS
from ai_assets.assets.freshness import CONSUMED_THESE_DAYS
from ai_assets.member_partitions import assistant_members_def, members_def

GROUPS = {Kind.MEMBER: ("members", members_def), Kind.PAIR: ("assistants", assistant_members_def)}
"""The assets' group and partitions by what their apps are about."""

ACROSS = (
    " Give pairs a backfill of their own: Dagster begins one that holds members too only when every member's "
    "partition in it has succeeded."
)


MANY = (
    " For many at once, launch the job [fill_answers](/locations/ai_assets/jobs/fill_answers/playground): it puts the "
    "work into the inbox, and starts no run for each."
)


def app_spec(app: App[Any]) -> AssetSpec:
    """The asset of an app about a member or a pair. Upstream: the tables it reads and the answers it is given."""
    group, partitions = GROUPS[app.about.kind]
    across = [name for name in app.given if APPS[name].about.kind is not app.about.kind]
    return AssetSpec(
        AssetKey(app.name),
        deps=[
            *(AssetDep(AssetKey(table.split("/"))) for table in app.reads),
            *(AssetDep(AssetKey(name)) for name in app.given if name not in across),
            # between two dynamic definitions any other mapping makes a backfill impossible
            *(AssetDep(AssetKey(name), partition_mapping=AllPartitionMapping()) for name in across),
        ],
        partitions_def=partitions,
        group_name=group,
        kinds={"dashscope", "postgres"},
        code_version=code_version(app),
        skippable=True,
        freshness_policy=CONSUMED_THESE_DAYS if app.each_visit else None,
        description=app.description + (ACROSS if across else "") + MANY,
    )


def code_version(app: App[Any]) -> str:
    """An app's version as Dagster shows it, such as `app3:2`."""
    return f"{app.entry.alias}:{app.version}"
