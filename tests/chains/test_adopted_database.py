"""New events on a database that was adopted from the earlier dispatcher, with the venue's own table of sites."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text

from ai_assets.catalog import CATALOG
from ai_assets.chains.runtime import runtime_from
from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import WorkerLimits
from ai_assets.samples.contract import create_contract_tables
from ai_assets.settings import Settings
from ai_assets.store import cache
from ai_assets.store.adopt import adopt

FOLDER = Path(__file__).parents[1] / "data" / "earlier_dispatcher"
VENUE = """
insert into biz.members (site_id, member_id, name) values (1001, 510, '王小明');
insert into biz.assistants (site_id, assistant_id, name) values (1001, 7, '小美');
insert into dws.etl_batch values (1, 1001, '2026-06-30', 'success', '2026-07-01 03:00+08');
insert into dws.settlement (settlement_id, site_id, member_id, settled_at, biz_date, area, paid, table_fee)
    values (1, 1001, 510, '2026-06-29 20:00+08', '2026-06-29', 'hallA', 100, 100);
"""


class NoReporter:
    def began(self, job) -> None:
        pass

    def made(self, job, result) -> None:
        pass


def test_an_event_by_its_old_name_runs_on_what_was_adopted(empty_database_url, simulator):
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        for script in ("schema.sql", "rows.sql"):
            sql = (FOLDER / script).read_text("utf-8")
            connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
    adopt(empty_database_url, "Asia/Shanghai", dry_run=False)
    count = (
        "select count(*) from biz.ai_cache where cache_type = 'app8_clue_consolidated' and target_id = '510'"
    )
    with engine.begin() as connection:
        create_contract_tables(connection)
        connection.exec_driver_sql(VENUE)
        job_id = connection.execute(
            text(
                "select biz.fire_ai_event('ai_consumption_settled', 1001, 510,"
                " jsonb_build_object('has_assistant', true, 'assistant_id', 7))"
            )
        ).scalar_one()
        versions = connection.execute(text(count)).scalar_one()
        people = connection.execute(
            text(
                "select id, summary from member_retention_clue where member_id = 510 and source <> 'ai_consumption'"
                " order by id"
            )
        ).all()
        assert people
    settings = Settings(
        DASHSCOPE_API_KEY="simulator",
        DASHSCOPE_BASE_URL=simulator.base_url,
        **{entry.env: entry.alias for entry in CATALOG.values()},
    )
    runtime = runtime_from(settings, database_url=empty_database_url, concurrency=4)
    try:
        limits = WorkerLimits(until_empty=True, ends_in_failure=False, lease_s=30.0)
        Worker(runtime, limits, NoReporter(), worker_id="test-worker").run()
    finally:
        runtime.close()
    with engine.connect() as connection:
        status, steps = connection.execute(
            text("select status, step_results from biz.ai_trigger_jobs where id = :id"), {"id": job_id}
        ).one()
        assert (status, [(step["app"], step["outcome"]) for step in steps]) == (
            "completed",
            [
                (app, "success")
                for app in (
                    "app3_clue",
                    "app8_consolidation",
                    "app7_customer",
                    "app4_analysis",
                    "app5_tactics",
                )
            ],
        )
        newest = cache.latest(connection, "app8_clue_consolidated", 1001, "510")
        assert newest is not None
        assert newest.trigger_job_id == job_id
        assert connection.execute(text(count)).scalar_one() == versions + 1
        # where the old code looks: the member's new clues, and those of people and notes as they were
        found = connection.execute(
            text("select id, summary, source from member_retention_clue where member_id = 510 order by id")
        ).all()
        assert [(row.id, row.summary) for row in found if row.source != "ai_consumption"] == people
        made = [row for row in found if row.source == "ai_consumption"]
        assert len(made) == len(newest.result_json["clues"]) > 0
        assert all(row.id > 1500 for row in made)
    engine.dispose()
