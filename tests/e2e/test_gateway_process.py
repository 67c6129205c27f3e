"""The gateway as a process of its own: what it runs for a backend shows in Dagster as anybody's run does."""

from __future__ import annotations

import json
import re
import urllib.request

from sqlalchemy import create_engine, text


def test_an_app_that_a_backend_runs_over_http_is_a_materialization_with_its_checks(
    serve, ai_assets, venue_environment, waiting
):
    # Dagster's tables are made by whoever comes first
    assert ai_assets("run-app", "app3_clue", "--site", "1001", "--member", "556").returncode == 0
    made = ai_assets("token", "create", "admin web", "--site", "1001", "--role", "operate")
    assert made.returncode == 0, made.stderr
    service = serve("gateway", "--port", "0")
    address = waiting.wait_for(
        "the gateway", lambda: re.findall(r"http://127\.0\.0\.1:\d+", service.log.read_text()), service
    )[0]
    request = urllib.request.Request(
        f"{address}/apps/app3_clue/run?wait=60",
        json.dumps({"site_id": 1001, "member_id": 555}).encode(),
        {"Authorization": f"Bearer {made.stdout.strip()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=90) as reply:
        run = json.load(reply)
    assert (reply.status, run["status"], run["target_id"]) == (200, "success", "555")

    dagster = create_engine(venue_environment["DAGSTER_POSTGRES_URL"])

    def rows(sql: str) -> list:
        with dagster.connect() as connection:
            return list(connection.execute(text(sql)))

    of_555 = "partition = '1001:555' and asset_key = '[\"app3_clue\"]'"
    waiting.wait_for(
        "its materialization", lambda: rows(f"select 1 from event_logs where {of_555} limit 1"), service
    )
    waiting.wait_for(
        "its checks",
        lambda: rows(
            f"select 1 from asset_check_executions where {of_555} and execution_status = 'SUCCEEDED'"
        )[1:],
        service,
    )
    dagster.dispose()
    assert service.stop() == 0
