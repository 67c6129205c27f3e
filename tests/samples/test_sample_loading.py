"""Writing a sample: all or nothing, the same twice is once, and never into what belongs to somebody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, text

from ai_assets.errors import DatabaseUnavailableError, InputError, WarehouseError
from ai_assets.samples.contract import create_contract_tables
from ai_assets.samples.loading import LoadSummary, Sample, write_sample
from ai_assets.samples.rows import TABLES
from ai_assets.samples.venue import load_venue, make_venue
from ai_assets.store.engine import make_engine

END = date(2026, 3, 31)


def load(engine: Engine, *, days: int = 12, end: date = END, sites: int = 2) -> LoadSummary:
    return load_venue(engine, sites=sites, days=days, end=end)


def content(engine: Engine) -> dict[str, list[tuple]]:
    with engine.connect() as connection:
        return {
            name: [
                tuple(row)
                for row in connection.execute(
                    text(f"select {', '.join(table.columns)} from {name} order by {', '.join(table.key)}")
                )
            ]
            for name, table in TABLES.items()
        }


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_what_was_made_stands_in_the_tables_as_it_is(engine: Engine) -> None:
    sample = make_venue(sites=2, days=12, end=END)
    summary = write_sample(engine, sample)
    stored = content(engine)
    made = {"biz.sites": sample.sites, **sample.rows}
    for name, table in TABLES.items():
        keys = [table.columns.index(column) for column in table.key]
        wanted = sorted((tuple(row) for row in made[name]), key=lambda row: [row[key] for key in keys])
        assert stored[name] == wanted, name
        assert summary.rows[name] == summary.changed[name] == len(wanted)
    assert (summary.dataset, summary.sites) == ("venue", (1001, 1002))
    assert summary.site_names[1001] == "星河台球·徐汇店"
    assert (summary.first_day, summary.last_day) == (date(2026, 3, 20), END)


def test_loading_twice_changes_nothing(engine: Engine) -> None:
    load(engine)
    before = content(engine)
    again = load(engine)
    assert set(again.changed.values()) == {0}
    assert content(engine) == before


def test_a_day_later_a_day_is_added_and_the_older_ones_stay(engine: Engine) -> None:
    load(engine)
    before = content(engine)
    later = load(engine, end=END + timedelta(days=1))
    after = content(engine)
    for name in ("dws.finance_area_daily", "dws.finance_site_daily", "dws.settlement", "dws.etl_batch"):
        column = TABLES[name].columns.index("biz_date")
        assert [row for row in after[name] if row[column] <= END] == before[name]
        assert later.changed[name] == len(after[name]) - len(before[name]) > 0
    assert later.changed["biz.sites"] == 0


def test_more_days_and_sites_can_be_added_later(engine: Engine) -> None:
    load(engine, sites=1, days=3)
    load(engine)
    grown = content(engine)
    made = make_venue(sites=2, days=12, end=END)
    assert {name: len(rows) for name, rows in grown.items() if name != "biz.sites"} == {
        name: len(rows) for name, rows in made.rows.items()
    }


def test_a_row_that_was_altered_is_put_right_and_no_other_is_touched(engine: Engine) -> None:
    load(engine)
    before = content(engine)
    execute(
        engine,
        "update dws.finance_area_daily set net_revenue = null"
        " where site_id = 1001 and area = 'hallA' and biz_date = '2026-03-30'",
    )
    again = load(engine)
    assert {name: count for name, count in again.changed.items() if count} == {"dws.finance_area_daily": 1}
    assert content(engine) == before


def test_a_site_that_was_switched_off_stays_off(engine: Engine) -> None:
    load(engine)
    execute(engine, "update biz.sites set is_active = false where site_id = 1002")
    load(engine)
    assert [row[3] for row in content(engine)["biz.sites"]] == [True, False]


def test_missing_tables_are_made(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    summary = load(engine, days=2)
    assert summary.changed["dws.etl_batch"] == 4
    engine.dispose()


def test_the_rows_hold_exactly_the_columns_of_the_contract(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "select table_schema || '.' || table_name,"
                " array_agg(column_name::text order by ordinal_position)"
                " from information_schema.columns where table_schema || '.' || table_name = any(:names)"
                " group by 1"
            ),
            {"names": list(TABLES)},
        )
        columns = {name: tuple(names) for name, names in found}
    assert columns == {name: table.columns for name, table in TABLES.items()}


@pytest.mark.parametrize(
    "name", ["制表\t换行\n回车\r反斜杠\\n", r"\N", "", "'; drop table biz.members; --", "🎱"]
)
def test_text_arrives_as_it_was(engine: Engine, name: str) -> None:
    sample = make_venue(sites=1, days=1, end=END)
    member = sample.rows["biz.members"][0]._replace(name=name, nickname=None)
    write_sample(engine, replace(sample, rows={**sample.rows, "biz.members": [member]}))
    with engine.connect() as connection:
        row = connection.execute(text("select name, nickname from biz.members")).one()
    assert tuple(row) == (name, None)


def test_a_site_id_in_use_for_something_else_is_refused_and_nothing_is_written(engine: Engine) -> None:
    execute(engine, "insert into biz.sites (site_id, name) values (1002, '别人的店')")
    with pytest.raises(InputError, match=r"site 1002 is already '别人的店' \(Asia/Shanghai\)"):
        load(engine)
    stored = content(engine)
    assert stored.pop("biz.sites") == [(1002, "别人的店", "Asia/Shanghai", True)]
    assert not any(stored.values())


def test_data_under_a_site_id_without_a_site_is_refused(engine: Engine) -> None:
    execute(
        engine,
        "insert into dws.finance_area_daily (site_id, biz_date, area) values (1001, '2026-03-01', 'hallA')",
    )
    with pytest.raises(InputError, match=r"site 1001 is not in biz\.sites but has data already"):
        load(engine)
    assert content(engine)["biz.sites"] == []


def test_a_real_warehouses_views_are_refused(engine: Engine) -> None:
    execute(
        engine,
        "alter table dws.settlement rename to bills; create view dws.settlement as select * from dws.bills",
    )
    with pytest.raises(WarehouseError, match=r"dws\.settlement is a view"):
        load(engine)
    assert not any(content(engine).values())


def test_a_missing_column_is_named(engine: Engine) -> None:
    execute(engine, "alter table dws.settlement drop column paid")
    with pytest.raises(WarehouseError, match=r"dws\.settlement has no column paid"):
        load(engine)


def test_trouble_in_the_last_table_leaves_nothing_in_the_first(engine: Engine) -> None:
    execute(engine, "alter table dws.etl_batch add constraint early check (biz_date < '2026-03-25')")
    with pytest.raises(WarehouseError, match=r"refused venue: .*early"):
        load(engine)
    assert not any(content(engine).values())


def test_a_database_without_the_right_to_write_is_told_in_one_line(engine: Engine) -> None:
    execute(
        engine,
        "do $$ begin create role samples_reader login; exception when duplicate_object then null; end $$;"
        "grant usage on schema biz, dws to samples_reader;"
        "grant select on all tables in schema biz, dws to samples_reader",
    )
    reader = make_engine(engine.url.set(username="samples_reader").render_as_string(hide_password=False))
    with pytest.raises(WarehouseError, match="refused venue: permission denied") as caught:
        load(reader)
    assert "\n" not in str(caught.value)
    reader.dispose()


def test_a_database_that_is_down_is_told_so() -> None:
    engine = make_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailableError, match="loading venue"):
        load(engine, days=1)


def test_two_loads_at_once_both_succeed(engine: Engine) -> None:
    sample: Sample = make_venue(sites=2, days=12, end=END)
    start = Barrier(2)

    def one() -> LoadSummary:
        start.wait()
        return write_sample(engine, sample)

    with ThreadPoolExecutor(2) as pool:
        summaries = [future.result() for future in [pool.submit(one) for _ in range(2)]]
    changed = sorted(sum(summary.changed.values()) for summary in summaries)
    assert changed == [0, sum(summaries[0].rows.values())]


def test_progress_is_told_in_lines(engine: Engine) -> None:
    lines: list[str] = []
    load_venue(engine, sites=1, days=2, end=END, progress=lines.append)
    assert lines[0] == "venue: making site 1001 星河台球·徐汇店 (2026-03-30 to 2026-03-31)"
    assert any(line.startswith("venue: writing dws.settlement (") for line in lines)


def test_tables_that_exist_are_left_as_they_are(engine: Engine) -> None:
    execute(engine, "alter table dws.settlement add column remark text")
    with engine.begin() as connection:
        create_contract_tables(connection)
    assert load(engine, days=2).changed["dws.settlement"] > 0
