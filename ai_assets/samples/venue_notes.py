"""What the venue's staff write down: notes about members after a visit, and assistants' tasks.

Here: which visits are written about, and a day's tasks. Not here: the notes' words (`venue_remarks`), visits
(`venue_visits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from ai_assets.samples.chance import pick, rng_of
from ai_assets.samples.rows import AssistantRow, NoteRow, TaskRow, day_numbered_id
from ai_assets.samples.venue_habits import is_fading, phase
from ai_assets.samples.venue_people import Member
from ai_assets.samples.venue_remarks import remarks
from ai_assets.samples.venue_scene import Scene
from ai_assets.samples.venue_sites import TIMEZONE, VenueSite
from ai_assets.samples.venue_visits import Visit, open_areas

_NOTE_CHANCE = 0.07
_TASK_CHANCE = 0.012
_RECALL_CHANCE = 0.03
_LOW_BALANCE_FEN = 10_000
_CALL_DAY = 12
_TASK_EXPIRES_AFTER = timedelta(days=14)
_DESK = ("前台小陈", "前台小吴", "店长", "值班经理")


def notes_of_day(
    seed: int, site: VenueSite, day: date, visits: Sequence[Visit], assistants: Sequence[AssistantRow]
) -> list[NoteRow]:
    """Notes about some of the day's members, each written within minutes of their settling."""
    rng = rng_of(seed, site.site_id, day, "notes")
    names = {assistant.assistant_id: assistant.name for assistant in assistants}
    notes: list[NoteRow] = []
    for visit in visits:
        if visit.member is None or rng.random() >= _NOTE_CHANCE:
            continue
        name = names.get(visit.assistant_id or 0)
        content = remarks(rng, Scene(visit, visit.member, name))
        # nobody writes about themselves
        by = rng.choice(_DESK) if name is None or name in content else name
        notes.append(
            NoteRow(
                note_id=day_numbered_id(site.site_id, day, len(notes) + 1),
                site_id=site.site_id,
                member_id=visit.member.member_id,
                content=content,
                noted_by_name=by,
                created_at=visit.settled_at + timedelta(minutes=rng.randint(1, 15)),
            )
        )
    return notes


def tasks_of_day(
    seed: int, site: VenueSite, day: date, end: date, members: Sequence[Member]
) -> list[TaskRow]:
    """The tasks given to assistants on `day`, each with its status at the close of `end`.

    A status is `open`, `done` or `expired`; it is the one thing here that moves on as `end` does.
    """
    if not open_areas(seed, site, day):
        return []
    tasks: list[TaskRow] = []
    rng = rng_of(seed, site.site_id, day, "tasks")
    for member in members:
        # those who are not there draw nothing: whoever else was loaded changes nothing
        if not member.is_here(day):
            continue
        reason = _reason(rng, seed, member, day)
        if reason is None:
            continue
        number = len(tasks) + 1
        tasks.append(
            TaskRow(
                task_id=day_numbered_id(site.site_id, day, number),
                site_id=site.site_id,
                assistant_id=member.habits.assistants[0],
                member_id=member.member_id,
                task_type=reason,
                status=_status(rng, day, end),
                created_at=datetime.combine(day, time(10, min(number, 59)), ZoneInfo(TIMEZONE)),
            )
        )
    return tasks


def _reason(rng: Random, seed: int, member: Member, day: date) -> str | None:
    if (day - member.joined.date()).days == 3:
        return "新客跟进"
    # who never plays with an assistant is looked after by the desk
    if not member.habits.knows_assistants:
        return None
    if member.habits.is_steady and day.day == _CALL_DAY:
        return "回访"
    if member.birthday is not None and _is_in_days(member.birthday, day, 3):
        return "生日关怀"
    away = (
        not member.habits.is_steady
        and phase(seed, member.site_id, member.member_id, day.year, day.month) == 0.0
    )
    if away or is_fading(member.left, day):
        return "召回" if rng.random() < _RECALL_CHANCE else None
    if rng.random() >= _TASK_CHANCE:
        return None
    reasons = {"回访": 4.0, "邀约": 4.0, "关系维护": 3.0}
    if member.balance_fen < _LOW_BALANCE_FEN:
        reasons["充值提醒"] = 2.0
    return pick(rng, reasons)


def _is_in_days(birthday: date, day: date, days: int) -> bool:
    ahead = day + timedelta(days=days)
    return (birthday.month, birthday.day) == (ahead.month, ahead.day)


def _status(rng: Random, day: date, end: date) -> str:
    done_after = timedelta(days=rng.randint(0, 6))
    is_done = rng.random() < 0.75
    if is_done and day + done_after <= end:
        return "done"
    return "expired" if not is_done and day + _TASK_EXPIRES_AFTER <= end else "open"
