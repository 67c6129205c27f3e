"""One tick of the `dws_completed` sensor. Apart from the sensor, so that the code location loads no SQLAlchemy.

Each tick: requeue jobs of killed runs, take new batches in, see that every active site's keys stand together, ask for
the runs of waiting jobs. Decisions are pure (`ai_assets.sensors.site_runs`, `ai_assets.partitions`).
The cursor is when the sensor first ran, as ISO 8601: at the very first start only each site's newest batch
counts, afterwards what finished within AI_ETL_LOOKBACK_DAYS and has no event yet.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import AssetMaterialization, RunRequest, SensorResult

from ai_assets.assets.sources import batch_materialization
from ai_assets.assets.trigger_job import ATTEMPT_TAG, EVENT_TAG, JOB_TAG, SITE_TAG
from ai_assets.partitions import AREA_PARTITIONS, after, areas_def, plan_blocks, range_tags, stands_alone
from ai_assets.sensors.site_runs import Act, for_waiting, next_launch, run_key
from ai_assets.sensors.upkeep import (
    end_cancelled,
    lose_start,
    recover_site_jobs,
    recover_stalled_runs,
    run_of_launch,
    run_state,
)
from ai_assets.settings import load_settings
from ai_assets.store import inbox, site_jobs
from ai_assets.store.trigger_jobs import TriggerJob
from ai_assets.warehouse import sites

if TYPE_CHECKING:
    from dagster import DagsterInstance, SensorEvaluationContext
    from sqlalchemy import Engine


def tick(context: SensorEvaluationContext, engine: Engine) -> SensorResult:
    """What this tick asks of Dagster. Raises AiAssetsError where Postgres or the contract's tables are wrong."""
    now = datetime.now(UTC)
    first_ran = datetime.fromisoformat(context.cursor) if context.cursor else None
    recover_stalled_runs(engine, context.instance)
    recover_site_jobs(engine, context.instance)
    events = take_in(engine, now=now, first_ran=first_ran)

    with engine.connect() as connection:
        active = [site.site_id for site in sites.active_sites(connection)]
        due = site_jobs.due_site_jobs(connection)
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
        cursor=(first_ran or now).isoformat(),
        skip_reason=None if requests or events or changes else "no finished batch without insights",
    )


def take_in(engine: Engine, *, now: datetime, first_ran: datetime | None) -> list[AssetMaterialization]:
    """Send an event for each finished batch that has none; returns what to report of them."""
    with engine.connect() as connection:
        if first_ran is None:
            newest = [sites.newest_batch(connection, site.site_id) for site in sites.active_sites(connection)]
            batches = [batch for batch in newest if batch is not None]
        else:
            lookback = timedelta(days=load_settings().etl_lookback_days)
            batches = sites.successful_batches(connection, max(first_ran, now - lookback))
        new = site_jobs.unknown_batches(connection, [(b.site_id, b.batch_id, b.finished_at) for b in batches])
    reported = []
    for batch in (batches[position] for position in new):
        with engine.begin() as connection:
            inbox.fire(
                connection, "dws_completed", site_id=batch.site_id, payload={"batch_id": batch.batch_id}
            )
        reported.append(batch_materialization(batch))
    return reported


def _runs_of_waiting(
    engine: Engine, instance: DagsterInstance, due: list[TriggerJob], keys: list[str]
) -> list[RunRequest]:
    requests = []
    for job in due:
        launch = next_launch(job)
        match for_waiting(run_state(run_of_launch(instance, job.id, launch))):
            case Act.LAUNCH if job.site_id is not None and stands_alone(keys, job.site_id):
                requests.append(_request(job, job.site_id, launch))
            case Act.END_CANCELLED:
                end_cancelled(engine, job)
            case Act.LOST_ATTEMPT:
                lose_start(engine, job)
    return requests


def _request(job: TriggerJob, site_id: int, launch: int) -> RunRequest:
    return RunRequest(
        run_key=run_key(job.id, launch),
        tags={
            **range_tags(site_id),
            JOB_TAG: str(job.id),
            SITE_TAG: str(site_id),
            EVENT_TAG: job.event_type,
            ATTEMPT_TAG: str(launch),
        },
    )
