"""`ai-assets prewarm`: make App2 and App2a now. The same asset as the site run, so Dagster shows it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli.context import Context

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition
    from rich.console import Console

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

    Raises InputError for a site that there is not, ConfigurationError where an app id or the key is missing:
    before anything is spent.
    """
    sites = _sites(context, site_ids)
    instance = context.dagster_instance()
    _require_apps(context)
    from ai_assets.definitions import build_definitions
    from ai_assets.partitions import ensure_blocks

    ensure_blocks(instance, [site.site_id for site in sites])
    job = build_definitions().resolve_job_def("site_insights")
    with _Progress(len(sites) * 72, quiet=quiet) as progress:
        return [_run_site(instance, job, site, as_of, forced, progress) for site in sites]


def _sites(context: Context, site_ids: Sequence[int]) -> list[Site]:
    from ai_assets.errors import InputError
    from ai_assets.store.engine import reachable
    from ai_assets.warehouse.sites import active_sites, find_site

    with reachable("reading the sites"), context.engine(1).connect() as connection:
        if site_ids:
            return [find_site(connection, site_id) for site_id in dict.fromkeys(site_ids)]
        sites = active_sites(connection)
    if not sites:
        raise InputError(
            "there is no active site in biz.sites: load a sample with `ai-assets sample load venue`"
        )
    return sites


def _require_apps(context: Context) -> None:
    from ai_assets.apps import app2_finance, app2a_finance_area

    settings = context.settings
    settings.require_dashscope_key()
    for app in (app2_finance.APP, app2a_finance_area.APP):
        app.app_id(settings)


def _run_site(
    instance: DagsterInstance,
    job: JobDefinition,
    site: Site,
    as_of: date | None,
    forced: bool,
    progress: _Progress,
) -> SiteOutcome:
    from ai_assets.assets.trigger_job import SITE_TAG
    from ai_assets.chains.observer import observed
    from ai_assets.chains.summary import StepsSummary
    from ai_assets.partitions import range_tags

    outcome = SiteOutcome(site, StepsSummary())
    progress.begin(site)

    def follow(_cell: Cell, result: StepResult) -> None:
        outcome.summary.add(result)
        progress.step(outcome.summary)

    began = time.monotonic()
    with observed(follow):
        result = job.execute_in_process(
            instance=instance,
            tags={**range_tags(site.site_id), SITE_TAG: str(site.site_id)},
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
    outcome.summary.seconds = time.monotonic() - began
    outcome.run_id = result.run_id
    if not result.success and not outcome.summary.failures:
        outcome.error = _failure(result)
    return outcome


def _failure(result: Any) -> str:
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.user_failure_data:
            return str(event.step_failure_data.user_failure_data.description)
        if event.is_failure:
            return str(event.message)
    return "the run failed; see it in the Dagster UI"


class _Progress:
    """A bar on a terminal, a plain line a site elsewhere."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        # a duplicate: Dagster captures the process's own streams while a step runs
        self._console = _console(os.dup(sys.stderr.fileno()))
        self._bar = self._console.is_terminal and not quiet
        self._lines = not self._console.is_terminal and not quiet
        self._site = ""
        self._done = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._bar,
        )
        self._task = self._progress.add_task("prewarm", total=total)

    def __enter__(self) -> _Progress:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()
        self._console.file.close()

    def begin(self, site: Site) -> None:
        """A site's run begins."""
        self._site = f"{site.site_id} {site.name}"
        self._progress.update(self._task, description=self._site)
        if self._lines:
            self._console.print(f"{self._site}: making 72 insights", highlight=False)

    def step(self, summary: StepsSummary) -> None:
        """One more cell has ended."""
        self._progress.advance(self._task)
        done = summary.made + summary.reused + summary.failed
        if self._lines and done % 24 == 0:
            self._console.print(f"{self._site}: {done}/72 ({summary.sentence()})", highlight=False)


def _console(descriptor: int) -> Console:
    from rich.console import Console

    return Console(file=os.fdopen(descriptor, "w", encoding="utf-8"), soft_wrap=True)


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
