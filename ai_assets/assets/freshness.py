"""When Dagster calls an asset late: one mark for all its partitions. Which site or member is late: `ai-assets stale`.

Any site's materialization counts for the asset, so these see an ETL, a sensor or the workers that stand still, and no
single site. No policy, on purpose:
- `app6_note`, `app4_analysis`, `app5_tactics`: staff may write no note and give no task for days;
- `dws/settlements` and `biz/*`: nobody reports their loads, so their mark could only be "unknown". To report each batch
  for the bills too would mark every member's texts as unsynced each night.
"""

from __future__ import annotations

from datetime import timedelta

from dagster import FreshnessPolicy

from ai_assets.settings import load_settings

ZONE = load_settings().timezone

BATCH_EVERY_NIGHT = FreshnessPolicy.cron("0 10 * * *", timedelta(hours=10), ZONE)
"""`dws/finance`: a batch since midnight, by the time of the daily prewarm."""

MADE_EVERY_MORNING = FreshnessPolicy.cron("0 11 * * *", timedelta(hours=11), ZONE)
"""`app2_finance`: made since midnight, by an hour after the daily prewarm.

Since midnight, and not since ten: where the night's batch was made at once, the prewarm is its duplicate and
makes none.
"""

CONSUMED_THESE_DAYS = FreshnessPolicy.time_window(
    fail_window=timedelta(hours=72), warn_window=timedelta(hours=36)
)
"""What every consumption makes: no member of any site for three days is a backend that sends nothing, or no worker.

A day and a half passes over a night, three days over a holiday.
"""
