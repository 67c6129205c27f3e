"""`ai-assets db …`: the embedded Postgres, migrations, the URL."""

from __future__ import annotations

import click

from ai_assets.cli import environment
from ai_assets.cli.context import Context


@click.group()
def db() -> None:
    """The database: start, migrate, print its URL, stop."""


@db.command()
@click.pass_obj
def up(context: Context) -> None:
    """Start the embedded Postgres and leave it running."""
    start(context)


@db.command()
@click.pass_obj
def upgrade(context: Context) -> None:
    """Bring the tables to this version; make Dagster's database. Twice changes nothing."""
    migrate(context)


@db.command()
@click.pass_obj
def url(context: Context) -> None:
    """Print the URL of the results' database."""
    click.echo(context.database_url)


@db.command()
@click.pass_obj
def down(context: Context) -> None:
    """Stop the embedded Postgres."""
    from ai_assets.store import embedded

    if context.settings.database_url.get_secret_value():
        click.echo("AI_DATABASE_URL is set: the server is not this project's to stop")
    elif embedded.stop(context.settings.home):
        click.echo("the embedded Postgres has stopped")
    else:
        click.echo("the embedded Postgres does not run")


def start(context: Context) -> None:
    """Start the embedded server where it is used, and say where its data is."""
    from ai_assets.store import embedded

    settings = context.settings
    if settings.database_url.get_secret_value():
        click.echo("AI_DATABASE_URL is set: using that server, nothing to start")
        return
    folder = embedded.data_folder(settings.home)
    if folder.moved_because:
        click.echo(folder.moved_because)
    _ = context.database_url
    click.echo(f"embedded Postgres is running, its data is in {folder.path}")


def migrate(context: Context) -> None:
    """Migrate the results' database and make Dagster's."""
    from ai_assets.store.databases import ensure_database
    from ai_assets.store.migrate import upgrade as upgrade_schema

    before, after = upgrade_schema(context.database_url)
    if before == after:
        click.echo(f"the tables are at revision {after} already")
    else:
        click.echo(f"the tables are at revision {after} now (before: {before or 'none'})")
    if ensure_database(environment.dagster_url(context.database_url)):
        click.echo("made Dagster's database")
