"""An operator's hand on the breakers: open, close, reset; what calls then meet, and what is recorded."""

from __future__ import annotations

import threading

import pytest

from ai_assets.guard.admission import GuardRefusalError
from ai_assets.guard.breakers import Action, changes, set_breakers


def act(bench, action: str, *apps: str, reason: str = "why", seconds: float | None = None):
    return set_breakers(
        bench.engine, apps or ("app_a",), Action(action), by="ann", reason=reason, seconds=seconds
    )


def recorded(bench, *apps: str) -> list[tuple]:
    with bench.engine.connect() as connection:
        rows = changes(connection, apps or ("app_a",), 10)
    return [(row["state_before"], row["state_after"], row["reason"], row["changed_by"]) for row in rows]


def trip(bench, prefix: str = "fails") -> None:
    for number in range(4):
        bench.failed(f"{prefix} {number}")
    assert bench.breaker()["state"] == "open"


def test_an_app_opened_by_hand_is_refused_until_it_is_closed_and_the_refusal_says_why(bench):
    (breaker,) = act(bench, "open", reason="maintenance till noon")
    assert (breaker.state, breaker.open_until, breaker.changed_by) == ("open", None, "ann")
    bench.pass_time(30 * 86_400)
    with pytest.raises(GuardRefusalError, match=r"maintenance till noon.*guard close") as refused:
        bench.ask()
    assert refused.value.refusal == "circuit_open"
    assert act(bench, "close", reason="done")[0].state == "closed"
    bench.admit()
    assert recorded(bench) == [
        ("open", "closed", "done", "ann"),
        ("closed", "open", "maintenance till noon", "ann"),
    ]


def test_opened_for_a_time_it_lets_probes_through_afterwards(bench):
    act(bench, "open", seconds=600)
    bench.pass_time(599)
    assert bench.refusal() == "circuit_open"
    bench.pass_time(2)
    bench.made("first")
    bench.made("second")
    assert bench.breaker()["state"] == "closed"


def test_what_was_in_flight_when_an_operator_acted_changes_nothing(bench):
    late = [bench.admit(f"late {number}") for number in range(4)]
    act(bench, "open")
    act(bench, "close")
    for admission in late:
        bench.settle(admission, "counts")
    assert bench.breaker()["state"] == "closed"


def test_failures_counted_before_it_was_closed_are_forgotten(bench):
    trip(bench)
    act(bench, "close")
    for number in range(3):
        bench.failed(f"again {number}")
    assert bench.breaker()["state"] == "closed"


@pytest.mark.parametrize(("action", "open_s"), [("close", 120), ("reset", 60)])
def test_close_keeps_the_relapses_and_reset_forgets_them(bench, action, open_s):
    trip(bench)
    bench.pass_time(61)
    bench.failed("probe")
    assert bench.breaker()["relapses"] == 1
    act(bench, action)
    trip(bench, "again")
    row = bench.breaker()
    assert (row["open_until"] - row["changed_at"]).total_seconds() == open_s


def test_only_reset_ends_a_cooldown_that_dashscope_asked_for(bench):
    bench.limit(admission_wait_s=0.0)
    bench.settle(bench.admit(), "cooldown", cooldown_s=100.0)
    act(bench, "close")
    assert bench.refusal() == "rate_limited"
    act(bench, "reset")
    bench.admit()


def test_several_are_changed_together_and_each_has_its_own_record(bench):
    assert [breaker.app for breaker in act(bench, "open", "app_c", "app_a", "app_a")] == ["app_a", "app_c"]
    assert recorded(bench, "app_a", "app_b", "app_c") == [("closed", "open", "why", "ann")] * 2
    bench.admit(app="app_b")
    for app in ("app_a", "app_c"):
        assert bench.refusal(app=app) == "circuit_open"


def test_two_operators_at_once_do_not_wait_for_each_other_for_ever(bench):
    orders = (("app_a", "app_b", "app_c"), ("app_c", "app_b", "app_a"))
    gate = threading.Barrier(8)

    def operator(number: int) -> None:
        gate.wait(30)
        for _ in range(10):
            act(bench, "open" if number % 2 else "close", *orders[number % 2])

    operators = [threading.Thread(target=operator, args=(number,)) for number in range(8)]
    for thread in operators:
        thread.start()
    for thread in operators:
        thread.join(60)
    assert bench.count("biz.ai_breaker_changes") == 8 * 10 * 3
