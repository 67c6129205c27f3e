"""The rate of each site: exact in any 60 s, a fifth at one instant, room for live calls."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai_assets.guard.admission import AdmissionCancelledError, GuardRefusalError, NoPlaceError
from ai_assets.store import upkeep


def fill(bench, places: int, *, seconds_ago: float, batch: bool = False, site_id: int = 1) -> None:
    """Admit this many calls, a fifth of the rate at a time, so that they lie `seconds_ago` and earlier."""
    for number in range(places):
        bench.admit(f"{seconds_ago} {number}", site_id=site_id, trigger_type="batch" if batch else "event")
        # beyond the second that a fifth is counted over
        bench.run("update biz.ai_rate_places set taken_at = taken_at - interval '1.1 s'")
    bench.pass_time(seconds_ago)


def just_taken(bench, places: int) -> None:
    """The newest places lie at this very moment, however long taking them took here."""
    bench.run(
        "update biz.ai_rate_places set taken_at = clock_timestamp() "
        "where place > (select max(place) from biz.ai_rate_places) - :places",
        places=places,
    )


def test_the_rate_is_never_more_than_its_number_in_any_sixty_seconds(bench):
    bench.limit(rate_per_minute=5)
    for number in range(5):
        bench.admit(f"{number}")
        bench.pass_time(10)
    # the first was taken 50 s ago: the sixth comes when it is 60 s old
    assert 5 < bench.wait("sixth") <= 10.1
    bench.pass_time(5)
    assert 0 < bench.wait("sixth") <= 5.1
    bench.pass_time(5)
    bench.admit("sixth")
    assert 2 < bench.wait("seventh") <= 10.1, "the second keeps its own distance"


def test_a_minute_that_was_empty_gives_no_credit_for_the_next(bench):
    bench.limit(rate_per_minute=5)
    fill(bench, 5, seconds_ago=3600)
    fill(bench, 5, seconds_ago=1)
    bench.limit(admission_wait_s=120.0)
    assert bench.wait("more") > 50


def test_at_most_a_fifth_of_the_rate_is_taken_at_one_instant(bench):
    bench.limit(rate_per_minute=20)
    for number in range(4):
        bench.admit(f"{number}")
    just_taken(bench, 4)
    assert 0 < bench.wait("fifth") <= 1.05
    bench.pass_time(1.01)
    for number in range(4):
        bench.admit(f"next {number}")
    just_taken(bench, 4)
    assert 0 < bench.wait("ninth") <= 1.05


@pytest.mark.parametrize("rate", [1, 2, 4])
def test_a_rate_of_less_than_five_gives_one_place_at_a_time(bench, rate):
    bench.limit(rate_per_minute=rate, admission_wait_s=120.0)
    bench.admit("one")
    just_taken(bench, 1)
    assert bench.wait("two") <= (60.1 if rate == 1 else 1.1)
    if rate > 1:
        bench.pass_time(1.01)
        bench.admit("two")


def test_each_site_has_its_own_rate(bench):
    bench.limit(rate_per_minute=1)
    bench.admit("t", site_id=1)
    bench.admit("t", site_id=2)
    assert bench.refusal("u", site_id=1) == "rate_limited"


def test_the_rate_of_a_site_is_shared_by_its_apps(bench):
    bench.limit(rate_per_minute=1)
    bench.admit("t", app="app_a")
    assert bench.refusal("t", app="app_b") == "rate_limited"


def test_a_batch_leaves_its_share_of_the_rate_to_live_calls(bench):
    bench.limit(rate_per_minute=10, batch_rate_share=0.7, batch_admission_wait_s=120.0)
    fill(bench, 7, seconds_ago=2, batch=True)
    assert 40 < bench.wait("batch", trigger_type="batch") < 60
    for number in range(3):
        bench.admit(f"live {number}", trigger_type="manual" if number else "event")
        bench.pass_time(1.1)
    assert bench.refusal("live") == "rate_limited", "now the whole rate is used"


def test_live_calls_may_use_the_whole_rate_and_then_a_batch_waits_too(bench):
    bench.limit(rate_per_minute=10, batch_rate_share=0.7, batch_admission_wait_s=120.0)
    fill(bench, 10, seconds_ago=2)
    assert bench.wait("batch", trigger_type="batch") > 40


@pytest.mark.parametrize(
    ("rate", "share", "places"), [(10, 0.7, 7), (10, 0.69, 6), (3, 0.1, 1), (10, 1.0, 10)]
)
def test_the_share_of_a_batch_is_rounded_down_but_never_to_nothing(bench, rate, share, places):
    bench.limit(rate_per_minute=rate, batch_rate_share=share, batch_admission_wait_s=120.0)
    fill(bench, places, seconds_ago=0, batch=True)
    assert bench.wait("more", trigger_type="batch") > 30


def test_a_raised_or_lowered_rate_takes_effect_at_the_next_call(bench):
    bench.limit(rate_per_minute=100, admission_wait_s=120.0)
    fill(bench, 12, seconds_ago=2)
    bench.limit(rate_per_minute=5)
    assert bench.wait("lowered") > 40
    bench.limit(rate_per_minute=13)
    bench.admit("raised")


def test_each_further_attempt_of_a_call_takes_a_place_too(bench):
    bench.limit(rate_per_minute=3, admission_wait_s=120.0)
    call = bench.call("t")
    bench.admit("t")
    bench.pass_time(2)
    bench.guard().take_place(call, 100.0, threading.Event())
    bench.pass_time(2)
    bench.guard().take_place(call, 100.0, threading.Event())
    assert bench.count("biz.ai_rate_places") == 3
    bench.pass_time(2)
    assert bench.wait("u") > 50


def test_an_attempt_that_finds_no_place_in_its_time_ends_the_call_with_a_clear_reason(bench):
    bench.limit(rate_per_minute=1)
    bench.admit("t")
    with pytest.raises(NoPlaceError, match=r"rate_limited: .* site 1 .* app_a \(t\)") as error:
        bench.guard().take_place(bench.call("t"), 10.0, threading.Event())
    assert error.value.reason == "rate_limited"
    assert bench.count("biz.ai_rate_places") == 1


def test_an_attempt_waits_for_its_place_and_stops_waiting_when_the_run_is_cancelled(bench):
    bench.limit(rate_per_minute=1)
    bench.admit("t")
    pauses = []

    def until_free(seconds, _cancelled):
        pauses.append(seconds)
        bench.pass_time(seconds)
        return False

    bench.guard(until_free).take_place(bench.call("t"), 100.0, threading.Event())
    assert len(pauses) == 1
    assert 50 < pauses[0] <= 60.1
    with pytest.raises(AdmissionCancelledError):
        bench.guard(lambda _seconds, _cancelled: True).take_place(bench.call("t"), 100.0, threading.Event())


def test_concurrent_callers_get_exactly_what_is_left_of_the_rate(bench):
    bench.limit(rate_per_minute=60, admission_wait_s=0.0)
    bench.run("insert into biz.ai_rate_limits (site_id, last_place) values (1, 50)")
    bench.run(
        "insert into biz.ai_rate_places (site_id, place, taken_at) "
        "select 1, n, clock_timestamp() - interval '5 s' from generate_series(1, 50) n"
    )
    start = threading.Barrier(25)

    def caller(number):
        start.wait(20)
        try:
            bench.ask(f"race {number}", trigger_type="event" if number % 2 else "manual")
        except GuardRefusalError as refusal:
            return refusal.refusal
        return "admitted"

    with ThreadPoolExecutor(25) as pool:
        results = list(pool.map(caller, range(25)))
    assert results.count("admitted") == 10
    assert results.count("rate_limited") == 15


def test_concurrent_batches_never_take_more_than_their_share(bench):
    bench.limit(rate_per_minute=100, batch_rate_share=0.15, batch_admission_wait_s=0.0, admission_wait_s=0.0)
    start = threading.Barrier(24)

    def caller(number):
        start.wait(20)
        try:
            bench.ask(f"race {number}", trigger_type="batch")
        except GuardRefusalError as refusal:
            return refusal.refusal
        return "admitted"

    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(caller, range(24)))
    assert results.count("admitted") == 15
    assert results.count("rate_limited") == 9


def test_old_places_go_as_new_ones_are_taken_also_after_the_nightly_sweep(bench):
    bench.limit(rate_per_minute=1000)
    for number in range(20):
        bench.admit(f"{number}")
    bench.pass_time(3600)
    # the sweep of the night takes some of them behind the admission's back
    bench.run("delete from biz.ai_rate_places where place <= 7")
    upkeep.sweep(bench.engine)
    for number in range(20):
        bench.admit(f"later {number}")
    bench.pass_time(62)
    for number in range(10):
        bench.admit(f"last {number}")
    assert bench.count("biz.ai_rate_places") == 10
    bench.admit("one more")
    assert bench.count("biz.ai_rate_places") == 11, "none of the last minute is taken away"
