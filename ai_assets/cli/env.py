"""`ai-assets env`: the environment for running any Dagster command by hand."""

from __future__ import annotations

import shlex

import click

from ai_assets.cli import environment
from ai_assets.cli.context import Context


@click.command()
@click.pass_obj
def env(context: Context) -> None:
    """Print export lines: eval "$(ai-assets env)" and then any dagster command."""
    for name, value in sorted(environment.variables(context.settings, context.database_url).items()):
        click.echo(f"export {name}={shlex.quote(value)}")
