"""The job `fill_answers`: puts the work of many answers into the inbox, where workers share it.

Not here: which trigger jobs that gives (`ai_assets.chains.fill_plan`), running them.
A backfill of scattered partitions starts a run for each; this job is one run, and starts none for each.
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from typing import TYPE_CHECKING

from dagster import Failure, MetadataValue, OpExecutionContext, job, op
from pydantic import Field

from ai_assets.apps.registry import APPS
from ai_assets.assets.config import OneLineConfig
from ai_assets.errors import AiAssetsError
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.run_config_types import Text, Whole, YesNo
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from ai_assets.chains.fill_plan import FillPlan
    from ai_assets.chains.fill_request import FillRequest
    from ai_assets.chains.filling import FillResult

MOST_JOBS = 500_000


class FillConfig(OneLineConfig):
    """Which answers to fill. Without `apps` and sites nothing is queued."""

    apps: list[Text] = Field([], description=f"Required. App names, in any order: {', '.join(APPS)}")
    sites: list[Whole] = Field([], max_length=10_000, description="Site ids; or set all_sites")
    all_sites: YesNo = Field(False, description="Every active site")
    members: list[Whole] = Field(
        [], max_length=100_000, description="Member ids of these sites; empty: all members of the sites"
    )
    windows: list[Text] = Field(
        [], description=f"Time windows of the finance apps; empty: all of {', '.join(WINDOWS)}"
    )
    only_failed: YesNo = Field(
        False,
        description="Only targets that have no answer, or whose newest call failed, timed out or was refused "
        "with no newer answer",
    )
    forced: YesNo = Field(
        False, description="Request new answers even where the prompt is the same as before; costs every call"
    )
    max_jobs: Whole = Field(
        100_000, ge=1, le=MOST_JOBS, description=f"Queue nothing if it would be more jobs, 1 to {MOST_JOBS}"
    )
    dry_run: YesNo = Field(False, description="Report what would be queued, and queue nothing")


@op(description="Put one trigger job into the inbox for each member, pair and site box that is to be filled.")
def queue_answers(context: OpExecutionContext, config: FillConfig, database: DatabaseResource) -> None:
    """Queue and end; the numbers are in the log and on the output. Failure, and nothing queued, for wrong input."""
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.chains.filling import plan_fill, queue_fill
    from ai_assets.store.engine import reachable

    try:
        request = _request(config)
        engine = database.engine(pool_size=1)
        try:
            with reachable("queueing trigger jobs"):
                with engine.connect() as connection:
                    plan = plan_fill(connection, request, max_jobs=config.max_jobs)
                if config.dry_run:
                    _report_dry_run(context, plan)
                    return
                result = queue_fill(
                    engine,
                    plan,
                    forced=request.forced,
                    queued_by=f"run:{context.run_id}",
                    on_batch=lambda done, total: context.log.info("%d of %d jobs", done, total),
                )
        finally:
            engine.dispose()
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    context.log.info("%s", result.sentence())
    context.add_output_metadata(_metadata(result))


def _request(config: FillConfig) -> "FillRequest":
    from ai_assets.chains.fill_request import fill_request

    return fill_request(
        apps=config.apps,
        sites=config.sites,
        all_sites=config.all_sites,
        members=config.members,
        windows=config.windows,
        only_failed=config.only_failed,
        forced=config.forced,
    )


def _report_dry_run(context: OpExecutionContext, plan: "FillPlan") -> None:
    left_out = dict(plan.left_out.most_common())
    context.log.info("%d jobs would be queued; left out: %s", len(plan.jobs), left_out or "nothing")
    context.add_output_metadata(
        {"would be queued": MetadataValue.int(len(plan.jobs)), "left out": MetadataValue.json(left_out)}
    )


def _metadata(result: "FillResult") -> dict[str, MetadataValue]:
    values: dict[str, MetadataValue] = {
        "queued": MetadataValue.int(result.queued),
        "left out": MetadataValue.json(dict(result.left_out.most_common())),
    }
    if result.queued:
        # text: an id is no quantity, and an integer would be drawn as a plot
        values["trigger jobs"] = MetadataValue.text(f"{result.first_job} to {result.last_job}")
    return values


@job(
    description="Fill many answers: queues them in the inbox, where workers share them after live events. "
    "In place of a backfill of scattered partitions, which starts a run for each.",
    tags={"dagster/max_retries": "0"},
)
def fill_answers() -> None:
    """See queue_answers."""
    queue_answers()
