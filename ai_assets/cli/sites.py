"""The sites that a command is about: those named by `--site`, else all active ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ai_assets.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.warehouse.sites import Site


def chosen_sites(engine: Engine, site_ids: Sequence[int]) -> list[Site]:
    """Each site once, in the order named. Raises InputError for one that there is not, or where none is active."""
    from ai_assets.store.engine import reachable
    from ai_assets.warehouse.sites import active_sites, find_site

    with reachable("reading the sites"), engine.connect() as connection:
        if site_ids:
            return [find_site(connection, site_id) for site_id in dict.fromkeys(site_ids)]
        sites = active_sites(connection)
    if not sites:
        raise InputError(
            "there is no active site in biz.sites: load a sample with `ai-assets sample load venue`"
        )
    return sites
