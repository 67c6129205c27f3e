"""The trigger job of a site run: claimed when the run begins, leased while it works, ended or requeued with it.

A run carries its job's id as the tag `ai/trigger_job`; one that a person started carries none. A job that was
cancelled ends partial or failed. One whose process is asked to stop (a deployment) is requeued, and the attempt does
not count. One whose process is killed is requeued by the `dws_completed` sensor.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagster import DagsterExecutionInterruptedError, DagsterRunStatus

from ai_assets.chains.outcome import StepResult
from ai_assets.errors import InputError
from ai_assets.privacy.logs import describe
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from dagster import AssetExecutionContext
    from sqlalchemy import Engine

    from ai_assets.chains.job_lease import JobLease

JOB_TAG = "ai/trigger_job"
SITE_TAG = "ai/site"
EVENT_TAG = "ai/event"
ATTEMPT_TAG = "ai/attempt"
"""Which launch of its job a run is, counted from 1; see `TriggerJob.launches`."""

REQUEUED = "requeued"
"""No status of a job: it goes back to pending."""


@dataclass
class JobOfRun:
    """What the run knows of its trigger job; without one (`id` None) all of it does nothing."""

    id: int | None = None
    event_type: str | None = None
    is_forced: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)
    """The run must stop: its job was cancelled, or another run has it now."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    results: int = 0
    status: str | None = None
    error: str | None = None

    def add(self, result: StepResult) -> None:
        """Remember one step's result."""
        if self.id is not None:
            self.steps.append(result.as_step_result())
            self.results += result.outcome.has_result

    def ended(self, status: str, error: str | None) -> None:
        """The chain came to its end: completed, partial or failed."""
        self.status, self.error = status, error


@contextmanager
def job_of_run(engine: Engine, context: AssetExecutionContext) -> Iterator[JobOfRun]:
    """Claim the run's trigger job, renew its lease, and end it when the block ends.

    Raises InputError where the job cannot be claimed: another run works on it, or it is not there.
    """
    tag = context.run.tags.get(JOB_TAG)
    if not tag:
        yield JobOfRun()
        return
    if not re.fullmatch("[0-9]{1,18}", tag):
        raise InputError(f"the run's tag {JOB_TAG} is {tag!r}, not the id of a trigger job")
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.chains.heartbeat import Heartbeat
    from ai_assets.store import workers

    owner, held = f"run:{context.run.run_id}", list["JobLease"]()
    lease_s = load_settings().lease_s
    heartbeat = Heartbeat(
        engine,
        worker_id=owner,
        kind=workers.SITE_RUN,
        run_id=context.run.run_id,
        lease_s=lease_s,
        clock=time.monotonic,
        held=lambda: list(held),
    )
    # before the claim: from its first moment on the lease has a holder that is alive
    heartbeat.start()
    try:
        lease = _claim(engine, context, int(tag), owner=owner, lease_s=lease_s)
        held.append(lease)
        job = JobOfRun(lease.job.id, lease.job.event_type, lease.job.is_forced, lease.cancelled)
        try:
            yield job
        except BaseException as error:
            if job.status is None:
                job.ended(*_interrupted(context, error, job.results))
            raise
        finally:
            lease.ended.set()
            _end(engine, owner, lease, job)
    finally:
        heartbeat.stop()


def _claim(
    engine: Engine, context: AssetExecutionContext, job_id: int, *, owner: str, lease_s: float
) -> JobLease:
    from ai_assets.chains.job_lease import JobLease
    from ai_assets.store import claims
    from ai_assets.store.engine import reachable

    with reachable("claiming a trigger job"), engine.begin() as connection:
        claimed = claims.claim_job(
            connection,
            job_id,
            owner=owner,
            lease_s=lease_s,
            run_id=context.run.run_id,
            # a re-execution of an ended run works on its job again
            again=context.run.parent_run_id is not None,
        )
    if claimed is None:
        raise InputError(_not_to_be_had(engine, job_id))
    return JobLease(claimed, time.monotonic())


def _not_to_be_had(engine: Engine, job_id: int) -> str:
    """Why a run has nothing to work on: cancelled while it was queued, taken by another run, not there."""
    from ai_assets.store import inbox
    from ai_assets.store.engine import reachable

    with reachable("reading a trigger job"), engine.connect() as connection:
        found = inbox.job(connection, job_id)
    if found is None:
        return f"there is no trigger job {job_id}: the run's tag {JOB_TAG} names none"
    said = f" ({found.error_message})" if found.error_message else ""
    return (
        f"trigger job {job_id} does not wait for a run, it is {found.status}{said}: nothing was made, "
        f"see `ai-assets jobs show {job_id}`"
    )


def _interrupted(context: AssetExecutionContext, error: BaseException, results: int) -> tuple[str, str]:
    """How a job ends whose chain did not come to its end, and what is said of it."""
    ended = "partial" if results else "failed"
    if not isinstance(error, DagsterExecutionInterruptedError | KeyboardInterrupt):
        return ended, f"the run ended: {describe(error)}"
    if _cancelled_by_a_person(context):
        return ended, "the run was cancelled"
    return REQUEUED, "its run was asked to stop"


def _end(engine: Engine, owner: str, lease: JobLease, job: JobOfRun) -> None:
    from ai_assets.store import inbox, leases
    from ai_assets.store.engine import reachable

    with reachable("ending a trigger job"), engine.begin() as connection:
        if job.status == REQUEUED:
            leases.requeue(
                connection,
                [lease.job.id],
                owner=owner,
                error=job.error or "",
                attempts=lease.job.attempts,
            )
            return
        inbox.finish(
            connection,
            lease.job.id,
            owner=owner,
            attempts=lease.job.attempts,
            status=job.status or "failed",
            step_results=job.steps,
            error=job.error,
        )


def _cancelled_by_a_person(context: AssetExecutionContext) -> bool:
    """A person's cancel marks the run first; a deployment that stops its processes only sends a signal."""
    run = context.instance.get_run_by_id(context.run.run_id)
    return run is not None and run.status in {DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED}
