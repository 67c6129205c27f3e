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
@click.option("--dry-run", is_flag=True, help="Only count what would be copied, and say what would not.")
@click.pass_obj
def adopt(context: Context, *, dry_run: bool) -> None:
    """Move over from the earlier dispatcher: make the tables, and copy the content of the old ones.

    Old tables are found in biz and public. None is dropped: each is renamed NAME_before_adopt. All of it is one
    transaction. Twice changes nothing. Stop the earlier dispatcher first. Needs the owner of the old tables.
    """
    from ai_assets.cli.adopt import adoption_lines
    from ai_assets.store import adopt as moving
    from ai_assets.store.databases import ensure_database
    from ai_assets.store.shared_settings import shared_settings

    adoption = moving.adopt(
        context.database_url,
        context.settings.timezone,
        dry_run=dry_run,
        shared=shared_settings(context.settings),
    )
    for line in adoption_lines(adoption, dry_run=dry_run):
        click.echo(line)
    if adoption.tables and not dry_run and ensure_database(environment.dagster_url(context.database_url)):
        click.echo("made Dagster's database")


@db.command()
@click.pass_obj
def roles(context: Context) -> None:
    """Make the roles ai_reader, ai_operator, ai_backend, ai_worker, ai_gateway, and ai_intake, which owns event intake.

    Each gets what it needs and no more. Twice changes nothing.

    Run it again after an upgrade. Needs a user who owns the tables and may make roles.
    """
    from ai_assets.store.engine import make_engine, reachable
    from ai_assets.store.migrate import require_current
    from ai_assets.store.roles import BACKEND, GATEWAY, OPERATOR, READER, WORKER, grant_roles

    engine = make_engine(context.database_url, pool_size=1, application_name="ai_assets roles")
    try:
        with reachable("granting roles"), engine.begin() as connection:
            require_current(connection)
            grant_roles(connection)
    finally:
        engine.dispose()
    click.echo(f"{READER}: reads results, neither payloads nor prompts")
    click.echo(f"{OPERATOR}: reads results, payloads, prompts and answers")
    click.echo(f"{BACKEND}: the same as {READER}, and sends events by biz.fire_ai_event")
    click.echo(f"{WORKER}: Dagster's processes and these commands; reads the sources, makes no tables")
    click.echo(f"{GATEWAY}: the gateway; sends events and runs apps, makes no tokens")
    click.echo(f"give them to logins, such as: grant {BACKEND} to shop_backend")


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
    from ai_assets.store.shared_settings import shared_settings

    before, after = upgrade_schema(context.database_url, shared_settings(context.settings))
    if before == after:
        click.echo(f"the tables are at revision {after} already")
    else:
        click.echo(f"the tables are at revision {after} now (before: {before or 'none'})")
    if ensure_database(environment.dagster_url(context.database_url)):
        click.echo("made Dagster's database")
