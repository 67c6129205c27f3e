"""What is out of date is told, what a night left as it was is not: on a venue, with the reason for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType

import pytest
from sqlalchemy import event, text

from ai_assets.apps.registry import APPS
from ai_assets.chains import staleness
from ai_assets.chains.cells import cells_of_site
from ai_assets.chains.outcome import Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.site import run_cells
from ai_assets.chains.stale_rules import Reason
from ai_assets.chains.staleness import AppStaleness, site_staleness
from ai_assets.warehouse.sites import Site, find_site

SITE = Site(1001, "星河台球", "Asia/Shanghai", is_active=True)
LAST_DAY = date(2026, 6, 30)
FINANCE = ("app2_finance", "app2a_finance_area")
Judge = Callable[..., dict[str, AppStaleness]]


@pytest.fixture
def judge(events) -> Judge:
    def look(*apps: str, site_id: int = 1001) -> dict[str, AppStaleness]:
        with events.engine.connect() as connection:
            site = find_site(connection, site_id)
        found = site_staleness(events.engine, site, apps or tuple(APPS))
        assert found.trouble is None, found.trouble
        return {app.app: app for app in found.apps}

    return look


def make(
    runtime: Runtime, *, as_of: date | None = None, only: Callable[[str], bool] = lambda _: True
) -> None:
    run_cells(
        runtime,
        [cell for cell in cells_of_site(1001) if only(cell.window)],
        trigger=Trigger("dws_completed", "batch"),
        as_of=as_of,
        on_result=lambda _cell, _result: None,
    )


def lands(events, day: date, batch: int = 990_001, site: int = 1001) -> None:
    events.run(
        "insert into dws.etl_batch values (:id, :site, :day, 'success', now())", id=batch, site=site, day=day
    )


def reasons(app: AppStaleness) -> dict[str, str]:
    return {one.target_id: one.reason.value for one in app.stale}


def test_before_anything_is_made_all_72_cells_are_missing_and_members_miss_nothing(judge):
    found = judge()
    assert list(found) == list(APPS)
    assert [len(found[name].stale) for name in FINANCE] == [8, 64]
    assert {one.reason for name in FINANCE for one in found[name].stale} == {Reason.MISSING}
    assert all(found[name].targets == 0 for name in APPS if name not in FINANCE)


def test_what_was_just_made_is_fresh(make_runtime, judge, events):
    runtime = make_runtime()
    make(runtime)
    events.consumption(has_assistant=True, assistant_id=7)
    events.note()
    events.work(runtime)
    found = judge()
    assert {name: app.stale for name, app in found.items()} == dict.fromkeys(APPS, ())
    assert {name: app.fresh for name, app in found.items()} == {
        **dict.fromkeys(APPS, 1),
        "app2_finance": 8,
        "app2a_finance_area": 64,
    }


def test_a_batch_that_changed_nothing_a_cell_shows_leaves_it_fresh_and_one_that_did_does_not(
    make_runtime, judge, events
):
    runtime = make_runtime()
    make(runtime, as_of=date(2026, 6, 17))
    events.run("delete from dws.etl_batch where site_id = 1001")
    lands(events, date(2026, 6, 18))
    found = judge(*FINANCE)
    # 3 running windows of 9 areas; the closed ones say the same on the 18th as on the 17th
    assert sum(len(found[name].stale) for name in FINANCE) == 27
    assert set(reasons(found["app2_finance"])) == {"this_week__all", "this_month__all", "this_quarter__all"}
    assert set(reasons(found["app2_finance"]).values()) == {"older_batch"}
    make(runtime)
    found = judge(*FINANCE)
    assert all(not found[name].stale for name in FINANCE), (
        "the closed windows were reused: they name the old batch"
    )


def test_a_corrected_batch_makes_stale_the_cells_whose_figures_it_changed(make_runtime, judge, events):
    make(make_runtime())
    events.run(
        "update dws.finance_area_daily set net_revenue = net_revenue + 1"
        " where site_id = 1001 and area = 'vip' and biz_date = '2026-05-10'"
    )
    lands(events, LAST_DAY)
    stale = {*reasons(judge(*FINANCE)["app2a_finance_area"]), *reasons(judge(*FINANCE)["app2_finance"])}
    assert stale
    assert {target.rpartition("__")[2] for target in stale} == {"vip", "all"}
    assert "last_month__vip" in stale


def test_cells_made_as_of_another_date_than_the_batchs_are_told_as_that(make_runtime, judge):
    make(make_runtime(), as_of=LAST_DAY - timedelta(days=3), only=lambda window: window == "this_month")
    found = reasons(judge("app2_finance")["app2_finance"])
    assert found.pop("this_month__all") == "other_as_of"
    assert set(found.values()) == {"missing"}


def test_figures_are_not_read_where_no_cell_names_another_batch(make_runtime, judge, events):
    make(make_runtime())
    seen: list[str] = []
    event.listen(events.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    assert not judge("app2_finance")["app2_finance"].stale
    assert not any("finance_area_daily" in statement for statement in seen)


def test_a_cell_whose_prompt_cannot_be_built_now_says_why_and_the_others_are_judged(
    make_runtime, judge, events
):
    make(make_runtime())
    lands(events, LAST_DAY)
    events.run(
        "update dws.finance_area_daily set orders = -3"
        " where site_id = 1001 and area = 'vip' and biz_date = '2026-06-30'"
    )
    app = judge("app2_finance")["app2_finance"]
    assert {one.reason for one in app.stale} == {Reason.UNJUDGED}
    assert 0 < len(app.stale) < 8
    assert "-3" in app.stale[0].detail


def test_another_version_of_an_app_makes_all_its_texts_stale_and_no_others(
    make_runtime, judge, events, monkeypatch
):
    runtime = make_runtime()
    events.consumption(has_assistant=True, assistant_id=7)
    events.work(runtime)
    newer = {**APPS, "app4_analysis": replace(APPS["app4_analysis"], version="next")}
    monkeypatch.setattr(staleness, "APPS", MappingProxyType(newer))
    found = judge("app3_clue", "app4_analysis", "app5_tactics")
    assert reasons(found["app4_analysis"]) == {"7_555": "older_version"}
    assert not found["app3_clue"].stale
    assert not found["app5_tactics"].stale


BILL = (
    "insert into dws.settlement (settlement_id, site_id, member_id, biz_date, settled_at, area, paid)"
    " values (990001, :site, :member, :day, cast(:day as date) + time '20:00', 'hallA', 88)"
)


@pytest.mark.parametrize("day", ["2026-07-01", "2026-06-30", "2026-03-01"])
def test_a_bill_that_came_later_makes_app3_and_app7_stale_whatever_its_day(make_runtime, judge, events, day):
    events.consumption()
    events.work(make_runtime())
    events.run(BILL, site=1001, member=555, day=day)
    found = judge()
    assert {name for name, app in found.items() if app.stale and name not in FINANCE} == {
        "app3_clue",
        "app7_customer",
    }
    assert reasons(found["app3_clue"]) == {"555": "newer_bills"}


@pytest.mark.parametrize(
    ("site", "member", "day"),
    [(1002, 555, "2026-07-01"), (1001, 556, "2026-07-01"), (1001, 555, "2025-01-01")],
)
def test_a_bill_of_another_member_or_site_or_of_long_ago_makes_nothing_stale(
    make_runtime, judge, events, site, member, day
):
    events.consumption()
    events.work(make_runtime())
    events.run(BILL, site=site, member=member, day=day)
    assert not judge("app3_clue")["app3_clue"].stale


def test_a_new_batch_alone_makes_no_text_of_a_member_stale(make_runtime, judge, events):
    events.consumption(has_assistant=True, assistant_id=7)
    events.work(make_runtime())
    lands(events, LAST_DAY + timedelta(days=1))
    assert not any(app.stale for name, app in judge().items() if name not in FINANCE)


def test_app8_is_stale_when_what_it_was_handed_says_something_else_by_now(make_runtime, judge, events):
    runtime = make_runtime()
    events.consumption()
    events.work(runtime)
    newest = "(select max(id) from biz.ai_cache where cache_type = 'app3_clue')"
    copy = (
        "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)"
        " select cache_type, site_id, target_id, result_json, 'admin_manual', run_log_id + 1000, prompt_hash"
        f" from biz.ai_cache where id = {newest}"
    )
    events.run(copy)
    assert not judge("app8_consolidation")["app8_consolidation"].stale, (
        "made again, and word for word the same"
    )
    events.run(
        f"update biz.ai_cache set result_json = jsonb_set(result_json, '{{clues}}', '[]') where id = {newest}"
    )
    assert reasons(judge("app8_consolidation")["app8_consolidation"]) == {"555": "older_answers"}


def test_app8_is_stale_when_a_note_was_answered_after_it_without_a_consolidation(
    make_runtime, judge, events, simulator
):
    runtime = make_runtime()
    events.consumption()
    events.work(runtime)
    simulator.configure("app8", kind="data_inspection", fail=1.0)
    events.note()
    events.work(runtime)
    assert reasons(judge("app8_consolidation")["app8_consolidation"]) == {"555": "older_answers"}


def test_steps_that_gave_nothing_are_missing_where_their_chain_began(make_runtime, judge, events, simulator):
    simulator.configure("app8", kind="data_inspection", fail=1.0)
    simulator.configure("app5", kind="data_inspection", fail=1.0)
    events.consumption(has_assistant=True, assistant_id=7)
    events.work(make_runtime())
    found = judge()
    assert reasons(found["app8_consolidation"]) == {"555": "missing"}
    assert reasons(found["app5_tactics"]) == {"7_555": "missing"}
    assert (found["app8_consolidation"].targets, found["app8_consolidation"].fresh) == (1, 0)


def test_a_site_without_data_has_trouble_and_is_not_called_fresh(events):
    events.run("insert into biz.sites values (77, 'new', 'Asia/Shanghai', true)")
    found = site_staleness(events.engine, replace(SITE, site_id=77), FINANCE)
    assert found.trouble is not None
    assert "77" in found.trouble
    assert not found.is_fresh


def test_a_site_whose_table_of_bills_is_gone_has_trouble(make_runtime, events):
    events.consumption()
    events.work(make_runtime())
    events.run("drop table dws.settlement")
    found = site_staleness(events.engine, SITE, ["app3_clue"])
    assert "dws.settlement" in (found.trouble or "")


def test_a_long_history_of_many_sites_does_not_slow_a_look(events, judge):
    versions = [APPS[name].version for name in ("app3_clue", "app8_consolidation")]
    for statement in (
        """
        insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)
        select t, 2000 + n % 50, (n % 400) + 1, jsonb_build_object('_references', jsonb_build_object('as_of',
            '2026-06-01', 'app', jsonb_build_object('version', v))), 'x', n, n
        from generate_series(1, 20000) n,
             unnest(array['app3_clue', 'app8_clue_consolidated'], cast(:versions as text[])) kind (t, v)
        """,
        """
        insert into dws.settlement (settlement_id, site_id, member_id, biz_date, settled_at, area)
        select 5000000 + n, 2000 + n % 50, (n % 400) + 1, date '2026-05-01' + n % 60, now(), 'hallA'
        from generate_series(1, 40000) n
        """,
    ):
        events.run(statement, **({"versions": versions} if "versions" in statement else {}))
    tables = ["ai_cache", "settlement"]
    with events.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("biz.ai_cache", "dws.settlement"):
            connection.execute(text(f"analyze {table}"))
    scans = "select relname, seq_scan from pg_stat_user_tables where relname = any(:tables) order by 1"
    events.run("insert into biz.sites values (2001, 'many', 'Asia/Shanghai', true)")
    events.engine.dispose()
    before = events.rows(scans, tables=tables)
    found = judge("app3_clue", "app8_consolidation", site_id=2001)
    events.engine.dispose()
    assert events.rows(scans, tables=tables) == before
    assert found["app3_clue"].targets == 8
    assert set(reasons(found["app3_clue"]).values()) == {"newer_bills"}
