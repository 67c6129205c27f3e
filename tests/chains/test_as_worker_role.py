"""A worker and a site's run with the rights of the role `ai_worker` and no others."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import create_engine

from ai_assets.chains.cells import cells_of_site
from ai_assets.chains.outcome import Trigger
from ai_assets.chains.site import run_cells
from ai_assets.guard.admission import Guard
from ai_assets.store.engine import make_engine
from ai_assets.store.roles import WORKER, grant_roles


def test_the_role_of_workers_is_enough_for_every_chain_and_for_a_sites_run(
    make_runtime, events, venue_url, new_login
):
    admin = create_engine(venue_url)
    with admin.begin() as connection:
        grant_roles(connection)
    admin.dispose()
    runtime = make_runtime()
    engine = make_engine(new_login(venue_url, WORKER), pool_size=20)
    runtime = replace(runtime, engine=engine, guard=Guard(engine, runtime.guard.limits))
    try:
        jobs = [events.consumption(has_assistant=True, assistant_id=7), events.note(), events.task()]
        events.work(runtime)
        assert {status for job in jobs for status in events.outcomes(job).values()} == {"success"}
        assert [events.job(job).status for job in jobs] == ["completed"] * 3
        summary = run_cells(
            runtime,
            cells_of_site(1001)[:9],
            trigger=Trigger(trigger_type="batch"),
            as_of=None,
            on_result=lambda _cell, _result: None,
        )
        assert summary.failures == []
        assert events.rows("select count(*) > 0 from biz.member_retention_clue") == [(True,)]
        # without its right to them, news would be lost with no more than a warning in Postgres's log
        news = "select count(*) from biz.ai_news where channel = 'ai_cache_updated'"
        assert events.rows(news) == events.rows("select count(*) from biz.ai_cache")
    finally:
        engine.dispose()
