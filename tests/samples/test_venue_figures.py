"""What holds of the generated venue's figures, without a database."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.errors import InputError
from ai_assets.samples.loading import Sample
from ai_assets.samples.rows import TABLES
from ai_assets.samples.venue import last_finished_day, make_venue
from ai_assets.samples.venue_sites import MAX_SITES
from ai_assets.warehouse.areas import LEAF_AREAS

SHANGHAI = ZoneInfo("Asia/Shanghai")
END = date(2026, 3, 31)
DATED = ("dws.finance_area_daily", "dws.finance_site_daily", "dws.settlement", "dws.etl_batch")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_venue(sites=3, days=400, end=END)


def areas(sample: Sample) -> list:
    return list(sample.rows["dws.finance_area_daily"])


def days_of(sample: Sample, first: date, last: date) -> dict[str, list]:
    """Everything dated between two days; of a task all but its status, which moves on with the end."""
    found = {name: [r for r in sample.rows[name] if first <= r.biz_date <= last] for name in DATED}
    for name in ("biz.member_notes", "biz.assistant_tasks"):
        rows = [r for r in sample.rows[name] if first <= r.created_at.astimezone(SHANGHAI).date() <= last]
        found[name] = [r._replace(status="") for r in rows] if name == "biz.assistant_tasks" else rows
    return found


def test_net_revenue_is_fees_less_discount_to_the_cent(sample: Sample) -> None:
    for row in areas(sample):
        fees = row.table_fee + row.assistant_fee + row.goods_fee + row.other_fee
        assert row.net_revenue == fees - row.discount, row
    for row in sample.rows["dws.settlement"]:
        assert row.paid == row.table_fee + row.assistant_fee + row.goods_fee - row.discount, row


def test_amounts_have_two_places_and_counts_are_never_negative(sample: Sample) -> None:
    for row in [*areas(sample), *sample.rows["dws.settlement"]]:
        assert row.play_minutes >= 0
        assert row.discount.as_tuple().exponent == -2
    assert all(row.orders >= 0 and row.guests >= row.orders for row in areas(sample))
    for row in sample.rows["dws.finance_site_daily"]:
        assert min(row.recharge_count, row.new_members, row.active_members) >= 0
        assert (row.recharge_amount > 0) == (row.recharge_count > 0)


def test_only_leaf_areas_occur_and_all_of_them_do(sample: Sample) -> None:
    assert {row.area for row in areas(sample)} == set(LEAF_AREAS)
    assert {row.area for row in sample.rows["dws.settlement"]} <= set(LEAF_AREAS)


def test_the_second_site_has_no_ktv_at_all(sample: Sample) -> None:
    assert {row.area for row in areas(sample) if row.site_id == 1002} == set(LEAF_AREAS) - {"ktv"}
    assert not [r for r in sample.rows["dws.settlement"] if r.site_id == 1002 and r.area == "ktv"]


def test_settlements_are_part_of_the_days_finance_figures(sample: Sample) -> None:
    kept = defaultdict(list)
    for row in sample.rows["dws.settlement"]:
        kept[row.site_id, row.biz_date, row.area].append(row)
    finance = {(row.site_id, row.biz_date, row.area): row for row in areas(sample)}
    assert kept.keys() <= finance.keys()
    for key, rows in kept.items():
        day = finance[key]
        assert len(rows) <= day.orders
        for field in ("table_fee", "assistant_fee", "goods_fee", "discount", "play_minutes"):
            assert sum(getattr(row, field) for row in rows) <= getattr(day, field), (key, field)


def test_site_figures_count_the_members_of_the_day(sample: Sample) -> None:
    seen = defaultdict(set)
    for row in sample.rows["dws.settlement"]:
        if row.member_id is not None:
            seen[row.site_id, row.biz_date].add(row.member_id)
    joined = Counter(
        (row.site_id, row.registered_at.astimezone(SHANGHAI).date()) for row in sample.rows["biz.members"]
    )
    for row in sample.rows["dws.finance_site_daily"]:
        assert row.active_members == len(seen[row.site_id, row.biz_date])
        assert row.new_members == joined[row.site_id, row.biz_date]
    assert sum(row.new_members for row in sample.rows["dws.finance_site_daily"]) > 10


def test_every_row_names_members_and_assistants_that_exist_and_were_there_already(sample: Sample) -> None:
    members = {(row.site_id, row.member_id): row for row in sample.rows["biz.members"]}
    assistants = {(row.site_id, row.assistant_id) for row in sample.rows["biz.assistants"]}
    for row in sample.rows["dws.settlement"]:
        if row.member_id is not None:
            assert members[row.site_id, row.member_id].registered_at < row.settled_at
        assert row.assistant_id is None or (row.site_id, row.assistant_id) in assistants
        assert (row.assistant_fee > 0) == (row.assistant_id is not None)
    for row in sample.rows["biz.assistant_tasks"]:
        assert members[row.site_id, row.member_id].registered_at < row.created_at
        assert (row.site_id, row.assistant_id) in assistants
        assert row.status in {"open", "done", "expired"}
    for row in sample.rows["biz.member_notes"]:
        assert (row.site_id, row.member_id) in members
        assert row.content
        assert "{" not in row.content
        assert row.noted_by_name


def test_keys_are_unique(sample: Sample) -> None:
    for name, rows in sample.rows.items():
        keys = Counter(tuple(getattr(row, column) for column in TABLES[name].key) for row in rows)
        assert [key for key, times in keys.items() if times > 1] == [], name


def test_a_site_has_about_120_members_and_12_assistants(sample: Sample) -> None:
    members = Counter(row.site_id for row in sample.rows["biz.members"])
    assert all(100 <= count <= 140 for count in members.values()), members
    assert set(Counter(row.site_id for row in sample.rows["biz.assistants"]).values()) == {12}


def test_no_phone_number_could_be_a_real_one(sample: Sample) -> None:
    phones = [row.phone for row in sample.rows["biz.members"] if row.phone is not None]
    assert len(phones) > 250
    assert not [phone for phone in phones if re.search(r"1[3-9]\d{9}", phone)]
    assert all(len(phone) == 11 for phone in phones)


def test_the_business_date_is_the_local_date_of_settling(sample: Sample) -> None:
    for row in sample.rows["dws.settlement"]:
        assert row.settled_at.astimezone(SHANGHAI).date() == row.biz_date


def test_each_day_and_site_has_one_successful_batch_and_failures_come_before_it(sample: Sample) -> None:
    batches = defaultdict(list)
    for row in sample.rows["dws.etl_batch"]:
        batches[row.site_id, row.biz_date].append(row)
        local = row.finished_at.astimezone(SHANGHAI)
        assert local.date() == row.biz_date + timedelta(days=1)
        assert local.hour == 3
    assert len(batches) == 3 * 400
    for rows in batches.values():
        rows.sort(key=lambda row: row.finished_at)
        assert [row.status for row in rows] in (["success"], ["failed", "success"])
        assert rows == sorted(rows, key=lambda row: row.batch_id)
    assert 5 < sum(len(rows) == 2 for rows in batches.values()) < 100


def test_closed_days_refunds_below_zero_and_empty_areas_occur(sample: Sample) -> None:
    open_days = {(row.site_id, row.biz_date) for row in areas(sample)}
    every_day = {(row.site_id, row.biz_date) for row in sample.rows["dws.etl_batch"]}
    assert (1001, date(2026, 2, 16)) in every_day - open_days, "Lunar New Year's Eve"
    assert {(r.site_id, r.biz_date) for r in sample.rows["dws.finance_site_daily"]} == open_days
    assert any(row.net_revenue < 0 for row in areas(sample))
    assert any(row.orders == 0 for row in areas(sample))
    # an area shut for works while the site is open
    open_for = Counter((row.site_id, row.area) for row in areas(sample))
    assert any(days < max(open_for[site, a] for a in LEAF_AREAS) for (site, _area), days in open_for.items())


def test_the_week_the_holidays_and_the_areas_have_their_character(sample: Sample) -> None:
    by_day: dict[date, float] = defaultdict(float)
    for row in areas(sample):
        by_day[row.biz_date] += float(row.net_revenue)

    def mean(days: list[date]) -> float:
        return sum(by_day[day] for day in days) / len(days)

    saturdays = [day for day in by_day if day.weekday() == 5]
    mondays = [day for day in by_day if day.weekday() == 0]
    october = [date(2025, 10, n) for n in range(1, 8)]
    november = [date(2025, 11, n) for n in range(5, 12)]
    assert mean(saturdays) > 1.3 * mean(mondays)
    assert mean(october) > 1.15 * mean(november)
    assert not sum(row.assistant_fee for row in areas(sample) if row.area == "mahjong")
    per_order = {
        area: sum(r.net_revenue for r in areas(sample) if r.area == area)
        / sum(r.orders for r in areas(sample) if r.area == area)
        for area in LEAF_AREAS
    }
    assert per_order["ktv"] > 4 * per_order["hallA"] > 4 * per_order["hallC"] * 3 / 2


@settings(deadline=None, max_examples=15)
@given(
    end=st.dates(date(2020, 3, 1), date(2045, 12, 31)),
    days=st.integers(1, 12),
    earlier=st.integers(0, 25),
    later=st.integers(0, 40),
    seed=st.integers(0, 3),
)
def test_a_days_rows_do_not_depend_on_the_span(
    end: date, days: int, earlier: int, later: int, seed: int
) -> None:
    first = end - timedelta(days=days - 1)
    short = make_venue(sites=1, days=days, end=end, seed=seed)
    long = make_venue(sites=2, days=days + earlier + later, end=end + timedelta(days=later), seed=seed)
    of_first_site = {
        name: [row for row in rows if row.site_id == 1001] for name, rows in days_of(long, first, end).items()
    }
    assert days_of(short, first, end) == of_first_site
    assert set(short.rows["biz.members"]) <= set(long.rows["biz.members"])


def test_the_status_of_a_task_only_moves_on_from_open() -> None:
    before = make_venue(sites=1, days=60, end=END).rows["biz.assistant_tasks"]
    after = {
        r.task_id: r
        for r in make_venue(sites=1, days=90, end=END + timedelta(days=30)).rows["biz.assistant_tasks"]
    }
    assert any(task.status == "open" for task in before)
    for task in before:
        assert task.status == "open" or after[task.task_id] == task
        assert after[task.task_id].status != "open"


_DIGEST = """
import hashlib
from datetime import date
from ai_assets.samples.venue import make_venue
made = make_venue(sites=1, days=3, end=date(2026, 3, 31))
print(hashlib.sha256(repr(sorted(made.rows.items())).encode()).hexdigest())
"""


def test_another_process_makes_the_same_rows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = make_venue(sites=1, days=3, end=END)
    assert done.stdout.strip() == hashlib.sha256(repr(sorted(here.rows.items())).encode()).hexdigest()


def test_another_seed_makes_other_figures() -> None:
    one, two = (make_venue(sites=1, days=3, end=END, seed=seed) for seed in (1, 2))
    assert one.rows["dws.finance_area_daily"] != two.rows["dws.finance_area_daily"]


@pytest.mark.parametrize("sites", [0, -1, MAX_SITES + 1])
def test_a_number_of_sites_out_of_range_is_refused(sites: int) -> None:
    with pytest.raises(InputError, match=f"1 to {MAX_SITES} sites, not {sites}"):
        make_venue(sites=sites, days=5, end=END)


@pytest.mark.parametrize(
    ("days", "end"), [(0, END), (-3, END), (10**9, END), (32, date(2020, 1, 31)), (1, date(2019, 1, 1))]
)
def test_a_number_of_days_out_of_range_is_refused(days: int, end: date) -> None:
    with pytest.raises(InputError, match=rf"opened on 2020-01-01: .*, not {days}$"):
        make_venue(sites=1, days=days, end=end)


def test_every_site_that_can_be_asked_for_can_be_made() -> None:
    made = make_venue(sites=MAX_SITES, days=2, end=END)
    assert [site.site_id for site in made.sites] == list(range(1001, 1001 + MAX_SITES))
    assert len({site.name for site in made.sites}) == MAX_SITES


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 31, 19, 59, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 3, 31, 20, 0, tzinfo=UTC), date(2026, 3, 31)),
        (datetime(2026, 4, 1, 12, 0, tzinfo=SHANGHAI), date(2026, 3, 31)),
    ],
)
def test_the_newest_day_is_the_one_whose_batch_has_finished(now: datetime, day: date) -> None:
    assert last_finished_day(now) == day
    newest = max(r.finished_at for r in make_venue(sites=3, days=30, end=day).rows["dws.etl_batch"])
    assert newest <= now
