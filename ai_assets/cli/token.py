"""`ai-assets token`: who may use the gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import click

from ai_assets.cli.context import Context
from ai_assets.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from ai_assets.store.tokens import Role, Token


@click.group()
def token() -> None:
    """Tokens of the gateway: make, list, revoke."""


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["read", "send", "operate"]),
    default="read",
    show_default=True,
    help="read: results and news; send: and events; operate: and running apps.",
)
@click.option(
    "--site", "sites", type=int, multiple=True, metavar="S", help="A site it is for; several may be given."
)
@click.option("--all-sites", is_flag=True, help="It is for every site, also those to come.")
@click.option("--days", type=click.IntRange(1, 36_500), help="It expires after so many. Default: never.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def create(
    context: Context,
    name: str,
    role: str,
    sites: tuple[int, ...],
    all_sites: bool,
    days: int | None,
    as_json: bool,
) -> None:
    """Make a token for NAME and print it: it is shown this once and kept nowhere."""
    from ai_assets.store import tokens
    from ai_assets.store.engine import reachable

    if bool(sites) == all_sites:
        raise InputError("say which sites the token is for: --site S (several may be given), or --all-sites")
    with reachable("making a token"), context.engine(1).begin() as connection:
        made, text = tokens.create(
            connection,
            name=name,
            role=cast("Role", role),
            site_ids=None if all_sites else sites,
            days=days,
        )
    if as_json:
        click.echo(json.dumps({**_row(made), "token": text}, ensure_ascii=False, default=_moment))
        return
    click.echo(text)
    click.echo(f"token {made.id} may {made.role} at {_sites(made)}; it is not shown again", err=True)


@token.command("list")
@click.option("--all", "every", is_flag=True, help="Those that were revoked or have expired, too.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def list_(context: Context, every: bool, as_json: bool) -> None:
    """List the tokens: id, name, role, sites. The tokens themselves are kept nowhere."""
    from datetime import UTC, datetime

    from ai_assets.store import tokens
    from ai_assets.store.engine import reachable

    with reachable("reading the tokens"), context.engine(1).connect() as connection:
        found = tokens.every(connection)
    now = datetime.now(UTC)
    shown = [one for one in found if every or one.live(now)]
    if as_json:
        click.echo(json.dumps([_row(one) for one in shown], ensure_ascii=False, indent=2, default=_moment))
        return
    if not shown:
        click.echo("no tokens: make one with `ai-assets token create NAME --site S`", err=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("id", "name", "role", "sites", "made", "ends"):
        table.add_column(column)
    for one in shown:
        ended = f"revoked {_time(one.revoked_at)}" if one.revoked_at else _time(one.expires_at)
        table.add_row(str(one.id), one.name, one.role, _sites(one), _time(one.created_at), ended)
    Console().print(table)


@token.command()
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(1, 2**63 - 1), metavar="ID…")
@click.pass_obj
def revoke(context: Context, ids: tuple[int, ...]) -> int:
    """End tokens for good, by their ids. A gateway that runs lets them in for 3 s more at most."""
    from ai_assets.store import tokens
    from ai_assets.store.engine import reachable

    with reachable("revoking a token"), context.engine(1).begin() as connection:
        missing = [token_id for token_id in ids if not tokens.revoke(connection, token_id)]
    for token_id in ids:
        if token_id not in missing:
            click.echo(f"token {token_id} is revoked")
    if missing:
        click.echo(f"there is no token {', '.join(map(str, missing))}", err=True)
        return 1
    return 0


def _row(one: Token) -> dict[str, Any]:
    sites = None if one.site_ids is None else sorted(one.site_ids)
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role,
        "site_ids": sites,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "revoked_at": one.revoked_at,
    }


def _moment(value: datetime) -> str:
    return value.isoformat()


def _sites(one: Token) -> str:
    if one.site_ids is None:
        return "all sites"
    return "site " + ", ".join(map(str, sorted(one.site_ids)))


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"
