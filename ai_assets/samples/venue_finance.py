"""One day's finance rows of one site: the day's visits, and the bulk of walk-ins on top.

Here: dws.finance_area_daily, dws.finance_site_daily and dws.etl_batch. Not here: visits (`venue_visits`).

So an area's fees are never less than those of the settlements that are kept for it, unless a refund has
been taken off. Money in fen (cents) until it becomes a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from ai_assets.samples.chance import count_near, rng_of
from ai_assets.samples.rows import AreaDay, EtlBatch, SiteDay, batch_id, yuan
from ai_assets.samples.venue_calendar import growth, mood_of
from ai_assets.samples.venue_people import Member
from ai_assets.samples.venue_sites import AREAS, TIMEZONE, AreaCharacter, VenueSite
from ai_assets.samples.venue_visits import Visit, open_areas

_ASSISTANT_FEN_PER_HOUR = 12_400
_MEMBERS_DAY = 2  # Wednesday: a bigger discount brings people in
_RECHARGES_A_DAY = 2.3
_RECHARGES = (20_000, 50_000, 100_000, 200_000, 300_000, 500_000)
_RECHARGE_WEIGHTS = (10, 22, 30, 20, 12, 6)


def area_days(seed: int, site: VenueSite, day: date, visits: Sequence[Visit]) -> list[AreaDay]:
    """A row for each open area, also one where nobody came; none on a day closed."""
    return [
        _area_day(
            rng_of(seed, site.site_id, day, "area", area),
            site,
            day,
            AREAS[area],
            [visit for visit in visits if visit.area == area],
        )
        for area in open_areas(seed, site, day)
    ]


def _area_day(
    rng: Random, site: VenueSite, day: date, character: AreaCharacter, visits: Iterable[Visit]
) -> AreaDay:
    walk_ins = count_near(
        rng,
        character.walk_ins * site.scale * growth(day, site.yearly_growth) * character.demand(mood_of(day)),
    )
    guests = max(walk_ins, round(walk_ins * character.guests * rng.uniform(0.9, 1.1)))
    minutes = round(walk_ins * character.minutes * rng.uniform(0.9, 1.1))
    table = round(minutes * character.fen_per_hour / 60)
    with_assistant = round(minutes * character.assistant_share * rng.uniform(0.7, 1.3))
    assistant = round(with_assistant * _ASSISTANT_FEN_PER_HOUR / 60)
    goods = round(guests * character.goods_fen * rng.uniform(0.8, 1.2) / 50) * 50
    other = walk_ins * character.service_fen
    share = rng.uniform(0.03, 0.06) + (0.05 if day.weekday() == _MEMBERS_DAY else 0.0)
    discount = round((table + goods) * share)
    for visit in visits:
        walk_ins += 1
        guests += visit.guests
        minutes += visit.minutes
        table += visit.table_fee
        assistant += visit.assistant_fee
        goods += visit.goods_fee
        discount += visit.discount
    # a refund is booked on the day it is paid, so a quiet area's day can end below zero
    if rng.random() < 0.02:
        other -= rng.choice((3_800, 5_800, 8_800, 12_800, 38_800, 88_000))
    return AreaDay(
        site_id=site.site_id,
        biz_date=day,
        area=character.area,
        table_fee=yuan(table),
        assistant_fee=yuan(assistant),
        goods_fee=yuan(goods),
        other_fee=yuan(other),
        discount=yuan(discount),
        net_revenue=yuan(table + assistant + goods + other - discount),
        orders=walk_ins,
        guests=guests,
        play_minutes=minutes,
    )


def site_day(
    seed: int, site: VenueSite, day: date, visits: Sequence[Visit], members: Iterable[Member]
) -> SiteDay | None:
    """The site's own figures, or None on a day closed.

    Active members are those with a settlement that day; new ones those who registered.
    """
    if not open_areas(seed, site, day):
        return None
    rng = rng_of(seed, site.site_id, day, "site")
    mood = mood_of(day)
    count = count_near(rng, _RECHARGES_A_DAY * mood.weekday * mood.holiday**2)
    amounts = rng.choices(_RECHARGES, weights=_RECHARGE_WEIGHTS, k=count)
    return SiteDay(
        site_id=site.site_id,
        biz_date=day,
        recharge_amount=yuan(sum(amounts)),
        recharge_count=count,
        balance_spent=yuan(sum(visit.paid for visit in visits if visit.from_balance)),
        new_members=sum(member.joined.date() == day for member in members),
        active_members=len({visit.member.member_id for visit in visits if visit.member}),
    )


def etl_batches(seed: int, site: VenueSite, day: date) -> list[EtlBatch]:
    """The batches of the day, made the night after: a success, now and then after a failed one."""
    rng = rng_of(seed, site.site_id, day, "etl")
    begun = datetime.combine(day + timedelta(days=1), time(3), ZoneInfo(TIMEZONE)) + timedelta(
        seconds=rng.randrange(600)
    )
    batches = []
    if rng.random() < 0.03:
        batches.append(EtlBatch(batch_id(site.site_id, day, 1), site.site_id, day, "failed", begun))
        begun += timedelta(minutes=rng.randint(10, 35))
    batches.append(
        EtlBatch(batch_id(site.site_id, day, len(batches) + 1), site.site_id, day, "success", begun)
    )
    return batches
