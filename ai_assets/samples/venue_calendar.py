"""The venue's calendar: how busy a date is, by weekday, season and holiday, and when doors are shut.

Here: pure functions of a date. Not here: what an area sells (`venue_sites`), drawing the day's figures
(`venue_finance`, `venue_visits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from ai_assets.samples.chance import rng_of

# nothing is made before this day: the members' histories begin here
OPENING_DAY = date(2020, 1, 1)

_WEEKDAY = (0.82, 0.85, 0.92, 0.95, 1.12, 1.38, 1.25)
_MONTH = (0.98, 0.96, 0.97, 0.98, 1.00, 0.94, 1.10, 1.12, 0.98, 1.00, 1.02, 1.04)
# Lunar New Year's Day as announced; later years have no Spring Festival in the sample
_SPRING_FESTIVAL = {
    day.year: day
    for day in (
        date(2020, 1, 25), date(2021, 2, 12), date(2022, 2, 1), date(2023, 1, 22), date(2024, 2, 10),
        date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 6), date(2028, 1, 26), date(2029, 2, 13),
        date(2030, 2, 3), date(2031, 1, 23), date(2032, 2, 11), date(2033, 1, 31), date(2034, 2, 19),
        date(2035, 2, 8),
    )
}  # fmt: skip
_FIXED_HOLIDAYS = (
    # month, first day, last day, how busy
    (1, 1, 3, 1.25),
    (4, 4, 6, 0.85),
    (5, 1, 5, 1.30),
    (10, 1, 7, 1.35),
    (12, 24, 25, 1.15),
    (12, 31, 31, 1.25),
)


@dataclass(frozen=True)
class Mood:
    """How busy a date is, 1.0 being an ordinary one; an area takes each factor in its own strength."""

    weekday: float
    month: float
    holiday: float


@cache
def mood_of(day: date) -> Mood:
    """The factors of a date."""
    return Mood(_WEEKDAY[day.weekday()], _MONTH[day.month - 1], _holiday(day))


def growth(day: date, yearly: float) -> float:
    """Growth at `yearly` (0.08: eight per cent) a year, 1.0 at the start of 2025."""
    return float((1 + yearly) ** ((day - date(2025, 1, 1)).days / 365.25))


def _holiday(day: date) -> float:
    new_year = _SPRING_FESTIVAL.get(day.year)
    if new_year is not None:
        since = (day - new_year).days
        if since == 0:
            return 0.7
        if 1 <= since <= 6:
            return 1.4
        # many guests have gone home already
        if -7 <= since < 0:
            return 0.75
    for month, first, last, factor in _FIXED_HOLIDAYS:
        if day.month == month and first <= day.day <= last:
            return factor
    return 1.0


@cache
def is_site_closed(seed: int, site_id: int, day: date) -> bool:
    """Shut all day: on Lunar New Year's Eve everywhere, and about once in three quarters for maintenance."""
    new_year = _SPRING_FESTIVAL.get(day.year)
    if new_year is not None and day == new_year - timedelta(days=1):
        return True
    quarter = (day.month - 1) // 3
    rng = rng_of(seed, site_id, "maintenance", day.year, quarter)
    if rng.random() >= 0.35:
        return False
    return day == date(day.year, quarter * 3 + 1, 1) + timedelta(days=rng.randrange(90))


@cache
def is_area_closed(seed: int, site_id: int, area: str, day: date) -> bool:
    """Shut for works: five to nine days, in about one half-year of eight for each area."""
    half = (day.month - 1) // 6
    rng = rng_of(seed, site_id, area, "works", day.year, half)
    if rng.random() >= 0.12:
        return False
    first = date(day.year, half * 6 + 1, 1) + timedelta(days=rng.randrange(160))
    return first <= day < first + timedelta(days=rng.randint(5, 9))
