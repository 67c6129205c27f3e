"""What a forecast says in lines: which budget is short, and what stands in the way of the calls."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ai_assets.chains.forecast import Forecast, SiteForecast
from ai_assets.chains.forecast_lines import notes, short_budgets
from ai_assets.cli.forecast_words import print_forecast
from ai_assets.guard.forecast import BudgetForecast, CallsForecast, Expected
from ai_assets.store.usage import AppTrouble, Budget
from ai_assets.warehouse.sites import Site

SOON = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)
COMING = CallsForecast(72, 216_000, 250_000, Decimal("0.2"), 1.7)
A_CALL = {
    name: Expected(3000, 3500, Decimal("0.0028"), 900.0) for name in ("app2_finance", "app2a_finance_area")
}


def forecast(*, site: str = "星河", trouble: str | None = None, **more) -> Forecast:
    one = SiteForecast(
        Site(1001, site, "Asia/Shanghai", True),
        date(2026, 6, 30),
        72,
        0,
        6 if trouble else 0,
        trouble,
        COMING,
    )
    return Forecast(
        **{
            "sites": (one,),
            "total": COMING,
            "minutes_side_by_side": 1.7,
            "budgets": (),
            "a_call": A_CALL,
            "in_trouble": (),
            **more,
        }
    )


def budget(fitting: int, *, name: str = "site_month", site_id: int | None = 1001) -> BudgetForecast:
    period = "2026-06" if name.endswith("month") else "2026-06-30"
    return BudgetForecast(
        Budget(name, site_id, period, 500_000, 350_000, 0, "AI_SITE_MONTHLY_TOKENS"), 72, 216_000, fitting
    )


def test_a_budget_that_is_short_is_one_line_with_all_that_an_operator_needs():
    made = forecast(budgets=(budget(50), budget(72, name="day", site_id=None)))
    (line,) = short_budgets(made)
    assert line == (
        "the budget of month 2026-06 of site 1001 does not suffice: 50 of 72 calls fit into the 150,000 tokens "
        "that are left, all need about 216,000 (AI_SITE_MONTHLY_TOKENS)"
    )


def test_where_nothing_stands_in_the_way_nothing_is_said():
    assert list(notes(forecast())) == []


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (AppTrouble("a", "open", "arrears", None, None), "until it is closed"),
        (AppTrouble("a", "open", "timeout", SOON, None), "are refused until 2026-0"),
        (AppTrouble("a", "half_open", "timeout", SOON, None), "all but probes are refused"),
        (AppTrouble("a", "closed", None, None, SOON), "no call before 2026-0"),
    ],
)
def test_an_app_that_is_held_back_is_named_with_until_when(trouble, said):
    (line,) = notes(forecast(in_trouble=(trouble,)))
    assert line.startswith("a: ")
    assert said in line
    assert (trouble.reason or "") in line


def test_apps_that_were_never_called_and_cells_that_cannot_be_built_are_told():
    told = list(notes(forecast(a_call={}, trouble="orders is -3")))
    assert told[0] == "site 1001: 6 of 72 cells cannot be built: orders is -3"
    assert told[1].startswith("app2_finance, app2a_finance_area: no call is known yet")


def test_a_sites_name_is_printed_as_it_is(capsys):
    print_forecast(forecast(site="[bold]店[/x]", budgets=(budget(50),)))
    told = capsys.readouterr()
    assert "[bold]店[/x]" in told.out
    assert "50 of 72" in told.out
    assert "does not suffice" in told.err
