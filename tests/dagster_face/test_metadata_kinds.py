"""Dagster plots every number in metadata over time: a number there is a quantity, an id is text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from dagster import AssetKey, FloatMetadataValue, IntMetadataValue, MetadataValue

from ai_assets.apps.base import Subject
from ai_assets.assets.checks import CheckLimits, evaluations
from ai_assets.assets.finance import FINANCE
from ai_assets.assets.member_events import member_events
from ai_assets.assets.metadata import materialization
from ai_assets.assets.sources import batch_materialization
from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.store.batch_events import RecordedBatch

QUANTITIES = {
    "tokens in",
    "tokens out",
    "tokens",
    "cost (CNY)",
    "latency (s)",
    "score",
    "figures",
    "share of figures grounded",
    "retention clues set",
}
CHECKED = {"checks": {"numbers": {"figures": 3, "share": 1.0}, "reading": {"how": "strict"}}}


def result(app: str, outcome: Outcome = Outcome.SUCCESS, **values: object) -> StepResult:
    return StepResult(
        app,
        Subject(1001, member_id=555),
        "555",
        outcome,
        run_log_id=8,
        cache_id=9,
        result={"score": 7, "_references": CHECKED},
        clues_set=2,
        **values,
    )


def batch() -> RecordedBatch:
    return RecordedBatch(
        trigger_job_id=3, site_id=1001, batch_id="17", biz_date="2026-01-31", finished_s=1.8e9, is_usable=True
    )


def shown() -> Iterator[tuple[str, Mapping[str, MetadataValue]]]:
    yield (
        "cell",
        materialization(FINANCE, "1001:all|this_week", result("app2_finance"), trigger_job_id=3).metadata,
    )
    for app in ("app6_note", "app8_consolidation"):
        for key, _, event in member_events(result(app), trigger_job_id=3):
            yield key.to_user_string(), event.metadata
    yield "batch", batch_materialization(batch()).metadata
    limits = CheckLimits(warn_below=1.0, error_below=0.5)
    for one in (result("app6_note"), result("app6_note", Outcome.FAILED, reason="schema")):
        for found in evaluations(AssetKey("app6_note"), "1001:555", one, limits):
            yield found.check_name, found.metadata


@pytest.mark.parametrize(("where", "metadata"), list(shown()))
def test_every_number_is_a_quantity(where: str, metadata: Mapping[str, MetadataValue]) -> None:
    numbers = {n for n, value in metadata.items() if isinstance(value, IntMetadataValue | FloatMetadataValue)}
    assert numbers <= QUANTITIES


@pytest.mark.parametrize(("where", "metadata"), list(shown()))
def test_ids_are_shown_as_they_are(where: str, metadata: Mapping[str, MetadataValue]) -> None:
    ids = {"run log": "8", "cache": "9", "trigger job": "3", "site": "1001"}
    assert {name: metadata[name].value for name in ids if name in metadata} == {
        name: text for name, text in ids.items() if name in metadata
    }


def test_a_call_charged_the_dearest_price_names_the_model_and_no_other_call_does() -> None:
    charged = result("app3_clue", models_without_price=("qwen9-new",))
    shown = materialization(FINANCE, "1001:all|this_week", charged, trigger_job_id=None).metadata
    assert "qwen9-new" in str(shown["charged the dearest price"].value)
    priced = materialization(FINANCE, "1001:all|this_week", result("app3_clue"), trigger_job_id=None).metadata
    assert "charged the dearest price" not in priced
