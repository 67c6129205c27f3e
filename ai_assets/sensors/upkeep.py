"""Recovery from killed and cancelled processes: their Dagster runs are ended, their trigger jobs requeued.

Here: what both sensors do with runs, and the sites' jobs. The members' jobs are requeued by workers and by
`worker_tick`. Decisions: `site_runs`. Nothing here waits for a row that somebody has locked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from ai_assets.assets.trigger_job import ATTEMPT_TAG, EVENT_TAG, JOB_TAG, SITE_TAG
from ai_assets.sensors.site_runs import RunState
from ai_assets.settings import load_settings
from ai_assets.store import job_control, leases, workers
from ai_assets.store.alerts import alert_dead
from ai_assets.store.trigger_jobs import MANUAL

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

    from ai_assets.store.trigger_jobs import TriggerJob

CANCELLED = "the run was cancelled"

_ENDED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
_NOT_ENDED = [status for status in DagsterRunStatus if status not in _ENDED]


def recover_stalled_runs(engine: Engine, instance: DagsterInstance) -> None:
    """End the Dagster runs of workers and site runs that sent no heartbeat within their lease."""
    with engine.begin() as connection:
        expired = workers.expired(connection)
    for worker in expired:
        if worker.run_id:
            _end_run(instance, worker.run_id, f"{worker.id} sent no heartbeat within its lease")
        with engine.begin() as connection:
            workers.delete(connection, worker.id)


def recover_site_jobs(engine: Engine, instance: DagsterInstance) -> None:
    """Requeue site jobs whose lease expired, or mark them dead; end those whose run a person cancelled."""
    settings = load_settings()
    with engine.connect() as connection:
        expired = leases.expired_site_jobs(connection)
    for job in expired:
        if run_state(instance.get_run_by_id(job.run_id) if job.run_id else None) is RunState.CANCELLED:
            end_cancelled(engine, job)
    with engine.begin() as connection:
        requeued = leases.requeue_expired(connection, max_attempts=settings.max_attempts, sites=True)
    alert_dead(engine, requeued, window_s=settings.alert_window_s)
    for job in requeued:
        if job.run_id:
            _end_run(instance, job.run_id, f"the lease on trigger job {job.id} expired")


def end_cancelled(engine: Engine, job: TriggerJob) -> None:
    """A person cancelled the job's run: the job is not tried again by itself.

    One that waits ends now, one that is running when it is requeued.
    """
    with engine.begin() as connection:
        job_control.cancel_unlocked_job(connection, job.id, why=CANCELLED)


def lose_start(engine: Engine, job: TriggerJob) -> None:
    """Count a lost attempt of a pending job whose run ended before it began; the last one makes the job dead."""
    settings = load_settings()
    with engine.begin() as connection:
        lost = leases.lose_start(connection, job, max_attempts=settings.max_attempts)
    if lost is not None:
        alert_dead(engine, [lost], window_s=settings.alert_window_s)


def runs_of_launches(instance: DagsterInstance, launches: Mapping[int, int]) -> dict[int, DagsterRun]:
    """The newest run that was requested for each of these launches of a job (job → launch), with one query."""
    if not launches:
        return {}
    filters = RunsFilter(
        tags={
            JOB_TAG: [str(job_id) for job_id in launches],
            ATTEMPT_TAG: sorted({str(launch) for launch in launches.values()}),
        }
    )
    found: dict[int, DagsterRun] = {}
    for record in instance.get_run_records(filters, ascending=True):
        tags = record.dagster_run.tags
        job_id = int(tags[JOB_TAG])
        if tags[ATTEMPT_TAG] == str(launches[job_id]):
            found[job_id] = record.dagster_run
    return found


def live_jobs_of_sites(instance: DagsterInstance, sites: Sequence[int]) -> dict[int, set[str]]:
    """The jobs of these sites, as their tags name them, whose run waits or works (site → jobs), with one query."""
    if not sites:
        return {}
    filters = RunsFilter(tags={SITE_TAG: [str(site) for site in sites]}, statuses=_NOT_ENDED)
    live: dict[int, set[str]] = {}
    for record in instance.get_run_records(filters):
        tags = record.dagster_run.tags
        if JOB_TAG in tags:
            live.setdefault(int(tags[SITE_TAG]), set()).add(tags[JOB_TAG])
    return live


def live_background_runs(instance: DagsterInstance) -> int:
    """How many runs of sites' background jobs wait or work."""
    return instance.get_runs_count(RunsFilter(tags={EVENT_TAG: MANUAL}, statuses=_NOT_ENDED))


def run_state(run: DagsterRun | None) -> RunState:
    """A run's state as far as its trigger job is concerned."""
    if run is None:
        return RunState.NONE
    if run.status in {DagsterRunStatus.CANCELED, DagsterRunStatus.CANCELING}:
        return RunState.CANCELLED
    return RunState.ENDED if run.is_finished else RunState.ALIVE


def _end_run(instance: DagsterInstance, run_id: str, why: str) -> None:
    """Record the end of a run whose process is gone: as cancelled where a person asked for it, else as failed."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, why)
    else:
        instance.report_run_failed(run, why)
