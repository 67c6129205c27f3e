"""A site run's trigger job follows it: completed, partial, failed, cancelled, handed back, worked on again."""

from __future__ import annotations

import os
import signal

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from sqlalchemy import Engine, text

from ai_assets.assets.trigger_job import JOB_TAG
from ai_assets.chains.observer import observed
from ai_assets.partitions import range_tags
from ai_assets.sensors.upkeep import recover_site_jobs, recover_stalled_runs
from ai_assets.simulator.server import Simulator
from ai_assets.store import claims, inbox, site_jobs
from ai_assets.store.job_control import cancel_job
from ai_assets.store.trigger_jobs import TriggerJob


@pytest.fixture
def job_id(venue_engine: Engine) -> int:
    with venue_engine.begin() as connection:
        return inbox.fire(connection, "dws_completed", site_id=1001)


@pytest.fixture
def job(venue_engine: Engine, job_id: int):
    def read() -> TriggerJob:
        with venue_engine.connect() as connection:
            return inbox.job(connection, job_id)

    return read


@pytest.fixture
def run_job(run_site, job_id: int):
    return lambda **how: run_site(tags={**range_tags(1001), JOB_TAG: str(job_id)}, **how)


def test_a_run_with_all_results_completes_its_job(run_job, job, simulator: Simulator):
    result = run_job()
    ended = job()
    assert result.success
    assert (ended.status, ended.attempts, ended.run_id, ended.error_message) == (
        "completed",
        1,
        result.run_id,
        None,
    )
    assert len(ended.step_results) == 72
    assert {step["outcome"] for step in ended.step_results} == {"success"}
    (shown, *_) = result.get_asset_materialization_events()
    assert shown.materialization.metadata["trigger job"].value == str(ended.id)


def test_some_results_are_partial_and_none_is_failed(run_job, job, simulator: Simulator):
    simulator.configure("app2a", kind="data_inspection", fail=1.0)
    assert not run_job().success
    ended = job()
    assert ended.status == "partial"
    assert "content_filtered x 64" in ended.error_message
    assert sum(step["outcome"] == "failed" for step in ended.step_results) == 64


def test_a_job_that_another_run_works_on_is_not_touched(
    run_job, job, venue_engine: Engine, simulator: Simulator
):
    with venue_engine.begin() as connection:
        claims.claim_job(connection, job().id, owner="run:other", lease_s=60, run_id="other")
    assert not run_job().success
    assert job().status == "running"
    assert job().run_id == "other"
    assert simulator.stats()["total"] == 0


def test_a_run_whose_job_was_cancelled_while_it_was_queued_makes_nothing_and_says_who_cancelled_it(
    run_job, job, job_id, simulator: Simulator, venue_engine: Engine
):
    with venue_engine.begin() as connection:
        assert cancel_job(connection, job_id, why="cancelled by kim: too dear") == "cancelled"
    result = run_job()
    assert not result.success
    (failure,) = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    assert f"trigger job {job_id} does not wait for a run, it is failed (cancelled by kim: too dear)" in str(
        failure.to_string()
    )
    assert simulator.stats()["total"] == 0


def stop_politely(*_cell: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_a_person_cancels_ends_its_job(
    run_job, job, instance: DagsterInstance, simulator: Simulator
):
    def cancel(*_cell: object) -> None:
        (run,) = instance.get_runs()
        if run.status is DagsterRunStatus.STARTED:
            instance.report_run_canceling(run)
        stop_politely()

    simulator.configure(latency=0.05)
    with observed(cancel):
        assert not run_job().success
    assert job().status == "partial"
    assert job().error_message == "the run was cancelled"
    assert simulator.stats()["total"] < 72


def test_a_run_that_is_only_asked_to_stop_requeues_its_job_and_its_attempt_does_not_count(
    run_job, job, simulator: Simulator
):
    simulator.configure(latency=0.05)
    with observed(stop_politely):
        assert not run_job().success
    assert (job().status, job().attempts, job().launches) == ("pending", 0, 1)
    assert run_job().success
    assert (job().status, job().attempts, job().launches) == ("completed", 1, 2)
    assert simulator.stats()["total"] <= 72 + 16


def test_a_backends_open_transaction_costs_a_live_run_no_job_and_holds_up_no_sensor(
    run_job, job, job_id, simulator: Simulator, venue_engine: Engine, instance: DagsterInstance, monkeypatch
):
    """The transaction outlasts the lease; the sensor looks for expired leases meanwhile and right after."""
    monkeypatch.setenv("AI_LEASE_S", "5")
    backend = venue_engine.connect()
    seen: list[str] = []

    def look(_cell, _result) -> None:
        if not seen:
            backend.execute(text("select from biz.ai_trigger_jobs where id = :id for update"), {"id": job_id})
        elif len(seen) == 1:
            with venue_engine.connect() as connection:
                until = connection.execute(text("select clock_timestamp() + interval '6 s'")).scalar_one()
                while connection.execute(text("select clock_timestamp() < :at"), {"at": until}).scalar_one():
                    recover_stalled_runs(venue_engine, instance)
                    recover_site_jobs(venue_engine, instance)
                    connection.execute(text("select pg_sleep(0.5)"))
            backend.rollback()
            backend.close()
            # most likely before the next heartbeat: the lease is over, and its holder is alive
            recover_site_jobs(venue_engine, instance)
            seen.append(job().status)
        seen.append("step")

    with observed(look):
        result = run_job()
    assert result.success
    assert "running" in seen
    assert (job().status, job().attempts, job().run_id) == ("completed", 1, result.run_id)


def test_a_run_whose_job_an_operator_cancels_stops_at_its_heartbeat_with_what_it_made(
    run_job, job, job_id, simulator: Simulator, venue_engine: Engine, monkeypatch
):
    monkeypatch.setenv("AI_LEASE_S", "5")
    answers = []

    def cancel(_cell, _result) -> None:
        if not answers:
            # the others hang until the run hears of it
            simulator.configure(latency=60)
            with venue_engine.begin() as connection:
                answers.append(cancel_job(connection, job_id, why="cancelled by kim: too dear"))

    with observed(cancel):
        assert not run_job(config={"concurrency": 4}).success
    ended = job()
    assert answers == ["asked"]
    assert ended.status == "partial"
    assert ended.error_message.startswith("cancelled by kim: too dear; ")
    assert simulator.stats()["total"] < 72
    with venue_engine.connect() as connection:
        assert site_jobs.due_site_jobs(connection, limit=200) == []
