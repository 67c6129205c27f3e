"""Events that wait to be written together: what is due when, and what need not be written at all. Pure.

A cell that is planned and made within the waiting time is simply green: its planned event would only cost.
A planned event is never written while an earlier materialization still waits: Dagster takes the later of the
two rows for the state of the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from dagster import AssetCheckEvaluation, AssetKey, AssetMaterialization


@dataclass(frozen=True)
class Made:
    """A materialization and when it was handed in (seconds since the epoch)."""

    materialization: AssetMaterialization
    timestamp: float


@dataclass(frozen=True)
class Checked:
    """What a check found of a cell, and when it was handed in (seconds since the epoch)."""

    evaluation: AssetCheckEvaluation
    timestamp: float


@dataclass(frozen=True)
class Planned:
    """A cell that somebody works on, and since when (seconds since the epoch)."""

    asset_key: AssetKey
    partition: str
    timestamp: float


@dataclass(frozen=True)
class Due:
    """What to write now, in this order: batches of one asset each, batches of checks, then the planned ones."""

    made: Sequence[Sequence[Made]] = ()
    checked: Sequence[Sequence[Checked]] = ()
    planned: Sequence[Planned] = ()


class PendingEvents:
    """Materializations and checks wait at most `wait_s` seconds, plans once to twice that: they are written together.

    At most `batch` of one asset, or of checks, go together. `now` is any clock that never goes back.
    """

    def __init__(self, *, wait_s: float, batch: int) -> None:
        self._wait_s = wait_s
        self._batch = batch
        self._made: dict[AssetKey, list[Made]] = {}
        self._checked: list[Checked] = []
        self._made_since: float | None = None
        self._plans_from = float("-inf")
        # oldest first: a plan that waits already keeps its place
        self._planned: dict[tuple[AssetKey, str], tuple[float, Planned]] = {}

    def __bool__(self) -> bool:
        return bool(self._made or self._checked or self._planned)

    def plan(self, planned: Planned, now: float) -> None:
        """A cell is worked on."""
        self._planned.setdefault((planned.asset_key, planned.partition), (now, planned))

    def make(self, made: Made, now: float) -> None:
        """A cell is made; its plan, if it still waits, need not be written."""
        asset_key, partition = made.materialization.asset_key, made.materialization.partition
        self._planned.pop((asset_key, partition or ""), None)
        self._made.setdefault(asset_key, []).append(made)
        if self._made_since is None:
            self._made_since = now

    def check(self, checked: Checked, now: float) -> None:
        """A check has found something of a cell."""
        self._checked.append(checked)
        if self._made_since is None:
            self._made_since = now

    def due_at(self) -> float | None:
        """When something must be written; None where nothing waits."""
        if max([len(self._checked), *map(len, self._made.values())]) >= self._batch:
            return float("-inf")
        due = [max(since + self._wait_s, self._plans_from) for since, _ in islice(self._planned.values(), 1)]
        if self._made_since is not None:
            due.append(self._made_since + self._wait_s)
        return min(due, default=None)

    def take(self, now: float, *, everything: bool = False) -> Due:
        """What is due, or everything. It waits no longer here."""
        due_at = self.due_at()
        if due_at is None or not (everything or due_at <= now):
            return Due()
        made = [
            waiting[start : start + self._batch]
            for waiting in self._made.values()
            for start in range(0, len(waiting), self._batch)
        ]
        checked = [
            self._checked[start : start + self._batch] for start in range(0, len(self._checked), self._batch)
        ]
        self._made, self._checked, self._made_since = {}, [], None
        return Due(made, checked, self._take_plans(now, everything=everything))

    def _take_plans(self, now: float, *, everything: bool) -> list[Planned]:
        planned: list[Planned] = []
        while self._planned and (everything or self._plans_from <= now):
            cell, (since, oldest) = next(iter(self._planned.items()))
            if not (everything or since + self._wait_s <= now):
                break
            planned.append(oldest)
            del self._planned[cell]
        if planned:
            # else each would come due alone, a moment after the one before it
            self._plans_from = now + self._wait_s
        return planned
