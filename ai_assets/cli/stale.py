"""`ai-assets stale`: which cached texts a run would make anew, by site and app. Made for cron: the exit code tells.

Here: the command, its table and its JSON. Not here: the rules (`ai_assets.chains.stale_rules`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli.context import Context
from ai_assets.cli.sites import chosen_sites

if TYPE_CHECKING:
    from ai_assets.chains.stale_rules import Stale
    from ai_assets.chains.staleness import SiteStaleness


@click.command()
@click.option(
    "--site", "site_ids", type=int, multiple=True, help="Site id; may be given again. Default: all active."
)
@click.option("--app", "apps", multiple=True, help="App, such as app2; may be given again. Default: all.")
@click.option("--list", "with_list", is_flag=True, help="Print each stale text with its reason.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON; holds the list.")
@click.pass_obj
def stale(
    context: Context, site_ids: tuple[int, ...], apps: tuple[str, ...], with_list: bool, as_json: bool
) -> int:
    """Tell which cached texts are out of date or missing. Exit 0: none; 1: some, or a site that cannot be judged.

    Calls nothing and needs no key. `prewarm` makes what is stale of the finances; a member's texts follow events.
    """
    from ai_assets.apps.registry import app as find_app
    from ai_assets.catalog import CATALOG
    from ai_assets.chains.staleness import site_staleness

    wanted = [find_app(name).name for name in apps] or list(CATALOG)
    engine = context.engine(2)
    found = [site_staleness(engine, site, wanted) for site in chosen_sites(engine, site_ids)]
    if as_json:
        click.echo(json.dumps(_plain(found), ensure_ascii=False, indent=2, default=str))
    else:
        _print(found, with_list=with_list)
    return 0 if all(site.is_fresh for site in found) else 1


def _plain(found: Sequence[SiteStaleness]) -> dict[str, Any]:
    return {
        "fresh": all(site.is_fresh for site in found),
        "sites": [
            {
                "site_id": site.site.site_id,
                "trouble": site.trouble,
                "apps": [
                    {
                        "app": app.app,
                        "targets": app.targets,
                        "fresh": app.fresh,
                        "stale": {reason.value: count for reason, count in sorted(app.counts.items())},
                        "list": [_plain_stale(one) for one in app.stale],
                    }
                    for app in site.apps
                ],
            }
            for site in found
        ],
    }


def _plain_stale(one: Stale) -> dict[str, Any]:
    return {
        "target_id": one.target_id,
        "reason": one.reason.value,
        "detail": one.detail,
        "cache_id": one.cache_id,
        "made_at": one.made_at,
    }


def _print(found: Sequence[SiteStaleness], *, with_list: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title="Cached texts against what a run would make now", title_justify="left")
    for column in ("site", "app"):
        table.add_column(column)
    for column in ("targets", "fresh", "stale"):
        table.add_column(column, justify="right")
    table.add_column("why")
    for site in found:
        for app in site.apps:
            why = ", ".join(f"{count} {reason.value}" for reason, count in sorted(app.counts.items()))
            table.add_row(
                escape(f"{site.site.site_id} {site.site.name}"),
                app.app,
                f"{app.targets:,}",
                f"{app.fresh:,}",
                f"{len(app.stale):,}",
                why,
            )
    console.print(table)
    for site in found:
        if site.trouble is not None:
            click.echo(f"site {site.site.site_id} cannot be judged: {site.trouble}", err=True)
        for app in site.apps if with_list else ():
            for one in app.stale:
                cached = "" if one.cache_id is None else f" (cached text {one.cache_id})"
                click.echo(
                    f"site {site.site.site_id} {app.app} {one.target_id}: {one.reason.value}: {one.detail}{cached}"
                )
