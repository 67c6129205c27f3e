"""Limits changed in the launchpad: what no rule could be held with is a clear error, and costs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ai_assets.simulator.server import Simulator
from tests.used_budget import use_a_token


def run(make_definitions, instance, guard: dict[str, Any]):
    return (
        make_definitions()
        .resolve_job_def("site_insights")
        .execute_in_process(
            instance=instance,
            partition_key="1001:all|last_week",
            run_config={
                "resources": {"guard": {"config": guard}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
    )


def failures(result) -> str:
    """All that the run says of why it failed."""
    told = [
        event.event_specific_data.error.to_string()
        for event in result.all_events
        if event.is_failure and getattr(event.event_specific_data, "error", None)
    ]
    return "\n".join(told)


WRONG = [
    {"rate_per_minute": 0},
    {"rate_per_minute": -60},
    {"rate_per_minute": 10**9},
    {"batch_rate_share": 0.0},
    {"batch_rate_share": 1.5},
    {"admission_wait_s": -1.0},
    {"batch_admission_wait_s": 1e9},
    {"daily_tokens": 0},
    {"daily_tokens": -1},
    {"monthly_tokens": 10**16},
    {"site_daily_tokens": 0},
    {"site_monthly_tokens": -5},
    {"breaker_window_s": 0.0},
    {"breaker_min_calls": 0},
    {"breaker_failure_share": 0.0},
    {"breaker_failure_share": 2.0},
    {"breaker_open_s": -1.0},
    {"breaker_open_max_s": 0.0},
    {"breaker_probes": 0},
    {"alert_window_s": -1.0},
    {"breaker_open_s": 100.0, "breaker_open_max_s": 99.0},
    {"model_max_tokens": 999},
    {"model_max_tokens": 10**8},
]


@pytest.mark.parametrize("guard", WRONG, ids=str)
def test_a_limit_of_zero_negative_or_absurd_is_a_clear_error_before_anything_is_spent(
    make_definitions, instance, simulator: Simulator, guard
):
    result = run(make_definitions, instance, guard)
    assert not result.success
    told = failures(result)
    for name in guard:
        assert name in told
    assert simulator.stats()["total"] == 0


def test_a_limit_that_is_changed_in_the_launchpad_holds_for_that_run_and_the_others_stay(
    make_definitions, instance, simulator: Simulator, venue_engine
):
    use_a_token(venue_engine)
    refused = run(make_definitions, instance, {"daily_tokens": 1})
    assert not refused.success
    assert simulator.stats()["total"] == 0
    assert "budget_exceeded:day" in failures(refused)
    assert run(make_definitions, instance, {}).success
    assert simulator.stats()["total"] == 1
