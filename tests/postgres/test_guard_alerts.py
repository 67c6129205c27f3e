"""Alerts that are grouped, and those of a budget: once each, however many calls meet it at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ai_assets.guard.admission import GuardRefusalError
from ai_assets.store.alerts import raise_alert

BUDGETS = {"daily_tokens": None, "monthly_tokens": None, "site_daily_tokens": 1, "site_monthly_tokens": 1}
"""Each budget, and the site of its warnings."""


def alert(db, alert_type="failed", *, site=1, app="app_a", log=None, **more) -> None:
    raise_alert(db.engine, alert_type, site_id=site, app_type=app, log_id=log, **more)


def alerts(db, alert_type: str) -> list[dict]:
    return [
        dict(row)
        for row in db.all("select * from biz.ai_alerts where alert_type = :t order by id", t=alert_type)
    ]


def test_the_same_alert_within_the_window_is_one_row_that_counts(db):
    alert(db, log=7)
    alert(db, log=8)
    alert(db)
    (row,) = alerts(db, "failed")
    assert (row["count"], row["log_id"], row["last_log_id"]) == (3, 7, 8)
    assert row["last_at"] > row["created_at"]


def test_another_site_app_or_kind_is_another_alert_and_so_is_one_of_no_site(db):
    for more in ({}, {"site": 2}, {"site": None}, {"app": "app_b"}, {"app": None}, {"alert_type": "timeout"}):
        alert(db, **more)
        alert(db, **more)
    assert db.value("select array_agg(count) from biz.ai_alerts") == [2] * 6


def test_the_window_runs_from_the_first_of_a_group_and_then_a_new_row_begins(db):
    alert(db, window_s=300.0)
    db.run("update biz.ai_alerts set created_at = created_at - interval '299 s'")
    alert(db, window_s=300.0)
    db.run("update biz.ai_alerts set created_at = created_at - interval '2 s'")
    alert(db, window_s=300.0)
    assert [row["count"] for row in alerts(db, "failed")] == [2, 1]


def test_a_window_of_nothing_groups_nothing(db):
    alert(db, window_s=0)
    alert(db, window_s=0)
    assert db.count("biz.ai_alerts") == 2


def test_only_the_first_of_a_group_is_told(db):
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("listen ai_alert"))
        for _ in range(5):
            alert(db)
        alert(db, site=2)
        driver = connection.connection.driver_connection
        connection.execute(text("select 1"))
        driver.poll()
        assert len(driver.notifies) == 2
        connection.execute(text("unlisten *"))
        driver.notifies.clear()


def test_a_storm_of_the_same_alert_is_one_row_and_none_is_lost(db):
    start = threading.Barrier(12)

    def storm(_number):
        start.wait(20)
        for _ in range(10):
            alert(db)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(storm, range(12)))
    assert [row["count"] for row in alerts(db, "failed")] == [120]


@pytest.mark.parametrize("limit", BUDGETS)
def test_a_budget_that_refuses_says_so_once_in_its_period_and_not_once_a_call(bench, limit):
    bench.limit(**{limit: 1650})
    bench.admit("in flight")
    for number in range(5):
        assert bench.refusal(f"refused {number}").startswith("budget_exceeded:")
    (row,) = alerts(bench, "budget_exceeded")
    assert (row["site_id"], row["app_type"], row["count"]) == (1, "app_a", 1)


def test_a_budget_of_all_sites_alerts_each_site_once_in_its_period_with_the_app_that_was_refused(bench):
    bench.use_a_token()
    bench.limit(daily_tokens=1000)
    for site, app in ((1, "app_a"), (2, "app_b"), (1, "app_b"), (2, "app_a")):
        bench.refusal("t", site_id=site, app=app)
    # tomorrow, when a token was used again
    bench.run("update biz.ai_budgets set period = 'day:2020-01-01' where period like 'day:%'")
    bench.use_a_token()
    bench.refusal("t", site_id=1)
    found = [(row["site_id"], row["app_type"]) for row in alerts(bench, "budget_exceeded")]
    assert found == [(1, "app_a"), (2, "app_b"), (1, "app_a")]


def test_each_budget_has_its_own_refusal_alert(bench):
    for site in (1, 2):
        bench.use_a_token(site)
    bench.limit(site_daily_tokens=1000)
    for site in (1, 2, 1, 2):
        bench.refusal("t", site_id=site)
    bench.limit(daily_tokens=1000)
    bench.refusal("t", site_id=1)
    assert [row["site_id"] for row in alerts(bench, "budget_exceeded")] == [1, 2, 1]


def test_fifty_callers_that_are_refused_at_once_raise_one_alert_a_site(bench):
    bench.use_a_token()
    bench.limit(daily_tokens=1)
    start = threading.Barrier(25)

    def refused(number):
        start.wait(20)
        for turn in range(2):
            with pytest.raises(GuardRefusalError):
                bench.ask(f"{number} {turn}", app=f"app_{number % 3}", site_id=number % 4)

    with ThreadPoolExecutor(25) as pool:
        list(pool.map(refused, range(25)))
    assert sorted(row["site_id"] for row in alerts(bench, "budget_exceeded")) == [0, 1, 2, 3]


@pytest.mark.parametrize("limit", BUDGETS)
def test_a_budget_warns_when_80_and_when_95_per_cent_are_used_once_each(bench, limit):
    site = BUDGETS[limit]
    bench.limit(**{limit: 100_000})
    shares = []
    for tokens in (79_999, 1, 5_000, 9_999, 1, 1_000):
        bench.settle(bench.admit("t"), tokens=tokens)
        shares.append(len(alerts(bench, "budget_warning")))
    assert shares == [0, 1, 1, 1, 2, 2]
    first, second = alerts(bench, "budget_warning")
    assert ("80%" in first["message"], "95%" in second["message"]) == (True, True)
    assert {first["site_id"], second["site_id"]} == {site}


def test_a_leap_over_both_warnings_is_one_alert(bench):
    bench.limit(daily_tokens=10_000)
    bench.settle(bench.admit("t"), tokens=9_600)
    assert ["95%" in row["message"] for row in alerts(bench, "budget_warning")] == [True]


def test_a_limit_that_was_raised_warns_again_when_its_own_80_per_cent_are_used(bench):
    bench.limit(daily_tokens=10_000)
    bench.settle(bench.admit("t"), tokens=8_000)
    bench.limit(daily_tokens=20_000)
    bench.settle(bench.admit("t"), tokens=4_000)
    assert len(alerts(bench, "budget_warning")) == 1
    bench.settle(bench.admit("t"), tokens=4_000)
    assert len(alerts(bench, "budget_warning")) == 2


def test_calls_that_settle_at_once_across_the_mark_warn_once(bench):
    bench.limit(daily_tokens=100_000)
    admissions = [bench.admit(f"{number}") for number in range(20)]
    start = threading.Barrier(20)

    def settle(admission):
        start.wait(20)
        bench.settle(admission, tokens=4_500)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(settle, admissions))
    assert ["80%" in row["message"] for row in alerts(bench, "budget_warning")] == [True]


def test_what_a_dead_call_is_charged_is_warned_of_by_the_next_that_settles(bench):
    bench.limit(daily_tokens=3_300)
    bench.admit("dead", lease_s=-1.0)
    next_one = bench.admit("next")
    assert bench.budgets()["all", "day"] == (1600, 1600)
    bench.settle(next_one, tokens=1_100)
    assert len(alerts(bench, "budget_warning")) == 1


def test_trouble_with_a_budgets_alert_neither_fails_the_call_nor_its_settling(bench):
    bench.run("alter table biz.ai_alerts rename to ai_alerts_away")
    try:
        bench.limit(daily_tokens=2_000)
        bench.settle(bench.admit("t"), tokens=1_990)
        assert bench.refusal("u") == "budget_exceeded:day"
    finally:
        bench.run("alter table biz.ai_alerts_away rename to ai_alerts")
    assert bench.budgets()["all", "day"] == (1_990, 0)
