"""`ai-assets run-app`: one app for one subject, by hand. Prints the result as JSON; Dagster shows it too."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli import environment
from ai_assets.cli.context import Context

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult


@click.command("run-app")
@click.argument("app_name", metavar="APP")
@click.option("--site", type=int, default=0, help="Site id.")
@click.option("--member", type=int, help="Member id: App3 to App8.")
@click.option("--assistant", type=int, help="Assistant id: App4, App5.")
@click.option("--time", "window", help="Time window, such as this_month: App2, App2a.")
@click.option("--area", help="Area, such as hallA: App2a.")
@click.option(
    "--payload",
    default="{}",
    help='JSON: {"note_content": …, "noted_by_name": …, "noted_by_created_at": …} for App6, {"app4_analysis": {…}} for '
    'App5, {"source": "ai_note"} for App8, {"triggered_by": …} for each. Another key is an error.',
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="As-of date. Default: the newest batch's.")
@click.option("--reuse", is_flag=True, help="Take the cached result where the prompt is the same.")
@click.pass_obj
def run_app(
    context: Context,
    app_name: str,
    site: int,
    member: int | None,
    assistant: int | None,
    window: str | None,
    area: str | None,
    payload: str,
    as_of: datetime | None,
    reuse: bool,
) -> int:
    """Run APP for one subject: a new answer, through the guard, into the cache. Exit 1 where there is none.

    APP is app2_finance … app8_consolidation, or member_retention_clue: set again from App8's newest answer.
    """
    from ai_assets.apps.base import Subject
    from ai_assets.apps.registry import APPS
    from ai_assets.apps.registry import app as find_app
    from ai_assets.chains.by_hand import Asked, check, run_by_hand
    from ai_assets.chains.member_steps import RETENTION_CLUE
    from ai_assets.chains.runtime import runtime_from

    name = app_name if app_name == RETENTION_CLUE else find_app(app_name).name
    asked = Asked(
        name,
        Subject(site_id=site, window=window, area=area, member_id=member, assistant_id=assistant),
        payload=json_object(payload),
        as_of=as_of.date() if as_of else None,
        forced=not reuse,
    )
    check(asked)
    environment.apply(environment.variables(context.settings, context.database_url))
    settings = context.settings
    if name in APPS:
        APPS[name].app_id(settings)
    context.engine(1).dispose()
    with runtime_from(settings, database_url=context.database_url, concurrency=1) as runtime:
        result = run_by_hand(runtime, asked)
    if not result.outcome.has_result:
        click.echo(f"{result.outcome.value}: {result.message}", err=True)
        return 1
    click.echo(json.dumps(_shown(result), ensure_ascii=False, indent=2))
    _materialize(context, result)
    return 0


def json_object(text: str) -> dict[str, Any]:
    """The value of a --payload option. Raises click.BadParameter."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--payload") from None
    if not isinstance(content, dict):
        raise click.BadParameter("not a JSON object", param_hint="--payload")
    return content


def _shown(result: StepResult) -> dict[str, Any]:
    from ai_assets.chains.member_steps import RETENTION_CLUE

    if result.app == RETENTION_CLUE:
        return {"clues_set": result.clues_set or 0, "from_cache": result.cache_id}
    return dict(result.result)


def _materialize(context: Context, result: StepResult) -> None:
    """Show the result in Dagster; trouble with that is said, and fails nothing: the result stands."""
    # whoever waits for the answer need not wait for Dagster
    sys.stdout.flush()
    try:
        from ai_assets.assets.by_hand import report

        report(context.dagster_instance(), result)
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not hide the result
        click.echo(f"the result stands, but Dagster could not be told: {error}", err=True)
