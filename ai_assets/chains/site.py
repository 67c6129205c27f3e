"""The chain of `dws_completed`: a site's insights, cell by cell, side by side. Not here: one step, Dagster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from ai_assets.chains.cells import Cell, priority
from ai_assets.chains.outcome import StepRequest, StepResult, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.side_by_side import side_by_side
from ai_assets.chains.site_figures import SiteFigures
from ai_assets.chains.step import run_step
from ai_assets.chains.summary import StepsSummary

CHAIN_MARGIN_S = 600.0
"""What a site's chain may take beyond its steps' own time (docs/behaviour.md, Time limits)."""


def run_cells(
    runtime: Runtime,
    cells: Sequence[Cell],
    *,
    trigger: Trigger,
    as_of: date | None,
    concurrency: int | None = None,
    on_result: Callable[[Cell, StepResult], None],
    cancelled: threading.Event | None = None,
    on_tick: Callable[[], None] | None = None,
) -> StepsSummary:
    """Make the cells, at most `concurrency` at once; `on_result` is called in this thread as each ends.

    They begin in the order of `priority`, whatever order they come in: a budget that runs out has then been spent on
    what matters most.

    One cell's trouble never stops the others. Each has the step's time, all together that of their number
    plus CHAIN_MARGIN_S; what is not done by then fails with `chain_timeout`. If `on_result`, `on_tick` (called
    about once a second) or an interrupt raises, no cell begins any more, calls in flight are given up, and the
    exception goes on when all threads have ended.
    """
    figures = SiteFigures(runtime, as_of)
    cancelled = cancelled or threading.Event()
    summary = StepsSummary()
    began = time.monotonic()
    ends = began + len(cells) * runtime.step_timeout_s + CHAIN_MARGIN_S

    def make(cell: Cell) -> StepResult:
        request = StepRequest(cell.app, cell.subject, lambda: figures.prompt(cell.app, cell.subject), trigger)
        return run_step(runtime, request, cancelled)

    def report(cell: Cell, made: StepResult) -> None:
        result = _in_time(made, summary)
        summary.add(result)
        on_result(cell, result)

    def tick() -> None:
        if on_tick is not None:
            on_tick()
        if time.monotonic() > ends and not summary.timed_out:
            summary.timed_out = True
            cancelled.set()

    side_by_side(
        sorted(cells, key=priority),
        lambda cell, told: told(make(cell)),
        width=min(concurrency or runtime.concurrency, max(1, len(cells))),
        cancelled=cancelled,
        on_result=report,
        on_tick=tick,
    )
    summary.seconds = time.monotonic() - began
    return summary


def _in_time(result: StepResult, summary: StepsSummary) -> StepResult:
    """A step that was cancelled because the chain ran out of time says so."""
    if not (summary.timed_out and result.reason == "cancelled"):
        return result
    return replace(result, reason="chain_timeout", message="the chain of this site ran out of time")
