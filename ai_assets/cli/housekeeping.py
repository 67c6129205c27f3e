"""`ai-assets housekeeping`: what the nightly job does, now; or what it would do."""

from __future__ import annotations

import json
import signal
import threading

import click

from ai_assets.cli.context import Context


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def housekeeping(context: Context, dry_run: bool, as_json: bool) -> int:
    """Let go of what is old and not in use: calls, texts, events, Dagster runs, members' partitions.

    Ctrl-C ends it between two batches; what went is gone, the next night does the rest. Exit 1 where a part failed.
    """
    from ai_assets.housekeeping import keep_house

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    engine = context.engine(1)
    with context.dagster_instance() as instance:
        report = keep_house(
            engine,
            instance,
            context.settings,
            dry_run=dry_run,
            stopped=stop.is_set,
            tell=lambda line: click.echo(line, err=as_json),
        )
    if as_json:
        click.echo(json.dumps(report.as_plain(), ensure_ascii=False, indent=2))
    return 1 if report.errors else 0
