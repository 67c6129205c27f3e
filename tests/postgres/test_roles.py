"""The three roles: each is logged in as, does what it is for, and is refused what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from ai_assets.errors import ConfigurationError
from ai_assets.store.roles import BACKEND, IN_PART, READER, RESULTS, SOURCES, WORKER, grant_roles

DENIED = "42501"
As = Callable[[str], Engine]


@pytest.fixture
def logged_in_as(venue_url: str, new_login: Callable[..., str]) -> Iterator[As]:
    """`logged_in_as(role)` → an engine of a login that has that role and nothing else."""
    admin = create_engine(venue_url)
    with admin.begin() as connection:
        grant_roles(connection)
    admin.dispose()
    made: dict[str, Engine] = {}

    def start(role: str) -> Engine:
        if role not in made:
            made[role] = create_engine(new_login(venue_url, role))
        return made[role]

    yield start
    for engine in made.values():
        engine.dispose()


def run(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql))


def refused(engine: Engine, sql: str) -> bool:
    """Whether Postgres refuses it for want of a right; any other error is the test's own."""
    try:
        run(engine, sql)
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) != DENIED:
            raise
        return True
    return False


FIRE = (
    "select biz.fire_ai_event('consumption', 1001, 555, '{\"occurred_at\": \"2026-06-30T20:00:00+08:00\"}')"
)


@pytest.mark.parametrize("role", [READER, BACKEND, WORKER])
@pytest.mark.parametrize(
    "forbidden",
    [
        "create table biz.mine (id int)",
        "create table dws.mine (id int)",
        "drop table biz.ai_cache",
        "truncate biz.ai_cache",
        "alter table biz.ai_cache add column x int",
        "update biz.members set name = 'x' where site_id = 1001",
        "delete from biz.sites",
        "delete from dws.settlement",
        "insert into dws.etl_batch select * from dws.etl_batch limit 1",
        "update biz.ai_schema_version set version_num = '0001'",
    ],
)
def test_no_role_makes_tables_or_writes_what_is_the_owners(logged_in_as: As, role: str, forbidden: str):
    assert refused(logged_in_as(role), forbidden)


@pytest.mark.parametrize("table", RESULTS)
def test_a_reader_reads_every_result(logged_in_as: As, table: str):
    run(logged_in_as(READER), f"select count(*) from {table}")


@pytest.mark.parametrize("table", IN_PART)
def test_a_reader_reads_the_ledger_but_neither_payloads_nor_prompts(logged_in_as: As, table: str):
    reader = logged_in_as(READER)
    run(reader, f"select {IN_PART[table]} from {table}")
    hidden = {"biz.ai_trigger_jobs": ["payload"], "biz.ai_run_logs": ["request_prompt", "response_text"]}[
        table
    ]
    assert all(refused(reader, f"select {column} from {table}") for column in hidden)


def test_the_columns_that_a_reader_does_not_see_are_those_meant(venue_url: str):
    engine = create_engine(venue_url)
    with engine.connect() as connection:
        for table, columns in IN_PART.items():
            all_of_it = connection.execute(
                text(
                    "select column_name from information_schema.columns where table_schema || '.' || table_name = :t"
                ),
                {"t": table},
            ).scalars()
            unseen = set(all_of_it) - {name.strip() for name in columns.split(",")}
            assert (
                unseen
                == {
                    "biz.ai_trigger_jobs": {
                        "payload",
                        "dedup_key",
                        "lease_owner",
                        "lease_until",
                        "requested_at",
                    },
                    "biz.ai_run_logs": {"request_prompt", "response_text"},
                }[table]
            )
    engine.dispose()


@pytest.mark.parametrize(
    "forbidden",
    [
        FIRE,
        "delete from biz.ai_alerts",
        "update biz.ai_cache set score = 10",
        "select * from biz.members",
        "select * from biz.ai_tokens",
        "select * from dws.settlement",
        "select biz.ai_reap_expired()",
    ],
)
def test_a_reader_only_reads_and_sees_no_sources(logged_in_as: As, forbidden: str):
    assert refused(logged_in_as(READER), forbidden)


def test_a_backend_sends_events_by_the_one_door_and_reads_what_came_of_them(logged_in_as: As):
    backend = logged_in_as(BACKEND)
    with backend.begin() as connection:
        job = connection.execute(text(FIRE)).scalar_one()
        assert (
            connection.execute(
                text("select status from biz.ai_trigger_jobs where id = :id"), {"id": job}
            ).scalar_one()
            == "pending"
        )
        again = connection.execute(text(FIRE)).scalar_one()
        assert connection.execute(
            text("select status, duplicate_of from biz.ai_trigger_jobs where id = :id"), {"id": again}
        ).one() == ("duplicate", job)
    run(backend, "select biz.fire_ai_event('dws_completed', 1001)")


@pytest.mark.parametrize(
    "forbidden",
    [
        "insert into biz.ai_trigger_jobs (event_type) values ('consumption')",
        "update biz.ai_trigger_jobs set status = 'completed'",
        "delete from biz.ai_trigger_jobs",
        "select payload from biz.ai_trigger_jobs",
        "select biz.ai_claim_member_jobs('x', null, 60, 1, null, 60)",
        "delete from biz.member_retention_clue",
    ],
)
def test_a_backend_cannot_go_round_the_door(logged_in_as: As, forbidden: str):
    assert refused(logged_in_as(BACKEND), forbidden)


def test_the_door_cannot_be_led_astray_by_a_search_path(logged_in_as: As):
    """A function with its owner's rights must not call what its caller put before ours."""
    backend = logged_in_as(BACKEND)
    with backend.begin() as connection:
        connection.execute(
            text("create function pg_temp.btrim(text) returns text language sql as $$ select 'hijacked' $$")
        )
        connection.execute(text("set local search_path = pg_temp, pg_catalog"))
        job = connection.execute(text(FIRE)).scalar_one()
        kind = connection.execute(
            text("select event_type from biz.ai_trigger_jobs where id = :id"), {"id": job}
        ).scalar_one()
    assert kind == "consumption"


@pytest.mark.parametrize("table", [*SOURCES, "dws.settlement", "dws.finance_area_daily", "dws.etl_batch"])
def test_a_worker_reads_the_sources(logged_in_as: As, table: str):
    run(logged_in_as(WORKER), f"select count(*) from {table}")


def test_twice_changes_nothing_and_takes_back_what_was_added_by_hand(logged_in_as: As, venue_url: str):
    reader = logged_in_as(READER)
    admin = create_engine(venue_url)
    run(admin, f"grant delete on biz.ai_alerts to {READER}")
    assert not refused(reader, "delete from biz.ai_alerts")
    with admin.begin() as connection:
        grant_roles(connection)
    admin.dispose()
    assert refused(reader, "delete from biz.ai_alerts")
    run(reader, "select count(*) from biz.ai_cache")


def test_who_may_not_make_roles_is_told_so_in_one_line(logged_in_as: As):
    with logged_in_as(WORKER).connect() as connection, pytest.raises(ConfigurationError) as caught:
        grant_roles(connection)
    assert "owner of the tables" in str(caught.value)
    assert "\n" not in str(caught.value)
