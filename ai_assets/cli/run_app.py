"""`ai-assets run-app`: one app for one subject, by hand. Prints the result as JSON."""

from __future__ import annotations

import json
import threading
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from ai_assets.cli import environment
from ai_assets.cli.context import Context

if TYPE_CHECKING:
    from ai_assets.apps.base import Subject
    from ai_assets.chains.outcome import StepResult


@click.command("run-app")
@click.argument("app_name", metavar="APP")
@click.option("--site", type=int, default=0, help="Site id.")
@click.option("--time", "window", help="Time window, such as this_month.")
@click.option("--area", help="Area, such as hallA.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="As-of date. Default: the newest batch's.")
@click.option("--reuse", is_flag=True, help="Take the cached result where the prompt is the same.")
@click.pass_obj
def run_app(
    context: Context,
    app_name: str,
    site: int,
    window: str | None,
    area: str | None,
    as_of: datetime | None,
    reuse: bool,
) -> int:
    """Run APP for one subject: a new answer, through the guard, into the cache. Exit 1 where there is none."""
    from ai_assets.apps.base import Subject
    from ai_assets.apps.registry import app as find_app

    app = find_app(app_name)
    subject = Subject(site_id=site, window=window, area=area)
    app.check(subject)
    result = _run(context, app_name, subject, as_of.date() if as_of else None, forced=not reuse)
    if not result.outcome.has_result:
        click.echo(f"{result.outcome.value}: {result.message}", err=True)
        return 1
    click.echo(json.dumps(result.result, ensure_ascii=False, indent=2))
    return 0


def _run(
    context: Context, app_name: str, subject: Subject, as_of: date | None, *, forced: bool
) -> StepResult:
    from ai_assets.apps.registry import app as find_app
    from ai_assets.chains.outcome import StepRequest, Trigger
    from ai_assets.chains.runtime import runtime_from
    from ai_assets.chains.step import run_step
    from ai_assets.warehouse.finance import read_site_finance
    from ai_assets.warehouse.sites import as_of_date, find_site

    app = find_app(app_name)
    environment.apply(environment.variables(context.settings, context.database_url))
    settings = context.settings
    app.app_id(settings)
    with context.engine(1).connect() as connection:
        found = find_site(connection, subject.site_id)
        finance = read_site_finance(connection, found, as_of_date(connection, subject.site_id, as_of))
    with runtime_from(settings, database_url=context.database_url, concurrency=1) as runtime:
        request = StepRequest(app, subject, lambda: app.build(finance, subject), Trigger(forced=forced))
        return run_step(runtime, request, threading.Event())
