"""`ai-assets fire`: send an event by hand."""

from __future__ import annotations

import click

from ai_assets.cli.context import Context
from ai_assets.cli.run_app import json_object


@click.command()
@click.argument("event")
@click.option("--site", type=int, help="Site id.")
@click.option("--member", type=int, help="Member id.")
@click.option("--assistant", type=int, help="Assistant id; goes into the payload, with has_assistant.")
@click.option("--payload", default="{}", help="JSON object.")
@click.option("--forced", is_flag=True, help="Run it though it is a duplicate, and make new answers.")
@click.pass_obj
def fire(
    context: Context,
    event: str,
    site: int | None,
    member: int | None,
    assistant: int | None,
    payload: str,
    forced: bool,
) -> int:
    """Send EVENT; prints its trigger job id. Exit 1 where the event was recorded as failed."""
    from ai_assets.store import inbox
    from ai_assets.store.engine import reachable

    content = json_object(payload)
    if assistant is not None:
        content["assistant_id"] = assistant
        # a consumption runs App4 and App5 only where the flag is true
        content.setdefault("has_assistant", True)
    engine = context.engine(1)
    with reachable("sending an event"), engine.begin() as connection:
        job_id = inbox.fire(
            connection, event, site_id=site, member_id=member, payload=content, is_forced=forced
        )
    # committed and said before anything else can go wrong: what was sent is never lost
    click.echo(job_id)
    with reachable("reading the event back"), engine.connect() as connection:
        job = inbox.job(connection, job_id)
    if job is not None and job.status == "failed":
        click.echo(f"recorded, but it cannot run: {job.error_message}", err=True)
        return 1
    if job is not None and job.status == "duplicate":
        click.echo(f"a duplicate of trigger job {job.duplicate_of}: not run", err=True)
    if job is not None and job.status == "ignored":
        click.echo("ignored: a consumption without a member has no chain", err=True)
    return 0
