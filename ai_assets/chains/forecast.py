"""The forecast of sites' cells: builds their prompts as a run would, and asks what the memo and the budgets say.

Here: one read of the warehouse and one look at the cache for each site. Calls nothing, needs no key and no app id.
Not here: the reckoning (`ai_assets.guard.forecast`), how it is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ai_assets.apps.prompt import prompt_hash
from ai_assets.apps.registry import FINANCE_APPS
from ai_assets.chains.cells import Cell, cells_of_site, priority
from ai_assets.errors import AiAssetsError, WarehouseError
from ai_assets.guard.forecast import (
    BudgetForecast,
    CallsForecast,
    Expected,
    PlannedCall,
    Terms,
    budget_forecast,
    expected,
    site_forecast,
    together,
)
from ai_assets.privacy.logs import describe, log_defect
from ai_assets.store import usage
from ai_assets.store.engine import reachable
from ai_assets.store.usage import Wanted

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ai_assets.guard.limits import GuardLimits
    from ai_assets.store.usage import AppTrouble, PastCalls
    from ai_assets.warehouse.sites import Site

logger = logging.getLogger(__name__)

MOST_PROMPT_CHARS = 10**9
"""Of a prompt that is not built: no real one has a larger estimate."""


@dataclass(frozen=True)
class SiteForecast:
    """One site. `saved`: cells whose newest cached result stands; `failing`: cells that cannot be built, and why."""

    site: Site
    as_of: date | None
    """None: the site's data could not be read."""
    cells: int
    saved: int
    failing: int
    trouble: str | None
    coming: CallsForecast


@dataclass(frozen=True)
class Forecast:
    """All sites together. `total.minutes`: one site after the other, as `prewarm` makes them."""

    sites: tuple[SiteForecast, ...]
    total: CallsForecast
    minutes_side_by_side: float
    """All sites' runs at once, as Dagster makes them."""
    budgets: tuple[BudgetForecast, ...]
    a_call: Mapping[str, Expected]
    """By app, of those that were called before."""
    in_trouble: tuple[AppTrouble, ...]

    @property
    def fits(self) -> bool:
        """Whether no budget refuses a call."""
        return all(budget.fits for budget in self.budgets)


def forecast_sites(
    engine: Engine,
    limits: GuardLimits,
    terms: Terms,
    sites: Sequence[Site],
    *,
    as_of: date | None,
    forced: bool,
) -> Forecast:
    """What making all cells of these sites would come to now; `forced`: the memo saves nothing.

    A site whose data cannot be read, and a cell whose prompt cannot be built, cost nothing and are told. Raises
    InputError for an as-of date out of range, DatabaseUnavailableError.
    """
    with reachable("reading what a forecast needs"), engine.connect() as connection:
        past = usage.past_calls(connection, FINANCE_APPS)
        planned = {site.site_id: _plan(connection, site, as_of, forced=forced) for site in sites}
        budgets = usage.budgets(connection, planned, limits.as_json())
        in_trouble = usage.apps_in_trouble(connection, FINANCE_APPS)
    calls = _expect([call for plan in planned.values() for call in plan.calls], past, terms)
    told = [
        SiteForecast(
            site=site,
            as_of=plan.as_of,
            cells=plan.cells,
            saved=plan.saved,
            failing=plan.failing,
            trouble=plan.trouble,
            coming=site_forecast([each for call, each in calls if call.site_id == site.site_id], terms),
        )
        for site, plan in ((site, planned[site.site_id]) for site in sites)
    ]
    return Forecast(
        sites=tuple(told),
        total=together(site.coming for site in told),
        minutes_side_by_side=max((site.coming.minutes for site in told), default=0.0),
        budgets=tuple(budget_forecast(budget, calls, terms) for budget in budgets),
        a_call={app: expected(PlannedCall(0, app, 0), of_app, terms) for app, of_app in past.items()},
        in_trouble=tuple(in_trouble),
    )


def surely_fits(engine: Engine, limits: GuardLimits, terms: Terms, sites: Sequence[Site]) -> bool:
    """Whether every cell of these sites could be called for within what is left of the budgets. Builds no prompt.

    False where that is not known: an app that was never called is estimated by its prompts.
    """
    with reachable("reading what is left of the budgets"), engine.connect() as connection:
        budgets = usage.budgets(connection, [site.site_id for site in sites], limits.as_json())
        if all(budget.limit is None for budget in budgets):
            return True
        past = usage.past_calls(connection, FINANCE_APPS)
    if not past.keys() >= set(FINANCE_APPS):
        return False
    cells = [cell for site in sites for cell in cells_of_site(site.site_id)]
    calls = _expect(
        [(cell, PlannedCall(cell.site_id, cell.app.name, MOST_PROMPT_CHARS)) for cell in cells], past, terms
    )
    return all(budget_forecast(budget, calls, terms).fits for budget in budgets)


@dataclass(frozen=True)
class _Plan:
    cells: int
    as_of: date | None = None
    saved: int = 0
    failing: int = 0
    trouble: str | None = None
    calls: tuple[tuple[Cell, PlannedCall], ...] = ()


def _expect(
    calls: Sequence[tuple[Cell, PlannedCall]], past: Mapping[str, PastCalls], terms: Terms
) -> list[tuple[PlannedCall, Expected]]:
    """The calls of all sites in the order in which a short budget would be spent."""
    ordered = sorted(calls, key=lambda planned: priority(planned[0]))
    return [(call, expected(call, past.get(call.app), terms)) for _, call in ordered]


def _plan(connection: Connection, site: Site, as_of: date | None, *, forced: bool) -> _Plan:
    from ai_assets.warehouse.finance import read_site_finance
    from ai_assets.warehouse.sites import as_of_date

    cells = cells_of_site(site.site_id)
    try:
        day = as_of_date(connection, site.site_id, as_of)
        finance = read_site_finance(connection, site, day)
    except WarehouseError as error:
        return _Plan(len(cells), failing=len(cells), trouble=str(error))
    calls: dict[Cell, PlannedCall] = {}
    wanted: dict[Cell, Wanted] = {}
    troubles: list[str] = []
    for cell in cells:
        app = cell.app
        try:
            text = app.build(finance, cell.subject).text
        except AiAssetsError as error:
            troubles.append(str(error))
            continue
        except Exception as error:  # noqa: BLE001
            # as in a step: a defect costs this cell only, and is seen
            log_defect(
                logger, error, "site %s, %s, %s: unexpected error", site.site_id, cell.area, cell.window
            )
            troubles.append(describe(error))
            continue
        calls[cell] = PlannedCall(site.site_id, app.name, len(text))
        wanted[cell] = Wanted(
            app.name, app.cache_type, app.target_id(cell.subject), prompt_hash(app.name, app.version, text)
        )
    saved = set() if forced else usage.reusable_targets(connection, site.site_id, list(wanted.values()))
    left = tuple((cell, call) for cell, call in calls.items() if wanted[cell].target_id not in saved)
    return _Plan(
        cells=len(cells),
        as_of=day,
        saved=len(calls) - len(left),
        failing=len(troubles),
        trouble=troubles[0] if troubles else None,
        calls=left,
    )
