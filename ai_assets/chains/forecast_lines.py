"""A forecast in lines: which budget is short, and what else stands in the way of the calls.

Not here: the reckoning (`ai_assets.guard.forecast`), tables on a terminal (`ai_assets.cli.forecast_words`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from ai_assets.apps.registry import FINANCE_APPS
from ai_assets.chains.forecast import forecast_sites, surely_fits

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.chains.forecast import Forecast
    from ai_assets.guard.forecast import BudgetForecast, Terms
    from ai_assets.guard.limits import GuardLimits
    from ai_assets.store.usage import AppTrouble
    from ai_assets.warehouse.sites import Site


def shortfall(
    engine: Engine,
    limits: GuardLimits,
    terms: Terms,
    sites: Sequence[Site],
    *,
    as_of: date | None = None,
    forced: bool = False,
) -> list[str]:
    """What an operator should know before these sites are made: a line for each budget that would refuse calls.

    Nothing where all fit, which is mostly known without building a prompt. Raises as `forecast_sites` does.
    """
    if surely_fits(engine, limits, terms, sites):
        return []
    made = forecast_sites(engine, limits, terms, sites, as_of=as_of, forced=forced)
    return [] if made.fits else [*short_budgets(made), *notes(made)]


def _too_small(forecast: BudgetForecast) -> str:
    budget = forecast.budget
    return (
        f"{_name(forecast)} does not suffice: {forecast.fitting} of {forecast.calls} calls fit into the "
        f"{budget.left:,} tokens that are left, all need about {forecast.tokens:,} ({budget.setting})"
    )


def _name(forecast: BudgetForecast) -> str:
    budget = forecast.budget
    kind = "month" if budget.name.endswith("month") else "day"
    of_site = f" of site {budget.site_id}" if budget.site_id is not None else ""
    return f"the budget of {kind} {budget.period}{of_site}"


def notes(made: Forecast) -> Iterator[str]:
    """What else an operator should know before the calls begin, a line each."""
    for site in made.sites:
        if site.trouble is not None:
            yield f"site {site.site.site_id}: {site.failing} of {site.cells} cells cannot be built: {site.trouble}"
    for trouble in made.in_trouble:
        yield from _trouble(trouble)
    new = [app for app in FINANCE_APPS if app not in made.a_call]
    if new and made.total.calls:
        yield f"{', '.join(new)}: no call is known yet; tokens by the prompts' length, cost at the dearest price"


def short_budgets(made: Forecast) -> list[str]:
    """A line for each budget that would refuse calls."""
    return [_too_small(budget) for budget in made.budgets if not budget.fits]


def _trouble(app: AppTrouble) -> Iterator[str]:
    why = app.reason or "its app failed too often"
    if app.state == "half_open":
        yield f"{app.app}: its breaker is half-open ({why}): all but probes are refused until they pass"
    elif app.state == "open":
        by_hand = "it is closed (`ai-assets guard close`)"
        until = by_hand if app.open_until is None else _time(app.open_until)
        yield f"{app.app}: its breaker is open ({why}): calls are refused until {until}"
    if app.cooldown_until is not None:
        yield f"{app.app}: DashScope throttles it: no call before {_time(app.cooldown_until)}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
