"""Calls that a prewarm makes when nothing changed, and on the next day: counts, not times."""

from __future__ import annotations

from datetime import date, timedelta

from ai_assets.chains.cells import cells_of_site
from ai_assets.chains.outcome import Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.site import run_cells
from bench import figures
from bench.places import LAST_DAY, SITE, SimulatorProcess, places, runtime, simulator

CELLS = 72
RUNNING_CELLS = 27
"""Three running windows of nine areas: what a new day within the same week, month and quarter changes."""


def measure() -> list[figures.Figure]:
    """Calls of a first prewarm, of the same again, and of the next day's."""
    day_before = LAST_DAY - timedelta(days=1)
    with places() as place, simulator(0) as dashscope:
        url = place.database(venue=True)
        with runtime(url, dashscope.base_url) as run_on:
            first = _calls(run_on, dashscope, day_before)
            again = _calls(run_on, dashscope, day_before)
            next_day = _calls(run_on, dashscope, LAST_DAY)
    return [
        figures.exactly("memo", "calls of a first prewarm", first, CELLS),
        figures.exactly("memo", "calls of a second prewarm on the same data", again, 0),
        figures.exactly(
            "memo", "calls for the next day, same week, month and quarter", next_day, RUNNING_CELLS
        ),
    ]


def _calls(run_on: Runtime, dashscope: SimulatorProcess, as_of: date) -> int:
    dashscope.reset()
    trigger = Trigger(triggered_by="admin_manual", trigger_type="batch")
    summary = run_cells(
        run_on, cells_of_site(SITE), trigger=trigger, as_of=as_of, on_result=lambda _cell, _result: None
    )
    print(f"memo: as of {as_of}: {summary.sentence()}", flush=True)
    return dashscope.calls()
