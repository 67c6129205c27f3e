"""docs/data-contract.md says what the code does: its tables, its views, its departments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from ai_assets.samples.departments import AREA_OF_DEPARTMENT
from ai_assets.samples.rows import TABLES
from ai_assets.store.batch_events import NewBatch, batches_without_event
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade
from ai_assets.warehouse.finance import read_site_finance
from ai_assets.warehouse.sites import as_of_date, find_site

DOC = (Path(__file__).parents[2] / "docs" / "data-contract.md").read_text("utf-8")

EXISTING = """
create schema pos;
create table pos.shop (shop_id bigint, title text, closed_on date);
create table pos.zone_day (shop_id bigint, day date, zone text, table_cents bigint, coach_cents bigint,
    goods_cents bigint, off_cents bigint, bills integer, people integer, minutes integer);
create table pos.shop_day (shop_id bigint, day date, topup_cents bigint, topups integer, card_cents bigint,
    joined integer, came integer);
create table pos.load_run (run_id bigint, shop_id bigint, day date, state text, ended_at timestamptz);
insert into pos.shop values (7, '星河', null);
insert into pos.zone_day values (7, '2026-03-30', 'A', 10050, 0, 1200, 250, 3, 5, 200);
insert into pos.shop_day values (7, '2026-03-30', 50000, 1, 0, 1, 2);
insert into pos.load_run values (91, 7, '2026-03-30', 'OK', '2026-03-31 03:00+08');
"""


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_in_its_tables_order(table: str) -> None:
    section = re.split(r"^#+ ", DOC.partition(f"### `{table}` ")[2], maxsplit=1, flags=re.MULTILINE)[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == TABLES[table].columns


def test_the_views_of_the_example_fit_the_reader(empty_database_url: str) -> None:
    views = re.findall(r"```sql\n(.*?)```", DOC, re.DOTALL)[0]
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text(EXISTING))
        connection.execute(text(views.replace("::", "\\:\\:")))
        for table in TABLES.values():
            connection.execute(text(f"select {', '.join(table.columns)} from {table.full_name}"))
    upgrade(empty_database_url)
    with engine.connect() as connection:
        site = find_site(connection, 7)
        day = as_of_date(connection, 7, None)
        finance = read_site_finance(connection, site, day)
        net = finance.areas["hallA"].frame["net_revenue"].sum()
        assert (site.name, day.isoformat(), net) == ("星河", "2026-03-30", 11000)
        assert finance.batch is not None
        new = batches_without_event(connection, finance.batch.finished_at, limit=10)
        assert new == [NewBatch(7, finance.batch.batch_id)]
    engine.dispose()


def test_the_department_table_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \(the rest area\))? \| ([A-Z].*) \|$", DOC, re.MULTILINE)
    documented = {
        name: area
        for area, names in rows
        for name in names.split(", and every line")[0].split(", ")
        if name.isupper()
    }
    assert documented == dict(AREA_OF_DEPARTMENT)
