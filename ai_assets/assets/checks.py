"""The asset checks of every app, per partition: `reply_matches_schema` and `numbers_are_grounded`. Pure.

Here: which checks there are, and what a step's result means for them. Not here: checking (`ai_assets.chains.checking`),
how the figures read as text (`checks_text`). A check blocks nothing: the answer stands, and the mark says what to look
at. A reused answer has the checks that were made of it when it was new; one of an older version has none.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    PartitionsDefinition,
    PreviewWarning,
)

from ai_assets.assets.answer_text import plain
from ai_assets.assets.checks_text import checks_metadata, first_ungrounded
from ai_assets.assets.metadata import id_text
from ai_assets.chains.outcome import Outcome
from ai_assets.dashscope.reading import UNREADABLE_REASONS

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.settings import Settings

SCHEMA = "reply_matches_schema"
GROUNDED = "numbers_are_grounded"


@dataclass(frozen=True)
class CheckLimits:
    """Shares of an answer's figures, 0 to 1, below which `numbers_are_grounded` warns, and is an error."""

    warn_below: float = 1.0
    error_below: float = 0.7

    @classmethod
    def from_settings(cls, settings: Settings) -> CheckLimits:
        """What the environment sets."""
        return cls(settings.grounded_warn_below, settings.grounded_error_below)


def check_specs(asset_key: AssetKey, partitions: PartitionsDefinition[str]) -> list[AssetCheckSpec]:
    """The two checks of an asset that is an app's answer, on each of its partitions."""
    return [
        _spec(
            SCHEMA,
            asset_key,
            partitions,
            "The app answered in its form. Amber: the answer had to be mended. Red: it could not be read, and the last "
            "good answer stands.",
        ),
        _spec(
            GROUNDED,
            asset_key,
            partitions,
            "Each figure of the answer stands in the prompt or follows from it. Amber and red: below "
            "AI_GROUNDED_WARN_BELOW and AI_GROUNDED_ERROR_BELOW; the figures to look at are listed.",
        ),
    ]


def _spec(
    name: str, asset_key: AssetKey, partitions: PartitionsDefinition[str], description: str
) -> AssetCheckSpec:
    with warnings.catch_warnings():
        # partitions of checks are a preview: docs/decisions/0009 says why they are used all the same
        warnings.simplefilter("ignore", PreviewWarning)
        return AssetCheckSpec(name, asset=asset_key, partitions_def=partitions, description=description)


def evaluations(
    asset_key: AssetKey, partition: str, result: StepResult, limits: CheckLimits
) -> list[AssetCheckEvaluation]:
    """What a step's result says of the checks of its partition; nothing where it says nothing of them."""
    if result.outcome is Outcome.NO_NOTE:
        # without an evaluation a planned check of a run with a failure elsewhere would show as failed
        return [
            _evaluation(asset_key, name, partition, None, "no note, so there is no answer to check", {})
            for name in (SCHEMA, GROUNDED)
        ]
    if not result.outcome.has_result:
        if result.reason not in UNREADABLE_REASONS:
            return []
        metadata: dict[str, MetadataValue[Any]] = {
            "reason": MetadataValue.text(result.reason or ""),
            "run log": id_text(result.run_log_id),
        }
        return [
            _evaluation(
                asset_key, SCHEMA, partition, AssetCheckSeverity.ERROR, result.message or "", metadata
            )
        ]
    checks = (result.result.get("_references") or {}).get("checks")
    if not isinstance(checks, Mapping):
        return []
    found = []
    if isinstance(reading := checks.get("reading"), Mapping):
        found.append(_schema(asset_key, partition, reading))
    if isinstance(numbers := checks.get("numbers"), Mapping):
        found.append(_grounded(asset_key, partition, checks, numbers, limits))
    return found


def _schema(asset_key: AssetKey, partition: str, reading: Mapping[str, Any]) -> AssetCheckEvaluation:
    how = str(reading.get("how"))
    mended = [str(note) for note in reading.get("mended") or ()]
    metadata: dict[str, MetadataValue[Any]] = {"answer read as": MetadataValue.text(how)}
    if mended:
        metadata["mended"] = MetadataValue.md("\n".join(f"- {plain(note)}" for note in mended))
    if isinstance(again := reading.get("asked_again"), Mapping):
        metadata["asked again because"] = MetadataValue.text(str(again.get("reason")))
        metadata["run log of the first call"] = MetadataValue.text(str(again.get("run_log_id") or "none"))
    severity = AssetCheckSeverity.WARN if how == "repaired" else None
    words = {
        "strict": "strict JSON that fits its schema",
        "fenced": "JSON that fits its schema, taken out of the text around it",
        "repaired": "the answer had to be mended before it fitted its schema",
    }
    return _evaluation(asset_key, SCHEMA, partition, severity, words.get(how, how), metadata)


def _grounded(
    asset_key: AssetKey,
    partition: str,
    checks: Mapping[str, Any],
    numbers: Mapping[str, Any],
    limits: CheckLimits,
) -> AssetCheckEvaluation:
    share = float(numbers.get("share", 1.0))
    figures = int(numbers.get("figures") or 0)
    severity = None
    if share < limits.warn_below:
        severity = AssetCheckSeverity.ERROR if share < limits.error_below else AssetCheckSeverity.WARN
    wrong = len(numbers.get("ungrounded") or ()) + int(numbers.get("left_out") or 0)
    words = (
        "the answer holds no figures"
        if not figures
        else f"all {figures} figures stand in the prompt or follow from it"
        if not wrong
        else f"{wrong} of {figures} figures neither stand in the prompt nor follow from it: {first_ungrounded(numbers)}"
    )
    return _evaluation(asset_key, GROUNDED, partition, severity, words, checks_metadata(checks))


def _evaluation(
    asset_key: AssetKey,
    name: str,
    partition: str,
    trouble: AssetCheckSeverity | None,
    description: str,
    metadata: Mapping[str, MetadataValue[Any]],
) -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=asset_key,
        check_name=name,
        partition=partition,
        passed=trouble is None,
        severity=trouble or AssetCheckSeverity.ERROR,
        description=description,
        metadata=dict(metadata),
    )
