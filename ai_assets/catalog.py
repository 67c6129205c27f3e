"""The apps' names, settings and cache types: the contract's table, once. A line here is all that an app's file needs.

From a line come the setting with its DashScope app id (`ai_assets.settings`), its short name wherever one is typed,
and its registration: `ai_assets.apps.registry` takes the app from the file `ai_assets/apps/<name>.py`.
Not here: prompts, schemas, subjects. Source: docs/behaviour.md, The apps.
"""

from __future__ import annotations

from dataclasses import dataclass

from ai_assets.errors import InputError


@dataclass(frozen=True)
class CatalogEntry:
    """An app's name, its cache type, and the setting with its DashScope app id (attribute, environment)."""

    name: str
    setting: str
    env: str
    cache_type: str
    other_names: tuple[str, ...] = ()
    """Further full names that mean this app, such as those that the old backend used."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name that means this app: the full name first, then the short one, then the others."""
        return (self.name, self.alias, *self.other_names)

    @property
    def alias(self) -> str:
        """The short name that people type, such as app2a."""
        return self.name.partition("_")[0]

    @property
    def title(self) -> str:
        """The short name as people write it, such as App2a."""
        return self.alias.capitalize()


def _entry(name: str, env: str, cache_type: str, *other_names: str) -> CatalogEntry:
    return CatalogEntry(name, env.removeprefix("AI_").lower(), env, cache_type, other_names)


CATALOG: dict[str, CatalogEntry] = {
    entry.name: entry
    for entry in (
        _entry("app2_finance", "AI_APP_ID_2_FINANCE", "app2_finance"),
        _entry("app2a_finance_area", "AI_APP_ID_2A_FINANCE_AREA", "app2a_finance_area"),
        _entry("app3_clue", "AI_APP_ID_3_CLUE", "app3_clue"),
        _entry("app4_analysis", "AI_APP_ID_4_ANALYSIS", "app4_analysis"),
        _entry("app5_tactics", "AI_APP_ID_5_TACTICS", "app5_tactics"),
        _entry("app6_note", "AI_APP_ID_6_NOTE", "app6_note_analysis"),
        _entry("app7_customer", "AI_APP_ID_7_CUSTOMER", "app7_customer_analysis"),
        _entry("app8_consolidation", "AI_APP_ID_8_CONSOLIDATE", "app8_clue_consolidated", "app8_consolidate"),
    )
}

ALIASES = frozenset(entry.alias for entry in CATALOG.values())
"""The short names of the apps."""

_BY_SPELLING = {spelling: entry for entry in CATALOG.values() for spelling in entry.spellings}


def find_entry(name: str) -> CatalogEntry:
    """The app that a person or another program names: full name, short name, or another spelling.

    Every entry point that takes an app's name uses this function. Raises InputError that lists the names.
    """
    found = _BY_SPELLING.get(name)
    if found is None:
        raise InputError(f"unknown app {name!r}: use one of {', '.join(CATALOG)}")
    return found
