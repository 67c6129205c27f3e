"""The nightly job: a report of every part, one part's trouble stops no other, a dry run does nothing."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance
from sqlalchemy import text

from ai_assets import dagster_retention
from ai_assets.housekeeping import keep_house
from ai_assets.settings import load_settings

PARTS = [
    "cache versions",
    "run logs",
    "alerts",
    "trigger jobs",
    "member partitions",
    "Dagster runs",
    "asset check results",
]


@pytest.fixture
def fresh():
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def old_job(venue_engine) -> int:
    with venue_engine.begin() as connection:
        return connection.execute(text(
            "insert into biz.ai_trigger_jobs (event_type, status, created_at) values ('consumption', 'completed', "
            "clock_timestamp() - interval '200 days') returning id")).scalar_one()  # fmt: skip


def jobs(engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("select count(*) from biz.ai_trigger_jobs")).scalar_one()


def run(make_definitions, instance, **config):
    return make_definitions().resolve_job_def("housekeeping").execute_in_process(
        instance=instance,
        run_config={
            "ops": {"clean_up": {"config": config}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        raise_on_error=False,
    )  # fmt: skip


def metadata(result) -> dict:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in event.event_specific_data.metadata.items()}


def test_a_night_reports_every_part_on_its_run(make_definitions, fresh, venue_engine, old_job):
    told = metadata(run(make_definitions, fresh))
    assert [part["what"] for part in told["report"]["parts"]] == PARTS
    assert told["trigger jobs gone"] == 1
    assert (told["yesterday: calls"], told["yesterday: cost CNY"]) == (0, 0)
    assert told["dead leases"] == 0
    assert "AI_INBOX_RETENTION_DAYS: 180" in told["retention"]
    assert jobs(venue_engine) == 0


def test_a_dry_run_says_the_same_and_does_nothing(make_definitions, fresh, venue_engine, old_job):
    told = metadata(run(make_definitions, fresh, dry_run=True))
    assert told["trigger jobs would go"] == 1
    assert told["report"]["swept"] == {}
    assert jobs(venue_engine) == 1


def test_the_days_are_those_of_the_settings(make_definitions, fresh, venue_engine, old_job, monkeypatch):
    monkeypatch.setenv("AI_INBOX_RETENTION_DAYS", "201")
    assert metadata(run(make_definitions, fresh))["trigger jobs gone"] == 0
    assert jobs(venue_engine) == 1


def test_one_parts_trouble_stops_no_other_and_the_run_fails_with_it(
    make_definitions, fresh, venue_engine, old_job, monkeypatch
):
    def broken(*_arguments, **_named):
        raise RuntimeError("no such table")

    monkeypatch.setattr(dagster_retention, "plan_members", broken)
    result = run(make_definitions, fresh)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert (
        "member partitions: unexpected RuntimeError" in failed.step_failure_data.user_failure_data.description
    )
    assert jobs(venue_engine) == 0


def test_asked_to_stop_it_says_what_was_left(fresh, venue_engine, old_job):
    report = keep_house(venue_engine, fresh, load_settings(), stopped=lambda: True)
    assert set(report.errors) == {
        "guard state",
        "ledger",
        "member partitions",
        "Dagster runs",
        "asset check results",
    }
    assert jobs(venue_engine) == 1


def call_of_yesterday(engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(
            "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, tokens_used, cost_cny, "
            "latency_ms, created_at) values ('app3_clue', 1001, '5', 'event', 'success', 1200, 0.5, 3000, "
            "((date_trunc('day', clock_timestamp() at time zone 'Asia/Shanghai') - interval '1 hour') "
            "at time zone 'Asia/Shanghai'))"))  # fmt: skip


@pytest.mark.parametrize("name", ["housekeeping", "daily_prewarm"])
def test_the_runs_of_the_clock_carry_the_figures_of_the_day_before(
    name, make_definitions, fresh, venue_engine
):
    call_of_yesterday(venue_engine)
    result = make_definitions().resolve_job_def(name).execute_in_process(instance=fresh)
    told = metadata(result)
    assert (told["yesterday: calls"], told["yesterday: tokens"], told["yesterday: cost CNY"]) == (
        1,
        1200,
        0.5,
    )
    assert told["yesterday: latency p95 s"] == 3.0


@pytest.mark.parametrize("name", ["housekeeping", "daily_prewarm"])
def test_figures_that_cannot_be_added_up_fail_no_run(
    name, make_definitions, fresh, venue_engine, monkeypatch
):
    def broken(*_arguments):
        raise RuntimeError("no such column")

    monkeypatch.setattr("ai_assets.store.day_figures.day_figures", broken)
    result = make_definitions().resolve_job_def(name).execute_in_process(instance=fresh)
    assert result.success
    assert not any(key.startswith("yesterday") for key in metadata(result))
