"""How a prewarm shows that it goes on. Not here: what it makes, the closing table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ai_assets.chains.summary import StepsSummary


class Progress:
    """A bar on a terminal, plain lines elsewhere."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from rich import progress as bars

        # a duplicate: Dagster captures the process's own streams while a step runs
        self._console = _console(os.dup(sys.stderr.fileno()))
        self._bar = self._console.is_terminal and not quiet
        self._lines = not self._console.is_terminal and not quiet
        self._of = ""
        self._cells = 0
        self._progress = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            console=self._console,
            disable=not self._bar,
        )
        self._task = self._progress.add_task("prewarm", total=total)

    def __enter__(self) -> Progress:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()
        self._console.file.close()

    def begin(self, names: Sequence[str]) -> None:
        """A run for these sites begins: 72 cells each."""
        self._of = names[0] if len(names) == 1 else f"{len(names)} sites"
        self._cells = 72 * len(names)
        self._progress.update(self._task, description=self._of)
        self._line(f"making {self._cells} insights")

    def step(self, summary: StepsSummary) -> None:
        """One more cell of the run has ended."""
        self._progress.advance(self._task)
        done = summary.made + summary.reused + summary.failed
        if done % 24 == 0:
            self._line(f"{done}/{self._cells} ({summary.sentence()})")

    def _line(self, said: str) -> None:
        if self._lines:
            self._console.print(f"{self._of}: {said}", highlight=False, markup=False)


def _console(descriptor: int) -> Console:
    from rich.console import Console

    return Console(file=os.fdopen(descriptor, "w", encoding="utf-8"), soft_wrap=True)
