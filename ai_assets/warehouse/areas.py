"""The areas of a venue and how they roll up.

Here: names, labels, roll-ups. Not here: rows; how an area that nobody knows is counted is
`ai_assets.warehouse.finance_frames`' matter.
Source of the rule: docs/behaviour.md, The apps.
"""

from __future__ import annotations

from ai_assets.errors import InputError

ALL = "all"
HALL = "hall"

AREAS: tuple[str, ...] = (ALL, HALL, "hallA", "hallB", "hallC", "vip", "snooker", "mahjong", "ktv")
LEAF_AREAS: tuple[str, ...] = ("hallA", "hallB", "hallC", "vip", "snooker", "mahjong", "ktv")

AREA_LABELS: dict[str, str] = {
    ALL: "全店",
    HALL: "大厅",
    "hallA": "大厅A区",
    "hallB": "大厅B区",
    "hallC": "大厅C区",
    "vip": "贵宾区",
    "snooker": "斯诺克区",
    "mahjong": "麻将区",
    "ktv": "KTV区",
}
OTHER_LABEL = "其他"

_ROLL_UPS: dict[str, tuple[str, ...]] = {ALL: LEAF_AREAS, HALL: ("hallA", "hallB", "hallC")}


def check_area_name(area: str) -> None:
    """Raise InputError listing the known areas if this is none of them."""
    if area not in AREAS:
        raise InputError(f"unknown area {area!r}: use one of {', '.join(AREAS)}")


def leaves(area: str) -> tuple[str, ...]:
    """The leaf areas that make up an area; a leaf is its own.

    `all` is everything: what the warehouse holds under names that are no leaf counts there too.
    Raises InputError for an unknown area.
    """
    check_area_name(area)
    return _ROLL_UPS.get(area, (area,))
