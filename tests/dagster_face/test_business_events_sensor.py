"""The business_events sensor: workers for what is pending, and what dead workers left is put right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterInstance, DagsterRunStatus, SensorResult, SkipReason, build_sensor_context
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import Engine, text

from ai_assets.resources.database import DatabaseResource
from ai_assets.sensors.business_events import business_events
from ai_assets.store import claims, inbox, leases, workers

STARTED = DagsterEvent(DagsterEventType.PIPELINE_START.value, "event_worker")


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


@pytest.fixture
def fresh() -> DagsterInstance:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def tick(fresh: DagsterInstance, service):
    """One tick: how many workers it asks for; or, where it skips, what it says."""

    def once(url: str | None = None) -> int | str:
        if url is not None:
            service(url)
        context = build_sensor_context(instance=fresh, resources={"database": DatabaseResource()})
        result = business_events(context)
        if isinstance(result, SkipReason):
            return result.skip_message or ""
        assert isinstance(result, SensorResult)
        return len(result.run_requests or ())

    return once


@pytest.fixture
def requested(fresh: DagsterInstance, venue_url: str):
    """One tick: the runs that it requests."""

    def once() -> list:
        context = build_sensor_context(
            instance=fresh, resources={"database": DatabaseResource(url=venue_url)}
        )
        result = business_events(context)
        assert isinstance(result, SensorResult)
        return list(result.run_requests or ())

    return once


@pytest.fixture
def launched(fresh: DagsterInstance, make_definitions):
    """A worker run in a state, as the daemon would have it; returns its id."""
    job = make_definitions().resolve_job_def("event_worker")

    def launch(status: DagsterRunStatus) -> str:
        return fresh.create_run_for_job(job, status=status).run_id

    return launch


def fire(engine: Engine, member: int = 555, site: int = 1001) -> int:
    with engine.begin() as connection:
        return inbox.fire(connection, "consumption", site_id=site, member_id=member)


def beat(
    engine: Engine, worker_id: str, run_id: str | None, *, draining: bool = False, lease_s: float = 60.0
) -> None:
    with engine.begin() as connection:
        workers.heartbeat(
            connection,
            worker_id=worker_id,
            kind="event_worker",
            run_id=run_id,
            host="here",
            pid=1,
            running=0,
            draining=draining,
            lease_s=lease_s,
        )


def execute(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql))


def rows(engine: Engine, sql: str) -> list:
    with engine.connect() as connection:
        return connection.execute(text(sql)).all()


def test_nothing_pending_starts_no_worker(tick):
    assert tick() == 0


def test_an_event_starts_one_worker_and_no_second_while_that_one_starts_or_lives(
    tick, launched, fresh: DagsterInstance, venue_engine: Engine
):
    fire(venue_engine)
    assert tick() == 1
    run_id = launched(DagsterRunStatus.STARTING)
    assert tick() == 0
    beat(venue_engine, f"run:{run_id}", run_id)
    assert tick() == 0


def test_an_event_that_a_live_worker_leaves_waiting_starts_another(tick, launched, venue_engine: Engine):
    run_id = launched(DagsterRunStatus.STARTED)
    beat(venue_engine, f"run:{run_id}", run_id)
    fire(venue_engine)
    assert tick() == 0
    execute(venue_engine, "update biz.ai_trigger_jobs set created_at = created_at - interval '11 seconds'")
    assert tick() == 1


def test_a_worker_that_takes_nothing_new_any_more_is_not_counted_on(tick, launched, venue_engine: Engine):
    run_id = launched(DagsterRunStatus.STARTED)
    beat(venue_engine, f"run:{run_id}", run_id, draining=True)
    fire(venue_engine)
    assert tick() == 1


def test_workers_are_kept_without_work_where_the_settings_say_so(tick, monkeypatch):
    monkeypatch.setenv("AI_WORKERS_MIN", "2")
    assert tick() == 2


def test_many_events_start_as_many_workers_as_the_maximum(tick, venue_engine: Engine, monkeypatch):
    monkeypatch.setenv("AI_CONCURRENCY", "1")
    monkeypatch.setenv("AI_RATE_PER_MINUTE", "1000")
    for member in range(501, 521):
        fire(venue_engine, member)
    assert tick() == 2


def test_what_waits_for_its_sites_rate_starts_no_further_worker(tick, venue_engine: Engine, monkeypatch):
    monkeypatch.setenv("AI_RATE_PER_MINUTE", "5")
    execute(venue_engine, "insert into biz.ai_rate_limits (site_id, last_place) values (1001, 5)")
    execute(
        venue_engine,
        "insert into biz.ai_rate_places (site_id, place, taken_at) select 1001, n, now() from generate_series(1, 5) n",
    )
    fire(venue_engine)
    assert tick() == 0
    fire(venue_engine, site=1002, member=501)
    assert tick() == 1


def test_sites_events_are_not_workers_matter(tick, venue_engine: Engine):
    with venue_engine.begin() as connection:
        inbox.fire(connection, "dws_completed", site_id=1001)
    assert tick() == 0


def test_a_killed_workers_run_is_ended_and_its_chain_gets_another_attempt(
    tick, launched, fresh: DagsterInstance, venue_engine: Engine
):
    run_id = launched(DagsterRunStatus.STARTED)
    fire(venue_engine)
    with venue_engine.begin() as connection:
        claims.claim_member_jobs(
            connection, owner=f"run:{run_id}", run_id=run_id, lease_s=60, limit=1, after_site=None
        )
    beat(venue_engine, f"run:{run_id}", run_id)
    execute(venue_engine, "update biz.ai_workers set heartbeat_at = heartbeat_at - interval '61 seconds'")
    execute(venue_engine, "update biz.ai_trigger_jobs set lease_until = now() - interval '1 second'")
    # it waits its two seconds before it is due again
    assert tick() == 0
    assert rows(venue_engine, "select status, attempts from biz.ai_trigger_jobs") == [("pending", 1)]
    assert rows(venue_engine, "select count(*) from biz.ai_workers") == [(0,)]
    assert fresh.get_run_by_id(run_id).status is DagsterRunStatus.FAILURE
    execute(venue_engine, "update biz.ai_trigger_jobs set not_before = now() - interval '1 second'")
    assert tick() == 1


def test_the_last_lost_attempt_makes_the_job_dead_with_an_alert(tick, venue_engine: Engine):
    fire(venue_engine)
    with venue_engine.begin() as connection:
        claims.claim_member_jobs(connection, owner="gone", run_id=None, lease_s=60, limit=1, after_site=None)
    execute(
        venue_engine,
        "update biz.ai_trigger_jobs set attempts = 3, run_alone = true, lease_until = now() - interval '1 second'",
    )
    assert tick() == 0
    assert rows(venue_engine, "select status from biz.ai_trigger_jobs") == [("dead",)]
    assert rows(venue_engine, "select alert_type, site_id from biz.ai_alerts") == [("dead", 1001)]


def test_a_worker_run_that_never_gave_a_heartbeat_is_ended_and_counted_on_no_more(
    tick, launched, fresh: DagsterInstance, venue_engine: Engine
):
    fire(venue_engine)
    run_id = launched(DagsterRunStatus.STARTED)
    assert tick() == 0, "it may be coming up"
    fresh.run_storage.handle_run_event(run_id, STARTED, hours_ago(1))
    assert tick() == 1
    assert fresh.get_run_by_id(run_id).status is DagsterRunStatus.FAILURE


def test_a_run_that_waited_long_in_the_queue_has_its_time_to_come_up_from_its_start_on(
    tick, fresh: DagsterInstance, venue_engine: Engine, make_definitions
):
    fire(venue_engine)
    execute(venue_engine, "update biz.ai_trigger_jobs set created_at = created_at - interval '1 hour'")
    job = make_definitions().resolve_job_def("event_worker")
    run = create_run_for_test(fresh, job_name=job.name, status=DagsterRunStatus.STARTING)
    fresh.delete_run(run.run_id)
    fresh.run_storage.add_historical_run(run, hours_ago(1))
    assert tick() == 1, "what waits is overdue, and a run that is stuck in the queue is not waited for"
    fresh.run_storage.handle_run_event(run.run_id, STARTED)
    assert tick() == 0, "it began a moment ago"
    assert fresh.get_run_by_id(run.run_id).status is DagsterRunStatus.STARTED
    fresh.run_storage.handle_run_event(run.run_id, STARTED, hours_ago(0.5))
    assert tick() == 1
    assert fresh.get_run_by_id(run.run_id).status is DagsterRunStatus.FAILURE


def lost_beside_others(engine: Engine, member: int, attempts: int = 2) -> int:
    """A job that lost attempts together with others, and whose wait is over."""
    job_id = fire(engine, member)
    with engine.begin() as connection:
        claims.claim_member_jobs(connection, owner="gone", run_id=None, lease_s=60, limit=1, after_site=None)
        connection.execute(
            text(
                "update biz.ai_trigger_jobs set attempts = :n, lease_until = now() - interval '1 s' where id = :id"
            ),
            {"n": attempts, "id": job_id},
        )
        leases.requeue_expired(connection, max_attempts=3)
        connection.execute(text("update biz.ai_trigger_jobs set not_before = '-infinity'"))
    return job_id


def test_a_job_that_must_run_alone_gets_an_isolated_worker_beside_the_others(
    requested, fresh: DagsterInstance, venue_engine: Engine, make_definitions, monkeypatch
):
    monkeypatch.setenv("AI_WORKERS_MAX", "1")
    lost_beside_others(venue_engine, 501)
    fire(venue_engine, 502)
    shared, isolated = requested()
    assert alone_jobs(shared) == "never"
    assert alone_jobs(isolated) == "only"
    job = make_definitions().resolve_job_def("event_worker")
    for request in (shared, isolated):
        fresh.create_run_for_job(
            job, run_config=request.run_config, tags=dict(request.tags), status=DagsterRunStatus.STARTING
        )
    assert requested() == []


def alone_jobs(request) -> str:
    return request.run_config["ops"]["work_inbox"]["config"]["alone_jobs"]


def test_a_database_without_tables_is_the_ticks_skip_reason(tick, empty_database_url: str):
    said = tick(empty_database_url)
    assert "db upgrade" in str(said)
