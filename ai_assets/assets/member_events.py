"""What the steps about members show in Dagster: which assets and partitions a step makes, and with what metadata.

Pure. Not here: the assets themselves, writing events (`run_events`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import AssetCheckEvaluation, AssetKey, AssetMaterialization, MetadataValue

from ai_assets.assets.checks import CheckLimits, evaluations
from ai_assets.assets.metadata import id_text, materialization
from ai_assets.errors import InputError
from ai_assets.member_partitions import member_key, pair_key

if TYPE_CHECKING:
    from ai_assets.apps.base import Subject
    from ai_assets.chains.outcome import StepResult

CONSOLIDATION = AssetKey("app8_consolidation")
RETENTION_CLUE = AssetKey("member_retention_clue")


def partition_of(subject: Subject) -> str:
    """The partition of a member, or of a pair. Raises InputError for a subject without a member."""
    if subject.member_id is None:
        raise InputError(f"a subject of site {subject.site_id} without a member has no partition")
    if subject.assistant_id is None:
        return member_key(subject.site_id, subject.member_id)
    return pair_key(subject.site_id, subject.assistant_id, subject.member_id)


def asset_partitions(app_name: str, subject: Subject) -> list[tuple[AssetKey, str]]:
    """The cells that a step will make if all goes well: App8 makes the retention clues too. Raises InputError."""
    keys = [AssetKey(app_name)] + ([RETENTION_CLUE] if app_name == CONSOLIDATION.to_user_string() else [])
    return [(key, partition_of(subject)) for key in keys]


def member_events(
    result: StepResult, *, trigger_job_id: int | None
) -> list[tuple[AssetKey, str, AssetMaterialization]]:
    """(asset, partition, materialization) of a step that has a result. Raises InputError."""
    made = []
    for key, partition in asset_partitions(result.app, result.subject):
        shown = (
            _retention_clues(partition, result, trigger_job_id)
            if key == RETENTION_CLUE
            else materialization(key, partition, result, trigger_job_id=trigger_job_id)
        )
        made.append((key, partition, shown))
    return made


def member_checks(result: StepResult, limits: CheckLimits) -> list[AssetCheckEvaluation]:
    """What a step's result says of its app's checks, whether it has an answer or not. Raises InputError."""
    if result.app == RETENTION_CLUE.to_user_string():
        return []
    return evaluations(AssetKey(result.app), partition_of(result.subject), result, limits)


def _retention_clues(partition: str, result: StepResult, trigger_job_id: int | None) -> AssetMaterialization:
    count = result.clues_set
    values: dict[str, MetadataValue[Any]] = {
        "retention clues set": MetadataValue.int(count or 0),
        "changed": MetadataValue.bool(count is not None),
        "target": MetadataValue.text(result.target_id),
        "cache": id_text(result.cache_id),
    }
    if result.run_log_id is not None:
        values["run log"] = id_text(result.run_log_id)
    if trigger_job_id is not None:
        values["trigger job"] = id_text(trigger_job_id)
    return AssetMaterialization(
        RETENTION_CLUE,
        partition=partition,
        description=f"member {result.target_id}: no clues in App8's answer, the earlier ones stand"
        if count is None
        else f"member {result.target_id}: {count} retention clues set from App8's answer",
        metadata=values,
        # the clues are those of that answer; where nothing changed, the earlier version stands
        tags={} if count is None else {"dagster/data_version": f"app8-cache-{result.cache_id}"},
    )
