"""A day in a handful of numbers, for a run's metadata and a page's head. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_assets.report.grid import grids

if TYPE_CHECKING:
    from ai_assets.store.day_figures import DayFigures


def headline(figures: DayFigures) -> dict[str, int | float]:
    """Numbers by their names, in the order in which people read them. What there was none of is left out."""
    total = figures.total
    found: dict[str, int | float | None] = {
        "calls": total.calls,
        "successes": total.successes,
        "failures": total.failures + total.timeouts,
        "refusals": total.refusals,
        "reused": total.reused,
        "reuse share": None if total.reuse_share is None else round(total.reuse_share, 3),
        "tokens": total.tokens,
        "cost CNY": round(float(total.cost_cny), 4),
        "latency p50 s": None if total.p50_ms is None else round(total.p50_ms / 1000, 2),
        "latency p95 s": None if total.p95_ms is None else round(total.p95_ms / 1000, 2),
        "events": sum(events.times for events in figures.events),
        "breaker openings": sum(change.state_after == "open" for change in figures.breaker_changes),
        "cells in trouble": sum(grid.trouble for grid in grids(figures)),
    }
    return {name: value for name, value in found.items() if value is not None}
