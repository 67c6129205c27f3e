"""The job `event_worker`: one op that is a worker for the members' chains, and shows what they make.

Not here: working (`ai_assets.chains.worker`), how many workers there are (`ai_assets.sensors.business_events`).
A chain's partitions are planned when it begins, so that they show as in progress, and materialized as its
steps end. A partition shows red when its run ended in Failure: so a worker with a failed step ends in one.
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from dagster import (
    Config,
    DagsterExecutionInterruptedError,
    DagsterRunStatus,
    Failure,
    MetadataValue,
    OpExecutionContext,
    job,
    op,
)
from pydantic import Field

from ai_assets.assets.answer_text import plain
from ai_assets.assets.checks import CheckLimits
from ai_assets.assets.member_events import asset_partitions, member_checks, member_events
from ai_assets.assets.run_events import RunEvents
from ai_assets.chains.observer import stop_of_context, tell_of_worker
from ai_assets.chains.outcome import StepResult
from ai_assets.errors import AiAssetsError
from ai_assets.resources.dashscope import DashScopeResource
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource
from ai_assets.resources.run_config_types import Whole, YesNo
from ai_assets.resources.runtime import runtime
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from ai_assets.apps.base import Subject
    from ai_assets.chains.worker_values import WorkerLimits, WorkerSummary
    from ai_assets.store.trigger_jobs import TriggerJob

JOB_NAME = "event_worker"


class WorkerConfig(Config):
    """How this worker works; what is empty is as the environment says."""

    until_empty: YesNo = Field(
        False, description="End when no member's event is pending, waiting or running anywhere"
    )
    concurrency: Whole | None = Field(
        None, ge=1, le=256, description="Chains side by side, 1 to 256; empty: AI_CONCURRENCY"
    )
    linger_s: float | None = Field(
        None, ge=0, le=3600, description="Seconds an idle worker stays; empty: AI_WORKER_LINGER_S"
    )
    alone_jobs: Literal["never", "when idle", "only"] = Field(
        "when idle",
        description="Events that lost attempts beside others run alone in a worker: only: in this one, and nothing "
        "else; when idle: in this one when nothing else waits; never: in another",
    )
    max_minutes: float | None = Field(
        None, gt=0, le=1440, description="Minutes this worker lives; empty: AI_WORKER_MAX_MINUTES"
    )


class DagsterReporter:
    """Shows chains as Dagster's events of one run: planned when they begin, made and checked as steps end."""

    def __init__(self, events: RunEvents, limits: CheckLimits) -> None:
        self._events = events
        self._limits = limits

    def began(self, _job: "TriggerJob", steps: "Sequence[tuple[str, Subject]]") -> None:
        """Plan what the chain will make."""
        for app_name, subject in steps:
            for asset_key, partition in asset_partitions(app_name, subject):
                self._events.plan(asset_key, partition)

    def made(self, job: "TriggerJob", result: StepResult) -> None:
        """Materialize what a step made; a step that failed stays planned, and turns red with the run."""
        if not result.outcome.is_failure:
            for _asset_key, _partition, materialization in member_events(result, trigger_job_id=job.id):
                self._events.materialize(materialization)
        for evaluation in member_checks(result, self._limits):
            self._events.check(evaluation)


@op(description="Claim members' events from the inbox and run their chains side by side.")
def work_inbox(
    context: OpExecutionContext,
    config: WorkerConfig,
    database: DatabaseResource,
    dashscope: DashScopeResource,
    guard: GuardResource,
) -> None:
    """Work until there is nothing to do; Failure with a summary where a step gave no result."""
    from ai_assets.chains.worker import Worker

    try:
        with (
            runtime(database, dashscope, guard, concurrency=config.concurrency) as run_on,
            RunEvents(
                context.instance,
                run_id=context.run_id,
                job_name=context.job_name,
                step_key=context.op_def.name,
            ) as events,
        ):
            worker = Worker(
                run_on,
                _limits(config, run_on.concurrency),
                DagsterReporter(events, CheckLimits.from_settings(load_settings())),
                worker_id=f"run:{context.run_id}",
                run_id=context.run_id,
            )
            with stopped_by_signal() as stop:
                summary = worker.run(stop)
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    tell_of_worker(summary)
    context.log.info("%s", summary.sentence())
    context.add_output_metadata(_metadata(summary))
    if stop.is_set() and _cancelled_by_a_person(context):
        raise DagsterExecutionInterruptedError
    if summary.failed_steps:
        raise Failure(
            f"{summary.failed_steps} steps gave no result: {summary.sentence()}",
            metadata=_metadata(summary),
            allow_retries=False,
        )


@contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, in place of Dagster's exception at any point of a worker's loop."""
    stop = stop_of_context() or threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # whoever started this thread has the signals
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda *_: stop.set())
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cancelled_by_a_person(context: OpExecutionContext) -> bool:
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status in {DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED}


def _limits(config: WorkerConfig, concurrency: int) -> "WorkerLimits":
    from ai_assets.chains.worker_values import AloneJobs, WorkerLimits

    settings = load_settings()
    minutes = settings.worker_max_minutes if config.max_minutes is None else config.max_minutes
    return WorkerLimits(
        concurrency=concurrency,
        lease_s=settings.lease_s,
        max_attempts=settings.max_attempts,
        linger_s=settings.worker_linger_s if config.linger_s is None else config.linger_s,
        max_s=minutes * 60,
        until_empty=config.until_empty,
        alone_jobs=AloneJobs(config.alone_jobs),
    )


def _metadata(summary: "WorkerSummary") -> dict[str, MetadataValue[Any]]:
    values: dict[str, MetadataValue[Any]] = {
        "chains": MetadataValue.int(sum(summary.statuses.values())),
        **{f"chains {status}": MetadataValue.int(n) for status, n in sorted(summary.statuses.items())},
        **{f"steps {outcome}": MetadataValue.int(n) for outcome, n in sorted(summary.steps.items())},
        "ended because": MetadataValue.text(summary.why),
    }
    if summary.failures:
        values["failures by reason"] = MetadataValue.json(dict(summary.reasons.most_common()))
        values["last failed steps"] = MetadataValue.md(_failures(summary))
    return values


def _failures(summary: "WorkerSummary") -> str:
    lines = [
        f"| {job_id} | {step.subject.site_id} | {plain(step.app)} | {plain(step.target_id)} "
        f"| {plain(step.reason)} | {plain(step.message)} |"
        for job_id, step in summary.failures
    ]
    return "\n".join(
        [
            "| trigger job | site | app | target | reason | what happened |",
            "|---|---|---|---|---|---|",
            *lines,
        ]
    )


@job(
    name=JOB_NAME,
    description="A worker for the members' events. The business_events sensor starts as many as are needed.",
    # the inbox retries, not Dagster; a worker is for many, so it goes before other runs that wait
    tags={"dagster/max_retries": "0", "dagster/priority": "1"},
)
def event_worker() -> None:
    """See work_inbox."""
    work_inbox()
