"""The apps that can be run, by name: those of the catalog, each from the file of its name in this folder.

Not here: their prompts and schemas (one file an app), their names and settings (`ai_assets.catalog`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from ai_assets.apps.base import App, Kind
from ai_assets.catalog import CATALOG, find_entry

APPS: Mapping[str, App[Any]] = {name: import_module(f"{__package__}.{name}").APP for name in CATALOG}


def in_order(apps: Iterable[App[Any]]) -> tuple[str, ...]:
    """Their names, each after those of them whose answers it is given; otherwise as they come.

    Raises ValueError where two are given each other's.
    """
    waiting = {one.name: one for one in apps}
    names: list[str] = []
    while waiting:
        ready = next((name for name, one in waiting.items() if not waiting.keys() & {*one.given}), None)
        if ready is None:
            raise ValueError(f"{', '.join(waiting)}: each is given an answer of another")
        names.append(ready)
        del waiting[ready]
    return tuple(names)


def _about(kind: Kind) -> tuple[str, ...]:
    return in_order(one for one in APPS.values() if one.about.kind is kind)


FINANCE_APPS = _about(Kind.CELL)
"""The apps about a site's time window and area."""
MEMBER_APPS = _about(Kind.MEMBER)
"""The apps about a member, in the order in which they run where several do."""
PAIR_APPS = _about(Kind.PAIR)
"""The apps about an assistant and a member, in order; after the member's."""


def app(name: str) -> App[Any]:
    """The app of this name in any of its spellings. Raises InputError that lists the names."""
    return APPS[find_entry(name).name]
