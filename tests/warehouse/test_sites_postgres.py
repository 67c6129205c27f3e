from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, text

from ai_assets.errors import InputError, WarehouseError
from ai_assets.store.batch_events import batches_without_event
from ai_assets.store.shared_settings import store_settings
from ai_assets.warehouse.sites import (
    Site,
    active_sites,
    as_of_and_batch,
    as_of_date,
    find_site,
    newest_batch,
)


def at(hour: int, day: int = 19) -> datetime:
    return datetime(2026, 8, day, hour, tzinfo=UTC)


def add_site(conn: Connection, site_id: int, *, active: bool = True, zone: str = "Asia/Shanghai") -> None:
    conn.execute(
        text("insert into biz.sites values (:id, :name, :zone, :active)"),
        {"id": site_id, "name": f"店{site_id}", "zone": zone, "active": active},
    )


def add_batch(
    conn: Connection,
    batch_id: int,
    site_id: int,
    biz_date: date,
    finished_at: datetime | None,
    status: str = "success",
) -> None:
    conn.execute(
        text("insert into dws.etl_batch values (:batch_id, :site_id, :biz_date, :status, :finished_at)"),
        {
            "batch_id": batch_id,
            "site_id": site_id,
            "biz_date": biz_date,
            "status": status,
            "finished_at": finished_at,
        },
    )


def test_a_site_is_found_active_or_not_and_only_active_ones_are_listed(engine: Engine) -> None:
    with engine.begin() as conn:
        add_site(conn, 1002)
        add_site(conn, 1003, active=False)
        add_site(conn, 1001, zone="Asia/Urumqi")
        assert find_site(conn, 1003) == Site(1003, "店1003", "Asia/Shanghai", is_active=False)
        assert active_sites(conn) == [
            Site(1001, "店1001", "Asia/Urumqi", is_active=True),
            Site(1002, "店1002", "Asia/Shanghai", is_active=True),
        ]


@pytest.mark.parametrize("site_id", [9, -1, 10**30])
def test_an_unknown_site_is_refused_by_its_number(engine: Engine, site_id: int) -> None:
    with engine.connect() as conn, pytest.raises(InputError, match=f"unknown site {site_id}"):
        find_site(conn, site_id)


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_missing_table_of_sites_is_named_and_the_connection_stays_usable(
    engine: Engine, *, autocommit: bool
) -> None:
    with engine.begin() as conn:
        conn.execute(text("drop table biz.sites"))
    with engine.connect().execution_options(
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED"
    ) as conn:
        for read in (lambda: find_site(conn, 1), lambda: active_sites(conn)):
            with pytest.raises(WarehouseError, match=r"missing in the warehouse: table biz\.sites"):
                read()
        assert conn.execute(text("select 1")).scalar_one() == 1


def test_the_newest_batch_is_the_successful_one_of_the_latest_business_date_then_the_last_finished(
    engine: Engine,
) -> None:
    with engine.begin() as conn:
        assert newest_batch(conn, 1) is None
        add_batch(conn, 9, 1, date(2026, 8, 18), at(5))
        add_batch(conn, 8, 1, date(2026, 8, 17), at(9))
        add_batch(conn, 7, 1, date(2026, 8, 19), at(10), status="failed")
        add_batch(conn, 6, 2, date(2026, 8, 30), at(11))
        newest = newest_batch(conn, 1)
        assert newest is not None
        assert (newest.batch_id, newest.biz_date, newest.finished_at) == ("9", date(2026, 8, 18), at(5))
        # a correction of the same day
        add_batch(conn, 3, 1, date(2026, 8, 18), at(7))
        add_batch(conn, 2, 1, date(2026, 8, 18), None)
        corrected = newest_batch(conn, 1)
        assert corrected is not None
        assert corrected.batch_id == "3"
        # finished in the same instant: the higher number, as a number
        add_batch(conn, 10, 1, date(2026, 8, 18), at(7))
        last = newest_batch(conn, 1)
        assert last is not None
        assert last.batch_id == "10"


def test_batches_may_be_named_and_come_from_a_view_with_local_times(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("drop table dws.etl_batch"))
        conn.execute(
            text(
                "create view dws.etl_batch as select 'b-0818'::text as batch_id, 1 as site_id, "
                "timestamp '2026-08-18 00:00' as biz_date, 'success' as status, "
                "timestamp '2026-08-19 04:00' as finished_at"
            )
        )
        batch = newest_batch(conn, 1)
        assert batch is not None
        assert (batch.batch_id, batch.biz_date, batch.finished_at) == ("b-0818", date(2026, 8, 18), at(4))


def test_the_as_of_date_is_the_given_one_else_the_batchs_else_the_newest_datas(engine: Engine) -> None:
    with engine.begin() as conn:
        with pytest.raises(WarehouseError, match=r"site 1 has no data.*dws\.etl_batch"):
            as_of_date(conn, 1, None)
        conn.execute(text("insert into dws.finance_site_daily (site_id, biz_date) values (1, '2026-08-12')"))
        assert as_of_date(conn, 1, None) == date(2026, 8, 12)
        conn.execute(
            text(
                "insert into dws.finance_area_daily (site_id, biz_date, area) values (1, '2026-08-13', 'vip')"
            )
        )
        assert as_of_date(conn, 1, None) == date(2026, 8, 13)
        add_batch(conn, 1, 1, date(2026, 8, 11), at(4))
        assert as_of_date(conn, 1, None) == date(2026, 8, 11)
        assert as_of_date(conn, 1, date(2025, 1, 1)) == date(2025, 1, 1)
        with pytest.raises(InputError, match="out of range"):
            as_of_date(conn, 1, date(1, 1, 1))


def database_today(conn: Connection, zone: str) -> date:
    """By the clock of Postgres, which is the one that counts."""
    return conn.execute(text("select clock_timestamp()")).scalar_one().astimezone(ZoneInfo(zone)).date()


# the zones that are furthest ahead and furthest behind
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Asia/Shanghai", "Etc/GMT+12"])
def test_a_batch_dated_after_the_sites_tomorrow_is_not_used(engine: Engine, zone: str) -> None:
    with engine.begin() as conn:
        add_site(conn, 1, zone=zone)
        tomorrow = database_today(conn, zone) + timedelta(days=1)
        add_batch(conn, 1, 1, date(2026, 8, 18), at(4))
        add_batch(conn, 2, 1, tomorrow + timedelta(days=1), at(5))
        add_batch(conn, 3, 1, date(2062, 8, 18), at(6))
        conn.execute(text("update dws.etl_batch set biz_date = 'infinity' where batch_id = 3"))
        assert as_of_date(conn, 1, None) == date(2026, 8, 18)
        assert as_of_and_batch(conn, 1, None) == (date(2026, 8, 18), newest_batch(conn, 1))
        add_batch(conn, 4, 1, tomorrow, at(5))
        assert as_of_date(conn, 1, None) == tomorrow


def test_data_dated_after_the_sites_tomorrow_is_no_as_of_date(engine: Engine) -> None:
    with engine.begin() as conn:
        add_site(conn, 1)
        for table, column, value in (("site", "", ""), ("area", ", area", ", 'vip'")):
            for day in ("2026-08-12", "2062-08-12"):
                conn.execute(
                    text(
                        f"insert into dws.finance_{table}_daily (site_id, biz_date{column}) "
                        f"values (1, '{day}'{value})"
                    )
                )
        assert as_of_date(conn, 1, None) == date(2026, 8, 12)


@pytest.mark.parametrize("change", ["delete from biz.sites", "update biz.sites set timezone = 'Mars/Base'"])
def test_a_site_without_a_known_time_zone_keeps_its_newest_batch(engine: Engine, change: str) -> None:
    with engine.begin() as conn:
        add_site(conn, 1)
        conn.execute(text(change))
        add_batch(conn, 1, 1, date(2026, 8, 18), at(4))
        add_batch(conn, 2, 1, date(2062, 8, 18), at(5))
        assert as_of_date(conn, 1, None) == date(2026, 8, 18)


@pytest.fixture
def bare(engine: Engine) -> Engine:
    """An engine on a database whose `biz.sites` is the venue's own table, with ids alone: 1 and 2."""
    with engine.begin() as conn:
        conn.execute(text("drop table biz.sites"))
        conn.execute(text("create table biz.sites (site_id bigint)"))
        conn.execute(text("insert into biz.sites values (2), (1)"))
    return engine


def test_a_table_of_sites_with_ids_alone_gives_active_sites_in_the_stored_zone(bare: Engine) -> None:
    with bare.begin() as conn:
        store_settings(conn, {"timezone": "Asia/Urumqi"})
        assert active_sites(conn) == [Site(n, str(n), "Asia/Urumqi", is_active=True) for n in (1, 2)]
        assert find_site(conn, 2) == Site(2, "2", "Asia/Urumqi", is_active=True)
        with pytest.raises(InputError, match="unknown site 3"):
            find_site(conn, 3)


def test_events_and_batches_of_a_table_of_sites_with_ids_alone_are_taken_in(bare: Engine) -> None:
    with bare.begin() as conn:
        store_settings(conn, {"timezone": "Pacific/Kiritimati"})
        today = database_today(conn, "Pacific/Kiritimati")
        add_batch(conn, 7, 1, today + timedelta(days=1), at(4))
        assert [batch.batch_id for batch in batches_without_event(conn, None, limit=9)] == ["7"]
        conn.execute(text("select biz.fire_ai_event('ai_dws_prewarm', null)"))
        jobs = conn.execute(
            text("select event_type, site_id, status from biz.ai_trigger_jobs order by site_id")
        )
        assert [tuple(job) for job in jobs] == [
            ("dws_completed", 1, "pending"),
            ("dws_completed", 2, "pending"),
            ("ai_dws_prewarm", None, "completed"),
        ]
        # 11 in the morning of the 29th in UTC is the 30th there
        conn.execute(
            text(
                "select biz.fire_ai_event('consumption', 1, 5, '{\"occurred_at\": \"2026-06-29T11:00:00Z\"}')"
            )
        )
        day = conn.execute(
            text("select business_date from biz.ai_trigger_jobs where event_type = 'consumption'")
        )
        assert day.scalar_one() == date(2026, 6, 30)


@pytest.mark.parametrize(("word", "active"), [("true", True), ("0", False), ("null", False)])
@pytest.mark.parametrize("kind", ["boolean", "integer", "text"])
def test_activity_may_be_of_any_type_that_reads_as_a_flag(
    bare: Engine, kind: str, word: str, *, active: bool
) -> None:
    value = {"true": "1", "null": "null"}.get(word, word)
    with bare.begin() as conn:
        conn.execute(text("drop table biz.sites"))
        conn.execute(text(f"create table biz.sites (site_id integer, is_active {kind})"))
        conn.execute(
            text(
                f"insert into biz.sites values (1, {value}\\:\\:{'int' if value != 'null' else 'text'}\\:\\:{kind})"
            )
        )
        assert find_site(conn, 1).is_active is active


def test_a_table_of_sites_without_ids_is_named(bare: Engine) -> None:
    with bare.begin() as conn:
        conn.execute(text("alter table biz.sites rename site_id to shop_id"))
    with bare.connect() as conn, pytest.raises(WarehouseError, match=r"column site_id of biz\.sites"):
        active_sites(conn)
