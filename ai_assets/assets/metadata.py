"""A step's result as Dagster shows it: a materialization with text to read and numbers to plot. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dagster import AssetKey, AssetMaterialization, MetadataValue

from ai_assets.assets.answer_text import answer_markdown, fenced
from ai_assets.assets.checks_text import checks_metadata
from ai_assets.chains.outcome import Outcome, StepResult

NO_NOTE_VERSION = "no-note"
"""Data version of App6's partition where the member has no note: two runs without a note are the same data."""


def materialization(
    asset_key: AssetKey, partition: str, result: StepResult, *, trigger_job_id: int | None
) -> AssetMaterialization:
    """The materialization of one partition from a step that did not fail."""
    if result.outcome is Outcome.NO_NOTE:
        return _without_note(asset_key, partition, result)
    return AssetMaterialization(
        asset_key=asset_key,
        partition=partition,
        description=_description(result),
        metadata=metadata(result, trigger_job_id=trigger_job_id),
        # no dagster/code_version tag: with it Dagster expects the versions of all inputs too, and marks every
        # cell of every site as unsynced; without it it compares times, which is right here
        tags={"dagster/data_version": data_version(result.result)},
    )


def metadata(result: StepResult, *, trigger_job_id: int | None) -> dict[str, MetadataValue[Any]]:
    """What an operator wants to see of a result. Tokens are counts, cost CNY, latency seconds."""
    reused = result.outcome is Outcome.REUSED
    references = result.references
    values: dict[str, MetadataValue[Any]] = {
        "outcome": MetadataValue.text(result.outcome.value),
        "reused": MetadataValue.bool(reused),
        "tokens in": MetadataValue.int(result.tokens_in),
        "tokens out": MetadataValue.int(result.tokens_out),
        "tokens": MetadataValue.int(result.tokens_used),
        "cost (CNY)": MetadataValue.float(float(result.cost_cny)),
        "latency (s)": MetadataValue.float(result.latency_ms / 1000),
        "answer": MetadataValue.md(answer_markdown(result.result)),
        "prompt": MetadataValue.md(fenced(result.prompt)),
        "app": MetadataValue.text(result.app),
        "app version": MetadataValue.text(str((references.get("app") or {}).get("version") or "")),
        "target": MetadataValue.text(result.target_id),
        "run log": id_text(result.run_log_id),
        "cache": id_text(result.cache_id),
        "trace": MetadataValue.text(f"ai-assets explain {result.cache_id}" if result.cache_id else "none"),
        "as-of date": MetadataValue.text(str(references.get("as_of") or "")),
        "DWS batch": MetadataValue.text(str((references.get("batch") or {}).get("batch_id") or "none")),
        "references": MetadataValue.json(dict(references)),
    }
    score = result.result.get("score")
    if isinstance(score, int):
        values["score"] = MetadataValue.int(score)
    if result.reading:
        values["answer read as"] = MetadataValue.text(result.reading)
    if result.tokens_estimated:
        values["tokens estimated"] = MetadataValue.bool(True)
    if result.models_without_price:
        models = ", ".join(result.models_without_price)
        values["charged the dearest price"] = MetadataValue.text(f"no price in AI_PRICES_FILE for {models}")
    if result.made_at is not None:
        values["made at"] = MetadataValue.timestamp(result.made_at)
    values |= checks_metadata((result.result.get("_references") or {}).get("checks"))
    if trigger_job_id is not None:
        values["trigger job"] = id_text(trigger_job_id)
    return values


def id_text(row_id: int | None) -> MetadataValue[Any]:
    """An id as text, for Dagster plots every number over time."""
    return MetadataValue.text("none" if row_id is None else str(row_id))


def _without_note(asset_key: AssetKey, partition: str, result: StepResult) -> AssetMaterialization:
    return AssetMaterialization(
        asset_key=asset_key,
        partition=partition,
        description=f"{result.app} {result.target_id}: the member has no note, no call; an earlier answer is kept",
        metadata={
            "outcome": MetadataValue.text(result.outcome.value),
            "app": MetadataValue.text(result.app),
            "target": MetadataValue.text(result.target_id),
            "run log": id_text(None),
            "cache": id_text(None),
        },
        tags={"dagster/data_version": NO_NOTE_VERSION},
    )


def data_version(result: Mapping[str, Any]) -> str:
    """A version of the answer alone: two answers with the same words are the same data."""
    answer = {key: value for key, value in result.items() if not key.startswith("_")}
    return hashlib.sha256(json.dumps(answer, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def _description(result: StepResult) -> str:
    if result.outcome is Outcome.REUSED:
        return f"{result.app} {result.target_id}: same prompt as before, answer reused, no call"
    return f"{result.app} {result.target_id}: made by one call, {result.tokens_used:,} tokens"
