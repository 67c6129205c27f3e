from __future__ import annotations

import random
import statistics
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from ai_assets.errors import PromptError, WarehouseError
from ai_assets.warehouse.consumption import Consumption, consumption
from ai_assets.warehouse.consumption_parts import HOUR_BANDS, Spend
from ai_assets.warehouse.settlements import Settlement, first_day, read_settlements
from ai_assets.warehouse.sites import Site

D = Decimal
ZONE = ZoneInfo("Asia/Shanghai")
SITE = Site(1001, "一号店", "Asia/Shanghai", is_active=True)
AS_OF = date(2026, 6, 30)


def bill(
    number: int,
    ago: int,
    paid: str | None = "100",
    *,
    hour: int | None = 20,
    area: str | None = "hallA",
    assistant: int | None = None,
    fees: tuple[str | None, str | None, str | None] = ("100", "0", "0"),
    discount: str | None = "0",
    minutes: int | None = 60,
) -> Settlement:
    """A settlement so many days before the as-of date, at an hour of the site's zone."""
    day = AS_OF - timedelta(days=ago)

    def amount(value: str | None) -> Decimal | None:
        return None if value is None else D(value).quantize(D("0.01"))

    return Settlement(
        number,
        day,
        None if hour is None else datetime(day.year, day.month, day.day, hour, 30, tzinfo=ZONE),
        area,
        assistant,
        None if assistant is None else f"助教{assistant}",
        *map(amount, fees),
        amount(discount),
        amount(paid),
        None if minutes is None else D(minutes),
    )


def computed(*rows: Settlement, assistant_id: int | None = None) -> Consumption:
    return consumption(rows, AS_OF, ZONE, assistant_id=assistant_id)


def rounded(value: Decimal | float, places: int = 2) -> Decimal:
    return D(value).quantize(D(1).scaleb(-places), ROUND_HALF_UP)


def share(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    return rounded(D(part) * 100 / D(whole), 1) if whole > 0 else None


# a reader's own computation, row by row, in decimals
def reference(rows: list[Settlement]) -> dict[str, Any]:
    def yuan(value: Decimal | None) -> Decimal:
        return value or D(0)

    orders = [row for row in rows if yuan(row.paid) >= 0]
    days = sorted({row.biz_date for row in orders})
    paid = sum((yuan(row.paid) for row in rows), D(0))
    gross = sum((yuan(fee) for row in rows for fee in row[6:9]), D(0))
    discounted = [row for row in orders if yuan(row.discount) > 0]
    gaps = [(b - a).days for a, b in pairwise(days)]
    areas: dict[str | None, list[Settlement]] = defaultdict(list)
    bands: dict[int, list[Settlement]] = defaultdict(list)
    assistants: dict[int, list[Settlement]] = defaultdict(list)
    for row in rows:
        areas[row.area].append(row)
        if row.settled_at is not None:
            hour = row.settled_at.astimezone(ZONE).hour
            bands[max(begin for begin in HOUR_BANDS if begin <= hour)].append(row)
        if row.assistant_id is not None:
            assistants[row.assistant_id].append(row)

    def spend(part: list[Settlement]) -> Spend:
        amount = sum((yuan(row.paid) for row in part), D(0))
        return Spend(sum(row in orders for row in part), rounded(amount), share(amount, paid))

    def span(first: int, last: int) -> tuple[int, int, Decimal]:
        inside = [row for row in rows if first <= (AS_OF - row.biz_date).days <= last]
        visits = {row.biz_date for row in inside if row in orders}
        amount = sum((yuan(row.paid) for row in inside), D(0))
        return len(visits), sum(row in orders for row in inside), amount

    return {
        "rows": len(rows),
        "refunds": len(rows) - len(orders),
        "orders": len(orders),
        "visits": len(days),
        "first": days[0] if days else None,
        "last": days[-1] if days else None,
        "days_since_last": (AS_OF - days[-1]).days if days else None,
        "paid": paid,
        "paid_per_visit": rounded(paid / len(days)) if days else None,
        "paid_per_order": rounded(paid / len(orders)) if orders else None,
        "play_minutes": sum(int(row.play_minutes or 0) for row in rows),
        "fees": tuple(sum((yuan(row[6 + n]) for row in rows), D(0)) for n in range(3)),
        "fee_shares": tuple(share(sum((yuan(row[6 + n]) for row in rows), D(0)), gross) for n in range(3)),
        "areas": {area: spend(part) for area, part in areas.items()},
        "hours": {begin: spend(part) for begin, part in bands.items()},
        "weekdays": tuple(sum(day.weekday() == n for day in days) for n in range(7)),
        "mean_gap": rounded(D(sum(gaps)) / len(gaps), 1) if gaps else None,
        "median_gap": rounded(statistics.median(gaps), 1) if gaps else None,
        "discounts": (
            len(discounted),
            share(len(discounted), len(orders)),
            sum((yuan(row.discount) for row in rows), D(0)),
            share(sum((yuan(row.discount) for row in rows), D(0)), gross),
        ),
        "now": span(0, 29),
        "before": span(30, 59),
        "longer": span(30, 119),
        "assistants": {
            number: (
                sum(row in orders for row in part),
                sum((yuan(row.assistant_fee) for row in part), D(0)),
            )
            for number, part in assistants.items()
            if any(row in orders for row in part)
        },
    }


def told(c: Consumption) -> dict[str, Any]:
    change = c.change
    return {
        "rows": c.rows,
        "refunds": c.refunds,
        "orders": c.orders,
        "visits": c.visits,
        "first": c.first,
        "last": c.last,
        "days_since_last": c.days_since_last,
        "paid": c.paid,
        "paid_per_visit": c.paid_per_visit,
        "paid_per_order": c.paid_per_order,
        "play_minutes": c.play_minutes,
        "fees": tuple(fee.amount for fee in c.fees.values()),
        "fee_shares": tuple(fee.share for fee in c.fees.values()),
        "areas": c.areas,
        "hours": c.hours,
        "weekdays": c.weekdays,
        "mean_gap": c.mean_gap,
        "median_gap": c.median_gap,
        "discounts": (c.discounts.orders, c.discounts.share, c.discounts.amount, c.discounts.rate),
        "now": (change.visits.now, change.orders.now, change.paid.now),
        "before": (change.visits.before, change.orders.before, change.paid.before),
        "assistants": {one.assistant_id: (one.orders, one.fee) for one in c.favourites},
    }


AMOUNT = st.none() | st.integers(-30_000, 90_000).map(lambda cents: str(D(cents) / 100))
FEE = st.none() | st.integers(0, 90_000).map(lambda cents: str(D(cents) / 100))
BILLS = st.lists(
    st.builds(
        bill,
        st.integers(1, 10**9),
        st.integers(0, 179),
        AMOUNT,
        hour=st.none() | st.integers(0, 23),
        area=st.sampled_from(["hallA", "vip", "ktv", "bar", None]),
        assistant=st.sampled_from([None, 1, 2, 3, 2**63 - 1]),
        fees=st.tuples(FEE, FEE, FEE),
        discount=FEE,
        minutes=st.none() | st.integers(0, 900),
    ),
    max_size=25,
    unique_by=lambda row: row.settlement_id,
)


@given(BILLS)
@settings(deadline=None, max_examples=120)
def test_every_figure_is_what_a_reader_computes_row_by_row(rows: list[Settlement]) -> None:
    expected = reference(rows)
    longer_visits, _, longer_paid = expected.pop("longer")
    got = computed(*rows)
    assert told(got) == expected
    assert got.change.usual_visits.before == rounded(D(longer_visits) / 3, 1)
    assert got.change.usual_paid.before == rounded(longer_paid / 3)
    assert sum(month.visits for month in got.months) == got.visits
    assert sum((month.paid for month in got.months), D(0)) == got.paid
    assert all(a.last + timedelta(days=1) == b.first for a, b in pairwise(got.months))
    assert (got.months[0].first, got.months[-1].last) == (got.start, AS_OF)


@given(BILLS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_the_rows_changes_nothing_and_together_is_the_same_of_the_assistants_rows(
    rows: list[Settlement], chance: random.Random
) -> None:
    shuffled = chance.sample(rows, len(rows))
    assert computed(*shuffled) == computed(*rows)
    assert list(computed(*shuffled).areas) == list(computed(*rows).areas)
    theirs = computed(*(row for row in rows if row.assistant_id == 2))
    together = computed(*rows, assistant_id=2)
    assert told(together) == told(theirs)
    assert (together.assistant_id, together.change, together.newest) == (2, theirs.change, theirs.newest)


def test_a_member_without_settlements_has_a_consumption_of_nothing() -> None:
    nothing = computed()
    assert (nothing.rows, nothing.orders, nothing.visits, nothing.paid) == (0, 0, 0, D("0.00"))
    assert (nothing.first, nothing.days_since_last, nothing.newest, nothing.mean_gap) == (None,) * 4
    assert (nothing.areas, nothing.hours, nothing.favourites) == ({}, {}, ())
    assert nothing.weekdays == (0,) * 7
    assert (nothing.start, nothing.days) == (date(2026, 1, 2), 180)
    assert (nothing.change.visits.now, nothing.change.visits.before) == (0, 0)
    assert nothing.change.visits.change_percent is None


def test_the_period_is_180_business_dates_that_end_with_the_as_of_date() -> None:
    assert first_day(AS_OF) == date(2026, 1, 2)
    got = computed(bill(1, 179), bill(2, 180), bill(3, 0), bill(4, -1))
    assert (got.rows, got.first, got.last) == (2, date(2026, 1, 2), AS_OF)


def test_two_orders_of_one_day_are_one_visit_and_a_refund_is_none() -> None:
    got = computed(bill(1, 10), bill(2, 10, "50"), bill(3, 4, "-30"), bill(4, 20))
    assert (got.rows, got.orders, got.refunds, got.visits) == (4, 3, 1, 2)
    assert (got.paid, got.last, got.days_since_last) == (D("220.00"), AS_OF - timedelta(days=10), 10)
    assert (got.mean_gap, got.median_gap) == (D("10.0"), D("10.0"))
    assert got.newest is not None
    assert got.newest.settlement_id == 2
    only = computed(bill(3, 4, "-30"))
    assert (only.rows, only.visits, only.paid, only.newest and only.newest.paid) == (1, 0, D("-30"), D("-30"))


def test_hours_are_the_sites_and_a_settlement_without_a_time_has_none() -> None:
    late = bill(1, 3)._replace(settled_at=datetime(2026, 6, 27, 15, 59, tzinfo=UTC))
    past_midnight = bill(2, 3)._replace(settled_at=datetime(2026, 6, 27, 16, 0, tzinfo=UTC))
    got = computed(late, past_midnight, bill(3, 3, hour=None))
    assert {begin: spend.orders for begin, spend in got.hours.items()} == {0: 1, 21: 1}
    assert list(got.hours) == [0, 21]
    assert got.newest is not None
    assert str(got.newest.settled_at) == "2026-06-28 00:00:00+08:00"


def test_the_last_30_days_are_compared_with_the_30_before_and_with_what_was_usual() -> None:
    rows = [bill(n, ago, "100") for n, ago in enumerate((0, 29, 29, 30, 59, 60, 119, 120))]
    change = computed(*rows).change
    assert change.start == date(2026, 6, 1)
    assert (change.visits.now, change.visits.before, change.visits.change) == (2, 2, 0)
    assert (change.orders.now, change.orders.before) == (3, 2)
    assert (change.paid.change, change.paid.change_percent) == (D("100.00"), D("50.0"))
    assert (change.paid_per_visit.now, change.paid_per_visit.before) == (D("150.00"), D("100.00"))
    # the days 30 to 119 ago: 4 visits, 400 yuan
    assert (change.usual_visits.before, change.usual_paid.before) == (D("1.3"), D("133.33"))


def test_areas_stand_from_the_largest_on_and_favourites_by_orders_then_fee() -> None:
    rows = [bill(n, n, area=area) for n, area in enumerate(("vip", "ktv", "ktv", None))]
    assert list(computed(*rows).areas) == ["ktv", None, "vip"]
    with_assistants = [
        bill(n, n, assistant=who, fees=("0", fee, "0"))
        for n, (who, fee) in enumerate(
            ((1, "10"), (1, "10"), (2, "50"), (3, "60"), (4, "1"), (5, "1"), (6, "1"))
        )
    ]
    favourites = computed(*with_assistants).favourites
    assert [one.assistant_id for one in favourites] == [1, 3, 2, 4, 5]
    assert (favourites[0].name, favourites[0].orders, favourites[0].fee) == ("助教1", 2, D("20.00"))
    assert favourites[0].last == AS_OF


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"play_minutes": D(-5)},
            r"play_minutes of settlement 9 on 2026-06-27 is -5: a count cannot be negative",
        ),
        ({"paid": D("NaN")}, "paid of settlement 9 on 2026-06-27 is NaN: not a number"),
        ({"discount": D("-Infinity")}, "discount of settlement 9 .* not a number"),
        ({"table_fee": D(10) ** 10}, "table_fee of settlement 9 .* beyond any venue's figures"),
    ],
)
def test_a_settlement_that_must_not_be_counted_is_named_and_harms_only_its_period(
    wrong: dict[str, Decimal], message: str
) -> None:
    row = bill(9, 3)._replace(**wrong)  # type: ignore[arg-type]
    with pytest.raises(PromptError, match=message):
        computed(bill(1, 2), row)
    assert computed(bill(1, 2), row._replace(biz_date=date(2020, 1, 1))).orders == 1


def test_large_amounts_add_up_to_the_cent() -> None:
    got = computed(*(bill(n, n % 180, "9999999999.99", area="vip") for n in range(400)))
    assert got.paid == D("3999999999996.00")
    assert got.areas["vip"].paid == D("3999999999996.00")


def test_the_members_own_settlements_of_the_period_are_read_oldest_first_with_the_assistants_names(
    engine: Engine,
) -> None:
    with engine.begin() as conn:
        conn.execute(
            text("insert into biz.assistants values (1001, 7, ' 小雨 ', null), (1002, 7, '别店', null)")
        )
        conn.execute(
            text(
                """
                insert into dws.settlement values
                (5, 1001, 555, 7, '2026-06-30 21:00+08', '2026-06-30', 'vip', 10.1, 20, 3, 1, 32.1, 60),
                (4, 1001, 555, 8, '2026-06-30 20:00+08', '2026-06-30', ' ',
                 null, null, null, null, null, null),
                (3, 1001, 555, null, '2026-01-02 20:00+08', '2026-01-02', 'ktv', 1, 0, 0, 0, 1, 1),
                (2, 1001, 555, null, '2026-01-01 20:00+08', '2026-01-01', 'ktv', 1, 0, 0, 0, 1, 1),
                (6, 1001, 555, null, '2026-07-01 20:00+08', '2026-07-01', 'ktv', 1, 0, 0, 0, 1, 1),
                (7, 1001, 556, null, '2026-06-30 20:00+08', '2026-06-30', 'ktv', 1, 0, 0, 0, 1, 1),
                (8, 1002, 555, null, '2026-06-30 20:00+08', '2026-06-30', 'ktv', 1, 0, 0, 0, 1, 1),
                (9, 1001, null, null, '2026-06-30 20:00+08', '2026-06-30', 'ktv', 1, 0, 0, 0, 1, 1)
                """
            )
        )
        rows = read_settlements(conn, SITE, 555, AS_OF)
        assert [row.settlement_id for row in rows] == [3, 4, 5]
        assert [(row.assistant_id, row.assistant_name, row.area) for row in rows] == [
            (None, None, "ktv"),
            (8, None, None),
            (7, "小雨", "vip"),
        ]
        assert rows[2][6:] == (D("10.10"), D("20.00"), D("3.00"), D("1.00"), D("32.10"), D(60))
        assert read_settlements(conn, SITE, 555, AS_OF, days=1) == rows[1:]
        got = consumption(rows, AS_OF, ZONE)
        assert (got.rows, got.visits, got.paid) == (3, 2, D("33.10"))


def test_settlements_of_a_view_with_other_types_and_an_assistant_of_zero_are_read(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("drop table dws.settlement"))
        conn.execute(
            text(
                "create view dws.settlement as select 1::numeric as settlement_id, 1001::int as site_id, "
                "555::numeric as member_id, 0::smallint as assistant_id, timestamp '2026-06-30 12:00' as "
                "settled_at, timestamp '2026-06-30 00:00' as biz_date, 'vip'::varchar as area, 1::real as "
                "table_fee, 1.005::numeric as assistant_fee, 2 as goods_fee, 0 as discount, 4 as paid, "
                "59.6::double precision as play_minutes"
            )
        )
        (row,) = read_settlements(conn, SITE, 555, AS_OF)
        assert (row.assistant_id, row.biz_date, row.assistant_fee, row.play_minutes) == (
            None,
            AS_OF,
            D("1.01"),
            D(60),
        )
        assert row.settled_at == datetime(2026, 6, 30, 12, tzinfo=UTC)


def test_a_missing_table_of_settlements_is_named(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("drop table dws.settlement"))
        with pytest.raises(WarehouseError, match=r"missing in the warehouse: table dws\.settlement"):
            read_settlements(conn, SITE, 555, AS_OF)


def test_a_members_settlements_are_found_by_the_index(venue_url: str) -> None:
    from ai_assets.store.engine import make_engine
    from ai_assets.warehouse.settlements import _SETTLEMENTS

    engine = make_engine(venue_url)
    with engine.connect() as conn:
        conn.execute(text("analyze dws.settlement"))
        plan = conn.execute(
            text(f"explain {_SETTLEMENTS.text}"),
            {"site_id": 1001, "member_id": 555, "start": first_day(AS_OF), "day_after": AS_OF},
        )
        lines = "\n".join(row[0] for row in plan)
    engine.dispose()
    assert "settlement_of_member" in lines
    assert "Seq Scan on settlement" not in lines
