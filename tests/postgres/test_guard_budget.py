"""The token budgets: reserve, settle to what was used, never overshoot, turn in the configured zone."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.guard import breakers
from ai_assets.guard.admission import Admission, GuardRefusalError
from ai_assets.guard.forecast import estimate
from ai_assets.store.run_log import CallRecord

WHICH = {
    "daily_tokens": "day",
    "monthly_tokens": "month",
    "site_daily_tokens": "site_day",
    "site_monthly_tokens": "site_month",
}
DAY, MONTH, SITE_DAY, SITE_MONTH = ("all", "day"), ("all", "month"), ("site:1", "day"), ("site:1", "month")


def test_before_the_first_success_the_estimate_is_the_prompts_characters_and_1500(bench):
    assert bench.admit("t", prompt="提示" * 50).reserved_tokens == 100 + 1500
    bench.failed("u")
    assert bench.admit("v", prompt="").reserved_tokens == 1500


def test_the_estimate_is_the_third_most_that_the_app_used_in_its_last_20_successes(bench):
    bench.made("old", tokens=90_000)
    bench.made("dear", tokens=5000)
    for number in range(19):
        bench.made(f"{number}", tokens=100 + number)
    assert bench.admit("next").reserved_tokens == 117
    bench.made("one more", tokens=100)
    assert bench.admit("after").reserved_tokens == 116
    assert bench.admit("other app", app="app_b").reserved_tokens == 1600


def test_what_is_missing_of_20_successes_counts_as_the_first_estimate_or_the_most_used_if_that_is_less(bench):
    bench.made("small", app="app_b", tokens=70)
    assert bench.admit("next", app="app_b").reserved_tokens == 70
    reserved = []
    for number in range(4):
        reserved.append(bench.admit(f"before {number}").reserved_tokens)
        bench.made(f"{number}", tokens=9000)
    assert reserved == [1600, 1600, 1600, 9000]


def test_the_estimate_is_bounded_by_the_prompt_and_what_the_model_can_use_beside_it(bench):
    for number in range(5):
        bench.made(f"{number}", tokens=900_000)
    bench.limit(model_max_tokens=5000)
    assert bench.admit("t", prompt="p" * 100).reserved_tokens == 5100


def test_successes_that_used_nothing_still_reserve_a_token(bench):
    for number in range(20):
        bench.made(f"{number}", tokens=0)
    assert bench.admit("t").reserved_tokens == 1


@pytest.mark.parametrize("limit", ["daily_tokens", "site_daily_tokens"])
def test_one_absurdly_large_call_locks_nobody_out_after_the_day_has_turned(bench, limit):
    bench.limit(**{limit: 1_000_000})
    bench.settle(bench.admit("huge"), record=CallRecord("success", tokens_used=1_200_000), tokens=1_200_000)
    assert (
        bench.refusal("today") == f"budget_exceeded:{limit.removesuffix('_tokens').replace('daily', 'day')}"
    )
    bench.run("update biz.ai_budgets set period = 'day:2020-01-01' where period like 'day:%'")
    for number in range(100):
        bench.made(f"tomorrow {number}", tokens=2000)


@pytest.mark.parametrize("limit", WHICH)
def test_an_empty_budget_admits_one_call_whatever_its_estimate(bench, limit):
    bench.limit(**{limit: 10})
    first = bench.admit("first")
    assert bench.refusal("second") == f"budget_exceeded:{WHICH[limit]}"
    bench.settle(first, "neutral", tokens=0)
    bench.settle(bench.admit("third"), tokens=1)
    assert bench.refusal("fourth") == f"budget_exceeded:{WHICH[limit]}"


def test_an_empty_budget_admits_no_call_that_another_budget_refuses(bench):
    bench.settle(bench.admit("other site", site_id=2), tokens=5)
    bench.limit(daily_tokens=1000, site_daily_tokens=1000)
    assert bench.refusal("t", site_id=1) == "budget_exceeded:day"


@pytest.mark.parametrize("limit", WHICH)
def test_only_one_of_many_concurrent_callers_gets_an_empty_budget(bench, limit):
    bench.limit(**{limit: 1})
    start = threading.Barrier(12)

    def caller(number):
        start.wait(20)
        try:
            return bench.ask(f"{number}", app=f"app_{number % 3}")
        except GuardRefusalError as refusal:
            return refusal.refusal

    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(caller, range(12)))
    assert sum(isinstance(result, Admission) for result in results) == 1
    assert results.count(f"budget_exceeded:{WHICH[limit]}") == 11


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(1, 40_000),
    st.lists(st.tuples(st.integers(0, 30_000), st.booleans()), min_size=1, max_size=20),
)
def test_a_budget_is_exceeded_by_no_more_than_calls_in_flight_were_underestimated(
    module_engine, limit, calls
):
    from tests.postgres.conftest import EMPTY, Bench

    bench = Bench(module_engine)
    bench.run(str(EMPTY))
    bench.limit(daily_tokens=limit)
    in_flight: list[tuple[Admission, int]] = []
    underestimated = 0

    def settle() -> None:
        nonlocal underestimated
        admission, tokens = in_flight.pop(0)
        underestimated += max(0, tokens - admission.reserved_tokens)
        bench.settle(admission, record=CallRecord("success", tokens_used=tokens), tokens=tokens)

    for number, (tokens, settle_one) in enumerate(calls):
        used, reserved = bench.budgets().get(DAY, (0, 0))
        try:
            said = bench.ask(f"{number}")
        except GuardRefusalError:
            assert used + reserved > 0
            continue
        assert isinstance(said, Admission)
        if used + reserved == 0:
            # an empty budget may be exceeded by this one call's estimate
            underestimated += max(0, said.reserved_tokens - limit)
        in_flight.append((said, tokens))
        if settle_one:
            settle()
    while in_flight:
        settle()
    assert bench.budgets().get(DAY, (0, 0))[0] <= limit + underestimated


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 10**6), max_size=22), st.integers(0, 10_000), st.integers(1000, 200_000))
def test_a_forecast_reckons_with_the_estimate_that_the_guard_reserves(module_engine, tokens, chars, most):
    from tests.postgres.conftest import EMPTY, Bench

    bench = Bench(module_engine)
    bench.run(str(EMPTY))
    for used in tokens:
        bench.run(
            "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, tokens_used) "
            "values ('app_a', 1, 't', 'event', 'success', :used)",
            used=used,
        )
    reserved = bench.value("select biz.ai_estimate('app_a', :chars, :most)", chars=chars, most=most)
    assert reserved == estimate(tokens[::-1][:20], chars, most)


# reset


def test_after_a_reset_an_app_is_estimated_as_before_its_first_call(bench):
    for number in range(20):
        bench.made(f"{number}", tokens=50_000)
        bench.made(f"{number}", app="app_b", tokens=40_000, cache_type="cache_b")
    in_flight = bench.admit("in flight")
    breakers.reset_estimates(bench.engine, ["app_a"], by="op", reason="wrong figures")
    assert bench.admit("a").reserved_tokens == 1600
    assert bench.admit("b", app="app_b").reserved_tokens == 40_000
    # a call that was admitted before the reset teaches nothing either
    bench.succeed(in_flight, tokens=50_000)
    assert bench.admit("c").reserved_tokens == 1600
    for number in range(3):
        bench.made(f"new {number}", tokens=3000)
    assert bench.admit("d").reserved_tokens == 3000


def test_a_reset_is_in_the_history(bench):
    breakers.reset_estimates(bench.engine, ["app_a"], by="op", reason=None)
    with bench.engine.connect() as connection:
        (change,) = breakers.changes(connection, ["app_a"], 5)
    assert (change["state_before"], change["state_after"], change["changed_by"]) == ("closed", "closed", "op")
    assert change["reason"] == "estimate reset"


def test_neither_failures_nor_estimates_teach_the_estimate(bench):
    bench.made("t", tokens=300)
    bench.run("update biz.ai_run_logs set tokens_used = 99999, status = 'failed' where target_id = 't'")
    bench.made("u", tokens=88_888)
    bench.run("update biz.ai_run_logs set tokens_estimated = true where target_id = 'u'")
    assert bench.admit("next").reserved_tokens == 1600


def test_what_is_reserved_becomes_what_was_used_on_the_day_the_month_and_the_sites_day(bench):
    first, second = bench.admit("t"), bench.admit("u")
    assert bench.budgets() == dict.fromkeys((DAY, MONTH, SITE_DAY, SITE_MONTH), (0, 3200))
    assert bench.settle(first, tokens=250).charged_tokens == 250
    assert bench.budgets() == dict.fromkeys((DAY, MONTH, SITE_DAY, SITE_MONTH), (250, 1600))
    bench.settle(second, "counts", tokens=0)
    assert bench.budgets() == dict.fromkeys((DAY, MONTH, SITE_DAY, SITE_MONTH), (250, 0))


def test_missing_usage_is_charged_at_the_estimate(bench):
    assert bench.settle(bench.admit("t"), tokens=None).charged_tokens == 1600
    assert bench.budgets()[DAY] == (1600, 0)


def test_a_call_may_use_more_than_was_reserved_and_is_charged_in_full(bench):
    bench.limit(daily_tokens=2000)
    bench.settle(bench.admit("t"), tokens=5000)
    assert bench.budgets()[DAY] == (5000, 0)
    assert bench.refusal("u") == "budget_exceeded:day"


def test_each_site_has_its_own_day_and_all_sites_share_the_day_and_the_month(bench):
    bench.settle(bench.admit("t", site_id=1), tokens=10)
    bench.settle(bench.admit("t", site_id=2), tokens=20)
    assert bench.budgets() == {
        DAY: (30, 0),
        MONTH: (30, 0),
        SITE_DAY: (10, 0),
        SITE_MONTH: (10, 0),
        ("site:2", "day"): (20, 0),
        ("site:2", "month"): (20, 0),
    }
    bench.limit(site_daily_tokens=1605)
    assert bench.refusal("u", site_id=1) == "budget_exceeded:site_day"
    assert bench.refusal("u", site_id=2) == "budget_exceeded:site_day"
    bench.admit("u", site_id=3)


@pytest.mark.parametrize("limit", WHICH)
def test_a_budget_can_be_used_to_its_last_token_and_not_one_more(bench, limit):
    bench.limit(**{limit: 3200})
    bench.admit("t")
    bench.admit("u")
    assert bench.refusal("v").startswith("budget_exceeded:")
    bench.limit(**{limit: 4799})
    assert bench.refusal("v").startswith("budget_exceeded:")
    bench.limit(**{limit: 4800})
    bench.admit("v")


def test_tokens_that_come_free_can_be_used_again(bench):
    bench.limit(daily_tokens=1600)
    admission = bench.admit("t")
    assert bench.refusal("u") == "budget_exceeded:day"
    bench.settle(admission, "neutral", tokens=0)
    bench.admit("u")


def test_a_lowered_limit_takes_effect_at_the_next_call(bench):
    bench.settle(bench.admit("t"), tokens=100)
    bench.limit(daily_tokens=1699)
    assert bench.refusal("u") == "budget_exceeded:day"


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_days_and_months_turn_in_the_configured_zone(bench, zone):
    bench.run("update biz.ai_settings set value = :zone where name = 'timezone'", zone=zone)
    before = datetime.now(ZoneInfo(zone))
    bench.admit("t")
    after = datetime.now(ZoneInfo(zone))
    periods = {row["period"] for row in bench.all("select period from biz.ai_budgets")}
    assert periods in [{f"day:{now:%Y-%m-%d}", f"month:{now:%Y-%m}"} for now in (before, after)]


def test_yesterdays_tokens_do_not_count_today_and_last_months_not_this_month(bench):
    bench.limit(daily_tokens=1600, monthly_tokens=1600, site_daily_tokens=1600)
    bench.run(
        "insert into biz.ai_budgets (scope, period, used) values ('all', 'day:2026-01-01', 9999), "
        "('all', 'month:2026-01', 9999), ('site:1', 'day:2026-01-01', 9999)"
    )
    bench.admit("t")


def test_a_call_is_settled_on_the_day_that_it_was_reserved_on(bench):
    admission = bench.admit("t")
    bench.run("update biz.ai_leases set day = 'day:2026-01-31', month = 'month:2026-01'")
    bench.run(
        "insert into biz.ai_budgets (scope, period, reserved) values ('all', 'day:2026-01-31', 1600), "
        "('all', 'month:2026-01', 1600), ('site:1', 'day:2026-01-31', 1600), ('site:1', 'month:2026-01', 1600)"
    )
    bench.settle(admission, tokens=7)
    rows = bench.all("select used, reserved from biz.ai_budgets where period like '%2026-01%'")
    assert rows == [{"used": 7, "reserved": 0}] * 4


@pytest.mark.parametrize("limit", WHICH)
def test_exactly_as_many_of_fifty_concurrent_callers_are_admitted_as_the_reservations_allow(bench, limit):
    bench.limit(**{limit: 1600 * 17 + 1599})
    start = threading.Barrier(30)
    numbers = iter(range(50))
    taking = threading.Lock()

    def caller(_):
        results = []
        start.wait(20)
        while True:
            with taking:
                number = next(numbers, None)
            if number is None:
                return results
            try:
                results.append(bench.ask(f"{number}", app=f"app_{number % 3}"))
            except GuardRefusalError as refusal:
                results.append(refusal.refusal)

    with ThreadPoolExecutor(30) as pool:
        results = [result for some in pool.map(caller, range(30)) for result in some]
    kinds = Counter("admitted" if isinstance(result, Admission) else result for result in results)
    assert kinds == {"admitted": 17, f"budget_exceeded:{WHICH[limit]}": 33}
    assert bench.budgets()[DAY] == (0, 17 * 1600)
    assert bench.count("biz.ai_leases") == 17
