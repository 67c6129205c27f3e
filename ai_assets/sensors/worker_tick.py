"""One tick of the `business_events` sensor. Apart from the sensor, so that the code location loads no SQLAlchemy.

Each tick: end the runs of workers that died, requeue their jobs, start as many workers as what is pending needs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import DagsterRunStatus, RunRecord, RunRequest, RunsFilter, SensorResult

from ai_assets.event_worker import JOB_NAME
from ai_assets.sensors.upkeep import recover_stalled_runs
from ai_assets.sensors.worker_count import workers_to_start
from ai_assets.settings import load_settings
from ai_assets.store import claims, leases, workers
from ai_assets.store.alerts import alert_dead

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

OVERDUE_S = 10.0
"""A live worker with a free slot claims within a second: what waits for so long is waited for in vain."""

COMES_UP_S = 30.0
"""A run that was asked for less long ago will be there in a moment."""
NEVER_CAME_S = 300.0
"""A run that has begun and gave no heartbeat within so long of its request has no worker in it."""

_NOT_YET = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING]


def tick(instance: DagsterInstance, engine: Engine) -> SensorResult:
    """What this tick asks of Dagster. Raises AiAssetsError where Postgres is wrong."""
    settings = load_settings()
    recover_stalled_runs(engine, instance)
    requeue_expired(engine)
    with engine.connect() as connection:
        waiting = claims.waiting(connection, rate_per_minute=settings.rate_per_minute)
        live = workers.alive(connection)
        beating = workers.run_ids(connection)
    starting, coming_up = _starting(instance, beating)
    count = workers_to_start(
        startable=waiting.startable,
        live=live.workers,
        starting=starting,
        coming_up=coming_up,
        concurrency=settings.concurrency,
        minimum=settings.workers_min,
        maximum=settings.workers_max,
        overdue=waiting.oldest_due_s > OVERDUE_S,
    )
    said = (
        f"{waiting.due} events due ({waiting.held_up} of them wait for their site's rate), {waiting.later} later, "
        f"{waiting.running} chains running; {live.workers} workers live, {starting} starting"
    )
    return SensorResult(
        # no run key: a worker is not for one event, and two may be asked for in one tick
        run_requests=[RunRequest() for _ in range(count)],
        skip_reason=None if count else said,
    )


def requeue_expired(engine: Engine) -> None:
    """Requeue members' jobs whose lease expired, or mark them dead with an alert."""
    settings = load_settings()
    with engine.begin() as connection:
        requeued = leases.requeue_expired(connection, max_attempts=settings.max_attempts)
    alert_dead(engine, requeued, window_s=settings.alert_window_s)


def _starting(instance: DagsterInstance, beating: set[str]) -> tuple[int, int]:
    """Worker runs that were asked for and do not beat yet, and how many of them were asked for a moment ago.

    One that has begun and never came up is ended here.
    """
    asked = instance.get_run_records(
        RunsFilter(job_name=JOB_NAME, statuses=[*_NOT_YET, DagsterRunStatus.STARTED]), limit=100
    )
    starting = coming_up = 0
    for record in asked:
        if record.dagster_run.run_id in beating:
            continue
        waited_s = _waited_s(record)
        if record.dagster_run.status is DagsterRunStatus.STARTED and waited_s > NEVER_CAME_S:
            instance.report_run_failed(
                record.dagster_run, f"the worker gave no heartbeat within {NEVER_CAME_S:.0f} s of its request"
            )
            continue
        starting += 1
        coming_up += waited_s < COMES_UP_S
    return starting, coming_up


def _waited_s(record: RunRecord) -> float:
    """Seconds since a run was asked for."""
    return (datetime.now(UTC) - record.create_timestamp).total_seconds()
