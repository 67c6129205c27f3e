"""`explain` and `stale` as a person or a cron job runs them: what they print, and their exit codes."""

from __future__ import annotations

import json

from sqlalchemy import create_engine, text

from ai_assets.catalog import CATALOG

NO_KEY = {entry.env: None for entry in CATALOG.values()} | {"DASHSCOPE_BASE_URL": None}
MADE = ("run-app", "app3", "--site", "1001", "--member", "555")


def test_explain_leads_from_the_id_and_from_the_target_to_the_same_text(ai_assets, venue_environment):
    assert ai_assets(*MADE).returncode == 0
    engine = create_engine(venue_environment["AI_DATABASE_URL"])
    with engine.connect() as connection:
        cache_id, prompt = connection.execute(
            text(
                "select c.id, l.request_prompt from biz.ai_cache c join biz.ai_run_logs l on l.id = c.run_log_id"
            )
        ).one()
    engine.dispose()
    by_id = ai_assets("explain", str(cache_id), "--json", environment=NO_KEY)
    assert by_id.returncode == 0, by_id.stderr
    told = json.loads(by_id.stdout)
    assert told["cache"]["triggered_by"] == "admin_manual"
    assert (told["event"], told["cache"]["newest"]) == (None, True)
    assert "text" not in told["prompt"]
    by_target = ai_assets("explain", "--site", "1001", "--type", "app3", "--target", "555", "--json")
    assert json.loads(by_target.stdout) == told

    plain = ai_assets("explain", str(cache_id), "--prompt")
    assert plain.returncode == 0, plain.stderr
    assert prompt in plain.stdout
    assert f"cached text {cache_id}: app3_clue of site 1001, target 555" in plain.stdout.splitlines()[0]


def test_explain_says_in_one_line_what_is_not_there_or_wrongly_asked(ai_assets):
    for arguments, said in {
        ("999999",): "there is no cached text 999999",
        ("0",): "0 is no cache id",
        (str(2**63),): "is no cache id",
        ("--site", "1001", "--type", "app3", "--target", "1"): "there is no cached text",
        ("--site", "1001", "--type", "app9", "--target", "1"): "unknown cache type 'app9'",
    }.items():
        done = ai_assets("explain", *arguments)
        assert done.returncode == 2, arguments
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    for arguments in ((), ("--site", "1001"), ("7", "--site", "1001")):
        assert ai_assets("explain", *arguments).returncode == 2


def test_stale_ends_with_one_until_all_is_made_and_then_with_none(ai_assets, venue_environment):
    before = ai_assets("stale", "--site", "1001", "--list", environment=NO_KEY)
    assert before.returncode == 1, before.stderr
    assert "site 1001 app2_finance this_month__all: missing: never made" in before.stdout
    assert ai_assets("prewarm", "--site", "1001").returncode == 0
    after = ai_assets("stale", "--site", "1001", "--json", environment=NO_KEY)
    assert after.returncode == 0, after.stderr
    told = json.loads(after.stdout)
    assert told["fresh"] is True
    apps = {app["app"]: app for app in told["sites"][0]["apps"]}
    assert (apps["app2_finance"]["fresh"], apps["app2a_finance_area"]["fresh"]) == (8, 64)
    every = ai_assets("stale", "--app", "app2", "--json")
    assert every.returncode == 1, "the other active site has none"
    assert [site["apps"][0]["stale"] for site in json.loads(every.stdout)["sites"]] == [{}, {"missing": 8}]
    assert ai_assets("stale", "--app", "nothing").returncode == 2
    assert ai_assets("stale", "--site", "99").returncode == 2
