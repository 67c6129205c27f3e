"""What a measure gives, and the table that shows it. Not here: measuring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One row of the closing table. `met` is None where there is no target: the figure is only told."""

    measure: str
    what: str
    figure: str
    target: str = ""
    met: bool | None = None


def at_most(measure: str, what: str, value: float, limit: float, unit: str = "") -> Figure:
    """A figure that should not be above `limit`."""
    return Figure(measure, what, f"{value:.2f}{unit}", f"≤ {limit:g}{unit}", value <= limit)


def at_least(measure: str, what: str, value: float, limit: float, unit: str = "") -> Figure:
    """A figure that should not be below `limit`."""
    return Figure(measure, what, f"{value:.2f}{unit}", f"≥ {limit:g}{unit}", value >= limit)


def exactly(measure: str, what: str, value: int, wanted: int) -> Figure:
    """A count that should be this one."""
    return Figure(measure, what, str(value), str(wanted), value == wanted)


def told(measure: str, what: str, figure: str) -> Figure:
    """A figure without a target."""
    return Figure(measure, what, figure)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed; there must be at least one."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def print_figures(figures: Sequence[Figure]) -> None:
    """Print the closing table."""
    table = Table(title="Measures of this run")
    table.add_column("measure")
    table.add_column("what")
    for column in ("figure", "target"):
        table.add_column(column, justify="right")
    table.add_column("met")
    words = {None: "", True: "yes", False: "[bold red]no[/]"}
    for figure in figures:
        table.add_row(figure.measure, figure.what, figure.figure, figure.target, words[figure.met])
    Console().print(table)
