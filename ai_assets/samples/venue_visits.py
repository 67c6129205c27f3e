"""One day's visits at one site: members by their habits, and the few walk-ins that are kept one by one.

Here: visits, and the settlements they become. Not here: the finance tables, which add the bulk of walk-ins
(`venue_finance`).

Money in fen (cents), time in minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from ai_assets.samples.chance import count_near, pick, rng_of
from ai_assets.samples.rows import Settlement, day_numbered_id, yuan
from ai_assets.samples.venue_calendar import is_area_closed, is_site_closed, mood_of
from ai_assets.samples.venue_habits import ASSISTANTS, Habits, keenness, phase
from ai_assets.samples.venue_people import Member
from ai_assets.samples.venue_sites import AREAS, TIMEZONE, AreaCharacter, VenueSite

_ASSISTANT_FEN_PER_HOUR = (9800, 11800, 13800, 16800)
_WALK_INS_KEPT = 4
_FIRST_SETTLING = time(10, 30)
_LAST_SETTLING = time(23, 40)


@dataclass(frozen=True)
class Visit:
    """One visit with what was charged for it. `member` is None for a walk-in."""

    member: Member | None
    assistant_id: int | None
    settled_at: datetime
    area: str
    guests: int
    minutes: int
    table_fee: int
    assistant_fee: int
    goods_fee: int
    discount: int
    from_balance: bool

    @property
    def paid(self) -> int:
        """Fees less discount."""
        return self.table_fee + self.assistant_fee + self.goods_fee - self.discount


def open_areas(seed: int, site: VenueSite, day: date) -> tuple[str, ...]:
    """The site's areas that are open on `day`, in order; none when the site is closed."""
    if is_site_closed(seed, site.site_id, day):
        return ()
    return tuple(area for area in site.areas if not is_area_closed(seed, site.site_id, area, day))


def visits_of_day(seed: int, site: VenueSite, day: date, members: Iterable[Member]) -> list[Visit]:
    """The day's visits in the order of settling. `members` may hold some who are not there that day."""
    areas = open_areas(seed, site, day)
    if not areas:
        return []
    visits: list[Visit] = []
    rng = rng_of(seed, site.site_id, day, "visits")
    for member in members:
        # those who are not there draw nothing: whoever else was loaded changes nothing
        if member.is_here(day):
            visits.extend(_member_visit(rng, seed, day, member, areas))
    visits.extend(_walk_in(rng, day, areas) for _ in range(count_near(rng, _WALK_INS_KEPT * site.scale)))
    return sorted(visits, key=lambda visit: (visit.settled_at, visit.member.member_id if visit.member else 0))


def settlements_of(site: VenueSite, day: date, visits: Sequence[Visit]) -> list[Settlement]:
    """The rows of dws.settlement, numbered in the order of settling."""
    return [
        Settlement(
            settlement_id=day_numbered_id(site.site_id, day, number),
            site_id=site.site_id,
            member_id=visit.member.member_id if visit.member else None,
            assistant_id=visit.assistant_id,
            settled_at=visit.settled_at,
            biz_date=day,
            area=visit.area,
            table_fee=yuan(visit.table_fee),
            assistant_fee=yuan(visit.assistant_fee),
            goods_fee=yuan(visit.goods_fee),
            discount=yuan(visit.discount),
            paid=yuan(visit.paid),
            play_minutes=visit.minutes,
        )
        for number, visit in enumerate(visits, start=1)
    ]


def _member_visit(rng: Random, seed: int, day: date, member: Member, areas: Sequence[str]) -> Iterable[Visit]:
    mood, habits = mood_of(day), member.habits
    chance = (
        habits.weekly_visits
        / 7
        * habits.weekdays[day.weekday()]
        * keenness(member.joined.date(), member.left, day)
        * (1.0 if habits.is_steady else phase(seed, member.site_id, member.member_id, day.year, day.month))
        * mood.weekday**member.kind.weekday_strength
        * mood.holiday
    )
    if rng.random() >= chance:
        return
    liked = {area: weight for area, weight in habits.areas.items() if area in areas}
    if not liked:
        return
    character = AREAS[pick(rng, liked)]
    assistant_id = None
    # nobody plays mahjong with an assistant, whatever their habits elsewhere
    if character.assistant_share and rng.random() < habits.assistant_chance:
        assistant_id = _assistant(rng, habits)
    yield _visit(rng, day, character, member, assistant_id)


def _assistant(rng: Random, habits: Habits) -> int:
    # the favourite if there is a choice; now and then nobody of the usual ones is free
    if rng.random() < 0.85:
        return pick(rng, dict(zip(habits.assistants, (3.0, 1.0), strict=False)))
    return rng.randint(1, ASSISTANTS)


def _walk_in(rng: Random, day: date, areas: Sequence[str]) -> Visit:
    character = AREAS[pick(rng, {area: AREAS[area].walk_ins for area in areas})]
    assistant_id = rng.randint(1, ASSISTANTS) if rng.random() < character.assistant_share / 2 else None
    return _visit(rng, day, character, None, assistant_id)


def _visit(
    rng: Random, day: date, character: AreaCharacter, member: Member | None, assistant_id: int | None
) -> Visit:
    minutes = max(20, round(rng.gauss(character.minutes, character.minutes * 0.3)))
    guests = max(1, round(rng.gauss(character.guests, 0.8)))
    table = round(minutes * character.fen_per_hour / 60)
    assistant = 0
    if assistant_id is not None:
        # an assistant's price goes with the person
        price = _ASSISTANT_FEN_PER_HOUR[assistant_id % len(_ASSISTANT_FEN_PER_HOUR)]
        assistant = round(minutes * rng.uniform(0.5, 1.0) * price / 60)
    taste = member.kind.goods if member else 1.0
    # prices of drinks and snacks end in whole half yuan
    goods = round(max(0.0, rng.gauss(1.0, 0.6)) * taste * guests * character.goods_fen / 50) * 50
    discount = 0
    if member and rng.random() < member.habits.discount_chance:
        discount = round((table + goods) * rng.choice((0.05, 0.1, 0.12, 0.2)))
    return Visit(
        member=member,
        assistant_id=assistant_id,
        settled_at=_settled_at(rng, day, member.habits.hour if member else 18.5, minutes),
        area=character.area,
        guests=guests,
        minutes=minutes,
        table_fee=table,
        assistant_fee=assistant,
        goods_fee=goods,
        discount=discount,
        from_balance=member is not None and rng.random() < member.kind.balance_chance,
    )


def _settled_at(rng: Random, day: date, usual_hour: float, minutes: int) -> datetime:
    zone = ZoneInfo(TIMEZONE)
    begun = datetime.combine(day, time(0), zone) + timedelta(hours=rng.gauss(usual_hour, 1.8))
    settled = (begun + timedelta(minutes=minutes)).replace(microsecond=0)
    earliest = datetime.combine(day, _FIRST_SETTLING, zone) + timedelta(seconds=rng.randrange(1800))
    latest = datetime.combine(day, _LAST_SETTLING, zone) - timedelta(seconds=rng.randrange(1800))
    # the business date is the local date of the settling, so nothing may cross midnight
    return min(max(settled, earliest), latest)
