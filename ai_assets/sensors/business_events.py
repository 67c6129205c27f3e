"""The sensor that keeps workers for what is pending in the inbox: its face. A tick: `worker_tick`."""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, SkipReason, sensor

from ai_assets.errors import AiAssetsError
from ai_assets.event_worker import JOB_NAME
from ai_assets.resources.database import DatabaseResource

INTERVAL_S = 5


@sensor(
    job_name=JOB_NAME,
    name="business_events",
    minimum_interval_seconds=INTERVAL_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts workers for members' events: consumption, note_created, task_assigned.",
)
def business_events(
    context: SensorEvaluationContext, database: DatabaseResource
) -> SensorResult | SkipReason:
    """One tick. What is wrong with Postgres is the tick's skip reason."""
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.sensors.engine import sensor_engine
    from ai_assets.sensors.worker_tick import tick
    from ai_assets.store.engine import reachable

    try:
        engine = sensor_engine(database, pool_size=1)
    except AiAssetsError as error:
        return SkipReason(str(error))
    try:
        with reachable("the business_events sensor"):
            return tick(context.instance, engine)
    except AiAssetsError as error:
        return SkipReason(str(error))
    finally:
        engine.dispose()
