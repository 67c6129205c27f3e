"""`ai-assets jobs`: look for trigger jobs, see one, replay them, cancel them.

Here: the commands. Not here: what a filter may say (`ai_assets.store.job_filter`), which jobs a replay takes and at
what pace (`ai_assets.chains.replaying`), lines (`jobs_words`).
"""

from __future__ import annotations

import getpass
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli.context import Context
from ai_assets.cli.jobs_words import (
    as_plain,
    cancelled_line,
    detail_lines,
    details_as_plain,
    is_stopped,
    lines,
)
from ai_assets.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.store.job_filter import JobFilter

_LOOK_AGAIN_S = 0.25
json_option = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `read_filter` reads."""
    options = (
        click.option("--state", "states", multiple=True, help="State; may be given again."),
        click.option("--site", "sites", type=int, multiple=True, help="Site id; may be given again."),
        click.option("--event", "events", multiple=True, help="Event type; may be given again."),
        click.option("--member", type=int, help="Member id."),
        click.option("--since", help="Came at or after: 2h (ago), 2026-01-31 or 2026-01-31T18:30."),
        click.option("--until", help="Came before; written the same way."),
        click.option("--error", help="A piece of its error's text."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_filter(context: Context, ids: tuple[int, ...] = (), **said: Any) -> JobFilter:
    """The filter of these options. Raises InputError."""
    from ai_assets.store.job_filter import job_filter

    return job_filter(
        now=datetime.now(UTC),
        zone=context.settings.zone,
        ids=ids,
        states=said["states"],
        sites=said["sites"],
        event_types=said["events"],
        member_id=said["member"],
        since=said["since"],
        until=said["until"],
        error=said["error"],
    )


@click.group()
def jobs() -> None:
    """Trigger jobs: what became of each event. List them, see one, replay those that failed, cancel."""


@jobs.command("list")
@filter_options
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many."
)
@json_option
@click.pass_obj
def list_(context: Context, /, limit: int, as_json: bool, **said: Any) -> None:
    """List trigger jobs, newest first."""
    from ai_assets.store.engine import reachable
    from ai_assets.store.job_list import find_jobs

    wanted = read_filter(context, **said)
    with reachable("listing trigger jobs"), context.engine(1).connect() as connection:
        found = find_jobs(connection, wanted, limit=limit)
    if as_json:
        _echo_json([as_plain(listed) for listed in found])
        return
    if not found:
        click.echo("no such trigger job", err=True)
        return
    for line in lines(found):
        click.echo(line)
    if len(found) == limit:
        click.echo(f"the newest {limit}; --limit shows more", err=True)


@jobs.command()
@click.argument("ids", nargs=-1, type=int, required=True, metavar="ID…")
@click.option("--payload", "with_payload", is_flag=True, help="Print the event's whole payload.")
@json_option
@click.pass_obj
def show(context: Context, ids: tuple[int, ...], with_payload: bool, as_json: bool) -> int:
    """Show trigger jobs with their steps, calls and replays. Exit 1 where one is not there."""
    from ai_assets.store.engine import reachable
    from ai_assets.store.job_filter import job_filter
    from ai_assets.store.job_list import job_details

    wanted = job_filter(now=datetime.now(UTC), zone=context.settings.zone, ids=ids).ids
    with reachable("reading trigger jobs"), context.engine(1).connect() as connection:
        found = {job_id: job_details(connection, job_id) for job_id in wanted}
    told = [details_as_plain(one, with_payload=with_payload) for one in found.values() if one is not None]
    if as_json:
        _echo_json(told)
    else:
        for one in told:
            for line in detail_lines(one):
                click.echo(line)
    missing = [str(job_id) for job_id, one in found.items() if one is None]
    if missing:
        click.echo(f"there is no trigger job {', '.join(missing)}", err=True)
    return 1 if missing else 0


@jobs.command()
@click.argument("ids", nargs=-1, type=int, metavar="[ID…]")
@filter_options
@click.option("--forced", is_flag=True, help="New answers for every step, though nothing changed.")
@click.option("--rate", help="At most so many: 30/min, 2/s, 600/h. Default: as fast as it goes.")
@click.option("--limit", type=click.IntRange(1), help="The oldest so many. Default: all.")
@click.option("--dry-run", is_flag=True, help="Say what would be replayed, and do nothing.")
@json_option
@click.pass_obj
def replay(
    context: Context,
    /,
    ids: tuple[int, ...],
    forced: bool,
    rate: str | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
    **said: Any,
) -> int:
    """Send ended trigger jobs' events again, each as a new job, oldest first.

    Without --state: those that are failed, dead or partial. What was replayed before or cancelled by a person is
    left out, so this may be run twice; by their ids they are told of. Steps with an answer of the same prompt cost
    no call, unless --forced. Ctrl-C ends it between two jobs. Exit 1 where one could not be replayed.
    """
    from ai_assets.chains import replaying
    from ai_assets.store.engine import reachable

    wanted = read_filter(context, ids, **said)
    pace = replaying.per_minute(rate)
    if wanted.is_empty:
        raise InputError(
            "say which: trigger job ids, or --state, --site, --event, --member, --since, --until, --error"
        )
    engine = context.engine(1)
    with reachable("looking for jobs to replay"):
        job_ids = replaying.chosen(engine, wanted, limit=limit)
    if dry_run:
        return _would_replay(engine, job_ids, pace, as_json=as_json)
    tally = replaying.Tally(len(job_ids))
    stop = _stop_on_signals()
    try:
        with reachable("replaying"):
            for one in replaying.replay_all(
                job_ids,
                replaying.sender(engine, forced=forced),
                tally,
                rate=pace,
                stopped=stop.is_set,
                sleep=stop.wait,
            ):
                if not as_json:
                    click.echo(replaying.said(one))
    finally:
        # also where Postgres went away in the middle: what is replayed is replayed
        if as_json:
            outcomes = {outcome.value: count for outcome, count in tally.outcomes.items()}
            _echo_json(
                {"chosen": tally.chosen, "done": tally.done, "outcomes": outcomes, "replays": tally.replays}
            )
        else:
            click.echo(tally.sentence(), err=True)
    return 1 if tally.not_done else 0


def _would_replay(engine: Engine, job_ids: list[int], pace: float | None, *, as_json: bool) -> int:
    from ai_assets.store.engine import reachable
    from ai_assets.store.job_filter import JobFilter
    from ai_assets.store.job_list import find_jobs

    with reachable("reading trigger jobs"), engine.connect() as connection:
        shown = find_jobs(connection, JobFilter(ids=tuple(job_ids)), limit=50) if job_ids else []
    if as_json:
        _echo_json({"chosen": len(job_ids), "job_ids": job_ids})
        return 0
    for line in lines(shown):
        click.echo(line)
    lasts = "" if not pace else f", over {max(0.0, (len(job_ids) - 1) / pace):.1f} min"
    click.echo(f"{len(job_ids)} would be replayed{lasts}; nothing was done", err=True)
    return 0


@jobs.command()
@click.argument("ids", nargs=-1, type=int, required=True, metavar="ID…")
@click.option("--reason", default="", help="Why; shown as the job's error.")
@click.option("--by", help="Who. Default: the user who runs this.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 600), default=30.0, show_default=True,
    help="Seconds to wait for running ones to stop.",
)  # fmt: skip
@json_option
@click.pass_obj
def cancel(
    context: Context, ids: tuple[int, ...], reason: str, by: str | None, wait_s: float, as_json: bool
) -> int:
    """Cancel trigger jobs: one that waits at once, one that runs as soon as its worker hears of it.

    What its finished steps gave stays. Exit 1 where one is not there, had ended, or has not stopped yet.
    """
    from ai_assets.store.engine import reachable
    from ai_assets.store.job_control import cancel_job
    from ai_assets.store.job_filter import job_filter

    wanted = job_filter(now=datetime.now(UTC), zone=context.settings.zone, ids=ids).ids
    why = f"cancelled by {(by or '').strip() or _user()}" + (f": {reason.strip()}" if reason.strip() else "")
    engine = context.engine(1)
    answers: dict[int, str | None] = {}
    with reachable("cancelling trigger jobs"):
        for job_id in wanted:
            with engine.begin() as connection:
                answers[job_id] = cancel_job(connection, job_id, why=why)
    ended = _wait_for_end(engine, [job for job, answer in answers.items() if answer == "asked"], wait_s)
    told = [
        {"trigger_job_id": job, "answer": answer, "status": ended.get(job)} for job, answer in answers.items()
    ]
    if as_json:
        _echo_json(told)
    else:
        for job, answer in answers.items():
            click.echo(cancelled_line(job, answer, ended.get(job)))
    return 0 if all(is_stopped(answer, ended.get(job)) for job, answer in answers.items()) else 1


def _wait_for_end(engine: Engine, job_ids: list[int], wait_s: float) -> dict[int, str]:
    """The states of these once none of them runs any more, or after `wait_s`."""
    from ai_assets.store.engine import reachable
    from ai_assets.store.job_filter import JobFilter
    from ai_assets.store.job_list import find_jobs

    ends = time.monotonic() + wait_s
    while job_ids:
        with reachable("looking whether they stopped"), engine.connect() as connection:
            found = find_jobs(connection, JobFilter(ids=tuple(job_ids)), limit=len(job_ids))
        states = {listed.job.id: listed.job.status for listed in found}
        if "running" not in states.values() or time.monotonic() >= ends:
            return states
        time.sleep(_LOOK_AGAIN_S)
    return {}


def _stop_on_signals() -> threading.Event:
    """Ctrl-C and SIGTERM as a question to ask between two jobs."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _user() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _echo_json(told: Any) -> None:
    from ai_assets.store.texts import storable_json

    click.echo(json.dumps(json.loads(storable_json(told)), ensure_ascii=False, indent=2))
