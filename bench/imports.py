"""What importing the code location costs beside `import dagster` alone, and which heavy modules it loads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

from bench import figures

PAIRS = 7
TARGET = 1.5
DAGSTER = "import dagster"
DEFINITIONS = "import ai_assets.definitions"
HEAVY = ("pandas", "numpy", "pyarrow", "fastapi", "uvicorn", "starlette", "dagster_webserver", "alembic")
# Dagster itself brings some; what counts is what the project adds
FORBIDDEN = ("pandas", "fastapi", "uvicorn", "dagster_webserver")


def measure() -> list[figures.Figure]:
    """The median ratio of whole processes, one after the other in pairs; a first pair warms the files."""
    ratios, processor, alone, ours = [], [], [], []
    for number in range(PAIRS + 1):
        (dagster_s, dagster_cpu_s), (definitions_s, definitions_cpu_s) = _took(DAGSTER), _took(DEFINITIONS)
        if number == 0:
            continue
        print(f"imports: dagster {dagster_s:.2f} s, definitions {definitions_s:.2f} s", flush=True)
        alone.append(dagster_s)
        ours.append(definitions_s)
        ratios.append(definitions_s / dagster_s)
        processor.append(definitions_cpu_s / dagster_cpu_s)
    loaded, by_dagster = _heavy(DEFINITIONS), _heavy(DAGSTER)
    what = f"{DEFINITIONS} / {DAGSTER} (median of {PAIRS} pairs, {min(ratios):.2f} to {max(ratios):.2f})"
    forbidden = [name for name in loaded if name in FORBIDDEN]
    return [
        figures.at_most("imports", what, median(ratios), TARGET, " x"),
        figures.told(
            "imports",
            f"the same in processor time, less moved by other load ({min(processor):.2f} to {max(processor):.2f})",
            f"{median(processor):.2f} x",
        ),
        figures.told("imports", "median of each", f"{median(ours):.2f} s / {median(alone):.2f} s"),
        figures.Figure(
            "imports",
            "pandas, FastAPI or a web server loaded",
            ", ".join(forbidden) or "none",
            "none",
            not forbidden,
        ),
        figures.told("imports", "heavy modules with the definitions", ", ".join(loaded) or "none"),
        figures.told("imports", "heavy modules with Dagster alone", ", ".join(by_dagster) or "none"),
    ]


def _took(statement: str) -> tuple[float, float]:
    """Seconds on the clock and seconds of processor time that a process with this one statement takes."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", statement])
    # not subprocess.run: only wait4 tells what this one child used
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"imports: {statement!r} failed with exit code {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime


def _heavy(statement: str) -> list[str]:
    asks = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    return subprocess.run(
        [sys.executable, "-c", asks], check=True, capture_output=True, text=True
    ).stdout.split()
