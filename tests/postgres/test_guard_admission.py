"""What asking the guard comes to: admitted, reuse, in flight, wait, refused; and what each leaves behind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, event

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.guard.admission import AdmissionCancelledError, Guard, GuardRefusalError, Reuse

STATE = ("ai_leases", "ai_rate_places", "ai_budgets")


def test_an_admission_is_a_running_row_a_lease_a_place_and_a_reservation(bench):
    admission = bench.admit("7_555", app="app4", member_id=555, trigger_job_id=9, trigger_type="batch")
    log = bench.one("select * from biz.ai_run_logs")
    lease = bench.one(
        "select *, extract(epoch from expires_at - clock_timestamp()) as left_s from biz.ai_leases"
    )
    assert log["id"] == admission.run_log_id
    assert (log["status"], log["app_type"], log["site_id"], log["target_id"]) == (
        "running",
        "app4",
        1,
        "7_555",
    )
    assert (log["member_id"], log["trigger_job_id"], log["trigger_type"]) == (555, 9, "batch")
    assert (log["request_prompt"], log["prompt_hash"]) == ("p" * 100, "hash of 7_555")
    assert (lease["id"], lease["run_log_id"], lease["app_type"]) == (admission.lease_id, log["id"], "app4")
    assert lease["reserved_tokens"] == admission.reserved_tokens == 1600
    assert not lease["is_probe"]
    assert 175 < lease["left_s"] <= 185
    assert bench.count("biz.ai_rate_places") == 1
    assert bench.budgets() == {
        ("site:1", "day"): (0, 1600),
        ("site:1", "month"): (0, 1600),
        ("all", "month"): (0, 1600),
        ("all", "day"): (0, 1600),
    }


def test_the_same_prompt_as_the_newest_result_is_reused_and_nothing_is_spent(bench):
    made = bench.made("t")
    before = [bench.count(f"biz.{table}") for table in STATE]
    again = bench.ask("t")
    assert isinstance(again, Reuse)
    assert (
        bench.value("select run_log_id from biz.ai_cache where id = :id", id=again.cache_id)
        == made.run_log_id
    )
    assert [bench.count(f"biz.{table}") for table in STATE] == before
    assert bench.count("biz.ai_run_logs") == 1


@pytest.mark.parametrize(
    "other",
    [{"prompt_hash": "another"}, {"cache_type": "cache_b"}, {"site_id": 2}, {"forced": True}],
    ids=["another prompt", "another cache type", "another site", "forced"],
)
def test_another_prompt_target_or_a_forced_call_is_not_reused(bench, other):
    bench.made("t")
    bench.admit("t", **other)


def test_only_the_newest_result_counts_for_reuse(bench):
    bench.made("t", prompt_hash="old")
    bench.made("t", prompt_hash="new")
    bench.admit("t", prompt_hash="old")


def test_a_second_call_of_a_target_waits_for_the_first_and_then_reuses_its_result(bench):
    first = bench.admit("t")
    asked, waited = threading.Event(), []

    def pause(seconds, _cancelled):
        waited.append(seconds)
        asked.set()
        return False

    with ThreadPoolExecutor(1) as pool:
        # really waiting, a moment at a time, as the guard does
        guard = bench.guard(lambda seconds, cancelled: pause(seconds, cancelled) or cancelled.wait(0.01))
        second = pool.submit(guard.admit, bench.call("t"), threading.Event())
        assert asked.wait(10)
        assert not second.done()
        bench.settle(first, "neutral")
        admission = second.result(10)
    assert not isinstance(admission, Reuse), "the first gave no result: the second makes its own"
    assert max(waited) <= 0.25
    assert admission.run_log_id > first.run_log_id


def test_single_flight_ends_in_reuse_where_the_first_had_a_result_and_forced_makes_its_own(bench):
    began = threading.Barrier(2)
    holder = bench.admit("t")
    waiting = [threading.Event(), threading.Event()]

    def waiter(number, forced):
        def pause(_seconds, cancelled):
            waiting[number].set()
            return cancelled.wait(0.01)

        began.wait(10)
        return bench.guard(pause).admit(bench.call("t", forced=forced), threading.Event())

    with ThreadPoolExecutor(2) as pool:
        plain, forced = pool.submit(waiter, 0, False), pool.submit(waiter, 1, True)
        assert waiting[0].wait(10)
        assert waiting[1].wait(10)
        bench.succeed(holder)
        own = forced.result(10)
        bench.settle(own)
        assert isinstance(plain.result(10), Reuse)
    assert own.run_log_id > holder.run_log_id
    assert bench.count("biz.ai_leases") == 0


def test_two_targets_two_sites_two_apps_do_not_wait_for_each_other(bench):
    bench.admit("t")
    bench.admit("u")
    bench.admit("t", site_id=2)
    bench.admit("t", app="app_b")
    assert bench.count("biz.ai_leases") == 4


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"rate_per_minute": 1, "admission_wait_s": 0.0}, "rate_limited"),
        ({"daily_tokens": 1700}, "budget_exceeded:day"),
        ({"monthly_tokens": 1700}, "budget_exceeded:month"),
        ({"site_daily_tokens": 1700}, "budget_exceeded:site_day"),
    ],
)
def test_a_refusal_takes_no_place_no_tokens_and_leaves_no_lease_but_a_row_with_reason_and_prompt(
    bench, limits, reason
):
    first = bench.admit("first")
    bench.limit(**limits)
    before = bench.budgets(), bench.count("biz.ai_rate_places")
    with pytest.raises(GuardRefusalError) as refused:
        bench.ask("second", prompt="为什么不行")
    log = bench.one("select * from biz.ai_run_logs where id <> :id", id=first.run_log_id)
    assert refused.value.refusal == reason
    assert reason in str(refused.value)
    assert refused.value.run_log_id == log["id"]
    assert (log["status"], log["reason"], log["request_prompt"]) == ("refused", reason, "为什么不行")
    assert log["error_message"] == str(refused.value)
    assert log["response_text"] is None
    assert log["finished_at"] is not None
    assert log["latency_ms"] is not None
    assert log["tokens_used"] is None
    assert (bench.budgets(), bench.count("biz.ai_rate_places")) == before
    assert bench.all("select id from biz.ai_leases") == [{"id": first.lease_id}]


def test_a_refusal_keeps_the_time_since_the_call_asked_first(bench):
    bench.limit(rate_per_minute=1, admission_wait_s=5.0)
    bench.admit("first")
    # it asks at 0 s, and is heard at 7.5 s
    guard = bench.guard(clock=iter([0.0, 7.5]).__next__)
    with pytest.raises(GuardRefusalError):
        guard.admit(bench.call("late"), threading.Event())
    assert bench.value("select latency_ms from biz.ai_run_logs where target_id = 'late'") >= 7500


def test_a_breaker_that_stays_open_until_it_is_closed_says_so(bench):
    for until, expected in (("'infinity'", True), ("clock_timestamp() + interval '1 h'", False)):
        bench.run(
            "insert into biz.ai_breakers (app_type, state, open_until) values ('app_a', 'open', "
            f"{until}) on conflict (app_type) do update set open_until = excluded.open_until"
        )
        with pytest.raises(GuardRefusalError) as refused:
            bench.ask("t")
        assert refused.value.until_closed is expected


def test_the_breaker_refuses_before_the_rate_and_the_rate_before_the_budget(bench):
    bench.use_a_token()
    bench.pass_time(61)
    bench.limit(rate_per_minute=1, admission_wait_s=0.0, daily_tokens=100)
    bench.run("update biz.ai_rate_places set taken_at = clock_timestamp()")
    bench.run(
        "insert into biz.ai_breakers (app_type, state, open_until) "
        "values ('app_a', 'open', clock_timestamp() + interval '1 h')"
    )
    assert bench.refusal() == "circuit_open"
    bench.run("update biz.ai_breakers set state = 'closed'")
    assert bench.refusal() == "rate_limited"
    bench.pass_time(60)
    assert bench.refusal() == "budget_exceeded:day"
    bench.limit(daily_tokens=None)
    bench.admit()


def test_where_several_budgets_would_refuse_the_day_is_named_before_the_month_and_the_site(bench):
    bench.use_a_token()
    bench.limit(daily_tokens=1, monthly_tokens=1, site_daily_tokens=1)
    assert bench.refusal() == "budget_exceeded:day"
    bench.limit(daily_tokens=None)
    assert bench.refusal() == "budget_exceeded:month"
    bench.limit(monthly_tokens=None)
    assert bench.refusal() == "budget_exceeded:site_day"


def test_a_call_that_waits_for_its_turn_is_a_pending_row_whose_id_is_renewed_at_admission(bench):
    bench.limit(rate_per_minute=1)
    bench.admit("first")
    bench.pass_time(40)
    seen = []

    def pause(_seconds, _cancelled):
        seen.append(
            bench.one("select id, status, reason, finished_at from biz.ai_run_logs where target_id = 'late'")
        )
        # a call of another site that is admitted while this one waits
        bench.admit("between", site_id=10 + len(seen))
        bench.pass_time(10 if len(seen) == 1 else 11)
        return False

    admission = bench.guard(pause).admit(bench.call("late"), threading.Event())
    assert [(row["status"], row["reason"], row["finished_at"]) for row in seen] == [
        ("pending", "rate_limited", None)
    ] * 2
    log = bench.one("select * from biz.ai_run_logs where target_id = 'late'")
    assert (log["id"], log["status"], log["reason"]) == (admission.run_log_id, "running", None)
    newest = bench.value("select max(id) from biz.ai_run_logs where target_id = 'between'")
    assert admission.run_log_id > newest, "newest means admitted last, not asked last"


def test_waiting_ends_in_a_refusal_when_patience_ends(bench):
    bench.limit(rate_per_minute=1, admission_wait_s=30.0)
    bench.admit("first")
    now = [0.0]
    pauses = []

    def pause(seconds, _cancelled):
        pauses.append(seconds)
        now[0] += 20
        bench.pass_time(20)
        # the place that came free is taken by another
        bench.run("update biz.ai_rate_places set taken_at = clock_timestamp() - interval '45 s'")
        return False

    bench.pass_time(45)
    guard = bench.guard(pause, clock=lambda: now[0])
    with pytest.raises(GuardRefusalError, match="rate_limited"):
        guard.admit(bench.call("late"), threading.Event())
    assert pauses == [pytest.approx(15, abs=9)]
    assert bench.count("biz.ai_run_logs", "status = 'pending'") == 0
    assert bench.count("biz.ai_run_logs", "status = 'refused'") == 1


def test_waiting_for_another_call_of_the_target_does_not_use_up_the_patience_for_the_rate(bench):
    bench.limit(rate_per_minute=1, admission_wait_s=30.0)
    holder = bench.admit("t")
    now = [0.0]
    verdicts = []

    def pause(seconds, _cancelled):
        now[0] += 50
        verdicts.append(seconds)
        if len(verdicts) == 1:
            bench.settle(holder, "neutral")
            bench.pass_time(50)
        else:
            bench.pass_time(11)
        return False

    guard = bench.guard(pause, clock=lambda: now[0])
    admission = guard.admit(bench.call("t"), threading.Event())
    assert verdicts == [0.25, pytest.approx(10, abs=9)]
    assert admission.run_log_id > holder.run_log_id


@pytest.mark.parametrize(("trigger_type", "patience"), [("event", 30.0), ("manual", 30.0), ("batch", 600.0)])
def test_a_batch_waits_longer_than_a_live_call(bench, trigger_type, patience):
    bench.limit(rate_per_minute=1)
    bench.admit("first", trigger_type=trigger_type)
    if patience > 60:
        assert 55 < bench.wait("late", trigger_type=trigger_type) <= 60.1
    else:
        assert bench.refusal("late", trigger_type=trigger_type) == "rate_limited"


def test_a_cancelled_wait_gives_its_turn_back_and_leaves_no_row(bench):
    bench.limit(rate_per_minute=1, admission_wait_s=120.0)
    bench.admit("first")
    cancelled = threading.Event()
    cancelled.set()
    guard = Guard(bench.engine, bench.limits)
    with pytest.raises(AdmissionCancelledError):
        guard.admit(bench.call("late"), cancelled)
    assert bench.count("biz.ai_run_logs") == 1
    assert bench.count("biz.ai_leases") == 1


def test_an_answer_found_while_a_call_waited_for_its_turn_takes_its_pending_row_away(bench):
    bench.limit(rate_per_minute=1)
    bench.admit("first")
    bench.pass_time(40)

    def pause(_seconds, _cancelled):
        bench.run(
            "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, "
            "prompt_hash) values ('cache_a', 1, 't', '{}', 'x', 999, 'hash of t')"
        )
        return False

    assert isinstance(bench.guard(pause).admit(bench.call("t"), threading.Event()), Reuse)
    assert bench.count("biz.ai_run_logs", "target_id = 't'") == 0


def test_where_postgres_is_away_the_guard_says_so_and_admits_nothing(bench):
    away = create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 2})
    guard = Guard(away, bench.limits)
    with pytest.raises(DatabaseUnavailableError, match="asking the guard"):
        guard.admit(bench.call(), threading.Event())
    with pytest.raises(DatabaseUnavailableError, match="a place for a retry"):
        guard.take_place(bench.call(), 10.0, threading.Event())


def test_an_admission_is_one_round_trip(bench):
    bench.made("warm")
    statements = []

    def heard(*args):
        statements.append(args[2])

    event.listen(bench.engine, "before_cursor_execute", heard)
    try:
        bench.admit("t")
    finally:
        event.remove(bench.engine, "before_cursor_execute", heard)
    assert len(statements) == 1
