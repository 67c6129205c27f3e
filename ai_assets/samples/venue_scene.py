"""A member's visit as the staff see it: what can be said of it, and the words for it.

Here: the questions that a remark asks before it is made. Not here: the remarks (`venue_remarks`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ai_assets.samples.venue_habits import THRIFTY, is_fading, is_new
from ai_assets.samples.venue_people import Member
from ai_assets.samples.venue_visits import Visit
from ai_assets.warehouse.areas import AREA_LABELS

_WEEKDAYS = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")


@dataclass(frozen=True)
class Scene:
    """A member's visit as the one who writes sees it. `assistant` is the name, None where nobody played along."""

    visit: Visit
    member: Member
    assistant: str | None

    @property
    def hour(self) -> int:
        """The local hour of settling."""
        return self.visit.settled_at.hour

    def fill(self, text: str) -> str:
        """`text` with this visit's words in its places."""
        return text.format(
            area=AREA_LABELS[self.visit.area],
            hours=f"{self.visit.minutes / 60:.1f}",
            guests=self.visit.guests,
            assistant=self.assistant,
            weekday=_WEEKDAYS[self.visit.settled_at.weekday()],
        )


Fits = Callable[[Scene], bool]


def in_area(*areas: str) -> Fits:
    """The visit was in one of these areas."""
    return lambda scene: scene.visit.area in areas


def of_kind(*labels: str) -> Fits:
    """The member is of one of these sorts."""
    return lambda scene: scene.member.kind.label in labels


def at_least(guests: int) -> Fits:
    """So many came, or more."""
    return lambda scene: scene.visit.guests >= guests


def no(fits: Fits) -> Fits:
    """The opposite."""
    return lambda scene: not fits(scene)


def billiards(scene: Scene) -> bool:
    """They played at a table with cues."""
    return scene.visit.area not in {"mahjong", "ktv"}


def new(scene: Scene) -> bool:
    """The member came recently."""
    return is_new(scene.member.joined.date(), scene.visit.settled_at.date())


def fading(scene: Scene) -> bool:
    """The member comes ever less."""
    return is_fading(scene.member.left, scene.visit.settled_at.date())


def thrifty(scene: Scene) -> bool:
    """The member looks at prices first."""
    return scene.member.habits.discount_chance >= THRIFTY


def discounted(scene: Scene) -> bool:
    """A discount was taken."""
    return scene.visit.discount > 0


def from_balance(scene: Scene) -> bool:
    """It was paid from the member's account."""
    return scene.visit.from_balance


def assisted(scene: Scene) -> bool:
    """An assistant played along."""
    return scene.assistant is not None


def with_favourite(scene: Scene) -> bool:
    """It was the member's favourite assistant."""
    return assisted(scene) and scene.visit.assistant_id == scene.member.habits.assistants[0]


def regular(scene: Scene) -> bool:
    """The member has long been coming, and always on this weekday."""
    is_the_day = scene.member.habits.favourite_day == scene.visit.settled_at.weekday()
    return is_the_day and not new(scene) and not fading(scene)


def alone(scene: Scene) -> bool:
    """Nobody else came."""
    return scene.visit.guests == 1


def long(scene: Scene) -> bool:
    """An hour or more."""
    return scene.visit.minutes >= 60


def late(scene: Scene) -> bool:
    """Past ten in the evening."""
    return scene.hour >= 22


def by_day(scene: Scene) -> bool:
    """Before six in the evening."""
    return scene.hour < 18


def weekend(scene: Scene) -> bool:
    """Saturday or Sunday."""
    return scene.visit.settled_at.weekday() >= 5


def young_man(scene: Scene) -> bool:
    """By sort and gender."""
    return scene.member.gender == "男" and scene.member.kind.ages[0] < 40
