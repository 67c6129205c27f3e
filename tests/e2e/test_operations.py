"""The operators' commands as they are typed, on Postgres with Dagster's storage there too."""

from __future__ import annotations

import json

from sqlalchemy import create_engine, text


def rows(url: str, sql: str, **parameters):
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(sql), parameters)
        found = list(result) if result.returns_rows else []
    engine.dispose()
    return found


def test_a_night_lets_go_of_what_is_old_and_the_sites_grid_stays_green(ai_assets, venue_environment):
    dagster, results = venue_environment["DAGSTER_POSTGRES_URL"], venue_environment["AI_DATABASE_URL"]
    for _ in range(2):
        made = ai_assets("prewarm", "--site", "1001")
        assert made.returncode == 0, made.stderr
    cells = (
        "select count(distinct partition) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' "
        "and asset_key = '[\"app2_finance\"]'"
    )
    assert rows(dagster, cells)[0][0] == 72
    rows(dagster, "update runs set create_timestamp = create_timestamp - interval '40 days'")
    rows(results, "update biz.ai_run_logs set created_at = created_at - interval '400 days'")
    events = rows(dagster, "select count(*) from event_logs")[0][0]

    look = ai_assets("housekeeping", "--dry-run", "--json")
    assert look.returncode == 0, look.stderr
    would = {part["what"]: part for part in json.loads(look.stdout)["parts"]}
    assert rows(dagster, "select count(*) from event_logs")[0][0] == events
    assert "would go" in look.stderr

    done = ai_assets("housekeeping", "--json")
    assert done.returncode == 0, done.stderr
    did = {part["what"]: part for part in json.loads(done.stdout)["parts"]}
    assert {what: part["removed"] for what, part in did.items()} == {
        what: part["removed"] for what, part in would.items()
    }
    # the first prewarm's run is superseded, the second's is what the grid rests on
    assert (did["Dagster runs"]["old"], did["Dagster runs"]["removed"], did["Dagster runs"]["in_use"]) == (
        2,
        1,
        1,
    )
    assert "1 more keep only what partitions rest on" in did["Dagster runs"]["note"]
    # every text is the newest of its cell: its call stays
    assert (did["run logs"]["old"], did["run logs"]["removed"]) == (72, 0)
    assert rows(dagster, cells)[0][0] == 72
    # a cell's materialization and what its two checks found
    assert rows(dagster, "select count(*) from event_logs")[0][0] == 72 * 3


def test_jobs_are_found_replayed_and_cancelled_as_typed(ai_assets):
    job = ai_assets("fire", "consumption", "--site", "1001", "--member", "555").stdout.strip()
    cancelled = ai_assets("jobs", "cancel", job, "--reason", "a test")
    assert cancelled.returncode == 0, cancelled.stderr
    listed = ai_assets("jobs", "list", "--state", "failed", "--since", "1h", "--json")
    (only,) = json.loads(listed.stdout)
    assert (str(only["id"]), only["state"]) == (job, "failed")
    assert only["error"].endswith(": a test")
    replayed = ai_assets("jobs", "replay", job)
    assert (replayed.returncode, replayed.stderr) == (0, "1 replayed\n")
    assert "replay of trigger job" in ai_assets("jobs", "show", str(int(job) + 1)).stdout
    nothing = ai_assets("jobs", "replay")
    assert nothing.returncode == 2
    assert nothing.stderr.startswith("error: say which")
    assert ai_assets("jobs", "replay", "--state", "borken").returncode == 2


def test_the_page_of_a_day_is_written_whole_or_not_at_all(ai_assets, tmp_path):
    ai_assets("run-app", "app3_clue", "--site", "1001", "--member", "555")
    page = tmp_path / "day.html"
    done = ai_assets("report", "--day", "today", "--out", str(page))
    assert done.returncode == 0, done.stderr
    assert "1 calls" in done.stdout
    assert "app3_clue" in page.read_text("utf-8")
    before = page.read_text("utf-8")
    wrong = ai_assets("report", "--day", "someday", "--out", str(page))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: --day 'someday' is no date: give 2026-01-31, today or yesterday\n"
    assert ai_assets("report", "--out", str(tmp_path / "no" / "day.html")).returncode == 2
    assert ai_assets("report", "--out", str(tmp_path)).returncode == 2
    assert page.read_text("utf-8") == before
    assert [path.name for path in tmp_path.glob("*.html*")] == ["day.html"]
