"""Queued work of sites becomes runs of the `dws_completed` sensor: one box each, after batches, a few at a time."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance, DagsterRunStatus, SensorResult, build_sensor_context
from sqlalchemy import Engine, text

from ai_assets.chains.fill_request import fill_request
from ai_assets.chains.filling import plan_fill, queue_fill
from ai_assets.partitions import ensure_blocks
from ai_assets.resources.database import DatabaseResource
from ai_assets.sensors.dws_completed import dws_completed
from ai_assets.sensors.site_tick import BACKGROUND_RUNS
from ai_assets.store import inbox

SITES = (1001, 1002, 1003)


def execute(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql))


def fill(engine: Engine, *sites: int, **asked) -> list[int]:
    request = fill_request(sites=sites, **asked)
    with engine.connect() as connection:
        plan = plan_fill(connection, request, max_jobs=1000)
    queue_fill(engine, plan, forced=False, queued_by="test")
    with engine.connect() as connection:
        ids = connection.execute(
            text("select id from biz.ai_trigger_jobs where event_type = 'manual' order by id")
        )
        return list(ids.scalars())


@pytest.fixture
def requests(instance: DagsterInstance, service, venue_engine: Engine):
    """The run requests of a tick. Batches of before are done."""
    execute(venue_engine, "delete from dws.etl_batch where site_id = 1003")
    execute(venue_engine, "insert into biz.sites (site_id, name, is_active) values (1003, '三店', true)")
    ensure_blocks(instance, SITES)
    cursor: list[str | None] = [None]

    def tick() -> list:
        context = build_sensor_context(
            instance=instance, cursor=cursor[0], resources={"database": DatabaseResource()}
        )
        result = dws_completed(context)
        if not isinstance(result, SensorResult):
            return []
        cursor[0] = result.cursor
        return list(result.run_requests or ())

    tick()
    execute(venue_engine, "update biz.ai_trigger_jobs set status = 'completed'")
    assert tick() == []
    return tick


def test_its_run_computes_the_cells_of_its_box_and_no_other(requests, venue_engine, instance, run_site):
    [job_id] = fill(venue_engine, 1001, apps=["app2a"], windows=["this_week", "last_week"])
    [request] = requests()
    assert request.tags["ai/trigger_job"] == str(job_id)
    assert request.tags["ai/event"] == "manual"
    result = run_site(tags=dict(request.tags))
    assert result.success
    made = {
        event.partition for event in result.all_events if event.event_type_value == "ASSET_MATERIALIZATION"
    }
    assert len(made) == 16
    assert {key.partition("|")[2] for key in made} == {"this_week", "last_week"}
    assert not any(":all|" in key for key in made)
    with venue_engine.connect() as connection:
        assert inbox.job(connection, job_id).status == "completed"
        calls = connection.execute(
            text("select distinct g.trigger_type, c.triggered_by from biz.ai_run_logs g"
                 " join biz.ai_cache c on c.run_log_id = g.id where g.trigger_job_id = :id"), {"id": job_id},
        ).all()  # fmt: skip
    assert calls == [("manual", "admin_manual")]


def test_a_batch_of_a_site_goes_first_and_a_site_has_one_run_at_a_time(
    requests, venue_engine, instance, make_definitions
):
    [queued] = fill(venue_engine, 1001, apps=["app2"])
    with venue_engine.begin() as connection:
        event = inbox.fire(connection, "dws_completed", site_id=1001, is_forced=True)
    [request] = requests()
    assert request.tags["ai/trigger_job"] == str(event)
    execute(venue_engine, f"update biz.ai_trigger_jobs set status = 'completed' where id = {event}")
    [request] = requests()
    assert request.tags["ai/trigger_job"] == str(queued)


def test_only_a_few_runs_of_queued_work_are_requested_at_once(
    requests, venue_engine, instance, make_definitions
):
    fill(venue_engine, *SITES, apps=["app2"])
    first = requests()
    assert len(first) == BACKGROUND_RUNS
    site_insights = make_definitions().resolve_job_def("site_insights")
    runs = [
        instance.create_run_for_job(site_insights, tags=dict(request.tags), status=DagsterRunStatus.STARTED)
        for request in first
    ]
    assert requests() == []
    with venue_engine.begin() as connection:
        event = inbox.fire(connection, "dws_completed", site_id=1003, is_forced=True)
    [request] = requests()
    assert request.tags["ai/trigger_job"] == str(event)
    execute(venue_engine, f"update biz.ai_trigger_jobs set status = 'completed' where id = {event}")
    instance.report_run_failed(runs[0])
    execute(
        venue_engine,
        f"update biz.ai_trigger_jobs set status = 'failed' where id = {first[0].tags['ai/trigger_job']}",
    )
    [request] = requests()
    assert request.tags["ai/site"] == "1003"
