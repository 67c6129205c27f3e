"""The cells of `app2_finance`: site x time window x area. Area `all` goes to App2, the others to App2a.

Here: a cell, and in which order cells are made. Light, because the code location loads it. Not here: making a cell
(`ai_assets.chains.site`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai_assets.apps import app2_finance, app2a_finance_area
from ai_assets.apps.base import App, Subject
from ai_assets.warehouse.areas import ALL, AREAS
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from ai_assets.warehouse.finance import SiteFinance

Priority = tuple[bool, bool, int, int, int]


@dataclass(frozen=True, order=True)
class Cell:
    """One partition of `app2_finance`."""

    site_id: int
    area: str
    window: str

    @property
    def subject(self) -> Subject:
        """The cell as an app's subject."""
        return Subject(site_id=self.site_id, window=self.window, area=self.area)

    @property
    def app(self) -> App[SiteFinance]:
        """App2 for the whole site, App2a for one area."""
        return app2_finance.APP if self.area == ALL else app2a_finance_area.APP

    @property
    def running(self) -> bool:
        """Whether its window still runs on the as-of date."""
        return self.window.startswith("this_")


def priority(cell: Cell) -> Priority:
    """Sort key of the order in which cells are made: what a budget that runs out should have been spent on first.

    Area `all` of every site, then the running windows of the other areas, then their closed ones. Within each the
    sites take turns, so that none has all and another nothing.
    """
    return (
        cell.area != ALL,
        not cell.running,
        AREAS.index(cell.area),
        WINDOWS.index(cell.window),
        cell.site_id,
    )


def cells_of_site(site_id: int) -> list[Cell]:
    """The 72 cells of a site in the order they are made."""
    return sorted((Cell(site_id, area, window) for area in AREAS for window in WINDOWS), key=priority)
