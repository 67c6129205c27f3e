"""`ai-assets forecast`: what making the finance insights would cost now, and whether the budgets suffice.

Here: the command and its JSON. Not here: its tables (`forecast_words`), its lines (`ai_assets.chains.forecast_lines`),
the reckoning (`ai_assets.guard.forecast`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli.context import Context
from ai_assets.cli.forecast_words import print_forecast
from ai_assets.cli.sites import chosen_sites

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.chains.forecast import Forecast, SiteForecast
    from ai_assets.guard.forecast import BudgetForecast, CallsForecast, Terms
    from ai_assets.guard.limits import GuardLimits
    from ai_assets.settings import Settings
    from ai_assets.warehouse.sites import Site


@click.command()
@click.option(
    "--site", "site_ids", type=int, multiple=True, help="Site id; may be given again. Default: all active."
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="As-of date. Default: the newest batch's.")
@click.option("--forced", is_flag=True, help="As if new answers were made even where the data is unchanged.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def forecast(
    context: Context, site_ids: tuple[int, ...], as_of: datetime | None, forced: bool, as_json: bool
) -> int:
    """Tell what a prewarm would cost now: calls, tokens, CNY, minutes. Exit 1 where a budget would break.

    Calls nothing and needs no key.
    """
    engine = context.engine(2)
    made = make_forecast(
        engine,
        context.settings,
        chosen_sites(engine, site_ids),
        as_of=as_of.date() if as_of else None,
        forced=forced,
    )
    if as_json:
        click.echo(json.dumps(_plain(made), ensure_ascii=False, indent=2))
    else:
        print_forecast(made)
    return 0 if made.fits else 1


def make_forecast(
    engine: Engine, settings: Settings, sites: Sequence[Site], *, as_of: date | None, forced: bool
) -> Forecast:
    """The forecast at the limits that the environment sets."""
    from ai_assets.chains.forecast import forecast_sites

    limits, terms = held_to(settings)
    return forecast_sites(engine, limits, terms, sites, as_of=as_of, forced=forced)


def held_to(settings: Settings) -> tuple[GuardLimits, Terms]:
    """What the environment holds calls to."""
    from ai_assets.dashscope.price_file import read_prices
    from ai_assets.guard.forecast import Terms
    from ai_assets.guard.limits import GuardLimits

    limits = GuardLimits.from_settings(settings)
    return limits, Terms.of(limits, read_prices(settings.prices_file), settings.concurrency)


def _plain(made: Forecast) -> dict[str, Any]:
    from ai_assets.chains.forecast_lines import notes, short_budgets

    return {
        "fits": made.fits,
        "sites": [_plain_site(site) for site in made.sites],
        "total": {
            **_plain_calls(made.total),
            "cells": sum(site.cells for site in made.sites),
            "saved": sum(site.saved for site in made.sites),
            "failing": sum(site.failing for site in made.sites),
            "minutes_side_by_side": round(made.minutes_side_by_side, 2),
        },
        "budgets": [_plain_budget(budget) for budget in made.budgets],
        "apps": [
            {
                "app": app,
                "tokens": call.tokens,
                "reserved_tokens": call.reserved_tokens,
                "cost_cny": f"{call.cost_cny:.6f}",
                "latency_ms": call.latency_ms,
            }
            for app, call in made.a_call.items()
        ],
        "notes": [*notes(made), *short_budgets(made)],
    }


def _plain_site(site: SiteForecast) -> dict[str, Any]:
    return {
        "site_id": site.site.site_id,
        "as_of": site.as_of.isoformat() if site.as_of else None,
        "cells": site.cells,
        "saved": site.saved,
        "failing": site.failing,
        **_plain_calls(site.coming),
    }


def _plain_calls(coming: CallsForecast) -> dict[str, Any]:
    return {
        "calls": coming.calls,
        "tokens": coming.tokens,
        "reserved_tokens": coming.reserved_tokens,
        "cost_cny": f"{coming.cost_cny:.6f}",
        "minutes": round(coming.minutes, 2),
    }


def _plain_budget(forecast: BudgetForecast) -> dict[str, Any]:
    budget = forecast.budget
    return {
        "budget": budget.name,
        "site_id": budget.site_id,
        "period": budget.period,
        "limit": budget.limit,
        "used": budget.used,
        "reserved": budget.reserved,
        "left": budget.left,
        "calls": forecast.calls,
        "calls_that_fit": forecast.fitting,
        "fits": forecast.fits,
    }
