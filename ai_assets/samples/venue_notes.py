"""What the venue's staff write down: notes about members after a visit, and assistants' tasks.

Here: a day's notes and tasks, in Chinese. Not here: visits (`venue_visits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from ai_assets.samples.chance import pick, rng_of
from ai_assets.samples.rows import AssistantRow, NoteRow, TaskRow, day_numbered_id
from ai_assets.samples.venue_people import Member, phase
from ai_assets.samples.venue_sites import TIMEZONE, VenueSite
from ai_assets.samples.venue_visits import Visit, open_areas
from ai_assets.warehouse.areas import AREA_LABELS

_NOTE_CHANCE = 0.04
_TASKS_A_DAY = 0.8
_TASK_EXPIRES_AFTER = timedelta(days=14)
_DESK = ("前台小陈", "前台小吴", "店长", "值班经理")

_PLAY = (
    "今天在{area}打了{hours}小时，中八手感很好，问下周有没有月赛可以报名。",
    "走位比上个月稳多了，想找人陪练斯诺克，最好固定周末下午。",
    "只喜欢靠里面的球台，说外侧灯光有点晃眼。",
    "自己带杆，杆头该换了，问店里能不能帮忙修。",
    "跟朋友约了局，{area}打满{hours}小时，输了请客，很爱面子。",
)
_SPEND = (
    "每次来必点冰美式和花生，今天点了两份小食拼盘。",
    "嫌酒水比外面贵，想问整箱买能不能优惠。",
    "消费比较爽快，介绍新套餐直接就用了，结账没看明细。",
    "问充值活动，说满三千送五百才划算，再等等。",
    "用了团购券，结账时问会员日和券能不能叠加。",
)
_SOCIAL = (
    "这次带了{guests}个人，有两位是第一次来，可以跟进办卡。",
    "公司同事团建想包场，大概二十人，月底前定。",
    "和隔壁台的老会员成了球友，约好每周三一起来。",
    "带女朋友来的，想学球，可以推荐入门课。",
    "平时一个人来，爱聊天，不喜欢被催着加时。",
)
_FEEDBACK = (
    "反映{area}空调太冷，已经调高两度，下次提前问。",
    "说洗手间地面有点滑，已请保洁处理。",
    "等位四十分钟有点不高兴，送了两瓶水安抚。",
    "表扬助教态度好、教得细，希望下次还安排同一位。",
    "觉得周末人太多，以后想改到工作日下午来。",
)
_BASICS = (
    "刚搬到附近住，走路十分钟，晚上八点以后比较有空。",
    "做外贸的，常出差，每个月下旬才回上海。",
    "手腕有旧伤，打久了会疼，不要推长时段套餐。",
    "不喝酒，带孩子来过，问有没有无烟区。",
    "最近换了工作，时间变少，说以后两周来一次。",
)
_MAHJONG = (
    "固定牌搭子四个人，打了{hours}小时，问下午场能不能包月。",
    "喜欢靠窗的房间，说三号机洗牌声音有点大。",
)
_KTV = (
    "带了{guests}个人唱到很晚，问周末包厢能不能提前一周订。",
    "说麦克风有杂音，老歌也少，希望更新曲库。",
)
_PLAY_OF: dict[str, tuple[str, ...]] = {"mahjong": _MAHJONG, "ktv": _KTV}
_OTHER_SORTS: dict[tuple[str, ...], float] = {_SPEND: 20, _SOCIAL: 18, _FEEDBACK: 18, _BASICS: 14}


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
        by = names[visit.assistant_id] if visit.assistant_id is not None else rng.choice(_DESK)
        notes.append(
            NoteRow(
                note_id=day_numbered_id(site.site_id, day, len(notes) + 1),
                site_id=site.site_id,
                member_id=visit.member.member_id,
                content=_text(rng, visit),
                noted_by_name=by,
                created_at=visit.settled_at + timedelta(minutes=rng.randint(1, 15)),
            )
        )
    return notes


def _text(rng: Random, visit: Visit) -> str:
    # two remarks at times, of different sorts
    weights: dict[tuple[str, ...], float] = {_PLAY_OF.get(visit.area, _PLAY): 30, **_OTHER_SORTS}
    sorts = [pick(rng, weights)]
    if rng.random() < 0.3:
        del weights[sorts[0]]
        sorts.append(pick(rng, weights))
    return "".join(
        rng.choice(sort).format(
            area=AREA_LABELS[visit.area], hours=f"{visit.minutes / 60:.1f}", guests=max(2, visit.guests)
        )
        for sort in sorts
    )


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
                assistant_id=rng.choice(member.assistants),
                member_id=member.member_id,
                task_type=reason,
                status=_status(rng, day, end),
                created_at=datetime.combine(day, time(10, min(number, 59)), ZoneInfo(TIMEZONE)),
            )
        )
    return tasks


def _reason(rng: Random, seed: int, member: Member, day: date) -> str | None:
    since = (day - member.joined.date()).days
    if since == 3:
        return "新客跟进"
    if member.birthday is not None and _is_in_days(member.birthday, day, 3):
        return "生日关怀"
    if rng.random() >= _TASKS_A_DAY / 100:
        return None
    if phase(seed, member.site_id, member.member_id, day.year, day.month) == 0.0:
        return "召回"
    return pick(rng, {"回访": 5, "关系维护": 4, "充值到期提醒": 1})


def _is_in_days(birthday: date, day: date, days: int) -> bool:
    ahead = day + timedelta(days=days)
    return (birthday.month, birthday.day) == (ahead.month, ahead.day)


def _status(rng: Random, day: date, end: date) -> str:
    done_after = timedelta(days=rng.randint(0, 6))
    is_done = rng.random() < 0.75
    if is_done and day + done_after <= end:
        return "done"
    return "expired" if not is_done and day + _TASK_EXPIRES_AFTER <= end else "open"
