"""One tick of the `dws_completed` sensor. Apart from the sensor, so that the code location loads no SQLAlchemy.

Each tick: requeue jobs of killed runs, send the events of new batches, report batches whose events are new, keep
every active site's keys contiguous, ask for the runs of waiting jobs. Decisions are pure
(`ai_assets.sensors.site_runs`, `ai_assets.partitions`).
At the very first start only each site's newest batch counts, afterwards what finished within AI_ETL_LOOKBACK_DAYS
and has no event yet. Evaluating a tick and not keeping its result (a preview in Dagster's UI) loses nothing: events
and jobs are rows, and what is reported or asked for is derived from them (`ai_assets.sensors.batch_cursor`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import RunRequest, SensorResult

from ai_assets.assets.sources import batch_materialization
from ai_assets.assets.trigger_job import ATTEMPT_TAG, EVENT_TAG, JOB_TAG, SITE_TAG
from ai_assets.chains.fill_plan import box_of
from ai_assets.errors import LockTimeoutError
from ai_assets.partitions import AREA_PARTITIONS, after, areas_def, plan_blocks, range_tags, stands_alone
from ai_assets.sensors.batch_cursor import read_cursor
from ai_assets.sensors.site_runs import Act, for_waiting, next_launch, run_key
from ai_assets.sensors.upkeep import (
    end_cancelled,
    live_background_runs,
    live_jobs_of_sites,
    lose_start,
    recover_site_jobs,
    recover_stalled_runs,
    run_state,
    runs_of_launches,
)
from ai_assets.settings import load_settings
from ai_assets.store import inbox, site_jobs
from ai_assets.store.alerts import raise_alert
from ai_assets.store.batch_events import RecordedBatch, batches_recorded_after, batches_without_event
from ai_assets.store.engine import reachable
from ai_assets.store.trigger_jobs import MANUAL, TriggerJob
from ai_assets.warehouse import sites
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from dagster import DagsterInstance, SensorEvaluationContext
    from sqlalchemy import Engine

logger = logging.getLogger(__name__)

BATCHES_A_TICK = 200
"""Events sent and batches reported in one tick: an evaluation has 60 s."""
JOBS_A_TICK = 200
"""Site jobs considered in one tick, and so the most runs of theirs that wait in Dagster's queue."""
BACKGROUND_RUNS = 2
"""Runs of background jobs that wait or work at once. The others wait in the inbox: in Dagster's queue, a site's next
batch would wait for them too."""


def tick(context: SensorEvaluationContext, engine: Engine) -> SensorResult:
    """What this tick asks of Dagster. Raises AiAssetsError where Postgres or the contract's tables are wrong."""
    now = datetime.now(UTC)
    lookback = now - timedelta(days=load_settings().etl_lookback_days)
    cursor = read_cursor(context.cursor)
    recover_stalled_runs(engine, context.instance)
    recover_site_jobs(engine, context.instance)
    cursor = replace(cursor, started=send_events(engine, cursor.started, lookback=lookback, now=now))
    recorded = recorded_batches(engine, cursor.reported, lookback=lookback)
    alert_bad_batches(engine, recorded)
    if recorded:
        cursor = replace(cursor, reported=recorded[-1].trigger_job_id)
    events = [batch_materialization(batch) for batch in recorded if batch.is_usable]

    with engine.connect() as connection:
        active = [site.site_id for site in sites.active_sites(connection)]
        due = site_jobs.due_site_jobs(connection, limit=JOBS_A_TICK)
    wanted = sorted({*active, *(job.site_id for job in due if job.site_id is not None)})
    existing = context.instance.get_dynamic_partitions(AREA_PARTITIONS)
    changes = plan_blocks(existing, wanted)
    keys = after(existing, changes)

    requests = _runs_of_waiting(engine, context.instance, due, keys)
    return SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[
            *([areas_def.build_delete_request(list(changes.remove))] if changes.remove else []),
            *([areas_def.build_add_request(list(changes.add))] if changes.add else []),
        ],
        asset_events=events,
        cursor=cursor.written(),
        skip_reason=None if requests or events or changes else "no finished batch without insights",
    )


def send_events(
    engine: Engine, started: datetime | None, *, lookback: datetime, now: datetime
) -> datetime | None:
    """Send an event for each finished batch that has none; returns when the sensor started, None if it has not yet.

    At most BATCHES_A_TICK, so the first events of many sites take several ticks. A batch whose event another
    transaction is just taking in is left to a later tick.
    """
    since = None if started is None else max(started, lookback)
    with engine.connect() as connection:
        new = batches_without_event(connection, since, limit=BATCHES_A_TICK)
    left = len(new) == BATCHES_A_TICK
    for batch in new:
        try:
            with reachable("sending an event"), engine.begin() as connection:
                payload = {"batch_id": batch.batch_id}
                inbox.fire(connection, "dws_completed", site_id=batch.site_id, payload=payload)
        except LockTimeoutError as error:
            left = True
            logger.info("the event of a batch of site %s is left to a later tick: %s", batch.site_id, error)
    return started or (None if left else now)


def recorded_batches(engine: Engine, reported: int | None, *, lookback: datetime) -> list[RecordedBatch]:
    """The batches whose events were recorded after the last reported one, whoever sent them.

    They come from the inbox and not from what this tick sent: where Dagster does not keep a tick's result (a preview,
    a crash), the cursor stays, and the next tick finds them again.
    """
    with engine.begin() as connection:
        return batches_recorded_after(connection, reported, since=lookback, limit=BATCHES_A_TICK)


def alert_bad_batches(engine: Engine, recorded: list[RecordedBatch]) -> None:
    """Raise an alert for each batch that is not used because of its date."""
    window_s = load_settings().alert_window_s
    for batch in recorded:
        if not batch.is_usable:
            raise_alert(
                engine,
                "bad_batch",
                {"date": str(batch.biz_date)},
                site_id=batch.site_id,
                app_type=None,
                log_id=None,
                window_s=window_s,
            )


def _runs_of_waiting(
    engine: Engine, instance: DagsterInstance, due: list[TriggerJob], keys: list[str]
) -> list[RunRequest]:
    runs = runs_of_launches(instance, {job.id: next_launch(job) for job in due})
    live = live_jobs_of_sites(instance, [job.site_id for job in due if job.site_id is not None])
    room = BACKGROUND_RUNS - live_background_runs(instance) if any(job.background for job in due) else 0
    requests = []
    for job in due:
        others = live.get(job.site_id or 0, set()) - {str(job.id)}
        match for_waiting(run_state(runs.get(job.id)), site_is_busy=bool(others)):
            case Act.LAUNCH if job.background and room <= 0:
                continue
            case Act.LAUNCH if job.site_id is not None and stands_alone(keys, job.site_id):
                room -= job.background
                requests.append(_request(job, job.site_id, next_launch(job)))
            case Act.END_CANCELLED:
                end_cancelled(engine, job)
            case Act.LOST_ATTEMPT:
                lose_start(engine, job)
    return requests


def _request(job: TriggerJob, site_id: int, launch: int) -> RunRequest:
    areas, windows = box_of(job.payload) if job.event_type == MANUAL else (AREAS, WINDOWS)
    return RunRequest(
        run_key=run_key(job.id, launch),
        tags={
            **range_tags(site_id, areas=areas, windows=windows),
            JOB_TAG: str(job.id),
            SITE_TAG: str(site_id),
            EVENT_TAG: job.event_type,
            ATTEMPT_TAG: str(launch),
        },
    )
