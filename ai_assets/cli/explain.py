"""`ai-assets explain`: from a cached text to the event, the prompt, its rows, the call, and every other version.

Here: the command. Not here: the reads (`ai_assets.store.tracing`), what of them may be shown (`explain_values`), the
lines on a terminal (`explain_words`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ai_assets.apps.member_subject import LARGEST_ID
from ai_assets.cli.context import Context
from ai_assets.cli.explain_values import as_plain
from ai_assets.cli.explain_words import lines
from ai_assets.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.store.tracing import Trace


@click.command()
@click.argument("cache_id", type=int, required=False)
@click.option("--site", type=int, help="With --type and --target: the newest text of that target.")
@click.option("--type", "kind", help="Cache type or app, such as app3_clue.")
@click.option("--target", help="Target id in the cache, such as 555, 7_555 or last_week__hallA.")
@click.option("--prompt", "with_prompt", is_flag=True, help="Print the whole prompt.")
@click.option("--payload", "with_payload", is_flag=True, help="Print the event's whole payload.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def explain(
    context: Context,
    cache_id: int | None,
    site: int | None,
    kind: str | None,
    target: str | None,
    with_prompt: bool,
    with_payload: bool,
    as_json: bool,
) -> int:
    """Tell what led to the cached text CACHE_ID: event, prompt, rows, batch, call, cost, checks, all versions.

    The text of prompt and payload, which is about people, is shown only when asked for. Exit 2: there is no such text.
    """
    wanted = _wanted(cache_id, site, kind, target)
    found = _find(context.engine(1), wanted)
    told = as_plain(found, with_prompt=with_prompt, with_payload=with_payload)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))
    else:
        for line in lines(told):
            click.echo(line)
    return 0


def _wanted(
    cache_id: int | None, site: int | None, kind: str | None, target: str | None
) -> int | tuple[str, int, str]:
    """A cache id, or cache type, site and target."""
    for name, number in (("cache id", cache_id), ("site", site)):
        if number is not None and not 0 < number <= LARGEST_ID:
            raise InputError(f"{number} is no {name}: use a whole number from 1 on")
    if cache_id is not None:
        if (site, kind, target) != (None, None, None):
            raise click.UsageError("give a CACHE_ID or a target, not both")
        return cache_id
    if site is None or kind is None or target is None:
        raise click.UsageError("give a CACHE_ID, or --site, --type and --target")
    return cache_type_of(kind), site, target


def _find(engine: Engine, wanted: int | tuple[str, int, str]) -> Trace:
    from ai_assets.store import cache, tracing
    from ai_assets.store.engine import reachable

    with reachable("tracing a cached text"), engine.connect() as connection:
        if isinstance(wanted, int):
            cache_id = wanted
        else:
            newest = cache.latest(connection, *wanted)
            if newest is None:
                kind, site, target = wanted
                raise InputError(f"there is no cached text {kind} for {target!r} of site {site}")
            cache_id = newest.id
        found = tracing.trace(connection, cache_id)
    if found is None:
        raise InputError(f"there is no cached text {cache_id}: biz.ai_cache has no such id")
    return found


def cache_type_of(kind: str) -> str:
    """The cache type that a person names by itself or by its app. Raises InputError that lists the names."""
    from ai_assets.catalog import CATALOG, find_entry

    types = [entry.cache_type for entry in CATALOG.values()]
    if kind in types:
        return kind
    try:
        return find_entry(kind).cache_type
    except InputError as error:
        raise InputError(f"unknown cache type {kind!r}: use one of {', '.join(types)}") from error
