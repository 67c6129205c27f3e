"""`python -m bench [NAME…]`: run the measures named, or all, and print one table."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from bench import (
    claims,
    completejourney,
    gateway,
    grounding,
    guard,
    imports,
    intake,
    memo,
    memory,
    report,
    retention,
    runs,
    waves,
    workers,
)
from bench.figures import Figure, print_figures
from bench.places import forget_environment

MEASURES: dict[str, Callable[[], list[Figure]]] = {
    "waves": waves.measure,
    "memo": memo.measure,
    "imports": imports.measure,
    "completejourney": completejourney.measure,
    "guard": guard.measure,
    "grounding": grounding.measure,
    "intake": intake.measure,
    "claims": claims.measure,
    "gateway": gateway.measure,
    "workers": workers.measure,
    "runs": runs.measure,
    "report": report.measure,
    "retention": retention.measure,
    "memory": memory.measure,
}

LONG = {"memory"}
"""Run only where they are named: a quarter of an hour and more."""


def main(names: Sequence[str]) -> None:
    """Run them one after the other; exit code 2 for a name that there is not."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        print(f"no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}", file=sys.stderr)
        sys.exit(2)
    # a termination unwinds, so that servers and children end too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    forget_environment()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before the first measure", flush=True)
    figures: list[Figure] = []
    for name in names or [name for name in MEASURES if name not in LONG]:
        began = time.monotonic()
        figures += MEASURES[name]()
        print(f"{name}: done in {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    print_figures(figures)


if __name__ == "__main__":
    main(sys.argv[1:])
