"""The venue's members and assistants: who they are.

Here: people by seed and site. Not here: their habits (`venue_habits`), visits (`venue_visits`), notes and tasks
(`venue_notes`).

A site has 70 regulars who never leave (members 501 to 570) and 35 places whose holder changes every one to
two and a half years; each holder is a member of their own. So about 125 members have been there in any 400
days, and the people of a date do not depend on which other dates are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from ai_assets.samples.chance import pick, rng_of
from ai_assets.samples.rows import AssistantRow, MemberRow, yuan
from ai_assets.samples.venue_calendar import OPENING_DAY
from ai_assets.samples.venue_habits import ASSISTANTS, KINDS, KNOWN_PAIR, Habits, Kind, habits_of
from ai_assets.samples.venue_sites import TIMEZONE

_REGULARS = 70
_PLACES = 35
_FIRST_MEMBER_ID = 501

_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈"
)
_GIVEN_MEN = "伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯俊健峰志文博子轩泽建国庆"
_GIVEN_WOMEN = "芳娜敏静丽艳娟霞秀燕玲雪婷慧莹洁颖琳晓佳怡思雨欣悦梦瑶"
_STAGE_NAMES = (
    "小雨", "阿琳", "糖糖", "可可", "夏夏", "阿杰", "七七", "小北",
    "安安", "米洛", "阿森", "苏苏", "小满", "阿宁", "念念", "阿泽",
)  # fmt: skip
_STAFF_LEVELS = {"初级": 4, "中级": 4, "高级": 3, "星级": 1}


@dataclass(frozen=True)
class Member:
    """A member with habits. `left` is the day of the last possible visit, None for one who stays."""

    site_id: int
    member_id: int
    name: str
    nickname: str | None
    gender: str
    phone: str | None
    level: str
    birthday: date | None
    balance_fen: int
    joined: datetime
    left: date | None
    kind: Kind
    habits: Habits

    def is_here(self, day: date) -> bool:
        """Whether this member may come on `day`: from the day after registering."""
        return self.joined.date() < day and (self.left is None or day <= self.left)

    def row(self) -> MemberRow:
        """The row of biz.members."""
        return MemberRow(
            self.site_id, self.member_id, self.name, self.nickname, self.gender, self.phone, self.level,
            self.birthday, yuan(self.balance_fen), self.joined,
        )  # fmt: skip


def members_between(seed: int, site_id: int, first_day: date, last_day: date) -> list[Member]:
    """Everyone who was a member of the site on some day of the span, by member id."""
    people = [_member(seed, site_id, number, 0, _joined_early(seed, site_id, number), None)
              for number in range(_REGULARS)]  # fmt: skip
    for number in range(_REGULARS, _REGULARS + _PLACES):
        rng = rng_of(seed, site_id, "place", number)
        period = rng.randint(400, 900)
        # the first holder stands there on the opening day already
        start = OPENING_DAY - timedelta(days=rng.randrange(period))
        generation = 0
        while start <= last_day:
            left = start + timedelta(
                days=round(period * rng_of(seed, site_id, number, start).uniform(0.6, 1.0)) - 1
            )
            if left >= first_day:
                people.append(_member(seed, site_id, number, generation, start, left))
            start += timedelta(days=period)
            generation += 1
    return sorted(people, key=lambda member: member.member_id)


def assistants_of(seed: int, site_id: int) -> list[AssistantRow]:
    """The site's assistants, numbered from 1."""
    rng = rng_of(seed, site_id, "assistants")
    names = rng.sample(_STAGE_NAMES, ASSISTANTS)
    return [AssistantRow(site_id, n, name, pick(rng, _STAFF_LEVELS)) for n, name in enumerate(names, start=1)]


def _joined_early(seed: int, site_id: int, number: int) -> date:
    return OPENING_DAY - timedelta(days=rng_of(seed, site_id, "regular", number).randint(1, 700))


def _member(seed: int, site_id: int, number: int, generation: int, start: date, left: date | None) -> Member:
    member_id = _FIRST_MEMBER_ID + number + 1000 * generation
    rng = rng_of(seed, site_id, "member", member_id)
    kind = rng.choices(KINDS, weights=[kind.share for kind in KINDS])[0]
    if (site_id, member_id) == KNOWN_PAIR[:2]:
        kind = KINDS[0]
    is_man = rng.random() < 0.72
    surname = rng.choice(_SURNAMES)
    name = surname + "".join(rng.sample(_GIVEN_MEN if is_man else _GIVEN_WOMEN, rng.choice((1, 2, 2))))
    level = pick(rng, {"普通": 45, "银卡": 30, "金卡": 18, "钻石": 7})
    return Member(
        site_id=site_id,
        member_id=member_id,
        name=name,
        nickname=_nickname(rng, surname, name, is_man) if rng.random() < 0.4 else None,
        gender="男" if is_man else "女",
        # no Chinese mobile number begins with 10: nobody can be rung by accident
        phone=f"100{site_id % 1000:03d}{member_id:05d}" if rng.random() < 0.9 else None,
        level=level,
        birthday=_birthday(rng, kind, start) if rng.random() < 0.6 else None,
        balance_fen=_balance(rng, level),
        joined=datetime.combine(start, time(rng.randint(10, 21), rng.randrange(60)), ZoneInfo(TIMEZONE)),
        left=left,
        kind=kind,
        habits=habits_of(rng, kind, site_id, member_id),
    )


def _nickname(rng: Random, surname: str, name: str, is_man: bool) -> str:
    if is_man:
        return rng.choice((f"老{surname}", f"小{surname}", f"阿{name[-1]}", f"{surname}哥"))
    return rng.choice((f"小{surname}", f"阿{name[-1]}", f"{name[-1]}{name[-1]}", f"{surname}姐"))


def _birthday(rng: Random, kind: Kind, joined: date) -> date:
    return date(joined.year - rng.randint(*kind.ages), rng.randint(1, 12), rng.randint(1, 28))


def _balance(rng: Random, level: str) -> int:
    most = {"普通": 30_000, "银卡": 90_000, "金卡": 240_000, "钻石": 680_000}[level]
    return 0 if rng.random() < 0.15 else rng.randint(0, most)
