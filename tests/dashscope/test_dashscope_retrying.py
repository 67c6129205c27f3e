"""When an attempt is made again: the pure plan."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.dashscope.errors import (
    AppFailedError,
    BadRequestError,
    ConnectionFailedError,
    EmptyAnswerError,
    ServerFailedError,
    ServerTimeoutError,
    ThrottledError,
    classify,
)
from ai_assets.dashscope.retrying import LEAST_ATTEMPT_S, Backoff, RetryPlan


def plan(max_attempts=3, **backoff):
    return RetryPlan(max_attempts=max_attempts, backoff=Backoff(**backoff), rng=random.Random(1))


def stale_connection():
    error = ConnectionFailedError()
    error.stale = True
    return error


def test_the_wait_doubles_with_half_of_it_jitter_up_to_its_cap():
    backoff, rng = Backoff(first_s=1.0, cap_s=8.0), random.Random(3)
    for failures, full in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (10_000, 8.0)):
        waits = [backoff.wait_s(failures, rng) for _ in range(50)]
        assert all(full / 2 <= wait <= full for wait in waits)
        assert len(set(waits)) > 40


def test_attempts_end_at_their_number():
    retries = plan(max_attempts=3)
    waits = [retries.next_wait(ServerFailedError(), 100.0) for _ in range(3)]
    assert [wait is None for wait in waits] == [False, False, True]


@pytest.mark.parametrize("error", [BadRequestError(), EmptyAnswerError()])
def test_what_is_not_worth_another_attempt_gets_none(error):
    assert plan().next_wait(error, 100.0) is None


def test_failures_that_may_have_been_billed_are_made_again_once_whatever_their_mixture():
    retries = plan(max_attempts=10)
    assert retries.next_wait(ServerTimeoutError(), 100.0) is not None
    assert retries.next_wait(ServerFailedError(), 100.0) is not None
    assert retries.next_wait(AppFailedError(), 100.0) is None


def test_retry_after_is_waited_for_with_jitter_on_top_and_never_less():
    for seed in range(30):
        retries = RetryPlan(max_attempts=3, backoff=Backoff(), rng=random.Random(seed))
        wait = retries.next_wait(ThrottledError(retry_after_s=10.0), 100.0)
        assert 10.0 <= wait <= 11.0


def test_tokens_per_minute_are_waited_for_about_a_minute():
    error = classify(429, "Throttling.AllocationQuota", "", {}, "")
    assert 60.0 <= plan().next_wait(error, 180.0) <= 66.0
    assert plan().next_wait(error, 50.0) is None


def test_a_wait_that_does_not_fit_into_the_time_left_is_not_begun():
    error = ThrottledError(retry_after_s=10.0)
    assert plan().next_wait(error, 10.0 + LEAST_ATTEMPT_S * 0.9) is None
    assert plan().next_wait(error, 11.5) is not None


def test_a_stale_connection_is_resent_at_once_one_time_and_counts_as_no_attempt():
    retries = plan(max_attempts=1)
    assert retries.next_wait(stale_connection(), 100.0) == 0.0
    assert retries.next_wait(stale_connection(), 100.0) is None


def test_no_resend_is_begun_when_the_time_is_up():
    assert plan().next_wait(stale_connection(), 0.01) is None


ERRORS = st.sampled_from(
    [ServerFailedError, ThrottledError, ServerTimeoutError, stale_connection, BadRequestError]
)


@given(st.lists(ERRORS, min_size=1, max_size=20), st.integers(1, 6), st.floats(0, 300), st.integers(0, 99))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_plan_outlives_its_time_or_its_number_of_attempts(kinds, max_attempts, remaining, seed):
    retries = RetryPlan(max_attempts=max_attempts, backoff=Backoff(), rng=random.Random(seed))
    sent = 1
    for kind in kinds:
        wait = retries.next_wait(kind(), remaining)
        if wait is None:
            break
        assert 0 <= wait < remaining
        remaining -= wait
        sent += 1
    assert sent <= max_attempts + 1
