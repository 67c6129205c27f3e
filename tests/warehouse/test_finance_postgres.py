from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, event, text

from ai_assets.errors import InputError, PromptError, WarehouseError
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.figures import cell
from ai_assets.warehouse.finance import SiteFinance, read_site_finance
from ai_assets.warehouse.sites import Site
from ai_assets.warehouse.windows import WINDOWS, window

D = Decimal
SITE = Site(1001, "一号店", "Asia/Shanghai", is_active=True)
AS_OF = date(2026, 8, 19)

AREA_ROWS = """
insert into dws.finance_area_daily (site_id, biz_date, area, table_fee, net_revenue, orders, guests) values
  (1001, '2026-08-19', 'hallA', 100.10, 90.05, 3, 4),
  (1001, '2026-08-19', 'ktv', 7.07, -2.50, null, 1),
  (1001, '2026-08-20', 'hallA', 5000, 5000, 50, 50),
  (1001, '2025-08-01', 'hallA', 11, 11, 1, 1),
  (1001, '2025-07-31', 'hallA', 12, 12, 1, 1),
  (1002, '2026-08-19', 'hallA', 700, 700, 7, 7)
"""
SITE_ROWS = """
insert into dws.finance_site_daily values
  (1001, '2026-08-18', 500.00, 2, 80.80, 1, 9),
  (1002, '2026-08-18', 1, 1, 1, 1, 1)
"""


def read(engine: Engine) -> SiteFinance:
    with engine.connect() as conn:
        return read_site_finance(conn, SITE, AS_OF)


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def test_a_site_is_read_alone_from_the_first_day_needed_to_the_as_of_date_with_its_newest_batch(
    engine: Engine,
) -> None:
    run(
        engine,
        AREA_ROWS,
        SITE_ROWS,
        "insert into dws.etl_batch values (77, 1001, '2026-08-19', 'success', '2026-08-20 04:00+08')",
    )
    finance = read(engine)
    assert finance.batch is not None
    assert (finance.batch.batch_id, finance.batch.finished_at) == (
        "77",
        datetime(2026, 8, 19, 20, tzinfo=UTC),
    )
    assert [date.fromordinal(day) for day in finance.areas["all"].days] == [date(2025, 8, 1), AS_OF]
    week = cell(finance, window("this_week", AS_OF), "all")
    assert week.figures["gross"].now == D("107.17")
    assert week.figures["net_revenue"].now == D("87.55")
    assert week.figures["orders"].now == 3
    assert week.now.nulls == dict.fromkeys(
        ("assistant_fee", "goods_fee", "other_fee", "discount", "play_minutes"), 2
    ) | {"orders": 1}
    assert week.site_figures["recharge_amount"].now == D("500.00")
    assert week.site_figures["balance_spent"].now == D("80.80")
    assert [week.site_figures[n].now for n in ("recharge_count", "new_members", "active_members")] == [
        2,
        1,
        9,
    ]


def test_one_read_serves_all_72_cells(engine: Engine) -> None:
    run(engine, AREA_ROWS, SITE_ROWS)
    selects: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: selects.append(args[2]))
    finance = read(engine)
    cells = [cell(finance, window(name, AS_OF), area) for name in WINDOWS for area in AREAS]
    assert len(cells) == 72
    assert sum("finance_area_daily" in statement for statement in selects) == 1
    assert sum("finance_site_daily" in statement for statement in selects) == 1
    assert sum("select" in statement for statement in selects) == 3


def test_a_site_without_any_row_is_read_as_empty(engine: Engine) -> None:
    finance = read(engine)
    assert (finance.batch, finance.faults, finance.others) == (None, (), ())
    assert cell(finance, window("last_month", AS_OF), "all").now.rows == 0


def test_every_missing_table_and_column_is_named_at_once(engine: Engine) -> None:
    run(
        engine,
        "alter table dws.finance_area_daily drop column guests, drop column play_minutes",
        "drop table dws.finance_site_daily",
    )
    with engine.connect() as conn:
        with pytest.raises(WarehouseError) as caught:
            read_site_finance(conn, SITE, AS_OF)
        assert str(caught.value) == (
            "missing in the warehouse: columns guests, play_minutes of dws.finance_area_daily; "
            "table dws.finance_site_daily (see docs/data-contract.md)"
        )
        # the transaction goes on
        assert conn.execute(text("select 1")).scalar_one() == 1


def test_a_missing_table_of_batches_is_named(engine: Engine) -> None:
    run(engine, "drop table dws.etl_batch")
    with pytest.raises(WarehouseError, match=r"missing in the warehouse: table dws\.etl_batch"):
        read(engine)


def test_a_missing_schema_is_told_as_its_missing_tables(engine: Engine) -> None:
    run(engine, "drop schema dws cascade")
    with pytest.raises(WarehouseError, match=r"table dws\.etl_batch"):
        read(engine)


def test_views_suffice_of_any_number_type_and_with_repeated_days(engine: Engine) -> None:
    run(
        engine,
        "alter table dws.finance_area_daily rename to area_base",
        AREA_ROWS.replace("dws.finance_area_daily", "dws.area_base"),
        """create view dws.finance_area_daily as
           select site_id, biz_date::timestamp as biz_date, area, table_fee::float8 as table_fee,
                  assistant_fee::float8 as assistant_fee, goods_fee::real as goods_fee,
                  other_fee::text as other_fee, discount::money as discount,
                  net_revenue::float8 as net_revenue,
                  orders::bigint as orders, guests::numeric as guests, play_minutes::float8 as play_minutes
           from (table dws.area_base union all table dws.area_base) as twice""",
    )
    week = cell(read(engine), window("this_week", AS_OF), "hallA")
    assert week.figures["net_revenue"].now == D("180.10")
    assert (week.now.rows, week.now.repeated) == (2, 1)


def test_a_view_without_a_column_is_told_with_that_column(engine: Engine) -> None:
    run(
        engine,
        "drop table dws.finance_site_daily",
        "create view dws.finance_site_daily as select 1001::bigint as site_id, "
        "date '2026-08-19' as biz_date, 1 as recharge_amount, 1 as recharge_count, "
        "1 as balance_spent, 1 as active_members",
    )
    with pytest.raises(WarehouseError, match=r"column new_members of dws\.finance_site_daily"):
        read(engine)


def test_a_column_that_is_no_number_is_an_error_with_the_code_of_postgres_and_without_the_value(
    engine: Engine,
) -> None:
    run(
        engine,
        "alter table dws.finance_area_daily alter column orders type text",
        "insert into dws.finance_area_daily (site_id, biz_date, area, orders) "
        "values (1001, '2026-08-19', 'vip', 'many')",
    )
    with pytest.raises(WarehouseError, match=r"cannot read dws\.finance_area_daily and .*22P02"):
        read(engine)


def test_a_negative_count_fails_its_own_cells_and_no_other(engine: Engine) -> None:
    run(
        engine,
        AREA_ROWS,
        "insert into dws.finance_area_daily (site_id, biz_date, area, play_minutes) "
        "values (1001, '2026-08-19', 'vip', -5)",
    )
    finance = read(engine)
    week = window("this_week", AS_OF)
    for area in ("vip", "all"):
        with pytest.raises(PromptError, match=r"play_minutes of site 1001 on 2026-08-19, area vip is -5"):
            cell(finance, week, area)
    assert cell(finance, week, "hall").figures["orders"].now == 3
    assert cell(finance, window("last_week", AS_OF), "vip").now.rows == 0


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_an_amount_that_is_no_number_fails_its_own_cells_and_no_other(engine: Engine, value: str) -> None:
    run(
        engine,
        "alter table dws.finance_area_daily alter column net_revenue type float8",
        AREA_ROWS,
        "insert into dws.finance_area_daily (site_id, biz_date, area, net_revenue) "
        f"values (1001, '2026-08-19', 'vip', '{value}')",
    )
    finance = read(engine)
    with pytest.raises(PromptError, match=f"net_revenue of site 1001 .* is {value}: not a number"):
        cell(finance, window("this_week", AS_OF), "vip")
    assert cell(finance, window("this_week", AS_OF), "hallA").figures["net_revenue"].now == D("90.05")


def test_an_as_of_date_out_of_range_is_refused_before_anything_is_read(engine: Engine) -> None:
    with engine.connect() as conn, pytest.raises(InputError, match="out of range"):
        read_site_finance(conn, SITE, date(1, 1, 1))
