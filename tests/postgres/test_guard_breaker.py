"""The circuit breaker of each app: closed → open → half-open, and what changes nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai_assets.guard.admission import Admission, GuardRefusalError


def opened(bench, *, app: str = "app_a"):
    """Open an app's breaker by failures alone."""
    for number in range(4):
        settlement = bench.failed(f"fails {number}", app=app)
    assert settlement.opened == (app,)
    return bench.breaker(app)


def half_open(bench):
    """Open it and let its open time pass."""
    row = opened(bench)
    bench.pass_time(61)
    return row


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("fff", "closed"),  # fewer calls than the minimum
        ("ffff", "open"),
        ("ppff", "open"),  # the share is reached
        ("pppff", "closed"),
        ("pppfff", "open"),
        ("ffpp", "closed"),  # a success never opens it
        ("ffppf", "open"),
        ("nnnnff", "closed"),  # neutral results are not calls that count
        ("cccccfff", "closed"),  # nor is being told to slow down
        ("pppppppp", "closed"),
    ],
)
def test_it_opens_when_failures_reach_their_share_over_the_minimum_of_calls(bench, outcomes, state):
    effects = {"p": "passed", "f": "counts", "n": "neutral", "c": "cooldown"}
    for number, letter in enumerate(outcomes):
        bench.failed(f"{number}", effects[letter])
        bench.run("update biz.ai_breakers set cooldown_until = null")
    assert bench.breaker()["state"] == state


def test_failures_older_than_the_window_do_not_count(bench):
    for number in range(3):
        bench.failed(f"old {number}")
    bench.pass_time(301.7)
    bench.failed("new")
    assert bench.breaker()["state"] == "closed"
    for number in range(3):
        bench.failed(f"newer {number}")
    assert bench.breaker()["state"] == "open"


def test_an_open_breaker_refuses_its_own_app_only_at_every_site_and_says_why(bench):
    row = opened(bench)
    assert row["reason"] == "test"
    with pytest.raises(GuardRefusalError, match="circuit_open: app_a of site 2"):
        bench.ask("t", site_id=2)
    assert bench.refusal(trigger_type="batch") == "circuit_open"
    bench.admit("t", app="app_b")


@pytest.mark.parametrize(("effect", "opens"), [("opens", True), ("counts", False), ("neutral", False)])
def test_some_errors_open_it_at_once(bench, effect, opens):
    settlement = bench.failed("first", effect)
    assert settlement.opened == (("app_a",) if opens else ())
    assert (bench.breaker()["state"] == "open") is opens


def test_a_hard_stop_opens_every_app_also_those_that_were_never_called(bench):
    bench.admit("x", app="app_b")
    settlement = bench.settle(bench.admit("t"), "hard_stop", tokens=0, reason="arrears")
    assert settlement.opened == ("app_a", "app_b", "app_c")
    assert bench.all("select distinct state, reason from biz.ai_breakers") == [
        {"state": "open", "reason": "arrears"}
    ]
    for app in ("app_a", "app_b", "app_c"):
        assert bench.refusal("t2", app=app) == "circuit_open"


def test_late_results_of_a_hard_stop_do_not_lengthen_it(bench):
    admissions = [bench.admit(f"{number}", app=app) for number, app in enumerate(("app_a", "app_b", "app_a"))]
    assert bench.settle(admissions[0], "hard_stop", reason="arrears").opened == ("app_a", "app_b", "app_c")
    before = bench.all("select * from biz.ai_breakers order by app_type")
    for late in admissions[1:]:
        assert bench.settle(late, "hard_stop", reason="arrears").opened == ()
    assert bench.all("select * from biz.ai_breakers order by app_type") == before


def test_a_hard_stop_that_a_probe_meets_again_stays_longer_for_every_app(bench):
    bench.settle(bench.admit("t"), "hard_stop", reason="arrears")
    bench.pass_time(61)
    bench.settle(bench.admit("probe"), "hard_stop", reason="arrears")
    rows = bench.all(
        "select relapses, round(extract(epoch from open_until - changed_at)) as open_s from biz.ai_breakers"
    )
    assert [(row["relapses"], row["open_s"]) for row in rows] == [(1, 120)] * 3


def test_half_open_lets_through_its_probes_and_not_one_more(bench):
    half_open(bench)
    first, second = bench.admit("p1"), bench.admit("p2")
    assert bench.breaker()["state"] == "half_open"
    assert bench.all("select is_probe from biz.ai_leases") == [{"is_probe": True}] * 2
    assert bench.refusal("p3") == "circuit_open"
    bench.settle(first)
    assert bench.refusal("p3") == "circuit_open", "one passed and one under way: no place is free"
    bench.settle(second)
    assert bench.breaker()["state"] == "closed"
    bench.admit("p3")


def test_a_probe_that_is_still_under_way_from_before_it_opened_again_takes_no_place_of_the_next_ones(bench):
    half_open(bench)
    late = bench.admit("late")
    bench.settle(bench.admit("p1"), "counts")
    bench.pass_time(121)
    probes = [bench.admit("p2"), bench.admit("p3")]
    assert bench.refusal("p4") == "circuit_open"
    bench.settle(late)
    assert bench.breaker()["probes_passed"] == 0
    for probe in probes:
        bench.settle(probe)
    assert bench.breaker()["state"] == "closed"


def test_it_closes_only_after_all_its_probes_passed_and_forgets_its_relapses(bench):
    half_open(bench)
    bench.settle(bench.admit("p1"), "counts")
    bench.pass_time(121)
    bench.settle(bench.admit("p2"))
    assert bench.breaker()["state"] == "half_open"
    bench.settle(bench.admit("p3"))
    row = bench.breaker()
    assert (row["state"], row["relapses"], row["open_until"], row["reason"]) == ("closed", 0, None, None)
    assert bench.failed("one").opened == (), "what failed before it closed is forgotten"


def test_exactly_its_probes_pass_a_half_open_breaker_under_twenty_concurrent_callers(bench):
    half_open(bench)
    start = threading.Barrier(20)

    def caller(number):
        start.wait(20)
        try:
            return bench.ask(f"{number}", site_id=number)
        except GuardRefusalError as refusal:
            return refusal.refusal

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(caller, range(20)))
    assert sum(isinstance(result, Admission) for result in results) == 2
    assert results.count("circuit_open") == 18


def test_its_open_time_doubles_with_each_relapse_up_to_the_cap(bench):
    bench.limit(breaker_open_max_s=300.0)
    opened(bench)
    times = []
    for _ in range(5):
        times.append(
            bench.value("select round(extract(epoch from open_until - changed_at)) from biz.ai_breakers")
        )
        bench.pass_time(float(times[-1]) - 20)
        assert bench.refusal("early") == "circuit_open"
        bench.pass_time(20)
        assert bench.settle(bench.admit("probe"), "counts").opened == ("app_a",)
    assert times == [60, 120, 240, 300, 300]


def test_an_error_that_opens_at_once_is_a_relapse_when_a_probe_meets_it(bench):
    bench.failed("t", "opens")
    bench.pass_time(61)
    bench.failed("probe", "opens")
    assert bench.breaker()["relapses"] == 1


@pytest.mark.parametrize("effect", ["passed", "counts", "opens", "neutral", "cooldown"])
def test_late_results_of_an_earlier_epoch_change_nothing(bench, effect):
    late = bench.admit("late")
    half_open(bench)
    bench.admit("probe")
    before = dict(bench.breaker())
    bench.settle(late, effect, cooldown_s=30.0)
    after = dict(bench.breaker())
    if effect == "cooldown":
        before.pop("cooldown_until")
        after.pop("cooldown_until")
    assert after == before


def test_a_late_success_of_before_it_opened_does_not_close_it(bench):
    late = [bench.admit(f"late {number}") for number in range(3)]
    opened(bench)
    for admission in late:
        bench.settle(admission)
    assert bench.breaker()["state"] == "open"
    assert bench.refusal() == "circuit_open"


def test_neutral_results_change_nothing_and_a_neutral_probe_gives_its_place_to_another(bench):
    half_open(bench)
    first, second = bench.admit("p1"), bench.admit("p2")
    bench.settle(first, "neutral")
    row = bench.breaker()
    assert (row["state"], row["probes_passed"]) == ("half_open", 0)
    third = bench.admit("p3")
    assert bench.refusal("p4") == "circuit_open"
    bench.settle(second)
    bench.settle(third)
    assert bench.breaker()["state"] == "closed"


def test_a_dead_probe_frees_its_place_when_its_lease_ends(bench):
    half_open(bench)
    bench.admit("p1")
    bench.admit("p2")
    bench.pass_time(180)
    assert bench.refusal("p3") == "circuit_open"
    bench.pass_time(6)
    bench.settle(bench.admit("p3"))
    bench.settle(bench.admit("p4"))
    assert bench.breaker()["state"] == "closed"


def test_a_probe_that_the_rate_or_the_budget_refuses_takes_no_probe_place(bench):
    bench.use_a_token()
    half_open(bench)
    bench.limit(daily_tokens=1)
    for number in range(4):
        assert bench.refusal(f"{number}") == "budget_exceeded:day"
    bench.limit(daily_tokens=None)
    bench.admit("p1")
    bench.admit("p2")


def test_changed_limits_of_the_breaker_take_effect_at_once(bench):
    bench.failed("one")
    bench.limit(breaker_min_calls=2)
    assert bench.failed("two").opened == ("app_a",)
    bench.pass_time(61)
    bench.limit(breaker_probes=1)
    bench.settle(bench.admit("probe"))
    assert bench.breaker()["state"] == "closed"


def test_a_cooldown_stops_its_app_at_every_site_until_it_ends_and_is_no_failure(bench):
    bench.settle(bench.admit("t"), "cooldown", cooldown_s=25.0)
    assert bench.breaker()["state"] == "closed"
    assert 15 < bench.wait("t2", site_id=2) <= 25.1
    bench.limit(admission_wait_s=10.0)
    assert bench.refusal("t2") == "rate_limited"
    bench.admit("t2", app="app_b")
    bench.pass_time(26)
    bench.admit("t2")


def test_a_cooldown_lasts_no_longer_than_a_breaker_may_stay_open(bench):
    bench.limit(admission_wait_s=3600.0)
    bench.settle(bench.admit("t"), "cooldown", cooldown_s=86_400.0)
    assert 890 < bench.wait("u") <= 900.1
    bench.limit(breaker_open_max_s=120.0)
    bench.settle(bench.admit("v", app="app_b"), "cooldown", cooldown_s=86_400.0)
    assert 110 < bench.wait("w", app="app_b") <= 120.1


def test_a_shorter_cooldown_does_not_end_a_longer_one_and_one_without_a_time_lasts_a_moment(bench):
    first, second, third = bench.admit("1"), bench.admit("2"), bench.admit("3", app="app_b")
    bench.settle(first, "cooldown", cooldown_s=25.0)
    bench.settle(second, "cooldown", cooldown_s=1.0)
    bench.settle(third, "cooldown", cooldown_s=None)
    assert 15 < bench.wait("t") <= 25.1
    assert 0 < bench.wait("t", app="app_b") <= 5.1


def test_emptying_the_guards_state_while_nothing_runs_is_safe(bench):
    half_open(bench)
    for table in ("breakers", "breaker_outcomes", "rate_limits", "rate_places", "budgets", "leases"):
        bench.run(f"delete from biz.ai_{table}")
    bench.settle(bench.admit("t"))
    assert bench.breaker()["state"] == "closed"
