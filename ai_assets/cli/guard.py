"""`ai-assets guard`: change circuit breakers, reset estimates, list the changes."""

from __future__ import annotations

import getpass
import json
import math
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ai_assets.catalog import CATALOG, find_entry
from ai_assets.cli.context import Context
from ai_assets.errors import InputError

if TYPE_CHECKING:
    from ai_assets.guard.breakers import Action, Breaker

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 366 * 86_400
_REASON_LIMIT = 200

apps_argument = click.argument("apps", nargs=-1, required=True, metavar="APP…|all")
reason_option = click.option(
    "--reason", required=True, help="Why; shown with each refusal and in the history."
)
by_option = click.option("--by", help="Who. Default: the user who runs this.")


@click.group()
def guard() -> None:
    """Change an app's circuit breaker, reset its token estimate, list the changes. Each change is recorded."""


@guard.command("open")
@apps_argument
@reason_option
@click.option(
    "--for", "duration", metavar="30m", help="For so long, then probes. Default: until it is closed."
)
@by_option
@click.pass_obj
def open_(context: Context, apps: tuple[str, ...], reason: str, duration: str | None, by: str | None) -> None:
    """Refuse every call of these apps, such as during a maintenance."""
    from ai_assets.guard.breakers import Action

    _set(context, apps, Action.OPEN, by, reason, seconds(duration) if duration is not None else None)


@guard.command()
@apps_argument
@reason_option
@by_option
@click.pass_obj
def close(context: Context, apps: tuple[str, ...], reason: str, by: str | None) -> None:
    """Let calls through at once. If it opens again, it stays open as long as its relapses say."""
    from ai_assets.guard.breakers import Action

    _set(context, apps, Action.CLOSE, by, reason, None)


@guard.command()
@apps_argument
@reason_option
@by_option
@click.pass_obj
def reset(context: Context, apps: tuple[str, ...], reason: str, by: str | None) -> None:
    """Close it as if the app had never failed: relapses and a cooldown of DashScope's are forgotten."""
    from ai_assets.guard.breakers import Action

    _set(context, apps, Action.RESET, by, reason, None)


@guard.command("reset-estimate")
@apps_argument
@click.option("--reason", help="Why; shown in the history.")
@by_option
@click.pass_obj
def reset_estimate(context: Context, apps: tuple[str, ...], reason: str | None, by: str | None) -> None:
    """Forget what past calls of these apps used. The next ones are estimated by their prompts again."""
    from ai_assets.guard.breakers import reset_estimates

    names = app_names(apps)
    reset_estimates(context.engine(1), names, by=_who(by), reason=_line(reason) or None)
    for name in names:
        click.echo(f"{name}: its next calls are estimated by their prompts")


@guard.command()
@click.argument("apps", nargs=-1, metavar="[APP…]")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def history(context: Context, apps: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Show how breakers changed, newest first: from what to what, why, by whom."""
    from ai_assets.guard.breakers import changes
    from ai_assets.store.engine import reachable

    wanted = app_names(apps or ("all",))
    with reachable("reading the history"), context.engine(1).connect() as connection:
        rows = changes(connection, wanted, limit)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=lambda moment: moment.isoformat()))
        return
    for row in rows:
        click.echo(_change(row))
    if not rows:
        click.echo("no breaker has changed yet", err=True)


def app_names(named: Sequence[str]) -> list[str]:
    """Full names of the apps named, each once; `all` is every one. Raises InputError for an unknown one."""
    if "all" in named:
        return list(CATALOG)
    return list(dict.fromkeys(find_entry(name).name for name in named))


def seconds(duration: str) -> float:
    """Seconds of a duration such as 90, 90s, 30m, 2h or 1d. Raises InputError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", duration.strip(), re.ASCII)
    value = float(found[1]) * _UNITS[found[2] or "s"] if found else math.nan
    if not 0 < value <= _LONGEST_S:
        raise InputError(
            f"--for {duration!r} is not a duration of at most 366 days, such as 90s, 30m, 2h or 1d"
        )
    return value


def _set(
    context: Context, apps: Sequence[str], action: Action, by: str | None, reason: str, for_s: float | None
) -> None:
    from ai_assets.guard.breakers import set_breakers

    names = app_names(apps)
    why = _line(reason)
    if not why:
        raise InputError("--reason is empty: say why, others will read it")
    for breaker in set_breakers(context.engine(1), names, action, by=_who(by), reason=why, seconds=for_s):
        click.echo(_told(breaker))


def _line(given: str | None) -> str:
    from ai_assets.store.texts import storable

    return (storable(given) or "").strip()[:_REASON_LIMIT]


def _who(by: str | None) -> str:
    return _line(by) or _user()


def _user() -> str:
    """Who typed it, also behind sudo and where the user has no entry in the password database."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _told(breaker: Breaker) -> str:
    if breaker.state != "open":
        return f"{breaker.app}: closed, calls go through"
    until = "until it is closed"
    if breaker.open_until is not None:
        until = f"until {breaker.open_until.astimezone():%Y-%m-%d %H:%M:%S}, then probes"
    return f"{breaker.app}: open, its calls are refused {until}"


def _change(row: dict[str, Any]) -> str:
    until = f" until {row['open_until'].astimezone():%Y-%m-%d %H:%M:%S}" if row["open_until"] else ""
    why = f": {row['reason']}" if row["reason"] else ""
    return (
        f"{row['at'].astimezone():%Y-%m-%d %H:%M:%S}  {row['app']}  {row['state_before']} → {row['state_after']}"
        f"{until}  by {row['changed_by']}{why}"
    )
