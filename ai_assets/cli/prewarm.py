"""`ai-assets prewarm`: make App2 and App2a now. The same asset as the site run, so Dagster shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli.context import Context
from ai_assets.cli.forecast import held_to
from ai_assets.cli.prewarm_progress import Progress
from ai_assets.cli.sites import chosen_sites

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition

    from ai_assets.chains.cells import Cell
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.summary import StepsSummary
    from ai_assets.warehouse.sites import Site


@dataclass
class SiteOutcome:
    """What a site's run came to; `error` where it failed before or beside its cells."""

    site: Site
    summary: StepsSummary
    run_id: str = ""
    error: str = ""
    messages: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every cell of the site has a result."""
        return not self.error and not self.summary.failures


@click.command()
@click.option(
    "--site", "site_ids", type=int, multiple=True, help="Site id; may be given again. Default: all active."
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="As-of date. Default: the newest batch's.")
@click.option("--forced", is_flag=True, help="Make new answers even where the data is unchanged.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def prewarm(
    context: Context, site_ids: tuple[int, ...], as_of: datetime | None, forced: bool, as_json: bool
) -> int:
    """Make all 72 finance insights of each site. Exit 1 where a cell has no result."""
    outcomes = run_prewarm(
        context, site_ids, as_of=as_of.date() if as_of else None, forced=forced, quiet=as_json
    )
    if as_json:
        import json

        click.echo(json.dumps([_plain(outcome) for outcome in outcomes], ensure_ascii=False, indent=2))
    else:
        print_table(outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def run_prewarm(
    context: Context, site_ids: Sequence[int], *, as_of: date | None, forced: bool, quiet: bool = False
) -> list[SiteOutcome]:
    """Run each site's 72 cells in this process, one site after the other, with a progress bar on a terminal.

    Where the forecast is beyond what is left of a budget, it says so first and makes all sites in one run, so that
    area `all` and the running windows of every site come before the rest of any. Raises InputError for a site that
    there is not, ConfigurationError where an app id or the key is missing: before anything is spent.
    """
    engine = context.engine(2)
    sites = chosen_sites(engine, site_ids)
    instance = context.dagster_instance()
    _require_apps(context)
    from ai_assets.assets.trigger_job import SITE_TAG
    from ai_assets.chains.forecast_lines import shortfall
    from ai_assets.definitions import build_definitions
    from ai_assets.partitions import ensure_blocks, ensure_together, range_tags

    ensure_blocks(instance, [site.site_id for site in sites])
    short = shortfall(engine, *held_to(context.settings), sites, as_of=as_of, forced=forced)
    engine.dispose()
    for line in short:
        click.echo(line, err=True)
    if short:
        click.echo("area all and the running windows are made before the others", err=True)
    job = build_definitions().resolve_job_def("site_insights")
    batches: list[tuple[list[Site], dict[str, str]]]
    if short and len(sites) > 1:
        batches = [(sites, ensure_together(instance, [site.site_id for site in sites]))]
    else:
        batches = [([site], {**range_tags(site.site_id), SITE_TAG: str(site.site_id)}) for site in sites]
    with Progress(len(sites) * 72, quiet=quiet) as progress:
        return [
            outcome
            for batch, tags in batches
            for outcome in _run(instance, job, batch, tags, as_of, forced, progress)
        ]


def _require_apps(context: Context) -> None:
    from ai_assets.apps.registry import APPS, FINANCE_APPS

    settings = context.settings
    settings.require_dashscope_key()
    for name in FINANCE_APPS:
        APPS[name].app_id(settings)


def _run(
    instance: DagsterInstance,
    job: JobDefinition,
    sites: Sequence[Site],
    tags: Mapping[str, str],
    as_of: date | None,
    forced: bool,
    progress: Progress,
) -> list[SiteOutcome]:
    """One run that makes all cells of these sites."""
    from ai_assets.chains.observer import observed
    from ai_assets.chains.summary import StepsSummary

    outcomes = {site.site_id: SiteOutcome(site, StepsSummary()) for site in sites}
    progress.begin([f"{site.site_id} {site.name}" for site in sites])
    whole = StepsSummary()

    def follow(cell: Cell, result: StepResult) -> None:
        outcomes[cell.site_id].summary.add(result)
        whole.add(result)
        progress.step(whole)

    began = time.monotonic()
    with observed(follow):
        result = job.execute_in_process(
            instance=instance,
            tags=tags,
            run_config={
                "ops": {
                    "app2_finance": {
                        "config": {"forced": forced, "as_of": as_of.isoformat() if as_of else None}
                    }
                },
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
    for outcome in outcomes.values():
        summary = outcome.summary
        summary.seconds = time.monotonic() - began
        outcome.run_id = result.run_id
        told = summary.outcomes.total()
        if not result.success and not summary.failures and (told < 72 or not whole.failures):
            outcome.error = _failure(result)
    return list(outcomes.values())


def _failure(result: Any) -> str:
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.user_failure_data:
            return str(event.step_failure_data.user_failure_data.description)
        if event.is_failure:
            return str(event.message)
    return "the run failed; see it in the Dagster UI"


def print_table(outcomes: Sequence[SiteOutcome]) -> None:
    """Print the closing table, and why cells failed."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Finance insights")
    table.add_column("site")
    for column in ("made", "reused", "failed", "tokens", "cost (CNY)", "seconds"):
        table.add_column(column, justify="right")
    for outcome in outcomes:
        summary = outcome.summary
        table.add_row(
            f"{outcome.site.site_id} {outcome.site.name}",
            str(summary.made),
            str(summary.reused),
            str(summary.failed if not outcome.error else 72 - summary.made - summary.reused),
            f"{summary.tokens:,}",
            f"{summary.cost_cny:.4f}",
            f"{summary.seconds:.1f}",
        )
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for outcome in outcomes:
        if outcome.error:
            click.echo(f"site {outcome.site.site_id}: {outcome.error}", err=True)
        for message in dict.fromkeys(f.message or "" for f in outcome.summary.failures[:5]):
            click.echo(f"site {outcome.site.site_id}: {message}", err=True)
        hidden = len(outcome.summary.failures) - 5
        if hidden > 0:
            click.echo(f"site {outcome.site.site_id}: … and {hidden} more; run {outcome.run_id}", err=True)


def _plain(outcome: SiteOutcome) -> dict[str, Any]:
    summary = outcome.summary
    return {
        "site_id": outcome.site.site_id,
        "run_id": outcome.run_id,
        "made": summary.made,
        "reused": summary.reused,
        "failed": summary.failed,
        "tokens": summary.tokens,
        "cost_cny": str(summary.cost_cny),
        "seconds": round(summary.seconds, 3),
        "error": outcome.error or None,
        "failures": [failure.as_step_result() for failure in summary.failures],
    }
