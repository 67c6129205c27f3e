"""A fact of a prompt and the index of all: what figures may be held against.

Here: shapes and look-up. Not here: reading a prompt (`prompt_facts`), what follows from facts (`derived`,
`combined`), whether a figure is true (`judging`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

NONE: Final[frozenset[str]] = frozenset()

# by the kind of a written figure: the kinds of facts that it may tell
COMPATIBLE: Final[dict[str, tuple[str, ...]]] = {
    "yuan": ("yuan", "number"),
    "orders": ("orders", "number"),
    "people": ("people", "number"),
    "visits": ("visits", "orders", "people", "number"),
    "days": ("days", "visits", "number"),
    "minutes": ("minutes", "number"),
    "percent": ("percent",),
    "points": ("points",),
    "ratio": ("ratio",),
    "discount": ("discount",),
    "count": ("count", "orders", "people", "visits", "days", "number"),
    "years": ("years", "number"),
    "id": ("id", "number", "count"),
    "number": (
        "yuan",
        "orders",
        "people",
        "visits",
        "days",
        "minutes",
        "percent",
        "ratio",
        "count",
        "id",
        "number",
    ),
}


# not frozen: a frozen one is three times as slow to make, and a prompt has hundreds
@dataclass(slots=True, eq=False)
class Fact:
    """One figure of the prompt, or one that follows from it.

    `value` is in the kind's own unit (yuan, minutes, days, percent …). `measures`: what it measures, by the
    prompts' names; none: not told. `entities`: whom or when it is about (`a:大厅A区`, `d:2026-06-13`, `w:6`,
    `m:2026-05`, `b:…`, `n:…`, `last`), none: the whole. `period`: now, before, or neither. `aspect`: level,
    change, share, average, total, times, span (a length of time that others are counted over), text (stands
    in a sentence). `scope`: days that it is counted over, where there are several.
    """

    value: float
    kind: str
    measures: frozenset[str] = NONE
    entities: frozenset[str] = NONE
    period: str = ""
    aspect: str = "level"
    path: str = ""
    scope: int = 0
    group: str = ""
    """The table it stands in: facts of one are parts that may be added."""

    def like(
        self,
        value: float,
        *,
        kind: str | None = None,
        measures: frozenset[str] | None = None,
        entities: frozenset[str] | None = None,
        period: str | None = None,
        aspect: str | None = None,
        path: str | None = None,
    ) -> Fact:
        """A fact that follows from this one: another value, and what is named."""
        return Fact(
            value,
            self.kind if kind is None else kind,
            self.measures if measures is None else measures,
            self.entities if entities is None else entities,
            self.period if period is None else period,
            self.aspect if aspect is None else aspect,
            self.path if path is None else path,
            self.scope,
            self.group,
        )


@dataclass
class Facts:
    """All facts, sorted for look-up by kind and value; dates, times and names beside them."""

    listed: list[Fact] = field(default_factory=list)
    days: set[date] = field(default_factory=set)
    noted: set[date] = field(default_factory=set)
    """Days that something was noted or done on, outside of the tables of days."""
    windows: list[tuple[date, date]] = field(default_factory=list)
    """What the prompt is about and what that is held against: a text names these and means the whole."""
    spans: list[tuple[date, date]] = field(default_factory=list)
    clocks: set[int] = field(default_factory=set)
    text_days: set[tuple[int | None, int | None, int | None]] = field(default_factory=set)
    named_days: dict[str, set[date]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """A name that stands in the prompt, by entity."""
    now_words: str = ""
    """What the prompt calls its window: 本月, 上周 …"""
    now_months: frozenset[int] = frozenset()
    before_months: frozenset[int] = frozenset()
    as_of: date | None = None
    last_day: str = ""
    """The day of a member's last order, as the prompt writes it."""
    entities: set[str] = field(default_factory=set)
    """Every entity that some fact is about."""
    measures: set[str] = field(default_factory=set)
    single_weekdays: set[str] = field(default_factory=set)
    """Weekdays of which the day to day figures have one: they name that day."""
    sizes: dict[str, list[float]] = field(default_factory=dict)
    by_kind: dict[str, list[Fact]] = field(default_factory=dict)

    resolved: dict[str, frozenset[str]] = field(default_factory=dict)
    """By what a passage calls it: the entities of these facts; filled by `judging`."""
    looked_up: Any = None
    """Indexes of `judging`, made when first needed."""

    def index(self) -> None:
        """Sort what was listed; call once, when all is."""
        by_kind: dict[str, list[Fact]] = {}
        days: dict[str, set[str]] = {}
        for fact in self.listed:
            if fact.group == "每日走势" and fact.aspect == "level":
                for weekday in (name for name in fact.entities if name.startswith("w:")):
                    days.setdefault(weekday, set()).update(fact.entities)
            by_kind.setdefault(fact.kind, []).append(fact)
            if fact.entities:
                self.entities |= fact.entities
            if fact.measures:
                self.measures |= fact.measures
        self.single_weekdays = {weekday for weekday, found in days.items() if len(found) == 2}
        for kind, found in by_kind.items():
            found.sort(key=lambda fact: abs(fact.value))
            self.by_kind[kind] = found
            self.sizes[kind] = [abs(fact.value) for fact in found]

    def between(self, kind: str, low: float, high: float) -> Iterator[Fact]:
        """Facts that a figure of this kind may tell, whose size is within the bounds."""
        for of_kind in COMPATIBLE.get(kind, ()):
            sizes = self.sizes.get(of_kind)
            if sizes:
                yield from self.by_kind[of_kind][bisect_left(sizes, low) : bisect_right(sizes, high)]

    def nearest(self, kind: str, size: float, among: Iterable[str] = ()) -> Fact | None:
        """The fact of a fitting kind whose size is nearest, of these measures if there is one."""
        wanted = frozenset(among)
        best: tuple[bool, float] | None = None
        found: Fact | None = None
        for of_kind in COMPATIBLE.get(kind, ()):
            sizes = self.sizes.get(of_kind, [])
            at = bisect_left(sizes, size)
            for place in range(max(0, at - 12), min(len(sizes), at + 12)):
                fact = self.by_kind[of_kind][place]
                rank = (not (fact.measures & wanted), abs(sizes[place] - size))
                if best is None or rank < best:
                    best, found = rank, fact
        return found
