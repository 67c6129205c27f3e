"""The sensor that turns finished ETL batches into runs: its face. What a tick does: `ai_assets.sensors.site_tick`."""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, SkipReason, sensor

from ai_assets.errors import AiAssetsError
from ai_assets.jobs import site_insights
from ai_assets.resources.database import DatabaseResource

INTERVAL_S = 10


@sensor(
    job=site_insights,
    name="dws_completed",
    minimum_interval_seconds=INTERVAL_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="Makes a site's 72 insights when its ETL batch has finished.",
)
def dws_completed(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult | SkipReason:
    """One tick. What is wrong with Postgres or the contract's tables is the tick's skip reason."""
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.sensors.engine import sensor_engine
    from ai_assets.sensors.site_tick import tick
    from ai_assets.store.engine import reachable

    try:
        engine = sensor_engine(database, pool_size=2)
    except AiAssetsError as error:
        return SkipReason(str(error))
    try:
        with reachable("the dws_completed sensor"):
            return tick(context, engine)
    except AiAssetsError as error:
        return SkipReason(str(error))
    finally:
        engine.dispose()
