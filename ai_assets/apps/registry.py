"""The apps that can be run, by name. Adding one is one line here.

Not here: their prompts and schemas (one file an app), their names and settings (`ai_assets.apps.catalog`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_assets.apps import (
    app2_finance,
    app2a_finance_area,
    app3_clue,
    app4_analysis,
    app5_tactics,
    app6_note,
    app7_customer,
    app8_consolidation,
)
from ai_assets.apps.base import App
from ai_assets.errors import InputError

APPS: Mapping[str, App[Any]] = {
    registered.name: registered
    for registered in (
        app2_finance.APP,
        app2a_finance_area.APP,
        app3_clue.APP,
        app4_analysis.APP,
        app5_tactics.APP,
        app6_note.APP,
        app7_customer.APP,
        app8_consolidation.APP,
    )
}

_BY_ALIAS: Mapping[str, App[Any]] = {registered.entry.alias: registered for registered in APPS.values()}


def app(name: str) -> App[Any]:
    """The app of this name or short name (app2, app2a). Raises InputError listing the names."""
    found = APPS.get(name) or _BY_ALIAS.get(name)
    if found is None:
        raise InputError(f"unknown app {name!r}: use one of {', '.join(APPS)}")
    return found
