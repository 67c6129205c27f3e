"""The whole, for real: the Dagster web server and daemon, sensors, run processes, a kill, and Ctrl-C."""

from __future__ import annotations

import re
import urllib.request
from datetime import date

import psutil
from sqlalchemy import Engine, create_engine, text

from ai_assets.simulator.server import Simulator


def scalar(engine: Engine, sql: str, **parameters: object):
    with engine.connect() as connection:
        return connection.execute(text(sql), parameters).scalar()


def finish_batch(engine: Engine, site: int, batch: int, day: date) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("insert into dws.etl_batch values (:batch, :site, :day, 'success', now())"),
            {"batch": batch, "site": site, "day": day},
        )


def materialized(dagster: Engine, site: int) -> int:
    return scalar(
        dagster,
        "select count(distinct partition) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
        " and asset_key = '[\"app2_finance\"]' and partition like :prefix",
        prefix=f"{site}:%",
    )


def job_of(engine: Engine, batch: int):
    with engine.connect() as connection:
        sql = "select * from biz.ai_trigger_jobs where payload ->> 'batch_id' = :batch and event_type = 'dws_completed'"
        return connection.execute(text(sql), {"batch": str(batch)}).mappings().first()


def test_a_finished_batch_becomes_72_cells_a_killed_run_is_made_again_and_ctrl_c_ends_all(
    serve, venue_environment, simulator: Simulator, waiting
):
    engine = create_engine(venue_environment["AI_DATABASE_URL"])
    dagster = create_engine(venue_environment["DAGSTER_POSTGRES_URL"])
    with engine.begin() as connection:
        # only what this test sends
        connection.execute(text("delete from dws.etl_batch"))
    port = waiting.free_port()
    service = serve("up", "--port", str(port), "--gateway-port", "0")
    waiting.wait_for("the UI", lambda: "Dagster UI:" in service.log.read_text(), service)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=10) as answer:
        assert answer.status == 200
    (gateway,) = re.findall(r"Gateway: (http://127\.0\.0\.1:\d+)", service.log.read_text())
    with urllib.request.urlopen(f"{gateway}/healthz", timeout=10) as answer:
        assert answer.status == 200

    finish_batch(engine, 1001, 777001, date(2026, 6, 30))
    waiting.wait_for(
        "the job of the batch", lambda: (job_of(engine, 777001) or {}).get("status") == "completed", service
    )
    assert materialized(dagster, 1001) == 72
    assert simulator.stats()["total"] == 72
    assert scalar(engine, "select count(*) from biz.ai_cache_latest where site_id = 1001") == 72

    # a second site, slow, whose run is killed in the middle
    simulator.configure(latency=1.0)
    before = simulator.stats()["total"]
    finish_batch(engine, 1002, 777002, date(2026, 6, 30))
    waiting.wait_for("its first calls", lambda: simulator.stats()["total"] > before + 20, service)
    job = job_of(engine, 777002)
    assert job["status"] == "running"
    psutil.Process(waiting.process_of_run(dagster, job["run_id"])).kill()
    simulator.configure(latency=0.0)
    waiting.wait_for(
        "the run's second attempt", lambda: job_of(engine, 777002)["status"] == "completed", service
    )
    after = job_of(engine, 777002)
    assert after["attempts"] == 2
    assert materialized(dagster, 1002) == 72
    assert scalar(engine, "select count(*) from biz.ai_leases") == 0
    assert (
        scalar(engine, "select count(distinct target_id) from biz.ai_cache_latest where site_id = 1002") == 72
    )
    # a job ends a moment before its run does
    unfinished = "select count(*) from runs where status in ('STARTED', 'STARTING')"
    waiting.wait_for("every run's end", lambda: scalar(dagster, unfinished) == 0, service)

    family = service.descendants()
    assert service.stop() == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    engine.dispose()
    dagster.dispose()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_real_retail_data_becomes_a_sites_72_insights(ai_assets, simulator: Simulator, database_url: str):
    given = {"AI_DATABASE_URL": database_url}
    loaded = ai_assets("sample", "load", "completejourney", "--sites", "1", "--json", environment=given)
    assert loaded.returncode == 0, loaded.stderr
    made = ai_assets("prewarm", "--site", "367", "--as-of", "2017-12-30", environment=given)
    assert made.returncode == 0, made.stderr
    assert simulator.stats()["by_app"] == {"app2": 8, "app2a": 64}
    engine = create_engine(database_url)
    revenue = scalar(
        engine,
        "select sum(net_revenue) from dws.finance_area_daily"
        " where site_id = 367 and biz_date between '2017-12-01' and '2017-12-30'",
    )
    prompt = scalar(
        engine,
        "select request_prompt from biz.ai_run_logs where target_id = 'this_month__all' and status = 'success'",
    )
    answers = scalar(engine, "select count(*) from biz.ai_cache_latest where site_id = 367")
    engine.dispose()
    assert revenue > 1000
    assert f"{revenue:.2f}" in prompt
    assert '"2017-12-30"' in prompt
    assert answers == 72


def test_the_demo_once_makes_everything_from_nothing_and_continues_the_second_time(demo_command, demo_home):
    first, second = demo_command(), demo_command()
    left = [process.pid for process in psutil.process_iter() if str(demo_home) in " ".join(_command(process))]
    assert first.returncode == 0, first.stderr
    assert "72/72 (72 made, 0 reused, 0 failed)" in first.stderr
    assert "simulator" in first.stdout
    assert second.returncode == 0, second.stderr
    assert "72/72 (0 made, 72 reused, 0 failed)" in second.stderr
    assert left == []
