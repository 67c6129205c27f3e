"""`ai-assets sample …`: fills the contract's tables with a sample, and replays it as events.

Here: the group, and `load`: arguments and what is printed. Not here: the samples themselves, `replay`
(`replay_cli`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import click

from ai_assets.errors import InputError
from ai_assets.samples.replay_cli import replay

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.samples.loading import LoadSummary

VENUE, COMPLETEJOURNEY = "venue", "completejourney"
_DATASETS = (VENUE, COMPLETEJOURNEY)
_DEFAULT_DAYS = 400


class EngineSource(Protocol):
    """What the command line's context gives: an engine on a migrated database, made when first asked for."""

    def engine(self) -> Engine:
        """The engine."""


@click.group()
def sample() -> None:
    """Data to work on without a real warehouse."""


sample.add_command(replay)


@sample.command()
@click.argument("dataset", metavar="|".join(_DATASETS))
@click.option("--sites", type=int, default=3, show_default=True, help="How many sites.")
@click.option(
    "--days",
    type=int,
    default=None,
    help=f"How many days, up to yesterday (venue only).  [default: {_DEFAULT_DAYS}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def load(source: EngineSource, dataset: str, sites: int, days: int | None, as_json: bool) -> None:
    """Fill the contract's tables with a sample; rows that stand there already are left alone."""
    if dataset not in _DATASETS:
        raise InputError(f"unknown dataset {dataset!r}: use one of {', '.join(_DATASETS)}")
    if dataset == COMPLETEJOURNEY and days is not None:
        raise InputError("--days is for the venue only: completejourney has its own year, 2017")
    summary = _load(source, dataset, sites, _DEFAULT_DAYS if days is None else days)
    if as_json:
        click.echo(json.dumps(_as_json(summary), ensure_ascii=False))
    else:
        _print_tables(summary)


def _load(source: EngineSource, dataset: str, sites: int, days: int) -> LoadSummary:
    def tell(line: str) -> None:
        click.echo(line, err=True)

    # here, not above: the whole command line imports this module, and most commands load nothing
    if dataset == COMPLETEJOURNEY:
        from ai_assets.samples.completejourney import load_completejourney, require_sites

        require_sites(sites)
        return load_completejourney(source.engine(), sites=sites, progress=tell)
    from ai_assets.samples.venue import last_finished_day, load_venue, require_size

    end = last_finished_day(datetime.now(UTC))
    require_size(sites=sites, days=days, end=end)
    return load_venue(source.engine(), sites=sites, days=days, end=end, progress=tell)


def _as_json(summary: LoadSummary) -> dict[str, object]:
    return {
        "dataset": summary.dataset,
        "rows": dict(summary.rows),
        "changed": dict(summary.changed),
        "sites": [{"site_id": site_id, "name": summary.site_names[site_id]} for site_id in summary.sites],
        "first_day": summary.first_day.isoformat(),
        "last_day": summary.last_day.isoformat(),
    }


def _print_tables(summary: LoadSummary) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = Table(title=f"{summary.dataset}: {summary.first_day} to {summary.last_day}")
    rows.add_column("table")
    rows.add_column("rows", justify="right")
    rows.add_column("new or changed", justify="right")
    for name, count in summary.rows.items():
        rows.add_row(name, f"{count:,}", f"{summary.changed[name]:,}")
    sites = Table("site", "name")
    for site_id in summary.sites:
        sites.add_row(str(site_id), summary.site_names[site_id])
    console = Console()
    console.print(rows)
    console.print(sites)
