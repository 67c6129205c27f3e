"""A result that was made outside of any run, as a materialization in Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_assets.assets.checks import CheckLimits, evaluations
from ai_assets.assets.event_writer import report_checks
from ai_assets.assets.finance import FINANCE
from ai_assets.assets.member_events import member_checks, member_events
from ai_assets.assets.metadata import materialization
from ai_assets.chains.cells import Cell
from ai_assets.member_partitions import ASSISTANT_MEMBERS, MEMBERS
from ai_assets.partitions import ensure_blocks, partition_key_of
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from ai_assets.chains.outcome import StepResult


def report(instance: DagsterInstance, result: StepResult) -> None:
    """Materialize the partitions of a result, adding their dynamic keys where they are new."""
    subject = result.subject
    limits = CheckLimits.from_settings(load_settings())
    if subject.window is not None:
        ensure_blocks(instance, [subject.site_id])
        cell = str(partition_key_of(Cell(subject.site_id, subject.area or "all", subject.window)))
        instance.report_runless_asset_event(materialization(FINANCE, cell, result, trigger_job_id=None))
        report_checks(instance, evaluations(FINANCE, cell, result, limits))
        return
    partitions = MEMBERS if subject.assistant_id is None else ASSISTANT_MEMBERS
    for _asset, key, event in member_events(result, trigger_job_id=None):
        instance.add_dynamic_partitions(partitions, [key])
        instance.report_runless_asset_event(event)
    report_checks(instance, member_checks(result, limits))
