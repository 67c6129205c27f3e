"""From a cached text back to its event, data and call, and on to what came of it; and what of it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from ai_assets.cli.explain_values import MOST_KEYS, as_plain, payload_summary
from ai_assets.cli.explain_words import lines
from ai_assets.store import tracing
from ai_assets.store.tracing import Trace

SECRET = "她的电话在前台小李那里"


@pytest.fixture
def traced(events):
    def trace(cache_type: str, *, oldest: bool = False) -> Trace:
        rows = events.rows(
            "select id from biz.ai_cache where cache_type = :type order by id", type=cache_type
        )
        with events.engine.connect() as connection:
            found = tracing.trace(connection, rows[0 if oldest else -1][0])
        assert found is not None
        return found

    return trace


def test_an_unknown_id_has_no_trace(events):
    with events.engine.connect() as connection:
        assert tracing.trace(connection, 2**63 - 1) is None


def test_a_text_leads_to_its_event_its_call_its_rows_and_its_batch(make_runtime, events, traced):
    job = events.consumption(has_assistant=True, assistant_id=7)
    events.work(make_runtime())
    told = as_plain(traced("app3_clue"))
    (batch,) = events.rows("select max(batch_id)::text from dws.etl_batch where site_id = 1001")[0]
    (bills,) = events.rows(
        "select count(*) from dws.settlement where site_id = 1001 and member_id = 555"
        " and biz_date > date '2026-06-30' - 180 and biz_date <= '2026-06-30'"
    )[0]
    (log,) = events.rows(
        "select id, tokens_in, tokens_out, cost_cny::text, request_id, session_id, prompt_hash, length(request_prompt)"
        " from biz.ai_run_logs where app_type = 'app3_clue'"
    )
    assert told["cache"]["triggered_by"] == "consumption"
    event, call = told["event"], told["call"]
    assert (event["trigger_job_id"], event["event_type"], event["status"]) == (
        job,
        "consumption",
        "completed",
    )
    assert event["occurred"] == "2026-06-30T20:00:00+08:00"
    assert event["payload"]["assistant_id"] == 7
    assert told["built_from"]["batch"]["batch_id"] == batch
    assert told["built_from"]["as_of"] == "2026-06-30"
    assert {row["table"]: row["rows"] for row in told["built_from"]["rows"]} == {
        "biz.members": 1,
        "dws.settlement": bills,
    }
    assert [call[name] for name in ("run_log_id", "tokens_in", "tokens_out", "cost_cny")] == list(log[:4])
    assert [call["request_id"], call["session_id"]] == list(log[4:6])
    assert (told["prompt"]["hash"], told["prompt"]["characters"]) == (log[6], log[7])
    assert (call["status"], call["trigger_type"]) == ("success", "event")
    assert call["latency_ms"] is not None
    assert told["checks"]["numbers"]["figures"] > 0
    assert told["retention_clues"] is None


def test_a_text_leads_to_the_texts_it_was_built_on_and_those_to_theirs(make_runtime, events, traced):
    events.consumption(has_assistant=True, assistant_id=7)
    events.work(make_runtime())
    ids = dict(events.rows("select cache_type, id from biz.ai_cache"))
    built = {
        one["cache_id"]: (one["app"], one["depth"]) for one in as_plain(traced("app5_tactics"))["built_on"]
    }
    assert built == {
        ids["app4_analysis"]: ("app4_analysis", 1),
        ids["app3_clue"]: ("app3_clue", 2),
        ids["app7_customer_analysis"]: ("app7_customer", 2),
        ids["app8_clue_consolidated"]: ("app8_consolidation", 2),
    }


def test_a_text_of_app8_tells_which_of_the_members_clues_are_its_own(make_runtime, events, traced):
    runtime = make_runtime()
    events.consumption()
    events.work(runtime)
    events.run(
        "insert into biz.member_retention_clue (member_id, site_id, summary, source) values"
        " (555, 1001, '手写', 'manual')"
    )
    first = traced("app8_clue_consolidated")
    own = len(first.entry.result_json["clues"])
    standing = {of["source"]: of for of in as_plain(first)["retention_clues"]}
    assert own > 0
    assert (standing["ai_consumption"]["of_this_text"], standing["ai_consumption"]["clues"]) == (own, own)
    assert (standing["manual"]["of_this_text"], standing["manual"]["clues"]) == (0, 1)
    events.run(
        "update biz.member_retention_clue set summary = summary || '!' where source = 'ai_consumption'"
    )
    standing = {of["source"]: of for of in as_plain(traced("app8_clue_consolidated"))["retention_clues"]}
    assert standing["ai_consumption"]["of_this_text"] == 0


def test_every_version_stands_in_order_with_what_changed_and_the_newest_marked(make_runtime, events, traced):
    runtime = make_runtime()
    for _ in range(3):
        events.consumption(forced=True)
        events.fire("consumption", forced=True, occurred_at="2026-06-30T21:00:00+08:00")
    events.work(runtime)
    ids = [
        row[0]
        for row in events.rows("select id from biz.ai_cache where cache_type = 'app3_clue' order by id")
    ]
    # the third says something else than the second, all others the same as the one before
    events.run(
        "update biz.ai_cache set result_json = jsonb_set(result_json, '{clues}', '[]') where id = any(:ids)",
        ids=ids[2:],
    )
    with events.engine.connect() as connection:
        middle = tracing.trace(connection, ids[2])
    assert middle is not None
    told = as_plain(middle)
    assert [version["cache_id"] for version in told["versions"]] == ids
    assert [version["place"] for version in told["versions"]] == ["earlier", "earlier", "this"] + [
        "later"
    ] * 3
    changes = [version["answer"] for version in told["versions"]]
    assert changes[0] == "first"
    assert changes[2:] == ["changed", "same", "same", "same"]
    assert [version["newest"] for version in told["versions"]] == [False] * 5 + [True]
    assert told["cache"]["newest"] is False
    assert any("not the newest" in line for line in lines(told))


def test_the_words_alone_say_whether_an_answer_changed_and_not_what_it_was_built_from(
    make_runtime, events, traced
):
    runtime = make_runtime()
    for _ in range(2):
        events.consumption(forced=True)
    events.work(runtime)
    events.run(
        "update biz.ai_cache set result_json = jsonb_set((select result_json from biz.ai_cache"
        " where cache_type = 'app3_clue' order by id limit 1), '{_references,as_of}', '\"2020-01-01\"')"
        " where id = (select max(id) from biz.ai_cache where cache_type = 'app3_clue')"
    )
    assert as_plain(traced("app3_clue"))["versions"][-1]["answer"] == "same"


def test_a_reused_text_names_the_event_it_was_made_for_and_those_that_used_it_again(
    make_runtime, events, traced
):
    runtime = make_runtime()
    made_for = events.consumption(has_assistant=True, assistant_id=7)
    events.work(runtime)
    again = events.task()
    events.work(runtime)
    assert events.outcomes(again) == {"app4_analysis": "reused", "app5_tactics": "reused"}
    told = as_plain(traced("app4_analysis"))
    assert len(told["versions"]) == 1
    assert told["event"]["trigger_job_id"] == made_for
    assert [one["trigger_job_id"] for one in told["used_again"]["events"]] == [again]
    assert told["used_again"]["all_events_looked_at"] is True
    assert any(f"used again, without a call, by trigger job {again}" in line for line in lines(told))


def test_how_many_events_are_looked_at_is_bounded_and_said(make_runtime, events, traced, monkeypatch):
    runtime = make_runtime()
    events.fire("task_assigned", assistant_id=7, occurred_at="2026-06-30T18:00:00+08:00")
    events.work(runtime)
    monkeypatch.setattr(tracing, "EVENTS_LOOKED_AT", 1)
    told = as_plain(traced("app4_analysis"))
    assert told["used_again"] == {"events": [], "all_events_looked_at": False}
    assert any("only the first events" in line for line in lines(told))


def test_no_ones_words_are_shown_unless_they_are_asked_for(make_runtime, events, traced):
    events.note(SECRET, phone="13800138000", **{"她 138": 1})
    events.work(make_runtime())
    found = traced("app6_note_analysis")
    told = as_plain(found)
    shown = json.dumps(told, ensure_ascii=False, default=str) + "\n".join(lines(told))
    (name,) = events.rows("select name from biz.members where site_id = 1001 and member_id = 555")[0]
    for kept_back in (SECRET, "前台小李", "13800138000", "她", name):
        assert kept_back not in shown
    assert told["event"]["payload"]["note_content"] == f"(text of {len(SECRET)} characters)"
    asked = as_plain(found, with_prompt=True, with_payload=True)
    assert asked["event"]["payload"]["note_content"] == SECRET
    assert asked["prompt"]["text"] == found.call["request_prompt"]
    assert SECRET in "\n".join(lines(asked))


def test_a_payloads_summary_is_short_whatever_was_sent():
    sent: dict[str, Any] = {f"k{n}": [n] * n for n in range(100)}
    summary = payload_summary({"batch_id": "b-1", "task_id": "他 的", "assistant_id": {"a": 1}, **sent})
    assert len(summary) == MOST_KEYS + 1
    assert summary["(more keys)"] == 103 - MOST_KEYS
    assert (summary["batch_id"], summary["task_id"], summary["assistant_id"]) == (
        "b-1",
        "(text of 3 characters)",
        "(object of 1 keys)",
    )


def test_a_text_whose_call_and_event_are_gone_is_still_told(make_runtime, events, traced):
    events.consumption()
    events.work(make_runtime())
    events.run("delete from biz.ai_run_logs")
    events.run("delete from biz.ai_trigger_jobs")
    events.run("update biz.ai_cache set result_json = '{\"clues\": []}'")
    told = as_plain(traced("app3_clue"))
    assert (told["event"], told["call"], told["checks"]) == (None, None, None)
    said = "\n".join(lines(told))
    assert "its run log is gone" in said
    assert "checks: none kept" in said


@pytest.mark.parametrize("odd", ["[]", "7", '"text"', '{"a": 1}', "null"])
def test_references_of_another_shape_are_told_as_far_as_they_go(make_runtime, events, traced, odd):
    events.consumption()
    events.work(make_runtime())
    for part in ("app", "batch", "window", "area", "note", "sources", "answers", "checks"):
        events.run(
            "update biz.ai_cache set result_json ="
            f" jsonb_set(result_json, '{{_references,{part}}}', cast(:odd as jsonb))",
            odd=odd,
        )
    assert list(lines(as_plain(traced("app3_clue"))))
    events.run(
        "update biz.ai_cache set result_json = jsonb_set(result_json, '{_references}', cast(:odd as jsonb))",
        odd=odd,
    )
    assert list(lines(as_plain(traced("app3_clue"))))


def test_nothing_in_a_line_steers_a_terminal(make_runtime, events, traced):
    events.consumption()
    events.work(make_runtime())
    events.run("update biz.ai_trigger_jobs set error_message = E'\\x1b[31mred\\nnext line'")
    said = [line for line in lines(as_plain(traced("app3_clue"))) if "31m" in line]
    assert said == ["  error: ?[31mred?next line"]


def test_a_long_history_does_not_slow_a_trace(events):
    for statement in (
        (
            "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status)"
            " select 'app3_clue', n % 20, n % 500, 'event', 'success' from generate_series(1, 30000) n"
        ),
        (
            "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id,"
            " prompt_hash,"
            " trigger_job_id) select 'app3_clue', n % 20, n % 500, '{}', 'x', n, n, n from generate_series(1, 30000) n"
        ),
        (
            "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, status, created_at)"
            " select 'consumption', n % 20, n % 500, 'completed', now() - n * interval '1 h'"
            " from generate_series(1, 30000) n"
        ),
        (
            "insert into biz.member_retention_clue (site_id, member_id, summary, source)"
            " select n % 20, n, 'x', 'ai_note' from generate_series(1, 30000) n"
        ),
    ):
        events.run(statement)
    tables = ["ai_run_logs", "ai_cache", "ai_trigger_jobs", "member_retention_clue"]
    with events.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables:
            connection.execute(text(f"analyze biz.{table}"))
    scans = "select relname, seq_scan from pg_stat_user_tables where relname = any(:tables) order by 1"
    events.engine.dispose()
    before = events.rows(scans, tables=tables)
    (cache_id,) = events.rows("select max(id) from biz.ai_cache")[0]
    with events.engine.connect() as connection:
        found = tracing.trace(connection, cache_id)
    events.engine.dispose()
    assert found is not None
    assert len(found.versions) == 60
    # the look for the id is ours
    assert events.rows(scans, tables=tables) == before
