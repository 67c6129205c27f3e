"""The guard under real processes: what it costs, and that its limits hold to the call.

Here: the order of the measures. Not here: each of them (`bench.guard_speed`, `bench.guard_limits`,
`bench.guard_rate`).
"""

from __future__ import annotations

import sys

from ai_assets.store.engine import make_engine
from bench import figures
from bench.guard_limits import budget, probes
from bench.guard_rate import rate
from bench.guard_speed import speed
from bench.places import forget_environment, places

PARTS = {"speed": speed, "budget": budget, "probes": probes, "rate": rate}


def measure(*names: str) -> list[figures.Figure]:
    """Speed, budget, probes and rate, or those named; each on a database of its own, with Postgres' usual settings."""
    found: list[figures.Figure] = []
    with places() as place:
        for name in names or PARTS:
            url = place.database()
            engine = make_engine(url)
            found += PARTS[name](url, engine)
            engine.dispose()
    return found


if __name__ == "__main__":
    forget_environment()
    figures.print_figures(measure(*sys.argv[1:]))
