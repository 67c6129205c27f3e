"""One tick of the `business_events` sensor. Apart from the sensor, so that the code location loads no SQLAlchemy.

Each tick: end the runs of workers that died, requeue their jobs, start as many workers as what is pending needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import DagsterRunStatus, RunRecord, RunRequest, RunsFilter, SensorResult

from ai_assets.event_worker import JOB_NAME
from ai_assets.sensors.upkeep import recover_stalled_runs
from ai_assets.sensors.worker_count import Present, counted_for, workers_to_start
from ai_assets.settings import Settings, load_settings
from ai_assets.store import claims, leases, workers
from ai_assets.store.alerts import alert_dead
from ai_assets.store.queue_depth import QueueDepth, queue_depth

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

OVERDUE_S = 10.0
"""A live worker with a free slot claims within a second: what waits for so long is waited for in vain."""

KIND_TAG = "ai/worker"
"""The kind of a worker run, such as `isolated_worker`; none: an ordinary one, which a person may have started."""

_NOT_YET = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING]


def tick(instance: DagsterInstance, engine: Engine) -> SensorResult:
    """What this tick asks of Dagster. Raises AiAssetsError where Postgres is wrong."""
    settings = load_settings()
    recover_stalled_runs(engine, instance)
    recover_queue(engine, settings)
    with engine.connect() as connection:
        depth = queue_depth(
            connection,
            rate_per_minute=settings.rate_per_minute,
            counted=counted_for(concurrency=settings.concurrency, maximum=settings.workers_max),
        )
        shared_live = workers.alive(connection).workers
        isolated_live = workers.alive(connection, workers.ISOLATED_WORKER).workers
        with_heartbeat = workers.run_ids(connection)
    starting = _starting(instance, with_heartbeat, settings)
    shared = present(shared_live, starting, isolated=False, settings=settings)
    isolated = present(isolated_live, starting, isolated=True, settings=settings)
    start = workers_to_start(
        startable=depth.startable,
        alone=depth.alone,
        shared=shared,
        isolated=isolated,
        concurrency=settings.concurrency,
        minimum=settings.workers_min,
        maximum=settings.workers_max,
        overdue=depth.oldest_due_s > OVERDUE_S,
    )
    # no run key: a worker is not for one event, and two may be requested in one tick
    requests = [_request("never") for _ in range(start.shared)]
    requests += [_request("only", {KIND_TAG: workers.ISOLATED_WORKER}) for _ in range(start.isolated)]
    return SensorResult(
        run_requests=requests, skip_reason=None if requests else _summary(depth, shared, isolated)
    )


def recover_queue(engine: Engine, settings: Settings) -> None:
    """Requeue members' jobs whose lease expired, or mark them dead with an alert; show claims what they cannot see."""
    with engine.begin() as connection:
        requeued = leases.requeue_expired(connection, max_attempts=settings.max_attempts)
        # from the start each time: where more members wait than it looks at, there is work for a worker, which goes on
        claims.promote_stuck(connection)
    alert_dead(engine, requeued, window_s=settings.alert_window_s)


def present(live: int, starting: Iterable[RunRecord], *, isolated: bool, settings: Settings) -> Present:
    """The workers of one kind: `live` with a heartbeat, and their runs among the `starting` ones."""
    runs = [
        record
        for record in starting
        if (record.dagster_run.tags.get(KIND_TAG) == workers.ISOLATED_WORKER) is isolated
    ]
    return Present(
        live=live,
        starting=len(runs),
        coming_up=sum(seconds_in_state(record) < settings.startup_grace_s for record in runs),
    )


def seconds_in_state(record: RunRecord) -> float:
    """Seconds since a run began or, where it has not begun, since it was requested.

    From its begin: a run may wait in the queue for longer than one that has begun may need for its first heartbeat.
    """
    if record.dagster_run.status is DagsterRunStatus.STARTED:
        # a run that was reported as started without an event has no start time
        since = record.start_time or record.update_timestamp.timestamp()
    else:
        since = record.create_timestamp.timestamp()
    return datetime.now(UTC).timestamp() - since


def _starting(instance: DagsterInstance, with_heartbeat: set[str], settings: Settings) -> list[RunRecord]:
    """Worker runs that were requested and have sent no heartbeat yet. One that takes too long is ended here."""
    requested = instance.get_run_records(
        RunsFilter(job_name=JOB_NAME, statuses=[*_NOT_YET, DagsterRunStatus.STARTED]), limit=100
    )
    starting = []
    for record in requested:
        run = record.dagster_run
        if run.run_id in with_heartbeat:
            continue
        began = run.status is DagsterRunStatus.STARTED
        if began and seconds_in_state(record) > settings.startup_timeout_s:
            why = f"the worker sent no heartbeat within {settings.startup_timeout_s:.0f} s of its start"
            instance.report_run_failed(run, why)
        else:
            starting.append(record)
    return starting


def _request(alone_jobs: str, tags: dict[str, str] | None = None) -> RunRequest:
    return RunRequest(
        run_config={"ops": {"work_inbox": {"config": {"alone_jobs": alone_jobs}}}}, tags=tags or {}
    )


def _summary(depth: QueueDepth, shared: Present, isolated: Present) -> str:
    return (
        f"{depth.due} events due, {depth.alone} of them to run alone; {depth.later} later, {depth.running} chains "
        f"running; {depth.held_up} sites wait for their rate; workers: {shared.live} live, {shared.starting} starting, "
        f"isolated: {isolated.live} live, {isolated.starting} starting"
    )
