"""A site's 72 cells as rows of a table: what each came to on the day, in a sign, a colour and a sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from ai_assets.store.day_figures import CellState, DayFigures

SIGNS: Mapping[str, str] = {
    "made": "✓",
    "reused": "=",
    "older": "·",
    "failed": "✗",
    "refused": "⊘",
    "none": "",
}
"""Told apart without colours."""
MEANINGS: Mapping[str, str] = {
    "made": "made on the day",
    "reused": "asked for, nothing had changed",
    "older": "not asked for; its text is older",
    "failed": "failed or timed out; an older text may stand",
    "refused": "refused by the guard; an older text may stand",
    "none": "there is no text",
}
_CLASSES = {
    "success": "made",
    "reused": "reused",
    "failed": "failed",
    "timeout": "failed",
    "refused": "refused",
}


@dataclass(frozen=True)
class GridCell:
    """One cell; `kind` is one of SIGNS."""

    kind: str
    sign: str
    title: str


@dataclass(frozen=True)
class Grid:
    """A site's cells, a row for each area in AREAS' order, a column for each window in WINDOWS'."""

    site: int
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]
    counts: Mapping[str, int]

    @property
    def trouble(self) -> int:
        """How many cells failed, were refused, or have no text."""
        return sum(self.counts.get(kind, 0) for kind in ("failed", "refused", "none"))


def grids(figures: DayFigures) -> list[Grid]:
    """One of each site that has any cell, those with the most trouble first."""
    by_site: dict[int, dict[str, CellState]] = {}
    for cell in figures.cells:
        by_site.setdefault(cell.site, {})[cell.target] = cell
    made = [_grid(site, cells, figures.zone) for site, cells in by_site.items()]
    return sorted(made, key=lambda grid: (-grid.trouble, grid.site))


def windows() -> Iterable[str]:
    """The columns' heads."""
    return [window.replace("_", " ") for window in WINDOWS]


def _grid(site: int, cells: Mapping[str, CellState], zone: ZoneInfo) -> Grid:
    rows = tuple(
        (area, tuple(_cell(area, window, cells.get(f"{window}__{area}"), zone) for window in WINDOWS))
        for area in AREAS
    )
    counts: dict[str, int] = {}
    for _, of_area in rows:
        for cell in of_area:
            counts[cell.kind] = counts.get(cell.kind, 0) + 1
    return Grid(site, rows, counts)


def _cell(area: str, window: str, state: CellState | None, zone: ZoneInfo) -> GridCell:
    kind = "none"
    if state is not None:
        kind = _CLASSES.get(state.outcome or "", "older" if state.made_at else "none")
    reason = f" ({state.reason})" if state is not None and state.reason else ""
    text = _at(state.made_at, zone) if state is not None else "no text"
    return GridCell(kind, SIGNS[kind], f"{area}, {window}: {MEANINGS[kind]}{reason}; {text}")


def _at(moment: datetime | None, zone: ZoneInfo) -> str:
    return "no text" if moment is None else f"its text is of {moment.astimezone(zone):%Y-%m-%d %H:%M}"
