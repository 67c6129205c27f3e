"""The command line: `ai-assets COMMAND`. One module a command; here only the group and the exit codes.

Exit codes: 0 done, 1 some of the work failed (said which), 2 wrong use.
"""

from __future__ import annotations

import sys

import click

from ai_assets.cli.context import Context
from ai_assets.cli.database import db
from ai_assets.cli.demo import demo, up
from ai_assets.cli.env import env
from ai_assets.cli.explain import explain
from ai_assets.cli.fire import fire
from ai_assets.cli.forecast import forecast
from ai_assets.cli.gateway import gateway
from ai_assets.cli.guard import guard
from ai_assets.cli.housekeeping import housekeeping
from ai_assets.cli.jobs import jobs
from ai_assets.cli.prewarm import prewarm
from ai_assets.cli.report import report
from ai_assets.cli.run_app import run_app
from ai_assets.cli.stale import stale
from ai_assets.cli.status import status
from ai_assets.cli.token import token
from ai_assets.cli.ui import ui
from ai_assets.cli.watch import watch
from ai_assets.cli.work import work
from ai_assets.errors import AiAssetsError, ConfigurationError, InputError
from ai_assets.samples.cli import sample
from ai_assets.simulator.cli import simulate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ai-assets")
@click.pass_context
def cli(context: click.Context) -> None:
    """AI insights of a venue chain as Dagster data assets."""
    context.obj = Context()


for command in (
    db,
    sample,
    fire,
    forecast,
    prewarm,
    work,
    run_app,
    guard,
    jobs,
    housekeeping,
    report,
    explain,
    stale,
    env,
    status,
    watch,
    gateway,
    token,
    simulate,
    ui,
    up,
    demo,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; an expected error is one line on standard error."""
    try:
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except AiAssetsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, InputError | ConfigurationError) else 1)
    sys.exit(code if isinstance(code, int) else 0)
