"""The page of a day: one HTML file that loads nothing. Pure: figures in, text out.

Not here: figures (`ai_assets.store.day_figures`), charts (`charts`), the grids' rules (`grid`), how it looks
(`page.html.j2`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING

from ai_assets.report.charts import charts_of
from ai_assets.report.grid import MEANINGS, SIGNS, grids, windows
from ai_assets.report.headline import headline

if TYPE_CHECKING:
    from ai_assets.store.day_figures import DayFigures

SITES_SHOWN = 60
"""Sites with a row and a grid of their own: those that cost most, those with the most trouble."""


def page(figures: DayFigures, *, made_at: datetime, names: Mapping[int, str] | None = None) -> str:
    """The whole page. `made_at` is aware; `names`: what sites are called, by id."""
    from jinja2 import Environment
    from markupsafe import Markup

    zone = figures.zone
    # every text is escaped but the drawings, which pygal has escaped
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"count": _count, "seconds": _seconds, "money": _money, "share": _share}
    environment.filters["clock"] = lambda moment: f"{moment.astimezone(zone):%H:%M:%S}"
    all_grids = grids(figures)
    sites = sorted(figures.by_site.items(), key=lambda item: (-item[1].cost_cny, item[0]))
    template = files("ai_assets.report").joinpath("page.html.j2").read_text("utf-8")
    return environment.from_string(
        template
    ).render(
        figures=figures,
        numbers=headline(figures),
        zone=zone.key,
        made_at=f"{made_at.astimezone(zone):%Y-%m-%d %H:%M}",
        charts=[(chart, Markup(chart.svg)) for chart in charts_of(figures)],  # noqa: S704  # pygal escapes its texts
        sites=sites[:SITES_SHOWN],
        sites_left=max(0, len(sites) - SITES_SHOWN),
        grids=all_grids[:SITES_SHOWN],
        grids_left=max(0, len(all_grids) - SITES_SHOWN),
        names=names or {},
        windows=windows(),
        signs=SIGNS,
        meanings=MEANINGS,
    )


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def _seconds(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.1f}"


def _money(value: float) -> str:
    return f"{float(value):,.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
