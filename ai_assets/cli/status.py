"""`ai-assets status`: what stands now."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from ai_assets.cli.context import Context

TITLES = {
    "inbox": "Inbox: trigger jobs by state",
    "breakers": "Circuit breakers",
    "rates": "Rate: calls of the last 60 s",
    "budgets": "Budgets: tokens of this day and month",
    "leases": "Calls in flight",
    "today": "Today, by app",
    "workers": "Workers",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def status(context: Context, as_json: bool) -> None:
    """Show the inbox, breakers, rates, budgets, leases, today's tokens and cost."""
    from ai_assets.store.engine import reachable
    from ai_assets.store.status import status as read_status

    with reachable("reading the status"), context.engine(1).connect() as connection:
        parts = read_status(connection)
    if as_json:
        click.echo(json.dumps(parts, ensure_ascii=False, indent=2, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for part, rows in parts.items():
        if not rows:
            console.print(f"{TITLES[part]}: none")
            continue
        table = Table(title=TITLES[part], title_justify="left")
        for name, value in rows[0].items():
            numeric = not isinstance(value, str | bool | datetime) and value is not None
            table.add_column(name, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(_shown(value) for value in row.values()))
        console.print(table)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
