"""`ai-assets report`: the page of one day, as a file of its own."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai_assets.cli.context import Context
from ai_assets.errors import AiAssetsError, InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine


@click.command()
@click.option(
    "--day", default="yesterday", show_default=True, help="2026-01-31, today or yesterday, in AI_TIMEZONE."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE.html", help="Where to write it."
)
@click.pass_obj
def report(context: Context, day: str, out: Path) -> None:
    """Write one HTML file with the figures of a day: calls, cost, reuse, failures, latencies, breakers, cells.

    It loads nothing, so it may be mailed and opened anywhere, on a phone too.
    """
    from ai_assets.report.page import page
    from ai_assets.store.day_figures import day_figures

    zone = context.settings.zone
    now = datetime.now(UTC)
    of_day = read_day(day, now.astimezone(zone).date())
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: give a file, such as {out / f'{of_day}.html'}")
    engine = context.engine(1)
    figures = day_figures(engine, of_day, zone)
    text = page(figures, made_at=now, names=_names(engine))
    # whole or not at all: what was there stays until then
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(out)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(f"--out {out} cannot be written: {error.strerror}") from error
    total = figures.total
    click.echo(f"{out}: {of_day}, {total.calls:,} calls, {total.reused:,} reused, CNY {total.cost_cny:.2f}")


def read_day(written: str, today: date) -> date:
    """A day as people write it. Raises InputError; one that has not begun has no figures."""
    words = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = words.get(written) or date.fromisoformat(written)
    except ValueError:
        raise InputError(f"--day {written!r} is no date: give 2026-01-31, today or yesterday") from None
    if not date(1900, 1, 1) <= day <= today:
        raise InputError(f"--day {day} has not begun, or is before 1900")
    return day


def _names(engine: Engine) -> dict[int, str]:
    """What sites are called; a warehouse that cannot be read costs the names only."""
    from ai_assets.store.engine import reachable
    from ai_assets.warehouse import sites

    try:
        with reachable("reading the sites"), engine.connect() as connection:
            return {site.site_id: site.name for site in sites.active_sites(connection)}
    except AiAssetsError as error:
        click.echo(f"sites are shown by their ids: {error}", err=True)
        return {}
