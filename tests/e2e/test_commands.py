"""Every command as a person types it: what it prints, its exit code, and one clear line for every wrong use."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, text

from ai_assets.catalog import CATALOG
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


def test_a_prewarm_beyond_the_budget_says_so_first_and_makes_what_matters_of_every_site(
    ai_assets, simulator: Simulator, venue_environment
):
    # no key and no app id is needed to look
    look = {entry.env: None for entry in CATALOG.values()}
    wide = ai_assets("forecast", environment={**look, "DASHSCOPE_BASE_URL": None})
    assert wide.returncode == 0, wide.stderr
    assert "216" not in wide.stdout
    assert "144" in wide.stdout
    tight = {"AI_DAILY_TOKENS": "160000", "AI_CONCURRENCY": "1"}
    told = ai_assets("forecast", "--json", environment={**look, **tight})
    foretold = json.loads(told.stdout)
    assert told.returncode == 1
    assert (foretold["fits"], foretold["total"]["calls"], foretold["total"]["saved"]) == (False, 144, 0)
    day = next(budget for budget in foretold["budgets"] if budget["budget"] == "day")
    assert day["left"] == 160_000
    assert 16 < day["calls_that_fit"] < 144
    assert simulator.stats()["total"] == 0

    prewarm = ai_assets("prewarm", "--json", environment=tight)
    said = f"{day['calls_that_fit']} of 144 calls fit into the 160,000 tokens that are left"
    assert prewarm.returncode == 1
    assert said in lines(prewarm.stderr)[0]
    assert "AI_DAILY_TOKENS" in lines(prewarm.stderr)[0]
    outcomes = json.loads(prewarm.stdout)
    assert {site["site_id"] for site in outcomes} == {1001, 1002}
    assert abs(outcomes[0]["made"] - outcomes[1]["made"]) <= 1
    assert {failure["reason"] for site in outcomes for failure in site["failures"]} == {"budget_exceeded:day"}
    engine = create_engine(venue_environment["AI_DATABASE_URL"])
    with engine.connect() as connection:
        made = set(
            connection.execute(text("select target_id || ' ' || site_id from biz.ai_cache_latest")).scalars()
        )
    engine.dispose()
    whole = {key for key in made if "__all " in key}
    running = {key for key in made - whole if key.startswith("this_")}
    assert len(whole) == 16
    assert len(running) == min(48, len(made) - 16) > 0


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


# run-app for members and pairs


MEMBER = ("--site", "1001", "--member", "555")
PAIR = (*MEMBER, "--assistant", "7")


def shown_in_dagster(environment) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(asset, partition) of the materializations in their order; (definition, key) of the dynamic partitions."""
    engine = create_engine(environment["DAGSTER_POSTGRES_URL"])
    with engine.connect() as connection:
        events = connection.execute(
            text(
                "select asset_key, partition from event_logs"
                " where dagster_event_type = 'ASSET_MATERIALIZATION' order by id"
            )
        ).all()
        keys = connection.execute(
            text("select partitions_def_name, partition from dynamic_partitions order by 1, 2")
        ).all()
    engine.dispose()
    return [(json.loads(key)[0], partition) for key, partition in events], [tuple(key) for key in keys]


def test_run_app_for_a_member_and_a_pair_prints_the_answer_and_shows_it_in_dagster(
    ai_assets, simulator: Simulator, venue_environment
):
    none = ai_assets("run-app", "member_retention_clue", *MEMBER)
    assert (none.returncode, none.stdout) == (1, "")
    assert lines(none.stderr) == [
        "failed: member 555 of site 1001 has no answer of App8: run app8_consolidation"
    ]

    clue = ai_assets("run-app", "app3", *MEMBER)
    assert clue.returncode == 0, clue.stderr
    assert json.loads(clue.stdout)["_references"]["member_id"] == 555
    merged = ai_assets("run-app", "app8_consolidation", *MEMBER, "--payload", '{"source": "ai_note"}')
    assert merged.returncode == 0, merged.stderr
    clues = json.loads(merged.stdout)["clues"]
    again = ai_assets("run-app", "member_retention_clue", *MEMBER)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["clues_set"] == len(clues) > 0

    # what App4 printed is what App5 takes, whole
    analysis = ai_assets("run-app", "app4_analysis", *PAIR)
    assert analysis.returncode == 0, analysis.stderr
    tactics = ai_assets("run-app", "app5_tactics", *PAIR, "--payload", analysis.stdout)
    assert tactics.returncode == 0, tactics.stderr
    assert json.loads(analysis.stdout)["task_description"] in simulator.calls("app5")[0].prompt
    reused = ai_assets("run-app", "app5_tactics", *PAIR, "--payload", analysis.stdout, "--reuse")
    assert json.loads(reused.stdout) == json.loads(tactics.stdout)
    assert simulator.stats()["total"] == 4

    materializations = [
        ("app3_clue", "1001:555"),
        ("app8_consolidation", "1001:555"),
        ("member_retention_clue", "1001:555"),
        ("member_retention_clue", "1001:555"),
        ("app4_analysis", "1001:7_555"),
        ("app5_tactics", "1001:7_555"),
        ("app5_tactics", "1001:7_555"),
    ]
    partitions = [("assistant_members", "1001:7_555"), ("members", "1001:555")]
    assert shown_in_dagster(venue_environment) == (materializations, partitions)
    engine = create_engine(venue_environment["AI_DATABASE_URL"])
    with engine.connect() as connection:
        sources = connection.execute(
            text("select source, count(*) from biz.member_retention_clue group by source order by 1")
        ).all()
    engine.dispose()
    assert [tuple(row) for row in sources] == [("ai_consumption", len(clues)), ("ai_note", len(clues))]

    # an answer that fails shows nothing, and what it was is one line
    simulator.configure("app7", kind="data_inspection", fail=1.0)
    failed = ai_assets("run-app", "app7_customer", *MEMBER)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert len(lines(failed.stderr)) == 1
    assert failed.stderr.startswith("failed: ")
    assert shown_in_dagster(venue_environment) == (materializations, partitions)


def test_run_app_prints_the_answer_though_dagster_cannot_be_told(ai_assets, venue_environment):
    url = venue_environment["DAGSTER_POSTGRES_URL"]
    gone = url.replace(url.rpartition("/")[2], "no_such_database")
    done = ai_assets("run-app", "app3_clue", *MEMBER, environment={"DAGSTER_POSTGRES_URL": gone})
    assert done.returncode == 0, done.stderr
    assert "clues" in json.loads(done.stdout)
    assert "the result stands, but Dagster could not be told" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app3_clue", "--member", "555"], "site"),
        (["app3_clue", "--site", "1001"], "member"),
        (["app4_analysis", *MEMBER], "assistant"),
        (["app7_customer", "--site", "1001", "--member", "999999"], "member 999999 of site 1001"),
        (["member_retention_clue", "--site", "1001"], "member"),
        (["app5_tactics", *PAIR, "--payload", '{"one_line_summary": "老搭档"}'], "task_description"),
        (["app6_note", *MEMBER, "--payload", '{"note_content": " "}'], "note_content"),
        (["app6_note", *MEMBER, "--payload", "[" * 100_000], "--payload"),
        (["app6_note", *MEMBER, "--payload", "[]"], "JSON object"),
        (["app8_consolidation", *MEMBER, "--payload", '{"source": "manual"}'], "ai_note"),
        (
            ["app6_note", *MEMBER, "--payload", '{"note_contents": "会员"}'],
            "app6_note: payload.note_contents",
        ),
    ],
)
def test_wrong_use_of_run_app_for_members_is_exit_code_2_and_nothing_is_called(
    ai_assets, simulator: Simulator, arguments, said
):
    done = ai_assets("run-app", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert simulator.stats()["total"] == 0


# the guard by hand


def test_an_operator_opens_an_app_and_closes_it_again_and_both_are_recorded(
    ai_assets, simulator: Simulator, venue_environment
):
    opened = ai_assets("guard", "open", "app3", "--reason", "停用 for a test", "--by", "ann")
    assert (opened.returncode, opened.stderr) == (0, "")
    assert opened.stdout == "app3_clue: open, its calls are refused until it is closed\n"
    shown = ai_assets("status", environment={"COLUMNS": "200"})
    assert shown.returncode == 0, shown.stderr
    assert "停用 for a test" in shown.stdout

    refused = ai_assets("run-app", "app3", *MEMBER)
    assert refused.returncode == 1
    assert "circuit_open" in refused.stderr
    assert "停用 for a test" in refused.stderr
    assert simulator.stats()["total"] == 0

    closed = ai_assets("guard", "close", "app3_clue", "--reason", "done", environment={"LOGNAME": "bob"})
    assert closed.stdout == "app3_clue: closed, calls go through\n"
    assert ai_assets("run-app", "app3", *MEMBER).returncode == 0
    history = json.loads(ai_assets("guard", "history", "--json").stdout)
    assert [(row["state_after"], row["reason"], row["changed_by"]) for row in history] == [
        ("closed", "done", "bob"),
        ("open", "停用 for a test", "ann"),
    ]
    (newest, _) = lines(ai_assets("guard", "history", "app3").stdout)
    assert newest.endswith("app3_clue  open → closed  by bob: done")


# wrong use of any command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prewarm", "--site", "999"], "999"),
        (["prewarm", "--site", "1001", "--as-of", "2026-13-45"], "as-of"),
        (["forecast", "--site", "999"], "999"),
        (["forecast", "--as-of", "0001-01-01"], "as-of date"),
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
        (["guard", "open", "app9", "--reason", "x"], "app9"),
        (["guard", "open", "app3", "--reason", " "], "--reason is empty"),
        (["guard", "open", "app3"], "--reason"),
        (["guard", "open", "app3", "--reason", "x", "--for", "soon"], "--for 'soon'"),
        (["guard", "history", "app9"], "app9"),
        (["sample", "load", "films"], "films"),
        (["fire", "dws_completed", "--site", "1001", "--payload", "{"], "JSON"),
        (
            ["fire", "dws_completed", "--site", "1001", "--payload", '{"x": ' + "[" * 9000],
            "--payload: not JSON",
        ),
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
    assert "unknown event type" in unknown.stderr


def test_db_upgrade_twice_changes_nothing_and_env_lets_dagster_run_by_hand(ai_assets):
    upgraded = ai_assets("db", "upgrade")
    env = ai_assets("env")
    assert upgraded.returncode == 0
    assert "already" in upgraded.stdout
    exported = dict(line.removeprefix("export ").split("=", 1) for line in env.stdout.splitlines())
    assert {"AI_DATABASE_URL", "DAGSTER_POSTGRES_URL", "DAGSTER_HOME", "AI_DAGSTER_ARTIFACTS"} <= set(
        exported
    )
