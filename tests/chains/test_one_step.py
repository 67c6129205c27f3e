"""One step, against a real Postgres and the simulator: what it writes, spends, reports, and what it never does."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from ai_assets.apps import app2_finance, app2a_finance_area
from ai_assets.apps.base import Subject
from ai_assets.chains.outcome import Outcome, StepRequest, StepResult, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.step import run_step
from ai_assets.errors import PromptError
from ai_assets.simulator.server import Simulator
from ai_assets.warehouse.finance import read_site_finance
from ai_assets.warehouse.sites import as_of_date, find_site
from tests.used_budget import use_a_token

SITE = 1001


def step(runtime: Runtime, *, area: str = "all", window: str = "last_week", **trigger: object) -> StepResult:
    app = app2_finance.APP if area == "all" else app2a_finance_area.APP
    subject = Subject(site_id=SITE, window=window, area=area)

    def build():
        with runtime.engine.connect() as connection:
            found = find_site(connection, SITE)
            return app.build(
                read_site_finance(connection, found, as_of_date(connection, SITE, None)), subject
            )

    return run_step(runtime, StepRequest(app, subject, build, Trigger(**trigger)), threading.Event())


def rows(runtime: Runtime, sql: str) -> list:
    with runtime.engine.connect() as connection:
        return connection.execute(text(sql)).mappings().all()


def test_a_step_writes_answer_references_run_log_and_what_it_spent(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    result = step(runtime)
    (cached,) = rows(runtime, "select * from biz.ai_cache")
    (log,) = rows(runtime, "select * from biz.ai_run_logs")
    budgets = rows(runtime, "select used, reserved from biz.ai_budgets")
    assert result.outcome is Outcome.SUCCESS
    assert cached["cache_type"] == "app2_finance"
    assert (cached["site_id"], cached["target_id"], cached["triggered_by"]) == (
        SITE,
        "last_week__all",
        "admin_manual",
    )
    assert cached["result_json"]["insights"]
    assert cached["result_json"]["_references"]["as_of"] == "2026-06-30"
    assert (cached["run_log_id"], cached["prompt_hash"]) == (log["id"], log["prompt_hash"])
    assert (log["status"], log["trigger_type"], log["app_type"]) == ("success", "manual", "app2_finance")
    assert log["request_prompt"] == simulator.calls("app2")[-1].prompt
    assert log["tokens_used"] == log["tokens_in"] + log["tokens_out"] > 0
    assert log["cost_cny"] > 0
    assert log["session_id"]
    assert log["request_id"]
    assert log["finished_at"] >= log["created_at"]
    assert {(row["used"], row["reserved"]) for row in budgets} == {(log["tokens_used"], 0)}
    assert rows(runtime, "select 1 from biz.ai_leases") == []


def answering(runtime: Runtime, answer: dict) -> None:
    """The app answers this, whatever it is asked; all else of the call is real."""
    call = runtime.client.call
    runtime.client.call = lambda *args, **more: replace(
        call(*args, **more), text=json.dumps(answer, ensure_ascii=False)
    )


def test_figures_that_do_not_stand_in_the_prompt_are_listed_and_the_answer_stands(
    make_runtime, simulator: Simulator
):
    runtime = make_runtime()
    invented = {"insights": [{"title": "净收入", "body": "本期净收入为98765432.10元。"}]}
    answering(runtime, invented)
    result = step(runtime)
    (log,) = rows(runtime, "select * from biz.ai_run_logs")
    (cached,) = rows(runtime, "select result_json from biz.ai_cache")
    assert result.outcome is Outcome.SUCCESS
    assert log["checks"]["reading"] == {"how": "strict", "mended": []}
    (listed,) = log["checks"]["numbers"]["ungrounded"]
    assert (log["checks"]["numbers"]["figures"], log["checks"]["numbers"]["share"]) == (1, 0.0)
    assert listed["path"] == "insights.0.body"
    assert "98765432.10" in invented["insights"][0]["body"][listed["start"] : listed["end"]]
    assert cached["result_json"]["_references"]["checks"] == log["checks"]


def test_a_score_that_an_app_adds_of_its_own_is_kept_in_its_answer_and_fills_no_column(
    make_runtime, simulator: Simulator
):
    runtime = make_runtime()
    answering(runtime, {"score": 10**12, "insights": [{"title": "一切正常", "body": "照常营业。"}]})
    result = step(runtime)
    (cached,) = rows(runtime, "select score, result_json from biz.ai_cache")
    assert result.outcome is Outcome.SUCCESS, result.message
    assert cached["score"] is None
    assert cached["result_json"]["score"] == 10**12


def test_the_simulators_answer_has_all_its_figures_from_the_prompt(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    numbers = step(runtime).result["_references"]["checks"]["numbers"]
    assert numbers["figures"] > 0
    assert numbers["ungrounded"] == []


def test_a_defect_of_the_check_costs_no_answer(make_runtime, simulator: Simulator, monkeypatch):
    def defect(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr("ai_assets.chains.checking.ground", defect)
    runtime = make_runtime()
    result = step(runtime)
    assert result.outcome is Outcome.SUCCESS
    assert result.result["_references"]["checks"]["numbers"] is None


def test_the_same_prompt_is_reused_without_a_call_a_row_or_a_token(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    first, second = step(runtime), step(runtime)
    assert second.outcome is Outcome.REUSED
    assert second.cache_id == first.cache_id
    assert second.result == first.result
    assert simulator.stats()["total"] == 1
    assert len(rows(runtime, "select 1 from biz.ai_run_logs")) == 1
    assert len(rows(runtime, "select 1 from biz.ai_cache")) == 1


def test_a_reuse_is_reported_to_the_feed_with_who_asked_for_it_now(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    made, reused = step(runtime), step(runtime, triggered_by="dws_completed")
    feed = [row["content"] for row in rows(runtime, "select content from biz.ai_news order by id")]
    assert [(told["cache_id"], told["triggered_by"], told.get("reused")) for told in feed] == [
        (made.cache_id, "admin_manual", None),
        (reused.cache_id, "dws_completed", True),
    ]


def test_a_reuse_that_cannot_be_reported_fails_no_step(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    step(runtime)
    with runtime.engine.begin() as connection:
        connection.execute(text("drop function biz.ai_tell_reused"))
    assert step(runtime).outcome is Outcome.REUSED


def test_forced_makes_a_new_answer_and_history_is_kept(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    first, second = step(runtime), step(runtime, forced=True)
    assert second.outcome is Outcome.SUCCESS
    assert second.run_log_id > first.run_log_id
    assert simulator.stats()["total"] == 2
    (newest,) = rows(runtime, "select run_log_id from biz.ai_cache_latest")
    assert newest["run_log_id"] == second.run_log_id


def test_many_at_once_for_one_target_make_one_call(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    simulator.configure(latency=0.3)
    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(result.outcome for result in pool.map(lambda _: step(runtime), range(8)))
    assert outcomes == [*([Outcome.REUSED] * 7), Outcome.SUCCESS]
    assert simulator.stats()["total"] == 1


@pytest.mark.parametrize(
    ("kind", "outcome", "reason"),
    [
        ("not_json", Outcome.FAILED, "not_json"),
        ("wrong_schema", Outcome.FAILED, "schema"),
        ("empty", Outcome.FAILED, "empty_answer"),
        ("null_output", Outcome.FAILED, "empty_answer"),
        ("invalid_api_key", Outcome.FAILED, "invalid_api_key"),
        ("data_inspection", Outcome.FAILED, "content_filtered"),
    ],
)
def test_what_gives_no_result_writes_no_cache_but_a_log_and_an_alert(
    make_runtime, simulator: Simulator, kind, outcome, reason
):
    runtime = make_runtime()
    good = step(runtime)
    simulator.configure(kind=kind, fail=1.0)
    result = step(runtime, forced=True)
    (log,) = rows(runtime, f"select * from biz.ai_run_logs where id = {result.run_log_id}")
    alerts = rows(runtime, "select * from biz.ai_alerts")
    assert (result.outcome, result.reason) == (outcome, reason)
    assert (log["status"], log["reason"]) == (outcome.value, reason)
    assert rows(runtime, "select id from biz.ai_cache") == [{"id": good.cache_id}]
    assert any(a["alert_type"] == "failed" and a["log_id"] == result.run_log_id for a in alerts)
    assert rows(runtime, "select 1 from biz.ai_leases") == []
    assert all(row["reserved"] == 0 for row in rows(runtime, "select reserved from biz.ai_budgets"))


def test_an_unreadable_answer_keeps_its_raw_text_in_the_run_log(make_runtime, simulator: Simulator):
    simulator.configure(kind="not_json", fail=1.0)
    runtime = make_runtime(ask_again=False)
    result = step(runtime)
    (log,) = rows(runtime, "select response_text, tokens_used from biz.ai_run_logs")
    assert log["response_text"]
    assert log["response_text"] != result.message
    assert log["tokens_used"] > 0


@pytest.mark.parametrize("kind", ["nul", "fenced", "prose", "bom"])
def test_an_answer_that_can_be_mended_is_a_result(make_runtime, simulator: Simulator, kind):
    simulator.configure(kind=kind, fail=1.0)
    runtime = make_runtime()
    result = step(runtime)
    assert result.outcome is Outcome.SUCCESS
    assert "\x00" not in str(result.result)


def test_a_server_that_hangs_ends_in_a_timeout_with_its_estimate_charged(make_runtime, simulator: Simulator):
    simulator.configure(kind="hang", fail=1.0)
    runtime = make_runtime(step_timeout_s=1.0)
    result = step(runtime)
    (log,) = rows(runtime, "select * from biz.ai_run_logs")
    (alert,) = rows(runtime, "select * from biz.ai_alerts")
    assert (result.outcome, log["status"], alert["alert_type"]) == (Outcome.TIMEOUT, "timeout", "timeout")
    assert log["tokens_estimated"]
    assert {row["used"] for row in rows(runtime, "select used from biz.ai_budgets")} == {log["tokens_used"]}
    assert log["tokens_used"] == len(log["request_prompt"]) + 1500


def test_missing_usage_is_charged_at_the_estimate_and_marked(make_runtime, simulator: Simulator):
    simulator.configure(kind="missing_usage", fail=1.0)
    runtime = make_runtime()
    result = step(runtime)
    (log,) = rows(runtime, "select * from biz.ai_run_logs")
    assert result.outcome is Outcome.SUCCESS
    assert result.tokens_estimated
    assert log["tokens_estimated"]
    assert log["tokens_in"] is None
    assert log["tokens_used"] == len(log["request_prompt"]) + 1500


def test_a_refusal_is_recorded_with_its_reason_and_raises_an_alert(make_runtime, simulator: Simulator):
    runtime = make_runtime(daily_tokens=10)
    use_a_token(runtime.engine)
    result = step(runtime)
    (log,) = rows(runtime, "select * from biz.ai_run_logs")
    (alert,) = rows(runtime, "select * from biz.ai_alerts")
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "budget_exceeded:day")
    assert (log["status"], log["reason"]) == ("refused", "budget_exceeded:day")
    # the budget's own alert: of no single call, but of the app whose one call is more than the budget
    assert (alert["alert_type"], alert["app_type"], alert["log_id"]) == (
        "budget_exceeded",
        "app2_finance",
        None,
    )
    assert simulator.stats()["total"] == 0


def test_a_wrong_key_blocks_the_app_at_once_and_the_next_step_is_refused(make_runtime, simulator: Simulator):
    simulator.configure(kind="invalid_api_key", fail=1.0)
    runtime = make_runtime()
    first, second = step(runtime), step(runtime)
    kinds = [row["alert_type"] for row in rows(runtime, "select alert_type from biz.ai_alerts order by id")]
    assert (first.reason, second.outcome, second.reason) == (
        "invalid_api_key",
        Outcome.REFUSED,
        "circuit_open",
    )
    assert kinds == ["failed", "app_blocked", "circuit_open"]
    assert simulator.stats()["total"] == 1


def test_failures_open_the_breaker_after_its_minimum_and_say_so(make_runtime, simulator: Simulator):
    simulator.configure(kind="wrong_schema", fail=1.0)
    runtime = make_runtime(breaker_min_calls=3, ask_again=False)
    reasons = [step(runtime).reason for _ in range(4)]
    assert reasons == ["schema", "schema", "schema", "circuit_open"]
    assert simulator.stats()["total"] == 3


def test_a_prompt_that_cannot_be_built_fails_before_anything_is_spent(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    subject = Subject(site_id=SITE, window="last_week", area="all")

    def build():
        raise PromptError("dws.finance_area_daily.orders is -3")

    request = StepRequest(app2_finance.APP, subject, build, Trigger())
    result = run_step(runtime, request, threading.Event())
    (alert,) = rows(runtime, "select alert_type, site_id, app_type from biz.ai_alerts")
    assert (result.outcome, result.reason) == (Outcome.FAILED, "prompt_failed")
    assert alert == {"alert_type": "failed", "site_id": result.subject.site_id, "app_type": result.app}
    assert "orders is -3" in result.message
    assert simulator.stats()["total"] == 0
    assert rows(runtime, "select 1 from biz.ai_run_logs") == []


def test_a_missing_app_id_is_named_before_anything_is_spent(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    runtime.app_ids["app2_finance"] = ""
    result = step(runtime)
    assert result.reason == "bad_configuration"
    assert "AI_APP_ID_2_FINANCE" in result.message
    assert rows(runtime, "select 1 from biz.ai_run_logs") == []


def test_a_late_answer_changes_nothing_when_its_lease_was_taken_over(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    end = runtime.guard.end

    def taken_over(connection, admission, ending):
        with runtime.engine.begin() as other:
            other.execute(text("update biz.ai_leases set expires_at = now() - interval '1 s'"))
            other.execute(text("select biz.ai_reap_expired()"))
        return end(connection, admission, ending)

    runtime.guard.end = taken_over
    result = step(runtime)
    (log,) = rows(runtime, "select * from biz.ai_run_logs")
    assert (result.outcome, result.reason) == (Outcome.FAILED, "lease_lost")
    assert (log["status"], log["reason"]) == ("failed", "outcome_unknown")
    assert rows(runtime, "select 1 from biz.ai_cache") == []


def test_a_defect_after_admission_frees_the_lease(make_runtime, simulator: Simulator):
    runtime = make_runtime()

    def broken(*_arguments, **_options):
        raise ZeroDivisionError("a defect")

    runtime.client.call = broken
    result = step(runtime)
    assert result.reason == "error"
    assert "ZeroDivisionError" in result.message
    assert rows(runtime, "select 1 from biz.ai_leases") == []


def test_a_cancelled_step_sends_nothing(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    cancelled = threading.Event()
    cancelled.set()
    request = StepRequest(
        app2_finance.APP, Subject(site_id=SITE, window="last_week", area="all"), lambda: 1 / 0, Trigger()
    )
    assert run_step(runtime, request, cancelled).reason == "cancelled"
    assert simulator.stats()["total"] == 0


def test_cancelling_gives_up_a_call_in_flight_and_frees_its_lease(make_runtime, simulator: Simulator):
    simulator.configure(kind="hang", fail=1.0)
    runtime = make_runtime()
    cancelled = threading.Event()
    subject = Subject(site_id=SITE, window="last_week", area="all")

    def build():
        with runtime.engine.connect() as connection:
            finance = read_site_finance(
                connection, find_site(connection, SITE), as_of_date(connection, SITE, None)
            )
        return app2_finance.APP.build(finance, subject)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            run_step, runtime, StepRequest(app2_finance.APP, subject, build, Trigger()), cancelled
        )
        while simulator.stats()["in_flight"] == 0:
            assert not running.done()
        cancelled.set()
        result = running.result(timeout=10)
    assert result.reason == "cancelled"
    assert rows(runtime, "select 1 from biz.ai_leases") == []
    assert rows(runtime, "select 1 from biz.ai_alerts") == []


def test_the_key_stands_nowhere_in_what_is_kept(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    results = [step(runtime)]
    simulator.configure(kind="invalid_api_key", fail=1.0)
    results.append(step(runtime, forced=True))
    kept = str(results) + repr(runtime)
    for table in ("ai_run_logs", "ai_cache", "ai_alerts", "ai_breakers"):
        kept += str(rows(runtime, f"select * from biz.{table}"))
    assert "sk-marked-secret" not in kept
