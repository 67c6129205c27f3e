"""Putting right what a killed or cancelled run left: the job's row and the run's state. Decisions: `site_runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from ai_assets.assets.trigger_job import ATTEMPT_TAG, JOB_TAG
from ai_assets.sensors.site_runs import Act, RunState, for_lost
from ai_assets.settings import load_settings
from ai_assets.store import site_jobs
from ai_assets.store.alerts import raise_alert

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

    from ai_assets.store.trigger_jobs import TriggerJob

LOST = "the attempt was lost: its process was killed, or Postgres could not be reached"


def put_lost_right(engine: Engine, instance: DagsterInstance) -> None:
    """Give lost attempts another one or give them up, and end the runs that a killed process left STARTED."""
    with engine.connect() as connection:
        lost = site_jobs.lost_site_jobs(connection)
    for job in lost:
        run = instance.get_run_by_id(job.run_id) if job.run_id else None
        if for_lost(job, run_state(run)).act is Act.END_CANCELLED:
            end_cancelled(engine, job)
        else:
            lose_attempt(engine, job, job.attempts)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, f"the process of trigger job {job.id} is gone: its lease ended")


def end_cancelled(engine: Engine, job: TriggerJob) -> None:
    """A person cancelled the job's run: it is not tried again by itself."""
    with engine.begin() as connection:
        site_jobs.end(connection, job.id, status="failed", error="the run was cancelled")


def lose_attempt(engine: Engine, job: TriggerJob, attempt: int) -> None:
    """Count a lost attempt; the last one makes the job dead, with an alert."""
    settings = load_settings()
    with engine.begin() as connection:
        status = site_jobs.give_back(
            connection, job, attempts=attempt, max_attempts=settings.max_attempts, error=LOST
        )
    if status == "dead":
        raise_alert(
            engine,
            "dead",
            f"trigger job {job.id} ({job.event_type}) was given up after {attempt} attempts: {LOST}",
            site_id=job.site_id,
            app_type=None,
            log_id=None,
            window_s=settings.alert_window_s,
        )


def run_of_attempt(instance: DagsterInstance, job_id: int, attempt: int) -> DagsterRun | None:
    """The run that was asked for this attempt of a job, or None."""
    filters = RunsFilter(tags={JOB_TAG: str(job_id), ATTEMPT_TAG: str(attempt)})
    records = instance.get_run_records(filters, limit=1)
    return records[0].dagster_run if records else None


def run_state(run: DagsterRun | None) -> RunState:
    """A run's state as far as its trigger job is concerned."""
    if run is None:
        return RunState.NONE
    if run.status in {DagsterRunStatus.CANCELED, DagsterRunStatus.CANCELING}:
        return RunState.CANCELLED
    return RunState.ENDED if run.is_finished else RunState.ALIVE
