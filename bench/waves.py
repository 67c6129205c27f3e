"""How well 72 cells fill their waves: 1 s a call, 16 at once, so 5 waves, from the first call to the last write.

Here: the same cells through `run_cells` alone and through a Dagster run (`ai-assets prewarm`), a fresh database
each time. Not here: what starting Dagster costs; the first call is when the clock starts.
"""

from __future__ import annotations

import math
import subprocess
from datetime import datetime
from statistics import median

from sqlalchemy import text

from ai_assets.chains.cells import cells_of_site
from ai_assets.chains.outcome import Trigger
from ai_assets.chains.site import run_cells
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import (
    CONCURRENCY,
    LAST_DAY,
    SITE,
    Places,
    SimulatorProcess,
    ai_assets,
    limits_out_of_the_way,
    places,
    runtime,
    simulator,
)

LATENCY_S = 1.0
CELLS = 72
RUNS = 3
TARGET = 1.25
WAVES_S = math.ceil(CELLS / CONCURRENCY) * LATENCY_S

_WRITES = text("select count(*), max(created_at) from biz.ai_cache")


def measure() -> list[figures.Figure]:
    """The seconds from first call to last write, as a ratio to what the waves need."""
    ways = {"run_cells alone": _directly, "Dagster run (prewarm)": _through_dagster}
    found: list[figures.Figure] = []
    with places() as place, simulator(LATENCY_S) as dashscope:
        for name, way in ways.items():
            seconds = []
            for _ in range(RUNS):
                url = place.database(venue=True)
                dashscope.reset()
                way(place, url, dashscope)
                seconds.append((_last_write(url) - dashscope.first_call_at()).total_seconds())
                print(f"waves: {name}: {seconds[-1]:.2f} s for {CELLS} cells", flush=True)
            ratio = median(seconds) / WAVES_S
            shown = ", ".join(f"{second:.2f}" for second in seconds)
            what = f"{name}: first call to last write / {WAVES_S:g} s (runs: {shown} s)"
            found.append(figures.at_most("waves", what, ratio, TARGET, " x"))
    return found


def _directly(_place: Places, url: str, dashscope: SimulatorProcess) -> None:
    trigger = Trigger(triggered_by="admin_manual", trigger_type="batch")
    with runtime(url, dashscope.base_url) as run_on:
        run_cells(
            run_on,
            cells_of_site(SITE),
            trigger=trigger,
            as_of=LAST_DAY,
            on_result=lambda _cell, _result: None,
        )


def _through_dagster(place: Places, url: str, dashscope: SimulatorProcess) -> None:
    subprocess.run(
        ai_assets("prewarm", "--site", str(SITE), "--as-of", LAST_DAY.isoformat(), "--json"),
        env={**place.variables(url), **limits_out_of_the_way(dashscope.base_url)},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _last_write(url: str) -> datetime:
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        count, newest = connection.execute(_WRITES).one()
    engine.dispose()
    if count != CELLS or not isinstance(newest, datetime):
        raise SystemExit(f"waves: {count} of {CELLS} cells were written, so the time says nothing")
    return newest
