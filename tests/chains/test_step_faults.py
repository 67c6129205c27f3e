"""Every error of DashScope's table through the simulator and a whole step: what it does to the breaker, the rate, the
run log, the alerts and the bill."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ai_assets.catalog import CATALOG
from ai_assets.chains.outcome import Outcome
from ai_assets.simulator.kinds import ERRORS, ODD_ERRORS

APP = "app3_clue"


@dataclass(frozen=True)
class Fault:
    """What a kind of error comes to. `billed`: attempts that may have cost tokens, of which none told how many."""

    kind: str
    reason: str
    effect: str
    requests: int = 1
    billed: int = 0
    cooldown_s: float | None = None


FAULTS = [
    Fault("invalid_api_key", "invalid_api_key", "opens"),
    Fault("access_denied", "access_denied", "opens"),
    Fault("access_denied_unpurchased", "access_denied", "opens"),
    Fault("app_access_denied", "access_denied", "opens"),
    Fault("workspace_access_denied", "access_denied", "opens"),
    Fault("model_access_denied", "access_denied", "opens"),
    Fault("free_tier_only", "access_denied", "opens"),
    Fault("model_not_found", "not_found", "opens"),
    Fault("workspace_not_found", "not_found", "opens"),
    Fault("not_found", "not_found", "opens"),
    Fault("invalid_parameter", "bad_request", "neutral"),
    Fault("bad_request", "bad_request", "neutral"),
    Fault("flow_not_published", "bad_request", "neutral"),
    Fault("caller_fault_500", "bad_request", "neutral"),
    Fault("data_inspection", "content_filtered", "neutral"),
    Fault("faq_rule_blocked", "content_filtered", "neutral"),
    Fault("custom_role_blocked", "content_filtered", "neutral"),
    Fault("too_large", "request_too_large", "neutral"),
    Fault("arrearage", "arrears", "hard_stop"),
    Fault("prepaid_bill_overdue", "arrears", "hard_stop"),
    Fault("postpaid_bill_overdue", "arrears", "hard_stop"),
    Fault("commodity_not_purchased", "arrears", "hard_stop"),
    Fault("free_quota_exceeded", "quota_exhausted", "hard_stop"),
    Fault("throttling", "throttled", "cooldown", requests=3, cooldown_s=5),
    Fault("rate_quota", "throttled", "cooldown", requests=3, cooldown_s=5),
    Fault("burst_rate", "throttled", "cooldown", requests=3, cooldown_s=5),
    Fault("allocation_quota", "throttled", "cooldown", cooldown_s=60),
    Fault("internal_error", "server_error", "counts", requests=3),
    Fault("internal_error_algo", "server_error", "counts", requests=3),
    Fault("system_error", "server_error", "counts", requests=3),
    Fault("model_service_failed", "server_error", "counts", requests=3),
    Fault("request_timeout", "server_timeout", "counts", requests=2, billed=2),
    Fault("internal_error_timeout", "server_timeout", "counts", requests=2, billed=2),
    Fault("app_process_failed", "app_failed", "counts", requests=2, billed=2),
    Fault("invoke_plugin_failed", "app_failed", "counts", requests=2, billed=2),
    Fault("service_unavailable", "unavailable", "counts", requests=3),
    Fault("model_unavailable", "unavailable", "counts", requests=3),
    Fault("gateway_timeout", "gateway_timeout", "counts", requests=3, billed=3),
    Fault("bad_gateway_html", "bad_gateway", "counts", requests=3),
    Fault("error_in_200_sse", "bad_request", "neutral"),
    Fault("error_in_400_sse_framed", "bad_request", "neutral"),
    Fault("error_mid_stream", "bad_request", "neutral"),
]


def test_the_table_below_has_every_error_of_the_simulator_once():
    assert sorted(fault.kind for fault in FAULTS) == sorted([*ERRORS, *ODD_ERRORS])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_an_error_does_to_the_guard_the_log_the_alerts_and_the_bill_what_its_row_says(
    bench, simulator, fault
):
    simulator.configure(kind=fault.kind, fail=1.0)
    result = bench.step(bench.runtime())
    log = bench.one("select * from biz.ai_run_logs")
    breakers = {row["app_type"]: row for row in bench.rows("select * from biz.ai_breakers")}
    mine = breakers[APP]

    assert (result.outcome, result.reason) == (Outcome.FAILED, fault.reason)
    assert (log["status"], log["reason"], log["id"]) == ("failed", fault.reason, result.run_log_id)
    assert log["error_message"] == result.message[:500]
    assert ERRORS[fault.kind].code in log["error_message"] if fault.kind in ERRORS else log["error_message"]
    assert log["response_text"] is None
    assert log["finished_at"] >= log["created_at"]
    assert len(simulator.calls("app3")) == result.attempts == fault.requests
    # each attempt after the first took a place in the rate too
    assert len(bench.rows("select 1 from biz.ai_rate_places")) == fault.requests

    estimate = len(log["request_prompt"]) + 1500
    assert bench.assert_the_books_agree() == result.tokens_used == fault.billed * estimate
    assert log["tokens_estimated"] is (fault.billed > 0)
    assert (log["cost_cny"] > 0) is (fault.billed > 0)
    assert bench.rows("select 1 from biz.ai_cache") == []

    assert bench.outcomes_counted() == (0, int(fault.effect == "counts"))
    opened = {app for app, row in breakers.items() if row["state"] == "open"}
    assert opened == {"opens": {APP}, "hard_stop": set(CATALOG)}.get(fault.effect, set())
    assert {breakers[app]["reason"] for app in opened} <= {fault.reason}
    assert bench.alerts() == ["failed"] + ["app_blocked"] * len(opened)
    left = bench.one("select extract(epoch from cooldown_until - clock_timestamp())::float as s "
                     "from biz.ai_breakers where app_type = :app", app=APP)["s"]  # fmt: skip
    if fault.cooldown_s is None:
        assert left is None
    else:
        assert fault.cooldown_s - 30 < left <= fault.cooldown_s
    assert mine["relapses"] == 0


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.effect in {"opens", "hard_stop"}][:2])
def test_after_an_error_that_opens_nothing_is_sent_and_the_refusal_names_it(bench, simulator, fault):
    simulator.configure(kind=fault.kind, fail=1.0)
    runtime = bench.runtime()
    bench.step(runtime)
    refused = bench.step(runtime, 556)
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, "circuit_open")
    assert fault.reason in refused.message
    assert len(simulator.calls("app3")) == 1
    assert bench.alerts() == ["failed", "app_blocked", "circuit_open"]


def test_after_arrears_no_app_is_called(bench, simulator):
    simulator.configure(kind="arrearage", fail=1.0, app="app3")
    runtime = bench.runtime()
    bench.step(runtime)
    refusals = [bench.step(runtime, app=app) for app in ("app7_customer", "app8_consolidation")]
    assert [(r.reason, "arrears" in r.message) for r in refusals] == [("circuit_open", True)] * 2
    assert simulator.stats()["total"] == 1


@pytest.mark.parametrize(("kind", "given_s"), [("throttling", 40), ("allocation_quota", 90)])
def test_a_retry_after_that_does_not_fit_into_the_step_is_the_apps_cooldown(bench, simulator, kind, given_s):
    simulator.configure(kind=kind, fail=1.0, retry_after=given_s)
    runtime = bench.runtime(admission_wait_s=0.0)
    result = bench.step(runtime)
    left = bench.one("select extract(epoch from cooldown_until - clock_timestamp())::float as s "
                     "from biz.ai_breakers where app_type = :app", app=APP)["s"]  # fmt: skip
    assert (result.reason, result.attempts) == ("throttled", 1)
    assert given_s - 30 < left <= given_s
    refused = bench.step(runtime, 556)
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, "rate_limited")
    assert "throttles" in refused.message
    # another app is not throttled
    assert bench.step(runtime, app="app7_customer").reason == "throttled"
    assert bench.alerts() == ["failed", "rate_limited", "failed"]


@dataclass(frozen=True)
class Odd:
    """A fault of delivery or text: how the step ends, and what of it is charged (`told`: its usage, as it said)."""

    kind: str
    reason: str
    requests: int
    billed: int = 0
    told: bool = False


@pytest.mark.parametrize(
    "odd",
    [
        Odd("drop", "connection", 3, billed=3),
        Odd("drop_midway", "connection", 3, billed=3),
        Odd("not_json", "not_json", 1, told=True),
        Odd("wrong_schema", "schema", 1, told=True),
        Odd("empty", "empty_answer", 1, told=True),
        Odd("null_output", "empty_answer", 1, told=True),
        Odd("partial", "partial_answer", 1, told=True),
    ],
    ids=lambda odd: odd.kind,
)
def test_an_answer_of_no_use_fails_its_step_counts_and_is_charged_what_it_told(bench, simulator, odd):
    simulator.configure(kind=odd.kind, fail=1.0)
    result = bench.step(bench.runtime())
    log = bench.one("select * from biz.ai_run_logs")
    assert (result.outcome, result.reason, log["status"]) == (Outcome.FAILED, odd.reason, "failed")
    assert len(simulator.calls("app3")) == odd.requests
    estimate = len(log["request_prompt"]) + 1500
    told = (log["tokens_in"] or 0) + (log["tokens_out"] or 0)
    assert (told > 0) is odd.told
    assert told < estimate
    assert bench.assert_the_books_agree() == result.tokens_used == told + odd.billed * estimate
    assert log["tokens_estimated"] is (odd.billed > 0)
    assert bench.outcomes_counted() == (0, 1)
    assert bench.alerts() == ["failed"]


def test_a_missing_app_id_is_a_clear_error_that_spends_takes_and_writes_nothing(bench, simulator):
    ids = {name: entry.alias for name, entry in CATALOG.items()} | {APP: ""}
    runtime = bench.runtime(app_ids=ids)
    result = bench.step(runtime)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "bad_configuration")
    assert "AI_APP_ID_3_CLUE is not set" in result.message
    assert simulator.stats()["total"] == 0
    for table in ("ai_leases", "ai_rate_places", "ai_run_logs", "ai_budgets", "ai_breakers", "ai_cache"):
        assert bench.rows(f"select * from biz.{table}") == []
    assert bench.alerts() == ["failed"]
    assert bench.step(runtime, app="app7_customer").outcome is Outcome.SUCCESS


def test_an_app_id_that_dashscope_does_not_know_blocks_that_app_and_names_its_setting(bench):
    ids = {name: entry.alias for name, entry in CATALOG.items()} | {APP: "no-such-app"}
    runtime = bench.runtime(app_ids=ids)
    result = bench.step(runtime)
    assert result.reason == "not_found"
    assert "no-such-app" in result.message
    assert "AI_APP_ID" in result.message
    assert bench.assert_the_books_agree() == 0
    assert bench.step(runtime, app="app7_customer").outcome is Outcome.SUCCESS
