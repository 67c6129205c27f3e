"""Settings, bursts and rates: what fails, when, and the same way in every run; and the counters."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.errors import InputError
from ai_assets.simulator.behaviour import AppSettings, decide
from ai_assets.simulator.control import Control
from ai_assets.simulator.replies import APPS
from ai_assets.simulator.server import Simulator
from ai_assets.simulator.sessions import LIFE_S, MOST_ROUNDS, Sessions
from ai_assets.simulator.stats import Call, Stats


def _kinds(control: Control, count: int, app: str = "app2", prompt: str = "p") -> list[str]:
    return [control.decide(app, prompt).kind for _ in range(count)]


def test_everything_is_well_and_quick_at_first() -> None:
    decision = Control(0).decide("app2", "p")
    assert (decision.kind, decision.latency_s) == ("ok", 0.0)


def test_times_means_the_next_requests_exactly_whatever_the_rate() -> None:
    control = Control(0)
    control.change({"app": "app2", "times": 2, "kind": "drop", "fail": 0.01})
    assert _kinds(control, 4) == ["drop", "drop", "ok", "ok"]


def test_bursts_are_used_up_in_their_order_an_apps_own_before_those_for_all() -> None:
    control = Control(0)
    control.change({"app": "*", "times": 2, "kind": "throttling"})
    control.change({"app": "app2", "times": 1, "kind": "ok"})
    control.change({"app": "app2", "times": 1, "kind": "hang"})
    assert _kinds(control, 3) == ["ok", "hang", "throttling"]
    assert _kinds(control, 2, "app3") == ["throttling", "ok"]


def test_a_burst_leaves_the_rate_and_the_kind_as_they_were() -> None:
    control = Control(0)
    control.change({"kind": "fenced"})
    control.change({"times": 1, "kind": "drop", "retry_after": 9})
    assert _kinds(control, 2) == ["drop", "fenced"]


def test_a_burst_without_a_kind_takes_the_apps_own() -> None:
    control = Control(0)
    control.change({"app": "app2", "fail": 0, "kind": "drip"})
    control.change({"app": "app2", "times": 1})
    control.change({"times": 1})
    assert _kinds(control, 3) == ["drip", "internal_error", "ok"]


def test_a_kind_alone_means_every_request_and_a_rate_alone_keeps_the_kind() -> None:
    control = Control(0)
    control.change({"kind": "drop"})
    assert set(_kinds(control, 20)) == {"drop"}
    control.change({"fail": 0.5})
    assert set(_kinds(control, 60)) == {"drop", "ok"}
    control.change({"fail": 0})
    assert set(_kinds(control, 20)) == {"ok"}


def test_a_rate_of_zero_ends_the_bursts_of_its_apps() -> None:
    control = Control(0)
    control.change({"app": "app2", "times": 5, "kind": "drop"})
    control.change({"app": "app3", "times": 1, "kind": "drop"})
    control.change({"app": "app2", "fail": 0})
    assert _kinds(control, 2) == ["ok", "ok"]
    assert _kinds(control, 1, "app3") == ["drop"]


def test_one_app_is_set_without_the_others_and_all_of_them_at_once() -> None:
    control = Control(0)
    control.change({"app": "app2a", "kind": "hang", "latency": 2})
    assert [control.decide(app, "p").kind for app in APPS].count("hang") == 1
    control.change({"kind": "drop"})
    assert {control.decide(app, "p").kind for app in APPS} == {"drop"}
    assert [control.decide(app, "p").latency_s for app in APPS].count(2.0) == 1


def test_reset_goes_back_to_the_start_and_not_to_nothing() -> None:
    control = Control(3)
    control.change({"app": "app2", "kind": "drop", "fail": 0.5})
    control.change({"app": "app3", "times": 1, "kind": "hang"})
    control.mark_start()
    first = _kinds(control, 30)
    control.change({"kind": "fenced", "latency": 5})
    _kinds(control, 3, "app3")
    control.reset()
    assert _kinds(control, 30) == first
    assert _kinds(control, 2, "app3") == ["hang", "ok"]
    assert control.decide("app2", "p").latency_s == 0


def test_which_prompts_fail_does_not_depend_on_the_order_in_which_they_come() -> None:
    def outcomes(order: range) -> dict[int, str]:
        control = Control(11)
        control.change({"fail": 0.3})
        return {number: control.decide("app2", f"prompt {number}").kind for number in order}

    there, back = outcomes(range(200)), outcomes(range(199, -1, -1))
    assert there == back
    assert 35 <= list(there.values()).count("internal_error") <= 85


def test_a_retry_of_the_same_prompt_draws_anew() -> None:
    control = Control(11)
    control.change({"fail": 0.5})
    assert set(_kinds(control, 40)) == {"ok", "internal_error"}


def test_another_seed_fails_others() -> None:
    def outcomes(seed: int) -> list[str]:
        control = Control(seed)
        control.change({"fail": 0.5})
        return [control.decide("app2", str(number)).kind for number in range(50)]

    assert outcomes(1) != outcomes(2)
    assert outcomes(1) == outcomes(1)


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 1), st.integers(), st.text(), st.integers(1, 1000))
def test_a_decision_follows_from_its_arguments_and_keeps_within_them(
    low: float, more: float, fail: float, seed: int, prompt: str, attempt: int
) -> None:
    app = AppSettings(latency=(low, low + more), fail=fail, kind="drop")
    arguments: dict[str, Any] = {"seed": seed, "app": "app2", "prompt_key": prompt, "attempt": attempt}
    decision = decide(app, None, **arguments)
    assert decision == decide(app, None, **arguments)
    assert low <= decision.latency_s <= low + more
    assert decision.kind in ({"ok"} if fail == 0 else {"drop"} if fail == 1 else {"ok", "drop"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"app": "app9"}, "app9"),
        ({"app": 2}, "app"),
        ({"latency": -1}, "latency"),
        ({"latency": "soon"}, "latency"),
        ({"latency": True}, "latency"),
        ({"latency": [1]}, "latency"),
        ({"latency": [2, 1]}, "latency"),
        ({"latency": float("nan")}, "latency"),
        ({"latency": float("inf")}, "latency"),
        ({"fail": 1.1}, "fail"),
        ({"fail": "often"}, "fail"),
        ({"kind": "explode"}, "explode"),
        ({"kind": 5}, "kind"),
        ({"times": 0}, "times"),
        ({"times": 1.5}, "times"),
        ({"times": True}, "times"),
        ({"fail": 0, "times": 3}, "times"),
        ({"retry_after": "a\r\nb: c"}, "retry_after"),
        ({"retry_after": [1]}, "retry_after"),
        ({"drip_ms": -1}, "drip_ms"),
        ({"speed": 3}, "speed"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it_and_changes_nothing(
    values: dict[str, object], named: str
) -> None:
    control = Control(0)
    before = control.as_json()
    with pytest.raises(InputError) as caught:
        control.change({"latency": 1, **values})
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert control.as_json() == before


def test_settings_are_changed_read_and_reset_over_http(
    simulator: Simulator, ask: Any, request_raw: Any
) -> None:
    change = {"app": "app2a", "latency": [0, 0.01], "fail": 1, "kind": "throttling", "retry_after": 2}
    shown = request_raw("POST", "/control", json.dumps(change))
    assert shown.status == 200
    assert shown.json["apps"]["app2a"]["kind"] == "throttling"
    assert request_raw("GET", "/control").json == shown.json
    assert (ask("app2a").status, ask("app2").status) == (429, 200)
    assert request_raw("POST", "/control/reset").status == 200
    assert ask("app2a").status == 200
    assert simulator.stats()["total"] == 1


@pytest.mark.parametrize("body", ["", "[]", "{", '{"fail": 7}', '{"kind": "explode"}'])
def test_a_wrong_control_request_is_one_clear_line(request_raw: Any, body: str) -> None:
    answer = request_raw("POST", "/control", body)
    assert answer.status == 400
    assert answer.json["message"]
    assert "\n" not in answer.json["message"]


def test_stats_count_by_app_and_by_outcome(simulator: Simulator, ask: Any, request_raw: Any) -> None:
    simulator.configure("app3", kind="data_inspection", times=1)
    for app in ("app2", "app2", "app3", "app3", "nobody"):
        ask(app)
    request_raw("POST", "/api/v1/apps/app2/completion", b"{}")
    shown = request_raw("GET", "/stats").json
    assert shown == simulator.stats()
    assert (shown["total"], shown["in_flight"], shown["abandoned"]) == (6, 0, 0)
    assert shown["by_app"] == {"app2": 3, "app3": 2, "unknown": 1}
    assert shown["by_outcome"] == {"ok": 3, "data_inspection": 1, "not_found": 1, "invalid_api_key": 1}
    assert shown["by_app_outcome"]["app3"] == {"data_inspection": 1, "ok": 1}
    assert "prompts" not in shown
    times = [shown[key] for key in ("first_request_at", "last_request_at", "last_answer_at")]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(at).tzinfo is not None for at in times)


def test_only_the_last_prompts_are_kept_and_never_a_key(
    simulator: Simulator, ask: Any, request_raw: Any
) -> None:
    for number in range(25):
        ask("app2", f"prompt {number}")
    body = request_raw("GET", "/stats?prompts=1").body
    kept = json.loads(body)["prompts"]["app2"]
    assert [call["prompt"] for call in kept] == [f"prompt {number}" for number in range(5, 25)]
    assert b"any-key" not in body


def test_nothing_is_kept_unless_asked_for() -> None:
    stats = Stats(keep_prompts=0)
    stats.begin(Call(datetime(2026, 5, 1, tzinfo=UTC), "app2", "ok", "prompt"))
    assert stats.calls("app2") == []
    assert stats.as_json(prompts=True)["prompts"] == {}


def test_the_most_calls_at_once_are_remembered_and_reset_starts_from_what_is_open() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    stats = Stats(keep_prompts=0)
    for _ in range(3):
        stats.begin(Call(now, "app2", "ok"))
    stats.end(now, abandoned=False)
    assert (stats.as_json()["in_flight"], stats.as_json()["max_in_flight"]) == (2, 3)
    stats.begin(Call(now, "app2", "ok"))
    stats.end(now, abandoned=False)
    stats.end(now, abandoned=False)
    stats.begin(Call(now, "app2", "ok"))
    assert (stats.as_json()["in_flight"], stats.as_json()["max_in_flight"]) == (2, 3)
    stats.reset()
    assert (stats.as_json()["in_flight"], stats.as_json()["max_in_flight"]) == (2, 2)


def test_times_hold_exactly_when_many_threads_ask_at_once() -> None:
    control = Control(0)
    control.change({"times": 50, "kind": "drop"})
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        outcomes.extend(_kinds(control, 25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count("drop"), len(outcomes)) == (50, 200)


def test_a_session_ends_after_its_hour_and_after_its_rounds() -> None:
    ids = iter("abcdef")
    now = [0.0]
    sessions = Sessions(lambda: next(ids), lambda: now[0])
    assert sessions.next_round(None) == "a"
    now[0] += LIFE_S - 1
    assert sessions.next_round("a") == "a"
    now[0] += 1
    assert sessions.next_round("a") == "b"
    assert {sessions.next_round("b") for _ in range(MOST_ROUNDS - 1)} == {"b"}
    assert sessions.next_round("b") == "c"
    assert sessions.next_round("never issued") == "d"
    sessions.forget()
    assert sessions.next_round("d") == "e"


def test_times_of_the_counters_come_from_the_given_clock() -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    stats = Stats(keep_prompts=0)
    stats.begin(Call(start, "app2", "ok"))
    stats.begin(Call(start + timedelta(seconds=1), "app2", "ok"))
    assert stats.as_json()["first_request_at"] == "2026-05-01T00:00:00+00:00"
    assert stats.as_json()["last_request_at"] == "2026-05-01T00:00:01+00:00"
