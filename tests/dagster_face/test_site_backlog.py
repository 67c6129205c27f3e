"""A backlog of site jobs: a tick's work does not grow with it, and sites are served one run at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dagster import DagsterInstance, DagsterRunStatus, SensorResult, build_sensor_context
from sqlalchemy import Engine, event, text

from ai_assets.partitions import AREA_PARTITIONS
from ai_assets.sensors.site_tick import JOBS_A_TICK, tick


@pytest.fixture
def fresh(venue_engine: Engine) -> Iterator[DagsterInstance]:
    # nothing but the jobs of a test is to be done
    with venue_engine.begin() as connection:
        connection.execute(text("delete from dws.etl_batch"))
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def evaluate(fresh: DagsterInstance, venue_engine: Engine):
    """One tick; the keys that it asks for are added."""

    def once() -> SensorResult:
        result = tick(build_sensor_context(instance=fresh), venue_engine)
        for request in result.dynamic_partitions_requests or ():
            fresh.add_dynamic_partitions(AREA_PARTITIONS, request.partition_keys)
        return result

    return once


@pytest.fixture
def launch(fresh: DagsterInstance, make_definitions):
    """As the daemon does: a run of a request, in a state."""
    job = make_definitions().resolve_job_def("site_insights")

    def launched(request, status: DagsterRunStatus) -> None:
        fresh.create_run_for_job(job, tags=dict(request.tags), status=status)

    return launched


def queue(engine: Engine, sites: int, jobs_of_each: int) -> None:
    """Due jobs of sites 1, 2, …; the sites take turns."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into biz.ai_trigger_jobs (event_type, site_id, app_chain) select 'dws_completed', s, 'app2' "
                "from generate_series(1, :jobs) j, generate_series(1, :sites) s order by j, s"
            ),
            {"sites": sites, "jobs": jobs_of_each},
        )


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The statements that any engine runs, of Postgres and of Dagster's storage."""
    counts: Counter[str] = Counter()

    def heard(connection, _cursor, _statement, _parameters, _context, _many):
        counts[connection.engine.name] += 1

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        yield counts
    finally:
        event.remove(Engine, "before_cursor_execute", heard)


def sites_of(result: SensorResult) -> list[str]:
    return [request.tags["ai/site"] for request in result.run_requests]


def test_a_tick_sends_as_many_statements_for_thousands_of_due_jobs_as_for_a_few(
    evaluate, venue_engine: Engine
):
    queue(venue_engine, sites=3, jobs_of_each=1)
    evaluate()
    with counted() as few:
        evaluate()
    queue(venue_engine, sites=300, jobs_of_each=20)
    evaluate()
    with counted() as many:
        result = evaluate()
    assert len(result.run_requests) == JOBS_A_TICK
    assert few.total() > 0
    assert many == few


def test_only_the_head_of_a_site_is_launched_and_the_next_one_when_it_has_ended(
    evaluate, launch, fresh: DagsterInstance, venue_engine: Engine
):
    queue(venue_engine, sites=2, jobs_of_each=3)
    first = evaluate()
    assert sites_of(first) == ["1", "2"]
    for request in first.run_requests:
        launch(request, DagsterRunStatus.NOT_STARTED)
    assert evaluate().run_requests == []
    job_id = first.run_requests[0].tags["ai/trigger_job"]
    with venue_engine.begin() as connection:
        connection.execute(
            text("update biz.ai_trigger_jobs set status = 'completed' where id = :id"), {"id": job_id}
        )
    (run,) = [run for run in fresh.get_runs() if run.tags["ai/trigger_job"] == job_id]
    # the run still writes what it made
    assert evaluate().run_requests == []
    fresh.report_run_failed(run)
    assert sites_of(evaluate()) == ["1"]


def test_a_forced_job_waits_for_the_run_that_its_site_has_already(evaluate, launch, venue_engine: Engine):
    queue(venue_engine, sites=1, jobs_of_each=1)
    (request,) = evaluate().run_requests
    launch(request, DagsterRunStatus.NOT_STARTED)
    with venue_engine.begin() as connection:
        connection.execute(
            text(
                "insert into biz.ai_trigger_jobs (event_type, site_id, app_chain, is_forced) "
                "values ('dws_completed', 1, 'app2', true)"
            )
        )
    assert evaluate().run_requests == []


def test_more_sites_than_a_tick_considers_are_all_served(
    evaluate, launch, fresh: DagsterInstance, venue_engine: Engine
):
    queue(venue_engine, sites=JOBS_A_TICK + 20, jobs_of_each=2)
    evaluate()
    first = evaluate()
    assert sites_of(first) == [str(site) for site in range(1, JOBS_A_TICK + 1)]
    with venue_engine.begin() as connection:
        connection.execute(text("update biz.ai_trigger_jobs set status = 'completed' where site_id <= 20"))
    assert sites_of(evaluate())[-20:] == [str(site) for site in range(JOBS_A_TICK + 1, JOBS_A_TICK + 21)]
