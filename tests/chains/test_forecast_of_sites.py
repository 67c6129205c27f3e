"""The forecast of sites on a real database: what it tells is what the run then does."""

from __future__ import annotations

import random
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median

import pytest
from sqlalchemy import event, text

from ai_assets.chains.cells import Cell, cells_of_site, priority
from ai_assets.chains.forecast import Forecast, forecast_sites, surely_fits
from ai_assets.chains.outcome import Outcome, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.site import run_cells
from ai_assets.errors import InputError
from ai_assets.guard.admission import Admission, Call
from ai_assets.guard.forecast import Terms
from ai_assets.simulator.server import Simulator
from ai_assets.warehouse.sites import find_site

SITE, OTHER = 1001, 1002
LAST_DAY = date(2026, 6, 30)
BATCH = Trigger("admin_manual", "batch")


def terms(runtime: Runtime) -> Terms:
    return Terms.of(runtime.guard.limits, runtime.prices, runtime.concurrency)


def sites(runtime: Runtime, *ids: int):
    with runtime.engine.connect() as connection:
        return [find_site(connection, site_id) for site_id in ids or (SITE,)]


def forecast(
    runtime: Runtime, *ids: int, as_of: date | None = None, forced: bool = False, limits=None
) -> Forecast:
    return forecast_sites(
        runtime.engine,
        limits or runtime.guard.limits,
        terms(runtime),
        sites(runtime, *ids),
        as_of=as_of,
        forced=forced,
    )


def run(runtime: Runtime, cells=None, *, as_of: date | None = None, **options):
    results = []
    run_cells(
        runtime,
        cells or cells_of_site(SITE),
        trigger=BATCH,
        as_of=as_of,
        on_result=lambda cell, result: results.append((cell, result)),
        **options,
    )
    return results


def execute(runtime: Runtime, sql: str, **parameters: object) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text(sql), parameters)


def value(runtime: Runtime, sql: str, **parameters: object):
    with runtime.engine.connect() as connection:
        return connection.execute(text(sql), parameters).scalar_one()


# what the memo saves


def test_before_the_first_call_each_prompt_is_reckoned_by_its_length_and_nothing_is_called(
    make_runtime, simulator: Simulator
):
    runtime = make_runtime()
    told = forecast(runtime)
    (site,) = told.sites
    assert (site.cells, site.saved, site.failing, site.coming.calls) == (72, 0, 0, 72)
    assert site.as_of == LAST_DAY
    assert simulator.stats()["total"] == 0

    prompts = [len(result.prompt) for _, result in run(runtime)]
    assert site.coming.tokens == site.coming.reserved_tokens == sum(prompts) + 72 * 1500
    assert site.coming.cost_cny == site.coming.tokens * Decimal("0.0024") / 1000
    assert told.a_call == {}


def test_when_all_was_made_the_memo_saves_all_unless_forced(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    run(runtime)
    told, forced = forecast(runtime), forecast(runtime, forced=True)
    assert (told.total.calls, told.sites[0].saved) == (0, 72)
    assert (forced.total.calls, forced.sites[0].saved) == (72, 0)


def test_the_calls_foretold_for_the_next_day_are_the_calls_it_makes(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    day = date(2026, 6, 17)
    run(runtime, as_of=day)
    told = forecast(runtime, as_of=day + timedelta(days=1))
    made = [result for _, result in run(runtime, as_of=day + timedelta(days=1))]
    assert told.total.calls == sum(result.outcome is Outcome.SUCCESS for result in made) == 27
    assert told.sites[0].saved == 45


def test_a_cell_that_is_being_made_is_not_saved_as_in_a_step(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    run(runtime)
    execute(
        runtime,
        "insert into biz.ai_leases (app_type, site_id, target_id, day, month, expires_at)"
        " values ('app2_finance', 1001, 'this_week__all', 'd', 'm', clock_timestamp() + interval '1 min')",
    )
    assert forecast(runtime).sites[0].saved == 71


def test_an_older_result_from_the_same_prompt_saves_nothing(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    run(runtime)
    execute(
        runtime,
        "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)"
        " values ('app2_finance', 1001, 'this_week__all', '{}', 'test', 1000000, 'another')",
    )
    assert forecast(runtime).sites[0].saved == 71


def test_the_cache_is_read_once_for_each_site_and_the_warehouse_too(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    run(runtime, cells_of_site(SITE)[:2])
    seen: list[str] = []
    event.listen(runtime.engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
    forecast(runtime, SITE, OTHER)
    assert sum("biz.ai_cache" in statement for statement in seen) == 2
    assert sum("from dws.finance_area_daily" in statement for statement in seen) == 2


# what a call comes to


def test_what_a_call_reserves_is_the_guards_own_estimate_and_the_median_is_expected(
    make_runtime, simulator: Simulator
):
    runtime = make_runtime()
    run(runtime)
    with runtime.engine.connect() as connection:
        rows = connection.execute(
            text(
                "select tokens_used, cost_cny, latency_ms from biz.ai_run_logs"
                " where app_type = 'app2a_finance_area' and status = 'success' order by id desc limit 20"
            )
        ).all()
    tokens = [row.tokens_used for row in rows]
    each = forecast(runtime, forced=True).a_call["app2a_finance_area"]
    assert each.tokens == pytest.approx(median(tokens), abs=0.5)
    assert each.cost_cny == pytest.approx(each.tokens * sum(row.cost_cny for row in rows) / sum(tokens))
    assert each.latency_ms == median(row.latency_ms for row in rows)

    # the next call of the guard reserves just that
    call = Call("app2a_finance_area", "app2a_finance_area", OTHER, "this_week__vip", "p", "h", "batch")
    admitted = runtime.guard.admit(call, threading.Event())
    assert isinstance(admitted, Admission)
    assert admitted.reserved_tokens == each.reserved_tokens


# budgets


def test_all_four_budgets_are_told_with_what_is_left_of_them(make_runtime, simulator: Simulator):
    runtime = make_runtime(
        daily_tokens=10**6, monthly_tokens=10**7, site_daily_tokens=5000, site_monthly_tokens=None
    )
    day = value(runtime, "select to_char(clock_timestamp() at time zone biz.ai_timezone(), 'YYYY-MM-DD')")
    for scope, period, used, reserved in (
        ("all", f"day:{day}", 100, 20),
        ("all", f"month:{day[:7]}", 300, 40),
        (f"site:{SITE}", f"day:{day}", 4500, 0),
        (f"site:{SITE}", "day:2020-01-01", 5000, 0),
    ):
        execute(
            runtime,
            "insert into biz.ai_budgets (scope, period, used, reserved) values (:scope, :period, :used, :reserved)",
            scope=scope,
            period=period,
            used=used,
            reserved=reserved,
        )
    told = forecast(runtime, SITE, OTHER)
    assert [
        (each.budget.name, each.budget.site_id, each.budget.period, each.budget.left, each.calls)
        for each in told.budgets
    ] == [
        ("day", None, day, 10**6 - 120, 144),
        ("month", None, day[:7], 10**7 - 340, 144),
        ("site_day", SITE, day, 500, 72),
        ("site_day", OTHER, day, 5000, 72),
        ("site_month", SITE, day[:7], None, 72),
        ("site_month", OTHER, day[:7], None, 72),
    ]
    assert not told.fits
    assert [each.budget.name for each in told.budgets if not each.fits] == ["site_day", "site_day"]


def test_a_budget_that_is_spent_still_fits_where_nothing_is_left_to_call(make_runtime, simulator: Simulator):
    runtime = make_runtime(daily_tokens=10**9)
    run(runtime)
    spent = make_runtime(daily_tokens=1)
    assert forecast(spent).fits
    assert not forecast(spent, forced=True).fits


def test_the_calls_that_fit_are_made_when_the_budget_runs_out(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    run(runtime, cells_of_site(OTHER))
    used = value(runtime, "select used from biz.ai_budgets where scope = 'all' and period like 'day:%'")
    each = forecast(runtime).a_call["app2a_finance_area"]
    short = make_runtime(daily_tokens=used + 40 * each.tokens, concurrency=1)
    told = forecast(short)
    (day,) = [one for one in told.budgets if one.budget.name == "day"]
    results = run(short)
    made = [cell for cell, result in results if result.outcome is Outcome.SUCCESS]
    assert not told.fits
    # each call uses a little more or less than the median
    assert len(made) == pytest.approx(day.fitting, abs=4)
    assert 30 <= day.fitting <= 40
    # and those that matter most are among them
    assert sorted(cells_of_site(SITE), key=priority)[: len(made)] == made


def test_wide_budgets_are_known_to_suffice_without_building_a_prompt(make_runtime, simulator: Simulator):
    runtime = make_runtime(daily_tokens=10**9)
    seen: list[str] = []
    both = sites(runtime, SITE, OTHER)
    # never called: not known yet
    assert not surely_fits(runtime.engine, runtime.guard.limits, terms(runtime), both)
    run(runtime, [Cell(SITE, "all", "this_week"), Cell(SITE, "vip", "this_week")])
    event.listen(runtime.engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
    assert surely_fits(runtime.engine, runtime.guard.limits, terms(runtime), both)
    assert len(seen) == 2
    assert not any("dws." in statement for statement in seen)
    tight = make_runtime(daily_tokens=200_000).guard.limits
    assert not surely_fits(runtime.engine, tight, terms(runtime), both)


def test_without_any_limit_nothing_is_asked(make_runtime, simulator: Simulator):
    runtime = make_runtime(daily_tokens=None)
    assert surely_fits(runtime.engine, runtime.guard.limits, terms(runtime), sites(runtime))


# trouble


def test_a_cell_that_cannot_be_built_costs_nothing_and_is_told(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    execute(
        runtime,
        "update dws.finance_area_daily set orders = -3"
        " where site_id = :site and area = 'vip' and biz_date = :day",
        site=SITE,
        day=LAST_DAY,
    )
    told = forecast(runtime, SITE, OTHER)
    assert [(site.failing, site.coming.calls) for site in told.sites] == [(6, 66), (0, 72)]
    assert "orders" in (told.sites[0].trouble or "")


def test_a_site_without_data_is_told_and_the_other_is_forecast(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    execute(runtime, "insert into biz.sites (site_id, name, is_active) values (7, '新店', true)")
    told = forecast(runtime, 7, SITE)
    empty, full = told.sites
    assert (empty.failing, empty.as_of, empty.coming.calls) == (72, None, 0)
    assert "site 7 has no data" in (empty.trouble or "")
    assert (full.coming.calls, told.total.calls) == (72, 72)


def test_an_as_of_date_out_of_range_is_refused(make_runtime, simulator: Simulator):
    with pytest.raises(InputError, match="as-of date"):
        forecast(make_runtime(), as_of=date(1, 1, 1))


def test_an_open_breaker_and_a_cooldown_are_told(make_runtime, simulator: Simulator):
    runtime = make_runtime()
    assert forecast(runtime).in_trouble == ()
    execute(
        runtime,
        "insert into biz.ai_breakers (app_type, state, reason, open_until, cooldown_until) values"
        " ('app2_finance', 'open', 'arrears', 'infinity', null),"
        " ('app2a_finance_area', 'closed', null, null, clock_timestamp() + interval '1 min'),"
        " ('app3_clue', 'open', 'other', null, null)",
    )
    blocked, throttled = forecast(runtime).in_trouble
    assert (blocked.app, blocked.state, blocked.reason) == ("app2_finance", "open", "arrears")
    # until it is closed by hand
    assert blocked.open_until is None
    assert throttled.app == "app2a_finance_area"
    assert throttled.cooldown_until > datetime.now(UTC)
    execute(
        runtime,
        "update biz.ai_breakers set cooldown_until = null, open_until = clock_timestamp() - interval '1 s'",
    )
    assert [app.state for app in forecast(runtime).in_trouble] == ["half_open"]


# minutes


def test_sites_one_after_the_other_take_the_sum_and_side_by_side_the_longest(
    make_runtime, simulator: Simulator
):
    runtime = make_runtime(rate_per_minute=60, batch_rate_share=0.6)
    told = forecast(runtime, SITE, OTHER)
    assert [site.coming.minutes for site in told.sites] == [2.0, 2.0]
    assert (told.total.minutes, told.minutes_side_by_side) == (4.0, 2.0)


# the order of a run


def test_cells_are_made_in_the_order_of_what_matters_whatever_order_they_come_in(
    make_runtime, simulator: Simulator
):
    cells = [*cells_of_site(SITE), *cells_of_site(OTHER)]
    random.Random(3).shuffle(cells)
    results = run(make_runtime(), cells, concurrency=1)
    assert [cell for cell, _ in results] == sorted(cells, key=priority)
