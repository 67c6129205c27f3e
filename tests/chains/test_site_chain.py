"""A site's 72 cells: side by side, one cell's trouble is its own, unchanged data costs nothing."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from ai_assets.chains.cells import Cell, cells_of_site
from ai_assets.chains.outcome import Outcome, StepResult, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.site import run_cells
from ai_assets.chains.summary import StepsSummary
from ai_assets.samples.venue import load_venue
from ai_assets.simulator.server import Simulator

SITE = 1001
LAST_DAY = date(2026, 6, 30)
BATCH = Trigger("dws_completed", "batch", 17)


def run(runtime: Runtime, cells=None, *, as_of=None, trigger=BATCH, **options):
    results: dict[Cell, StepResult] = {}
    summary = run_cells(
        runtime,
        cells or cells_of_site(SITE),
        trigger=trigger,
        as_of=as_of,
        on_result=results.__setitem__,
        **options,
    )
    return summary, results


def execute(runtime: Runtime, sql: str, **parameters: object) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text(sql), parameters)


def test_a_site_has_72_cells_the_whole_site_and_running_windows_first():
    cells = cells_of_site(SITE)
    assert len(set(cells)) == 72
    assert {cell.area for cell in cells[:8]} == {"all"}
    assert [cell.window for cell in cells[:3]] == ["this_month", "this_week", "this_quarter"]
    assert [cell.app.name for cell in cells[:9]] == ["app2_finance"] * 8 + ["app2a_finance_area"]


def test_all_72_are_made_and_the_second_time_none_costs_a_call(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    first, _ = run(runtime)
    again, _ = run(runtime)
    assert (first.made, first.failed, first.status) == (72, 0, "completed")
    assert (again.reused, again.tokens, again.status) == (72, 0, "completed")
    assert simulator.stats()["by_app"] == {"app2": 8, "app2a": 64}
    with runtime.engine.connect() as connection:
        row = connection.execute(
            text(
                "select count(*), count(distinct trigger_job_id), min(triggered_by) from biz.ai_cache_latest"
            )
        ).one()
    assert tuple(row) == (72, 1, "dws_completed")


def test_the_day_after_only_the_27_running_cells_cost_a_call(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    day = date(2026, 6, 17)  # a Wednesday in the middle of month and quarter
    run(runtime, as_of=day)
    after, results = run(runtime, as_of=day + timedelta(days=1))
    made = {cell.window for cell, result in results.items() if result.outcome is Outcome.SUCCESS}
    assert (after.made, after.reused) == (27, 45)
    assert made == {"this_week", "this_month", "this_quarter"}


def test_at_most_so_many_calls_run_at_once(make_runtime, simulator: Simulator):
    simulator.configure(latency=0.3)
    run(make_runtime(), cells_of_site(SITE)[:24], concurrency=5)
    # on a loaded machine not all five need overlap
    assert 1 < simulator.stats()["max_in_flight"] <= 5


def test_cells_of_one_app_that_fail_leave_the_others_alone(make_runtime, simulator: Simulator):
    simulator.configure("app2a", kind="data_inspection", fail=1.0)
    summary, results = run(make_runtime())
    assert (summary.made, summary.failed, summary.status) == (8, 64, "partial")
    assert {cell.area for cell, result in results.items() if result.outcome.has_result} == {"all"}
    assert summary.sentence() == "8 made, 0 reused, 64 failed (content_filtered x 64)"


def test_when_nothing_gives_a_result_the_chain_has_failed(make_runtime, simulator: Simulator):
    simulator.configure(kind="data_inspection", fail=1.0)
    summary, _ = run(make_runtime(), cells_of_site(SITE)[:4])
    assert summary.status == "failed"


def test_a_negative_count_harms_only_the_cells_that_hold_its_row(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    execute(
        runtime,
        "update dws.finance_area_daily set orders = -3 where site_id = :site and area = 'vip' and biz_date = :day",
        site=SITE,
        day=LAST_DAY,
    )
    summary, results = run(runtime)
    failed = {(cell.area, cell.window) for cell, result in results.items() if not result.outcome.has_result}
    assert failed == {
        (area, window) for area in ("all", "vip") for window in ("this_week", "this_month", "this_quarter")
    }
    message = next(result.message for cell, result in results.items() if (cell.area, cell.window) in failed)
    for part in ("dws.finance_area_daily", "orders", "1001", "2026-06-30", "vip", "-3"):
        assert part in message
    assert summary.made == 72 - len(failed)


def test_a_missing_column_is_named_in_every_cell_of_the_site(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    execute(runtime, "alter table dws.finance_area_daily drop column guests")
    _, results = run(runtime, cells_of_site(SITE)[:3])
    assert {result.reason for result in results.values()} == {"warehouse"}
    for result in results.values():
        assert "dws.finance_area_daily" in result.message
        assert "guests" in result.message
    assert simulator.stats()["total"] == 0


def test_an_unknown_site_is_named_and_the_other_site_is_made(make_runtime, simulator: Simulator):
    cells = [Cell(999, "all", "last_week"), Cell(SITE, "all", "last_week")]
    _, results = run(make_runtime(), cells)
    assert results[cells[0]].reason == "bad_input"
    assert "999" in results[cells[0]].message
    assert results[cells[1]].outcome is Outcome.SUCCESS


def test_an_exception_of_the_listener_ends_all_calls_and_goes_on(make_runtime, simulator: Simulator):
    runtime = make_runtime(concurrency=4)
    simulator.configure(latency=0.02)

    def interrupt(_cell: Cell, _result: StepResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(runtime, cells_of_site(SITE), trigger=BATCH, as_of=None, on_result=interrupt)
    assert simulator.stats()["in_flight"] == 0
    assert simulator.stats()["total"] < 72
    with runtime.engine.connect() as connection:
        assert connection.execute(text("select count(*) from biz.ai_leases")).scalar_one() == 0


def test_a_chain_out_of_time_has_failed_and_stops(make_runtime, simulator: Simulator, monkeypatch):
    monkeypatch.setattr("ai_assets.chains.site.CHAIN_MARGIN_S", -72 * 20.0 - 1)
    summary, results = run(make_runtime(concurrency=1), cancelled=threading.Event())
    assert summary.status == "failed"
    assert summary.timed_out
    assert len(results) == 72
    assert any(result.reason == "chain_timeout" for result in results.values())


def test_rate_limited_batches_wait_no_longer_than_they_may(make_runtime, simulator: Simulator):
    runtime = make_runtime(rate_per_minute=10, batch_rate_share=0.5, batch_admission_wait_s=0.0)
    summary, _ = run(runtime, cells_of_site(SITE)[:8], concurrency=1)
    assert {result.reason for result in summary.failures} == {"rate_limited"}
    # at most a fifth of the rate at one instant: two of the ten
    assert 2 <= summary.made <= 5
    assert simulator.stats()["total"] == summary.made


def test_money_of_any_figure_in_the_prompt_is_exact_to_the_cent(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    _, results = run(runtime, [Cell(SITE, "all", "last_month")])
    with runtime.engine.connect() as connection:
        revenue = connection.execute(
            text(
                "select sum(net_revenue) from dws.finance_area_daily"
                " where site_id = :site and biz_date between '2026-05-01' and '2026-05-31'"
            ),
            {"site": SITE},
        ).scalar_one()
    (result,) = results.values()
    assert f"{revenue:.2f}" in result.prompt


def test_loading_the_next_day_gives_new_prompts_only_where_windows_run(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    run(runtime)
    load_venue(runtime.engine, sites=2, days=400, end=LAST_DAY + timedelta(days=2))
    summary, results = run(runtime)
    # a new month and quarter began: every window but the two of the week and the closed ones that moved
    assert summary.failed == 0
    assert {cell.window for cell, r in results.items() if r.outcome is Outcome.REUSED} == {"last_week"}


def test_a_summary_counts_outcomes_tokens_and_reasons():
    summary = StepsSummary()
    assert summary.status == "failed"
    assert summary.sentence() == "0 made, 0 reused, 0 failed"
