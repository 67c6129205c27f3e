"""The dws_completed sensor: batches become events once, jobs become runs once, what was lost is put right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    SensorResult,
    SkipReason,
    build_sensor_context,
)
from sqlalchemy import Engine, text

from ai_assets.chains.cells import Cell
from ai_assets.partitions import AREA_PARTITIONS, block_of, range_tags
from ai_assets.resources.database import DatabaseResource
from ai_assets.sensors.dws_completed import dws_completed
from ai_assets.store import claims, leases, workers
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS


@pytest.fixture
def fresh() -> DagsterInstance:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def tick(fresh: DagsterInstance, service):
    """One tick; partitions that it asks for are made, its cursor is kept for the next."""
    cursor: list[str | None] = [None]

    def once(
        url: str | None = None, *, keep: bool = True, written: str | None = None
    ) -> SensorResult | SkipReason:
        """`keep` False: a preview, or a crash before Dagster kept the result. `written`: with this cursor."""
        cursor[0] = written or cursor[0]
        if url is not None:
            service(url)
        context = build_sensor_context(
            instance=fresh, cursor=cursor[0], resources={"database": DatabaseResource()}
        )
        result = dws_completed(context)
        if isinstance(result, SensorResult) and keep:
            cursor[0] = result.cursor
            for request in result.dynamic_partitions_requests or ():
                if type(request).__name__.startswith("Delete"):
                    for key in request.partition_keys:
                        fresh.delete_dynamic_partition(AREA_PARTITIONS, key)
                else:
                    fresh.add_dynamic_partitions(AREA_PARTITIONS, request.partition_keys)
        return result

    return once


TIMED_OUT = text(
    "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status)"
    " values (:app, 1001, :target, 'batch', 'timeout')"
)
ANSWERED = text(
    "with call as (insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status)"
    " values (:app, 1001, :target, 'batch', 'success') returning id)"
    " insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)"
    " select :type, 1001, :target, '{}', 'dws_completed', id, 'h' from call"
)


def execute(engine: Engine, sql: str, **parameters: object) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql), parameters)


def rows(engine: Engine, sql: str) -> list:
    with engine.connect() as connection:
        return connection.execute(text(sql)).mappings().all()


def finish_batch(engine: Engine, site: int, batch: int, finished: datetime | None = None) -> None:
    execute(
        engine,
        "insert into dws.etl_batch values (:batch, :site, '2026-06-30', 'success', :at)"
        " on conflict (batch_id) do update set finished_at = excluded.finished_at",
        batch=batch,
        site=site,
        at=finished or datetime.now(UTC) + timedelta(seconds=1),
    )


@pytest.fixture
def launch(fresh: DagsterInstance, make_definitions):
    """As the daemon would: a run of a request, in a state; returns its id."""
    job = make_definitions().resolve_job_def("site_insights")

    def launched(request, status: DagsterRunStatus) -> str:
        return fresh.create_run_for_job(job, tags=dict(request.tags), status=status).run_id

    return launched


def claimed_by_run(engine: Engine, job_id: int, run_id: str) -> None:
    """As a site run begins: its first heartbeat, then the claim."""
    owner = f"run:{run_id}"
    with engine.begin() as connection:
        workers.heartbeat(
            connection, worker_id=owner, kind=workers.SITE_RUN, run_id=run_id, host="h", pid=1, running=0,
            draining=False, lease_s=60.0,
        )  # fmt: skip
        assert claims.claim_job(connection, job_id, owner=owner, lease_s=60, run_id=run_id)


def no_heartbeat_any_more(engine: Engine) -> None:
    """More than a lease passes without a heartbeat."""
    execute(engine, "update biz.ai_workers set heartbeat_at = heartbeat_at - interval '61 s'")
    execute(engine, "update biz.ai_trigger_jobs set lease_until = lease_until - interval '61 s'")


def test_the_first_tick_takes_only_each_sites_newest_batch_and_asks_for_one_range_run_each(
    tick, venue_engine: Engine, fresh: DagsterInstance
):
    result = tick()
    jobs = rows(venue_engine, "select * from biz.ai_trigger_jobs order by site_id")
    assert [(job["site_id"], job["status"], job["event_type"]) for job in jobs] == [
        (1001, "pending", "dws_completed"),
        (1002, "pending", "dws_completed"),
    ]
    assert [request.run_key for request in result.run_requests] == [
        f"trigger-job-{job['id']}-attempt-1" for job in jobs
    ]
    tags = result.run_requests[0].tags
    assert range_tags(1001).items() <= tags.items()
    assert (tags["ai/site"], tags["ai/event"], tags["ai/trigger_job"]) == (
        "1001",
        "dws_completed",
        str(jobs[0]["id"]),
    )
    assert len(result.asset_events) == 2
    assert fresh.get_dynamic_partitions(AREA_PARTITIONS) == [*block_of(1001), *block_of(1002)]


def test_a_second_tick_sends_nothing_again_and_no_older_batch(tick, venue_engine: Engine):
    tick()
    again = tick()
    assert len(rows(venue_engine, "select 1 from biz.ai_trigger_jobs")) == 2
    assert list(again.asset_events) == []
    # the runs are asked for until they stand: Dagster knows their run keys
    assert len({request.run_key for request in again.run_requests}) == 2


def test_a_new_and_a_corrected_batch_become_events_of_their_own(tick, venue_engine: Engine):
    tick()
    finish_batch(venue_engine, 1001, 777)
    assert len(tick().asset_events) == 1
    finish_batch(venue_engine, 1001, 777, datetime.now(UTC) + timedelta(minutes=1))
    assert len(tick().asset_events) == 1
    assert tick().asset_events == []
    jobs = rows(venue_engine, "select status from biz.ai_trigger_jobs where payload ->> 'batch_id' = '777'")
    assert [job["status"] for job in jobs] == ["pending", "pending"]


def what_a_tick_asks(result: SensorResult) -> tuple:
    return (
        sorted(request.run_key for request in result.run_requests),
        [event.metadata["batch"].value for event in result.asset_events],
        [sorted(request.partition_keys) for request in result.dynamic_partitions_requests],
    )


def test_a_tick_whose_result_is_not_kept_loses_nothing(tick, venue_engine: Engine):
    preview = what_a_tick_asks(tick(keep=False))
    assert len(preview[1]) == 2
    assert what_a_tick_asks(tick()) == preview
    finish_batch(venue_engine, 1001, 777)
    before = rows(
        venue_engine, "select id, status, attempts, not_before from biz.ai_trigger_jobs order by id"
    )
    preview = what_a_tick_asks(tick(keep=False))
    assert preview[1] == ["777"]
    assert what_a_tick_asks(tick(keep=False)) == preview
    assert what_a_tick_asks(tick()) == preview
    assert tick().asset_events == []
    after = rows(venue_engine, "select id, status, attempts, not_before from biz.ai_trigger_jobs order by id")
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1


def test_a_batch_whose_event_the_backend_sent_is_reported_too(tick, venue_engine: Engine):
    tick()
    finish_batch(venue_engine, 1001, 777)
    execute(venue_engine, "select biz.fire_ai_event('dws_completed', 1001)")
    assert [event.metadata["batch"].value for event in tick().asset_events] == ["777"]


def test_batches_that_finish_in_one_instant_or_are_committed_late_are_each_reported_once(
    tick, venue_engine: Engine
):
    tick()
    at = datetime.now(UTC) + timedelta(hours=2)
    reported = []
    # the last one finished before the others and is seen after them
    for batches in ([(1001, 777), (1002, 778)], [(1001, 779)], [(1002, 770)]):
        for site, batch in batches:
            finish_batch(venue_engine, site, batch, at if batch != 770 else at - timedelta(hours=1))
        reported += [event.metadata["batch"].value for event in tick().asset_events]
    assert sorted(reported) == ["770", "777", "778", "779"]


def test_the_cursor_of_an_earlier_version_is_read(tick, venue_engine: Engine):
    # that version reported the batches whose events it had sent
    execute(
        venue_engine,
        "insert into biz.ai_trigger_jobs (event_type, site_id, payload) select 'dws_completed', site_id,"
        " jsonb_build_object('batch_id', batch_id::text, 'batch_finished', extract(epoch from finished_at)::text)"
        " from dws.etl_batch",
    )
    finish_batch(venue_engine, 1001, 777)
    earlier = (datetime.now(UTC) - timedelta(days=300)).isoformat()
    assert [event.metadata["batch"].value for event in tick(written=earlier).asset_events] == ["777"]
    assert tick().asset_events == []


def test_a_cursor_that_cannot_be_read_is_a_skip_reason(tick):
    for written in ("soon", "{", '{"started": 5, "reported": 1}', "2026-08-18T10:00:00"):
        result = tick(written=written)
        assert isinstance(result, SkipReason)
        assert "cursor" in result.skip_message


def test_a_batch_dated_in_the_future_raises_one_alert_and_nothing_is_made_of_it(tick, venue_engine: Engine):
    tick()
    finish_batch(venue_engine, 1001, 777)
    execute(venue_engine, "update dws.etl_batch set biz_date = '2062-06-30' where batch_id = 777")
    requests = tick().run_requests
    assert tick().asset_events == []
    (alert,) = rows(venue_engine, "select * from biz.ai_alerts")
    assert (alert["alert_type"], alert["site_id"], alert["count"]) == ("bad_batch", 1001, 1)
    (job,) = rows(venue_engine, "select * from biz.ai_trigger_jobs where payload ->> 'batch_id' = '777'")
    assert job["status"] == "failed"
    assert str(job["id"]) not in {request.tags["ai/trigger_job"] for request in requests}
    # a second one within the window counts on the same alert
    finish_batch(venue_engine, 1001, 778)
    execute(venue_engine, "update dws.etl_batch set biz_date = '2062-07-01' where batch_id = 778")
    tick()
    assert [alert["count"] for alert in rows(venue_engine, "select count from biz.ai_alerts")] == [2]


def test_a_backends_open_transaction_holds_up_neither_a_tick_nor_the_batches_of_other_sites(
    tick, venue_engine: Engine
):
    tick()
    finish_batch(venue_engine, 1001, 777)
    finish_batch(venue_engine, 1002, 778)
    with venue_engine.connect() as backend:
        backend.execute(text("select biz.fire_ai_event('dws_completed', 1001)"))
        result = tick()
        assert isinstance(result, SensorResult)
        assert "1002" in {request.tags["ai/site"] for request in result.run_requests}
        backend.commit()
    assert [event.metadata["batch"].value for event in tick().asset_events] == ["777", "778"]
    jobs = rows(venue_engine, "select status from biz.ai_trigger_jobs where payload ->> 'batch_id' = '777'")
    assert [job["status"] for job in jobs] == ["pending"]


def test_a_run_in_progress_is_not_asked_for_again(tick, launch, venue_engine: Engine):
    for request in tick().run_requests:
        launch(request, DagsterRunStatus.STARTED)
    assert tick().run_requests == []


def test_a_run_that_ended_before_it_began_is_a_lost_attempt_and_the_last_one_is_dead(
    tick, launch, venue_engine: Engine
):
    seen = []
    for _ in range(4):
        execute(venue_engine, "update biz.ai_trigger_jobs set not_before = '-infinity'")
        requests = [request for request in tick().run_requests if request.tags["ai/site"] == "1001"]
        for request in requests:
            seen.append(request.tags["ai/attempt"])
            launch(request, DagsterRunStatus.FAILURE)
        tick()
    (job,) = rows(venue_engine, "select * from biz.ai_trigger_jobs where site_id = 1001")
    (alert,) = rows(venue_engine, "select * from biz.ai_alerts")
    assert seen == ["1", "2", "3"]
    assert (job["status"], job["attempts"]) == ("dead", 3)
    assert (alert["alert_type"], alert["site_id"]) == ("dead", 1001)


def test_a_run_cancelled_in_the_queue_ends_its_job(tick, launch, venue_engine: Engine):
    for request in tick().run_requests:
        launch(request, DagsterRunStatus.CANCELED)
    tick()
    jobs = rows(venue_engine, "select status, error_message from biz.ai_trigger_jobs")
    assert {tuple(job.values()) for job in jobs} == {("failed", "the run was cancelled")}
    assert tick().run_requests == []


def test_a_killed_run_is_marked_failed_and_its_job_waits_for_another_attempt(
    tick, launch, venue_engine: Engine, fresh: DagsterInstance
):
    request = next(request for request in tick().run_requests if request.tags["ai/site"] == "1001")
    run_id = launch(request, DagsterRunStatus.STARTED)
    job_id = int(request.tags["ai/trigger_job"])
    claimed_by_run(venue_engine, job_id, run_id)
    tick()
    assert fresh.get_run_by_id(run_id).status is DagsterRunStatus.STARTED
    no_heartbeat_any_more(venue_engine)
    tick()
    (job,) = rows(
        venue_engine, f"select *, not_before > now() as waits from biz.ai_trigger_jobs where id = {job_id}"
    )
    assert fresh.get_run_by_id(run_id).status is DagsterRunStatus.FAILURE
    assert (job["status"], job["attempts"], job["waits"]) == ("pending", 1, True)


def test_a_cancelled_run_whose_process_was_killed_ends_as_cancelled_and_its_job_is_not_tried_again(
    tick, launch, venue_engine: Engine, fresh: DagsterInstance
):
    request = next(request for request in tick().run_requests if request.tags["ai/site"] == "1001")
    run_id = launch(request, DagsterRunStatus.CANCELING)
    job_id = int(request.tags["ai/trigger_job"])
    claimed_by_run(venue_engine, job_id, run_id)
    no_heartbeat_any_more(venue_engine)
    assert [again.tags["ai/site"] for again in tick().run_requests] == ["1002"]
    (job,) = rows(venue_engine, f"select status, error_message from biz.ai_trigger_jobs where id = {job_id}")
    assert tuple(job.values()) == ("failed", "the run was cancelled")
    assert fresh.get_run_by_id(run_id).status is DagsterRunStatus.CANCELED


def test_a_run_that_was_asked_to_stop_is_followed_by_a_run_of_its_own_number(
    tick, launch, venue_engine: Engine
):
    (request,) = [request for request in tick().run_requests if request.tags["ai/site"] == "1001"]
    run_id = launch(request, DagsterRunStatus.FAILURE)
    job_id = int(request.tags["ai/trigger_job"])
    claimed_by_run(venue_engine, job_id, run_id)
    with venue_engine.begin() as connection:
        leases.requeue(connection, [job_id], owner=f"run:{run_id}", error="its run was asked to stop")
    (again,) = [request for request in tick().run_requests if request.tags["ai/site"] == "1001"]
    assert again.run_key != request.run_key
    assert again.tags["ai/attempt"] == "2"
    (job,) = rows(venue_engine, f"select status, attempts from biz.ai_trigger_jobs where id = {job_id}")
    assert tuple(job.values()) == ("pending", 0), "the run before is no lost attempt of this launch"


def test_keys_of_a_site_that_stand_apart_are_moved_together(tick, fresh: DagsterInstance):
    fresh.add_dynamic_partitions(AREA_PARTITIONS, ["1001:vip", *block_of(1002)])
    tick()
    assert fresh.get_dynamic_partitions(AREA_PARTITIONS) == [*block_of(1002), *block_of(1001)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("drop table dws.etl_batch", "dws.etl_batch"),
        ("alter table dws.etl_batch drop column finished_at", "finished_at"),
        ("drop table biz.sites", "biz.sites"),
    ],
)
def test_a_missing_table_or_column_is_a_skip_reason_that_names_it(tick, venue_engine: Engine, sql, said):
    execute(venue_engine, sql)
    result = tick()
    assert isinstance(result, SkipReason)
    assert said in result.skip_message


def test_a_database_that_is_away_is_a_skip_reason(tick):
    result = tick("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    assert isinstance(result, SkipReason)
    assert "Postgres cannot be reached" in result.skip_message


def test_every_day_each_active_site_gets_an_event_that_is_a_duplicate_where_the_sensor_sent_it(
    tick, venue_engine: Engine, venue_url: str, make_definitions, fresh: DagsterInstance
):
    tick()
    execute(venue_engine, "delete from biz.ai_trigger_jobs where site_id = 1002")
    result = make_definitions().resolve_job_def("daily_prewarm").execute_in_process(instance=fresh)
    assert result.success
    jobs = rows(venue_engine, "select site_id, status from biz.ai_trigger_jobs order by id")
    assert [tuple(job.values()) for job in jobs] == [
        (1001, "pending"),
        (1001, "duplicate"),
        (1002, "pending"),
    ]


def test_the_daily_prewarm_queues_missing_and_failed_cells_of_a_batch_that_was_made(
    venue_engine: Engine, make_definitions, fresh: DagsterInstance
):
    prewarm = make_definitions().resolve_job_def("daily_prewarm")
    assert prewarm.execute_in_process(instance=fresh).success
    execute(venue_engine, "update biz.ai_trigger_jobs set status = 'completed' where site_id = 1001")
    execute(venue_engine, "update biz.ai_trigger_jobs set status = 'partial' where site_id = 1002")
    missing, failed = Cell(1001, "hallA", "this_month"), Cell(1001, "vip", "last_week")
    with venue_engine.begin() as connection:
        for area, window in product(AREAS, WINDOWS):
            cell = Cell(1001, area, window)
            about = {
                "app": cell.app.name,
                "type": cell.app.cache_type,
                "target": cell.app.target_id(cell.subject),
            }
            if cell != missing:
                connection.execute(ANSWERED, about)
            if cell == failed:
                connection.execute(TIMED_OUT, about)
    for _ in range(2):
        assert prewarm.execute_in_process(instance=fresh).success
    queued = rows(
        venue_engine,
        "select event_type, site_id, repeat_of is not null as repeats, payload -> 'areas' as areas,"
        " payload -> 'windows' as windows from biz.ai_trigger_jobs where status = 'pending' order by id",
    )
    assert [tuple(job.values()) for job in queued] == [
        # a partial job's site runs again as a whole
        ("dws_completed", 1002, True, None, None),
        *(("manual", 1001, False, [cell.area], [cell.window]) for cell in (missing, failed)),
    ]


def test_a_daily_prewarm_beyond_the_budget_says_so_and_sends_its_events_all_the_same(
    venue_engine: Engine, make_definitions, fresh: DagsterInstance
):
    job = make_definitions().resolve_job_def("daily_prewarm")
    tight = {"resources": {"guard": {"config": {"daily_tokens": 50_000}}}}
    result = job.execute_in_process(instance=fresh, run_config=tight)
    assert result.success
    (sent,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    told = sent.event_specific_data.metadata["forecast"].value
    assert "of 144 calls fit into the 50,000 tokens that are left" in told
    assert len(rows(venue_engine, "select 1 from biz.ai_trigger_jobs where status = 'pending'")) == 2


def test_a_forecast_that_fails_stops_no_daily_event(
    venue_engine: Engine, make_definitions, fresh: DagsterInstance
):
    execute(venue_engine, "drop table dws.finance_area_daily")
    execute(venue_engine, "drop function biz.ai_budgets_of(bigint, text, text, jsonb)")
    result = make_definitions().resolve_job_def("daily_prewarm").execute_in_process(instance=fresh)
    assert result.success
    (sent,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    assert "no forecast could be made" in sent.event_specific_data.metadata["forecast"].value
    assert len(rows(venue_engine, "select 1 from biz.ai_trigger_jobs where status = 'pending'")) == 2


def test_housekeeping_settles_leases_of_the_dead(
    venue_engine: Engine, make_definitions, fresh: DagsterInstance
):
    execute(
        venue_engine,
        "insert into biz.ai_leases (app_type, site_id, target_id, day, month, reserved_tokens, expires_at)"
        " values ('app2_finance', 1001, 'x', 'day:2026-06-30', 'month:2026-06', 500, now() - interval '1 s')",
    )
    assert make_definitions().resolve_job_def("housekeeping").execute_in_process(instance=fresh).success
    assert rows(venue_engine, "select 1 from biz.ai_leases") == []
    assert {row["used"] for row in rows(venue_engine, "select used from biz.ai_budgets")} == {500}
