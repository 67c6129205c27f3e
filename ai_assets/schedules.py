"""What happens by the clock. Both on by default, in AI_TIMEZONE."""

from __future__ import annotations

from dagster import DefaultScheduleStatus, ScheduleDefinition

from ai_assets.jobs import daily_prewarm, housekeeping
from ai_assets.settings import load_settings

SCHEDULES = [
    ScheduleDefinition(
        name=name,
        job=target,
        cron_schedule=cron,
        execution_timezone=load_settings().timezone,
        default_status=DefaultScheduleStatus.RUNNING,
    )
    for name, target, cron in (
        ("daily_prewarm", daily_prewarm, "0 10 * * *"),
        ("housekeeping", housekeeping, "0 4 * * *"),
    )
]
