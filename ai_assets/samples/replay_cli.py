"""`ai-assets sample replay`: its arguments, its progress, its summary. Not here: reading (`history`) and sending
(`replay`).
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from ai_assets.errors import InputError

if TYPE_CHECKING:
    from ai_assets.samples.cli import EngineSource
    from ai_assets.samples.replay import Tally

DEFAULT_SPEED = 3600.0
_LINE_EVERY_S = 5.0
_ERRORS_SHOWN = 5
_MOST_EVENTS = 2**63 - 1


@click.command()
@click.option(
    "--speed", type=float, default=None, help=f"Times real time; 1: as it was.  [default: {DEFAULT_SPEED:g}]"
)
@click.option("--all", "at_once", is_flag=True, help="As fast as it goes, without any waiting.")
@click.option("--site", "sites", type=int, multiple=True, help="Site id; may be given again. Default: all.")
@click.option(
    "--limit", type=int, default=None, help="The newest so many, in their real order. Default: all."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def replay(
    source: EngineSource,
    speed: float | None,
    at_once: bool,
    sites: tuple[int, ...],
    limit: int | None,
    as_json: bool,
) -> int:
    """Send the loaded sample's settlements, notes and tasks as events, in the order in which they happened.

    Ctrl-C ends it. Exit 1 where an event was recorded as failed.
    """
    from ai_assets.samples.history import History
    from ai_assets.samples.replay import Tally, to_inbox
    from ai_assets.samples.replay import replay as send_all

    pace = _pace(speed, at_once)
    if limit is not None and limit < 1:
        raise InputError(f"--limit is a number of events, at least 1, not {limit}")
    if limit is not None and limit > _MOST_EVENTS:
        raise InputError(f"--limit is a number of events, at most {_MOST_EVENTS}, not {limit}")
    engine = source.engine()
    history = History(engine, sites=tuple(dict.fromkeys(sites)), limit=limit)
    tally = Tally()
    try:
        with _Stop() as stop, _progress(history.count, quiet=as_json) as progress:
            send_all(
                history.events(),
                to_inbox(engine),
                tally,
                speed=pace,
                stopped=lambda: stop.asked,
                sleep=stop.sleep,
                progress=progress.show,
            )
    finally:
        # also where Postgres went away in the middle: what is sent is sent
        _print(tally, history.count, as_json=as_json)
    return 1 if tally.failed else 0


def _pace(speed: float | None, at_once: bool) -> float | None:
    if at_once:
        if speed is not None:
            raise InputError("--speed and --all exclude each other: --all does not wait at all")
        return None
    pace = DEFAULT_SPEED if speed is None else speed
    if not (math.isfinite(pace) and pace > 0):
        raise InputError(
            f"--speed is times real time, a number above 0, not {pace:g}; --all goes without waiting"
        )
    return pace


class _Stop:
    """Ctrl-C as a question to ask between two transactions, so that none is cut in two; a second one cuts."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stop:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def sleep(self, seconds: float) -> None:
        """Sleep, or until asked."""
        ends = time.monotonic() + seconds
        while not self.asked and (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


class _Progress:
    """A bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, soft_wrap=True)
        self._lines = not console.is_terminal and not quiet
        self._said = time.monotonic()
        self.bar = Progress(
            TextColumn("replay"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._total = total
        self._task = self.bar.add_task("replay", total=total)

    def show(self, tally: Tally) -> None:
        """So many are sent now."""
        self.bar.update(self._task, completed=tally.sent)
        if self._lines and time.monotonic() - self._said >= _LINE_EVERY_S:
            self._said = time.monotonic()
            click.echo(f"replay: {tally.sent:,} of {self._total:,} events sent", err=True)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[_Progress]:
    if not quiet:
        click.echo(f"replay: {total:,} events; Ctrl-C ends it", err=True)
    progress = _Progress(total, quiet=quiet)
    with progress.bar:
        yield progress


def _print(tally: Tally, total: int, *, as_json: bool) -> None:
    counts = {
        "events": total,
        "sent": tally.sent,
        "taken_in": tally.taken_in,
        "duplicates": tally.duplicates,
        "failed": tally.failed,
        "ignored": tally.ignored,
    }
    if as_json:
        click.echo(json.dumps({**counts, "errors": tally.errors}, ensure_ascii=False))
        return
    head = (
        f"sent all {total:,} events"
        if tally.sent == total
        else f"stopped: sent {tally.sent:,} of {total:,} events"
    )
    click.echo(
        f"{head}: {tally.taken_in:,} taken in, {tally.duplicates:,} duplicates, {tally.failed:,} failed"
        + (f", {tally.ignored:,} ignored" if tally.ignored else "")
    )
    shown = sorted(tally.errors.items(), key=lambda item: (-item[1], item[0]))[:_ERRORS_SHOWN]
    for message, times in shown:
        click.echo(f"failed {times:,} times: {message}", err=True)
    if len(tally.errors) > len(shown):
        click.echo(f"… and {len(tally.errors) - len(shown)} other reasons; see biz.ai_trigger_jobs", err=True)
