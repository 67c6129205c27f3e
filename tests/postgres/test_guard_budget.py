"""The token budgets: reserve, settle to what was used, never overshoot, turn in the configured zone."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ai_assets.guard.admission import Admission, GuardRefusalError

DAY, MONTH, SITE_DAY, SITE_MONTH = ("all", "day"), ("all", "month"), ("site:1", "day"), ("site:1", "month")


def test_before_the_first_success_the_estimate_is_the_prompts_characters_and_1500(bench):
    assert bench.admit("t", prompt="提示" * 50).reserved_tokens == 100 + 1500
    bench.failed("u")
    assert bench.admit("v", prompt="").reserved_tokens == 1500


def test_the_estimate_is_the_most_that_the_app_used_in_its_last_20_successes(bench):
    bench.made("old", tokens=90_000)
    bench.made("dear", tokens=5000)
    for number in range(19):
        bench.made(f"{number}", tokens=100 + number)
    assert bench.admit("next").reserved_tokens == 5000
    bench.made("one more", tokens=100)
    assert bench.admit("after").reserved_tokens == 118
    assert bench.admit("other app", app="app_b").reserved_tokens == 1600


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


WHICH = {
    "daily_tokens": "day",
    "monthly_tokens": "month",
    "site_daily_tokens": "site_day",
    "site_monthly_tokens": "site_month",
}


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
    bench.limit(timezone=zone)
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


WHICH = {
    "daily_tokens": "day",
    "monthly_tokens": "month",
    "site_daily_tokens": "site_day",
    "site_monthly_tokens": "site_month",
}


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
