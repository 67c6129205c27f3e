"""A forecast on a terminal: its tables. Not here: the reckoning, its lines (`ai_assets.chains.forecast_lines`)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from ai_assets.chains.forecast import Forecast
    from ai_assets.guard.forecast import CallsForecast


def print_forecast(made: Forecast) -> None:
    """Tables on standard output; what stands in the way on standard error."""
    from rich.console import Console

    from ai_assets.chains.forecast_lines import notes, short_budgets

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_sites_table(made))
    console.print(_budgets_table(made))
    if made.total.calls:
        console.print(
            f"{made.total.minutes:.1f} minutes one site after the other (prewarm), "
            f"{made.minutes_side_by_side:.1f} where their runs are side by side (Dagster)",
            highlight=False,
        )
    for app, call in made.a_call.items():
        takes = f", {call.latency_ms / 1000:.1f} s" if call.latency_ms is not None else ""
        console.print(
            f"a call of {app}: about {call.tokens:,} tokens, {call.reserved_tokens:,} at most, "
            f"CNY {call.cost_cny:.4f}{takes}",
            highlight=False,
        )
    for line in [*notes(made), *short_budgets(made)]:
        click.echo(line, err=True)


def _sites_table(made: Forecast) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Forecast of finance insights", title_justify="left")
    table.add_column("site")
    table.add_column("as of")
    for column in ("cells", "memo saves", "calls", "tokens", "at most", "cost (CNY)", "minutes"):
        table.add_column(column, justify="right")
    for site in made.sites:
        table.add_row(
            escape(f"{site.site.site_id} {site.site.name}"),
            str(site.as_of or ""),
            str(site.cells),
            str(site.saved),
            *_figures(site.coming),
        )
    if len(made.sites) > 1:
        cells, saved = (sum(getattr(site, name) for site in made.sites) for name in ("cells", "saved"))
        table.add_section()
        table.add_row("all", "", str(cells), str(saved), *_figures(made.total))
    return table


def _figures(coming: CallsForecast) -> tuple[str, ...]:
    return (
        str(coming.calls),
        f"{coming.tokens:,}",
        f"{coming.reserved_tokens:,}",
        f"{coming.cost_cny:.4f}",
        f"{coming.minutes:.1f}",
    )


def _budgets_table(made: Forecast) -> Table:
    from rich.table import Table

    table = Table(title="Budgets: tokens", title_justify="left")
    table.add_column("budget")
    table.add_column("period")
    for column in ("limit", "used", "reserved", "left", "calls that fit"):
        table.add_column(column, justify="right")
    unlimited: set[str] = set()
    for each in made.budgets:
        budget = each.budget
        if budget.left is None:
            # one line says it for all sites
            if budget.name not in unlimited:
                unlimited.add(budget.name)
                table.add_row(budget.name, "", "none", "", "", "no limit", "")
            continue
        site = "" if budget.site_id is None else f" {budget.site_id}"
        table.add_row(
            budget.name + site,
            budget.period,
            *(f"{amount:,}" for amount in (budget.limit or 0, budget.used, budget.reserved, budget.left)),
            "all" if each.fits else f"{each.fitting} of {each.calls}",
        )
    return table
