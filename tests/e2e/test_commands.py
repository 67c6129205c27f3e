"""Every command as a person types it: what it prints, its exit code, and one clear line for every wrong use."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, text

from ai_assets.simulator.server import Simulator


def lines(text_: str) -> list[str]:
    return [line for line in text_.splitlines() if line.strip()]


def test_prewarm_makes_72_cells_then_none_and_shows_them_in_dagster(
    ai_assets, simulator: Simulator, venue_environment
):
    first = ai_assets("prewarm", "--site", "1001", "--json")
    again = ai_assets("prewarm", "--site", "1001")
    assert first.returncode == 0, first.stderr
    (site,) = json.loads(first.stdout)
    assert (site["made"], site["reused"], site["failed"], site["error"]) == (72, 0, 0, None)
    assert again.returncode == 0, again.stderr
    assert simulator.stats()["total"] == 72
    engine = create_engine(venue_environment["DAGSTER_POSTGRES_URL"])
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select count(*), count(distinct partition) from event_logs"
                " where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key = '[\"app2_finance\"]'"
            )
        ).one()
    engine.dispose()
    assert tuple(rows) == (144, 72)

    simulator.configure("app2a", kind="data_inspection", fail=1.0)
    forced = ai_assets("prewarm", "--site", "1001", "--forced")
    assert forced.returncode == 1
    assert "content_filtered" in forced.stdout + forced.stderr or "inspection" in forced.stderr.lower()

    status = ai_assets("status", "--json")
    assert {row["app_type"]: row["successes"] for row in json.loads(status.stdout)["today"]} == {
        "app2_finance": 16,
        "app2a_finance_area": 64,
    }


def test_run_app_makes_a_new_answer_each_time_unless_told_to_reuse(ai_assets, simulator: Simulator):
    arguments = ("run-app", "app2a_finance_area", "--site", "1001", "--time", "last_week", "--area", "hallA")
    first, reused = ai_assets(*arguments), ai_assets(*arguments, "--reuse")
    assert first.returncode == 0, first.stderr
    answer = json.loads(first.stdout)
    assert answer["insights"]
    assert answer["_references"]["area"]["name"] == "hallA"
    assert json.loads(reused.stdout) == answer
    assert simulator.stats()["total"] == 1
    assert ai_assets(*arguments).returncode == 0
    assert simulator.stats()["total"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prewarm", "--site", "999"], "999"),
        (["prewarm", "--site", "1001", "--as-of", "2026-13-45"], "as-of"),
        (["run-app", "app9"], "app9"),
        (["run-app", "app2_finance", "--time", "this_week"], "site"),
        (["run-app", "app2_finance", "--site", "1001"], "time window"),
        (["run-app", "app2_finance", "--site", "1001", "--time", "someday"], "someday"),
        (["run-app", "app2_finance", "--site", "1001", "--time", "this_week", "--area", "vip"], "app2a"),
        (["run-app", "app2a_finance_area", "--site", "1001", "--time", "this_week"], "area"),
        (
            ["run-app", "app2a_finance_area", "--site", "1001", "--time", "this_week", "--area", "all"],
            "app2_finance",
        ),
        (
            ["run-app", "app2a_finance_area", "--site", "1001", "--time", "this_week", "--area", "attic"],
            "attic",
        ),
        (["run-app", "app2_finance", "--site", "999", "--time", "this_week"], "999"),
        (["sample", "load", "films"], "films"),
        (["fire", "dws_completed", "--site", "1001", "--payload", "{"], "JSON"),
        (["fire", "dws_completed", "--site", "1001", "--payload", '{"x": ' + "[" * 9000], "nested too deep"),
        (["sample", "replay", "--limit", "9" * 20], f"at most {2**63 - 1}, not {'9' * 20}"),
    ],
)
def test_wrong_use_is_exit_code_2_and_says_what_was_wrong(ai_assets, simulator: Simulator, arguments, said):
    done = ai_assets(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert simulator.stats()["total"] == 0


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        (
            {
                "AI_APP_ID_2A_FINANCE_AREA": None,
                "DASHSCOPE_API_KEY": "k",
                "DASHSCOPE_BASE_URL": "https://dashscope.example/api/v1",
            },
            2,
            "AI_APP_ID_2A_FINANCE_AREA",
        ),
        ({"DASHSCOPE_BASE_URL": "https://dashscope.example/api/v1"}, 2, "DASHSCOPE_API_KEY"),
        ({"AI_RATE_PER_MINUTE": "0"}, 2, "AI_RATE_PER_MINUTE"),
        ({"AI_DATABASE_URL": "mysql://root@127.0.0.1/db"}, 2, "AI_DATABASE_URL"),
        ({"AI_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, 1, "Postgres cannot be reached"),
    ],
)
def test_a_wrong_environment_is_one_clear_line(ai_assets, simulator: Simulator, environment, code, said):
    done = ai_assets("prewarm", "--site", "1001", environment=environment)
    assert done.returncode == code
    assert said in done.stderr
    assert len(lines(done.stderr)) == 1
    assert simulator.stats()["total"] == 0


def test_an_unmigrated_database_says_what_to_run(ai_assets, empty_database_url: str):
    done = ai_assets("prewarm", environment={"AI_DATABASE_URL": empty_database_url})
    assert done.returncode == 2
    assert "ai-assets db upgrade" in done.stderr


def test_fire_prints_the_job_and_says_when_it_is_a_duplicate_or_cannot_run(ai_assets):
    first = ai_assets("fire", "dws_completed", "--site", "1001")
    second = ai_assets("fire", "ai_dws_completed", "--site", "1001")
    unknown = ai_assets("fire", "birthday", "--site", "1001")
    assert first.returncode == 0
    assert second.returncode == 0
    assert f"duplicate of trigger job {first.stdout.strip()}" in second.stderr
    assert unknown.returncode == 1
    assert "unknown event type: birthday" in unknown.stderr


def test_db_upgrade_twice_changes_nothing_and_env_lets_dagster_run_by_hand(ai_assets):
    upgraded = ai_assets("db", "upgrade")
    env = ai_assets("env")
    assert upgraded.returncode == 0
    assert "already" in upgraded.stdout
    exported = dict(line.removeprefix("export ").split("=", 1) for line in env.stdout.splitlines())
    assert {"AI_DATABASE_URL", "DAGSTER_POSTGRES_URL", "DAGSTER_HOME", "AI_DAGSTER_ARTIFACTS"} <= set(
        exported
    )
