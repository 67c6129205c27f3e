"""The asset `app2_finance`: insights by area x time. One run holds a box and makes its cells side by side.

Not here: a cell (`ai_assets.chains`), what a materialization shows (`ai_assets.assets.metadata`).
A cell that fails has no materialization: its partition shows as failed when the run ends in Failure, the
others are kept. `skippable` and `can_subset` keep Dagster from materializing what was not reported.
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Failure,
    MetadataValue,
    multi_asset,
)

from ai_assets.apps import app2_finance as app2
from ai_assets.apps import app2a_finance_area as app2a
from ai_assets.assets.app_spec import MANY
from ai_assets.assets.batches import cells_backfill, is_batch
from ai_assets.assets.checks import CheckLimits, check_specs, evaluations
from ai_assets.assets.config import StepsConfig
from ai_assets.assets.failures import failures_table, what_happened
from ai_assets.assets.freshness import MADE_EVERY_MORNING
from ai_assets.assets.metadata import materialization
from ai_assets.assets.outputs import made_outputs
from ai_assets.assets.sources import DWS_FINANCE
from ai_assets.assets.trigger_job import JobOfRun, job_of_run
from ai_assets.chains.cells import Cell
from ai_assets.chains.observer import tell
from ai_assets.chains.outcome import StepResult, Trigger
from ai_assets.errors import AiAssetsError, InputError
from ai_assets.partitions import cell_of, finance_partitions, partition_key_of
from ai_assets.privacy.logs import log_defect
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource
from ai_assets.resources.runtime import runtime
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from ai_assets.chains.runtime import Runtime
    from ai_assets.chains.summary import StepsSummary

logger = logging.getLogger(__name__)

FINANCE = AssetKey("app2_finance")
CODE_VERSION = f"app2:{app2.VERSION},app2a:{app2a.VERSION}"


@multi_asset(
    name="app2_finance",
    specs=[
        AssetSpec(
            FINANCE,
            deps=[AssetDep(DWS_FINANCE)],
            partitions_def=finance_partitions,
            group_name="finance",
            kinds={"dashscope", "postgres"},
            code_version=CODE_VERSION,
            skippable=True,
            freshness_policy=MADE_EVERY_MORNING,
            description="Finance insights of each site: area `all` by App2, the other areas by App2a; "
            "eight time windows. Unchanged data costs no call." + MANY,
        )
    ],
    check_specs=check_specs(FINANCE, finance_partitions),
    can_subset=True,
    backfill_policy=cells_backfill,
)
def app2_finance(
    context: AssetExecutionContext,
    config: StepsConfig,
    database: DatabaseResource,
    dashscope: DashScopeResource,
    guard: GuardResource,
) -> Iterator[Any]:
    """Make the cells of this run, report each as it ends, and fail at the end if one has no result."""
    cells, refused = _cells(context)
    try:
        with (
            runtime(database, dashscope, guard, concurrency=config.concurrency) as run_on,
            job_of_run(run_on.engine, context) as job,
        ):
            summary = _make(context, config, run_on, job, cells)
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    if job.cancelled.is_set():
        raise Failure(
            f"trigger job {job.id} is no longer this run's, which stopped: it was cancelled, or taken over by "
            f"another (`ai-assets jobs show {job.id}`)",
            allow_retries=False,
        )
    if summary.failures or refused:
        raise Failure(
            f"{len(summary.failures) + len(refused)} of {len(cells) + len(refused)} cells have no result: "
            + "; ".join([*what_happened(summary), *refused[:1]]),
            metadata={"failed cells": MetadataValue.md(failures_table(summary.failures, refused))},
            allow_retries=False,
        )
    yield from made_outputs(context)


def _cells(context: AssetExecutionContext) -> tuple[list[Cell], list[str]]:
    """The cells of this run, and a line for each key that is none: people can add any key in the UI."""
    if not (context.has_partition_key or context.has_partition_key_range):
        raise Failure(
            "no partition is chosen: choose cells, such as 1001:hallA | this_month", allow_retries=False
        )
    cells: list[Cell] = []
    refused: list[str] = []
    for key in context.partition_keys:
        try:
            cells.append(cell_of(key))
        except InputError as error:
            context.log.error("%s", error)
            refused.append(str(error))
    return cells, refused


def _make(
    context: AssetExecutionContext,
    config: StepsConfig,
    run_on: "Runtime",
    job: JobOfRun,
    cells: Sequence[Cell],
) -> "StepsSummary":
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.chains.site import run_cells

    limits = CheckLimits.from_settings(load_settings())

    def report(cell: Cell, result: StepResult) -> None:
        job.add(result)
        _show(context, cell, result, job, limits)
        if not result.outcome.has_result:
            context.log.error("site %s, %s: %s", cell.site_id, result.target_id, result.message)
        tell(cell, result)

    summary = run_cells(
        run_on,
        cells,
        trigger=_trigger(context, config, job, cells),
        as_of=config.as_of_date,
        concurrency=config.concurrency,
        on_result=report,
        cancelled=job.cancelled,
    )
    job.ended(summary.status, "; ".join(what_happened(summary)) if summary.failures else None)
    context.log.info("%s; %d tokens, %.1f s", summary.sentence(), summary.tokens, summary.seconds)
    return summary


def _trigger(
    context: AssetExecutionContext, config: StepsConfig, job: JobOfRun, cells: Sequence[Cell]
) -> Trigger:
    forced = config.forced or job.is_forced
    if job.id is not None and job.event_type is not None:
        return Trigger.of_job(job.event_type, "batch", job.id, forced=forced)
    return Trigger(
        trigger_type="batch" if is_batch(len(cells), context.run.tags) else "manual", forced=forced
    )


def _show(
    context: AssetExecutionContext, cell: Cell, result: StepResult, job: JobOfRun, limits: CheckLimits
) -> None:
    key = str(partition_key_of(cell))
    try:
        if result.outcome.has_result:
            context.log_event(materialization(FINANCE, key, result, trigger_job_id=job.id))
        for evaluation in evaluations(FINANCE, key, result, limits):
            context.log_event(evaluation)
    except Exception as error:  # noqa: BLE001
        # the answer is in the cache: trouble with showing it is logged and fails no step (docs/behaviour.md, A step)
        log_defect(logger, error, "what was made of %s could not be recorded", key)


ASSETS: list[AssetsDefinition] = [app2_finance]
