"""Loading the real retail data for three sites: seconds and peak memory of the loading process."""

from __future__ import annotations

import os
import subprocess
import time

from bench import figures
from bench.places import ai_assets, places

SITES = 3
TARGET_S = 30.0
TARGET_GB = 1.5


def measure() -> list[figures.Figure]:
    """Whole process of `ai-assets sample load completejourney`, Postgres not counted in its memory."""
    with places() as place:
        environment = place.variables(place.database())
        command = ai_assets("sample", "load", "completejourney", "--sites", str(SITES), "--json")
        began = time.perf_counter()
        # not subprocess.run: only wait4 tells what this one child used
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"completejourney: loading failed with exit code {process.returncode}")
    peak_gb = usage.ru_maxrss * 1024 / 1e9
    cpu_s = usage.ru_utime + usage.ru_stime
    return [
        figures.at_most("completejourney", f"load {SITES} sites", seconds, TARGET_S, " s"),
        figures.told("completejourney", "of it processor time of the loader", f"{cpu_s:.2f} s"),
        figures.at_most("completejourney", "peak memory (RSS) of the loader", peak_gb, TARGET_GB, " GB"),
    ]
