"""What a member of the venue is used to: how often, which days, when, where, with whom, and at what price.

Here: sorts of members, and one member's habits drawn from them. Not here: names and accounts (`venue_people`), a
day's visits (`venue_visits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from random import Random

from ai_assets.samples.chance import pick, rng_of
from ai_assets.samples.venue_sites import FIRST_SITE_ID

ASSISTANTS = 12
THRIFTY = 0.8
"""Who takes a discount at least this often looks at prices before anything else."""
NEWCOMER_DAYS = 45
FADING_DAYS = 90

KNOWN_PAIR = (FIRST_SITE_ID, 555, 7)
"""Site, member and assistant who know each other well under every seed, so that examples have something to show."""


@dataclass(frozen=True)
class Kind:
    """One sort of member: how often, when, where, and what they spend."""

    label: str
    share: float
    weekly_visits: float
    weekday_strength: float
    """1: like everyone; above: a weekend person; negative: comes when others do not."""
    hour: float
    areas: dict[str, float]
    assistant_chance: float
    goods: float
    """Drinks and snacks against the area's ordinary spend."""
    discount_chance: float
    balance_chance: float
    ages: tuple[int, int] = (22, 52)


KINDS = (
    Kind("球友", 0.36, 1.5, 0.6, 19.5, {"hallA": 6, "hallB": 3, "snooker": 1}, 0.25, 0.8, 0.25, 0.7),
    Kind("学球", 0.16, 1.3, 0.2, 16.0, {"hallA": 4, "snooker": 5}, 0.65, 0.7, 0.3, 0.8),
    Kind("商务", 0.14, 0.7, 0.3, 20.0, {"vip": 7, "ktv": 2, "hallA": 1}, 0.7, 1.6, 0.1, 0.9),
    Kind("学生", 0.12, 0.8, 1.4, 15.0, {"hallC": 8, "hallB": 2}, 0.05, 0.7, 0.6, 0.2, (18, 23)),
    Kind("牌友", 0.14, 1.3, -0.3, 14.0, {"mahjong": 9, "hallA": 1}, 0.02, 1.0, 0.35, 0.6, (45, 66)),
    Kind("聚会", 0.08, 0.4, 2.0, 20.5, {"ktv": 7, "vip": 2, "hallB": 1}, 0.2, 1.5, 0.3, 0.4),
)


@dataclass(frozen=True)
class Habits:
    """One member's own. `weekdays`: Monday to Sunday, on average 1; `hour`: local, when a visit begins."""

    weekly_visits: float
    weekdays: tuple[float, ...]
    hour: float
    areas: dict[str, float]
    assistants: tuple[int, ...]
    """The favourite first."""
    assistant_chance: float
    discount_chance: float
    is_steady: bool = False
    """Never away for a month."""

    @property
    def knows_assistants(self) -> bool:
        """Whether this member plays with assistants often enough to know them."""
        return self.assistant_chance >= 0.15

    @property
    def favourite_day(self) -> int | None:
        """The weekday (Monday: 0) that stands out, if one does."""
        day = max(range(7), key=self.weekdays.__getitem__)
        return day if self.weekdays[day] >= 1.8 else None


def habits_of(rng: Random, kind: Kind, site_id: int, member_id: int) -> Habits:
    """A member's habits, drawn from their sort."""
    if (site_id, member_id) == KNOWN_PAIR[:2]:
        return Habits(
            2.4, _weekdays((2, 5)), 19.5, {"hallA": 8, "snooker": 2}, (KNOWN_PAIR[2],), 0.6, 0.3, True
        )
    favourite = pick(rng, kind.areas)
    is_thrifty = rng.random() < 0.18
    return Habits(
        weekly_visits=kind.weekly_visits * rng.uniform(0.5, 1.7),
        weekdays=_weekdays(_favourite_days(rng, kind)) if rng.random() < 0.7 else (1.0,) * 7,
        # before five in the afternoon tables are cheaper
        hour=min(rng.gauss(kind.hour, 1.2), 14.5 if is_thrifty else 22.0),
        areas={area: weight * (3 if area == favourite else 1) for area, weight in kind.areas.items()},
        assistants=tuple(rng.sample(range(1, ASSISTANTS + 1), rng.randint(1, 2))),
        assistant_chance=kind.assistant_chance * (0.5 if is_thrifty else 1.0),
        discount_chance=rng.uniform(THRIFTY, 0.95)
        if is_thrifty
        else kind.discount_chance * rng.uniform(0.4, 1.3),
    )


def _favourite_days(rng: Random, kind: Kind) -> tuple[int, ...]:
    weekend = 1.0 + max(0.0, kind.weekday_strength)
    weights = {day: weekend if day >= 4 else 1.0 for day in range(7)}
    first = pick(rng, weights)
    # two evenings that lie next to each other are no rhythm
    return (first, (first + rng.choice((2, 3, 4))) % 7) if rng.random() < 0.6 else (first,)


def _weekdays(favourites: tuple[int, ...]) -> tuple[float, ...]:
    raw = [4.0 if day in favourites else 0.7 for day in range(7)]
    return tuple(weight * 7 / sum(raw) for weight in raw)


def is_new(joined: date, day: date) -> bool:
    """Whether a member is a newcomer on `day`."""
    return (day - joined).days <= NEWCOMER_DAYS


def is_fading(left: date | None, day: date) -> bool:
    """Whether a member is on the way out: the last weeks before the last possible visit."""
    return left is not None and (left - day).days < FADING_DAYS


def keenness(joined: date, left: date | None, day: date) -> float:
    """How much more or less often than ever a member comes at the beginning and towards the end."""
    if is_fading(left, day) and left is not None:
        return max(0.1, (left - day).days / FADING_DAYS)
    return 1.4 if is_new(joined, day) else 1.0


@lru_cache(maxsize=65536)
def phase(seed: int, site_id: int, member_id: int, year: int, month: int) -> float:
    """How keen a member is in a month: now and then away altogether, mostly as ever, sometimes doubly so."""
    rng = rng_of(seed, site_id, "phase", member_id, year, month)
    return pick(rng, {1.0: 58, 0.35: 20, 1.7: 13, 0.0: 9})
