"""The venue's sites and the character of their areas: names, sizes, prices, who comes when.

Here: constants, and the sites made from them. Not here: dates (`venue_calendar`), people (`venue_people`).

Money in fen (cents), time in minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ai_assets.samples.chance import rng_of
from ai_assets.samples.venue_calendar import Mood

TIMEZONE = "Asia/Shanghai"
FIRST_SITE_ID = 1001

_PLACES = (
    "徐汇", "浦东", "静安", "虹口", "杨浦", "普陀", "长宁", "闵行", "宝山", "嘉定",
    "松江", "青浦", "奉贤", "金山", "崇明", "五角场", "陆家嘴", "张江",
    "七宝", "莘庄", "临港", "古北", "大宁", "真如", "北外滩", "新天地",
)  # fmt: skip

_SIZES = (1.0, 0.7, 1.25, 0.55, 0.85)

# 1001 to 1026: none of them is a store of completejourney, so that the two samples can stand side by side
MAX_SITES = len(_PLACES)


@dataclass(frozen=True)
class AreaCharacter:
    """What one area is like on an ordinary day of a site of ordinary size."""

    area: str
    walk_ins: float
    """Orders a day beside those of members."""
    fen_per_hour: int
    minutes: int
    """Length of a visit, on average."""
    guests: float
    """People an order, on average."""
    assistant_share: float
    """Share of the time played with an assistant."""
    goods_fen: int
    """Drinks and snacks a guest."""
    service_fen: int
    """Tea places, room service: the other fee an order."""
    weekday_strength: float
    month_strength: float
    holiday_strength: float

    def demand(self, mood: Mood) -> float:
        """How busy the area is on a date of this mood, 1.0 being ordinary."""
        return float(
            mood.weekday**self.weekday_strength
            * mood.month**self.month_strength
            * mood.holiday**self.holiday_strength
        )


AREAS = {
    character.area: character
    for character in (
        AreaCharacter("hallA", 34, 4800, 95, 2.1, 0.16, 1500, 0, 1.0, 1.0, 1.0),
        AreaCharacter("hallB", 22, 4200, 90, 2.2, 0.12, 1300, 0, 1.1, 1.0, 1.0),
        # students: cheap tables, full in the summer holidays
        AreaCharacter("hallC", 14, 3200, 85, 2.4, 0.03, 900, 0, 0.8, 2.6, 0.6),
        AreaCharacter("vip", 5, 12800, 150, 3.2, 0.45, 5200, 1800, 1.2, 0.6, 0.8),
        AreaCharacter("snooker", 7, 6800, 110, 1.9, 0.10, 1400, 0, 0.5, 0.4, 0.5),
        # weekday afternoons, and the whole of Spring Festival
        AreaCharacter("mahjong", 6, 5800, 240, 4.0, 0.0, 2000, 1200, 0.3, 0.2, 1.8),
        AreaCharacter("ktv", 5, 15800, 180, 5.4, 0.12, 6000, 3000, 1.9, 0.8, 1.2),
    )
}


@dataclass(frozen=True)
class VenueSite:
    """One site: its areas, and how its size and growth differ from the ordinary."""

    site_id: int
    name: str
    areas: tuple[str, ...]
    scale: float
    yearly_growth: float


def venue_site(seed: int, number: int) -> VenueSite:
    """The site of this number, from 0; ids follow from FIRST_SITE_ID."""
    site_id = FIRST_SITE_ID + number
    rng = rng_of(seed, site_id, "site")
    # every third site has no KTV, every fifth no snooker: cells without data occur
    missing = {"ktv"} if number % 3 == 1 else {"snooker"} if number % 5 == 4 else set()
    return VenueSite(
        site_id=site_id,
        name=f"星河台球·{_PLACES[number]}店",
        areas=tuple(area for area in AREAS if area not in missing),
        scale=_SIZES[number % len(_SIZES)] * rng.uniform(0.9, 1.1),
        yearly_growth=rng.uniform(-0.02, 0.12),
    )
