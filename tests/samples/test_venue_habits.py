"""What the venue's members are used to shows in their rows: rhythm, prices, coming and going, notes, tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from statistics import mean
from zoneinfo import ZoneInfo

import pytest

from ai_assets.samples.loading import Sample
from ai_assets.samples.venue import make_venue
from ai_assets.samples.venue_habits import THRIFTY, Habits
from ai_assets.samples.venue_people import Member, members_between
from ai_assets.samples.venue_remarks import REMARKS

SHANGHAI = ZoneInfo("Asia/Shanghai")
END = date(2026, 3, 31)
FIRST = END - timedelta(days=399)
SITES = (1001, 1002)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_venue(sites=2, days=400, end=END)


@pytest.fixture(scope="module")
def people() -> dict[tuple[int, int], Member]:
    return {(site, m.member_id): m for site in SITES for m in members_between(20, site, FIRST, END)}


@pytest.fixture(scope="module")
def visits(sample: Sample) -> dict[tuple[int, int], list]:
    """Each member's settlements in order."""
    found: dict[tuple[int, int], list] = defaultdict(list)
    for row in sorted(sample.rows["dws.settlement"], key=lambda row: row.settled_at):
        if row.member_id is not None:
            found[row.site_id, row.member_id].append(row)
    return found


def share(rows: list, holds) -> float:
    return sum(1 for row in rows if holds(row)) / len(rows)


def frequent(visits, people, wanted) -> list[tuple[Habits, list]]:
    """(habits, settlements) of the members that are `wanted` and came at least 25 times."""
    found = [
        (people[key].habits, rows) for key, rows in visits.items() if len(rows) >= 25 and wanted(people[key])
    ]
    assert len(found) >= 5
    return found


def test_who_has_a_favourite_day_comes_on_it_far_more_often_than_by_chance(visits, people):
    found = frequent(visits, people, lambda member: member.habits.favourite_day is not None)
    shares = []
    for habits, rows in found:
        favourites = {day for day in range(7) if habits.weekdays[day] >= 1.8}
        shares.append(share([r.biz_date.weekday() for r in rows], favourites.__contains__))
    assert mean(shares) > 0.5
    assert len(found) > 50


def test_each_has_a_favourite_area_and_an_hour_of_their_own(visits, people):
    found = frequent(visits, people, lambda _member: True)
    tops = [Counter(r.area for r in rows).most_common(1)[0] for _, rows in found]
    assert mean(times / len(rows) for (_, times), (_, rows) in zip(tops, found, strict=True)) > 0.65
    assert len({area for area, _ in tops}) >= 5
    hours = [mean(r.settled_at.astimezone(SHANGHAI).hour for r in rows) for _, rows in found]
    assert max(hours) - min(hours) > 4


def test_who_plays_with_assistants_mostly_takes_the_favourite(visits, people):
    found = frequent(visits, people, lambda member: member.habits.assistant_chance >= 0.4)
    for habits, rows in found:
        counted = Counter(r.assistant_id for r in rows if r.assistant_id is not None)
        assert counted.most_common(2)[0][0] in habits.assistants
    first = []
    for habits, rows in found:
        played_with = [r.assistant_id for r in rows if r.assistant_id]
        first.append(share(played_with, habits.assistants[0].__eq__))
    assert mean(first) > 0.6


def test_some_look_at_prices_and_take_discounts_nearly_always_and_most_do_not(visits, people):
    thrifty = frequent(visits, people, lambda member: member.habits.discount_chance >= THRIFTY)
    others = frequent(visits, people, lambda member: member.habits.discount_chance < THRIFTY)
    assert mean(share(rows, lambda r: r.discount > 0) for _, rows in thrifty) > 0.7
    assert mean(share(rows, lambda r: r.discount > 0) for _, rows in others) < 0.4
    assert len(thrifty) < len(others)


def test_some_lapse_coming_ever_less_and_then_not_at_all(visits, people):
    gone = [
        (member, visits[key])
        for key, member in people.items()
        if member.left is not None and FIRST + timedelta(days=200) <= member.left <= END - timedelta(days=30)
    ]
    assert len(gone) >= 5

    def between(rows: list, last: date, first_ago: int, last_ago: int) -> int:
        return sum(1 for r in rows if last_ago < (last - r.biz_date).days <= first_ago)

    assert all(row.biz_date <= member.left for member, rows in gone for row in rows)
    late = sum(between(rows, member.left, 40, -1) for member, rows in gone)
    before = sum(between(rows, member.left, 140, 100) for member, rows in gone)
    assert late < before / 2


def test_newcomers_come_from_their_first_day_on(visits, people):
    new = [key for key, member in people.items() if member.joined.date() > FIRST + timedelta(days=30)]
    assert len(new) >= 10
    assert sum(1 for key in new if visits[key]) > len(new) / 2


def test_who_was_away_for_a_month_and_who_always_came_both_occur(visits, people):
    months = {
        key: {(r.biz_date.year, r.biz_date.month) for r in rows}
        for key, rows in visits.items()
        if people[key].left is None and people[key].habits.weekly_visits > 1.2
    }
    assert any(len(of) == 14 for of in months.values())
    assert any(len(of) < 12 for of in months.values())


@pytest.mark.parametrize("seed", [20, 1, 2])
@pytest.mark.parametrize("end", [END, date(2024, 6, 30), date(2021, 1, 15)])
def test_member_555_and_assistant_7_of_site_1001_know_each_other_under_every_seed(seed: int, end: date):
    sample = make_venue(sites=1, days=200, end=end, seed=seed)
    of_pair = [r for r in sample.rows["dws.settlement"] if (r.member_id, r.assistant_id) == (555, 7)]
    assert len(of_pair) >= 15
    assert len([r for r in of_pair if (end - r.biz_date).days < 60]) >= 3
    assert any((r.site_id, r.member_id) == (1001, 555) for r in sample.rows["biz.members"])
    assert any((r.site_id, r.assistant_id) == (1001, 7) for r in sample.rows["biz.assistants"])
    assert any((r.assistant_id, r.member_id) == (7, 555) for r in sample.rows["biz.assistant_tasks"])


def test_member_555_has_notes(sample: Sample):
    notes = [r for r in sample.rows["biz.member_notes"] if (r.site_id, r.member_id) == (1001, 555)]
    assert len(notes) >= 3


# notes


def written(sample: Sample, visits) -> list[tuple]:
    """(note, the visit that it is about)."""
    return [
        (note, max((r for r in visits[note.site_id, note.member_id] if r.settled_at < note.created_at),
                   key=lambda r: r.settled_at))
        for note in sample.rows["biz.member_notes"]
    ]  # fmt: skip


def test_notes_fit_the_visit_they_are_about(sample, visits, people):
    names = {(r.site_id, r.assistant_id): r.name for r in sample.rows["biz.assistants"]}
    found = written(sample, visits)
    assert len(found) > 400
    seen = Counter()
    for note, visit in found:
        member = people[note.site_id, note.member_id]
        for words, holds in {
            "牌搭子": visit.area == "mahjong",
            "麦克风": visit.area == "ktv",
            "球台": visit.area not in {"mahjong", "ktv"},
            "用了优惠券": visit.discount > 0,
            "结账没看明细": visit.discount == 0,
            "团购券": visit.discount > 0 and member.habits.discount_chance >= THRIFTY,
            "学生价": member.kind.label == "学生",
            "带孙子": member.kind.label == "牌友",
            "表扬": visit.assistant_id is not None,
            "陪练了很久": visit.assistant_id == member.habits.assistants[0],
            "等位": visit.biz_date.weekday() >= 5,
            "新会员": (visit.biz_date - member.joined.date()).days <= 45,
            "来得少了": member.left is not None,
            "老规矩": member.habits.favourite_day == visit.biz_date.weekday(),
        }.items():
            if words in note.content:
                seen[words] += 1
                assert holds, (words, note, visit)
        if "表扬" in note.content:
            assert names[visit.site_id, visit.assistant_id] in note.content
            assert note.noted_by_name != names[visit.site_id, visit.assistant_id], "nobody praises themselves"
    assert len(seen) >= 11, seen


def test_praise_complaints_and_requests_all_occur(sample):
    text = "".join(note.content for note in sample.rows["biz.member_notes"])
    for words in ("表扬", "夸", "投诉", "反映", "嫌", "问", "希望", "想"):
        assert words in text


def test_every_remark_is_written_somewhere():
    # a remark that never fits would only look like one
    made = make_venue(sites=4, days=700, end=END)
    text = "".join(note.content for note in made.rows["biz.member_notes"])
    for remark in (one for sort in REMARKS.values() for one in sort):
        pieces = [piece.partition("}")[2] or piece for piece in remark.text.split("{")]
        assert max(pieces, key=len) in text, remark.text


# tasks


def test_tasks_are_for_pairs_that_know_each_other_but_for_newcomers(sample, visits, people):
    tasks = [
        task
        for task in sample.rows["biz.assistant_tasks"]
        if task.created_at.astimezone(SHANGHAI).date() > FIRST + timedelta(days=150)
    ]
    met = 0
    for task in tasks:
        together = [r for r in visits[task.site_id, task.member_id] if r.assistant_id == task.assistant_id]
        met += any(r.settled_at < task.created_at for r in together)
    usual = [task for task in tasks if task.task_type != "新客跟进"]
    assert met > 0.85 * len(usual)
    assert all(people[t.site_id, t.member_id].habits.knows_assistants for t in usual)


def test_the_reasons_of_tasks_fit_the_member(sample, people):
    kinds = Counter(task.task_type for task in sample.rows["biz.assistant_tasks"])
    assert set(kinds) == {"新客跟进", "生日关怀", "召回", "回访", "邀约", "关系维护", "充值提醒"}
    for task in sample.rows["biz.assistant_tasks"]:
        member = people[task.site_id, task.member_id]
        day = task.created_at.astimezone(SHANGHAI).date()
        if task.task_type == "生日关怀":
            ahead = day + timedelta(days=3)
            assert (member.birthday.month, member.birthday.day) == (ahead.month, ahead.day)
        if task.task_type == "新客跟进":
            assert (day - member.joined.date()).days == 3
        if task.task_type == "充值提醒":
            assert member.balance_fen < 10_000
