"""The three roles: each is logged in as, does what it is for, and is refused what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from ai_assets.errors import ConfigurationError
from ai_assets.samples.contract import create_contract_tables
from ai_assets.store import clues
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade
from ai_assets.store.roles import (
    BACKEND,
    GATEWAY,
    GATEWAY_RIGHTS,
    IN_PART,
    INTAKE,
    OPERATOR,
    READER,
    RESULTS,
    SOURCES,
    WORKER,
    grant_roles,
)

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


@pytest.mark.parametrize("role", [READER, BACKEND, WORKER, GATEWAY])
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


@pytest.mark.parametrize("table", IN_PART)
def test_an_operator_reads_payloads_prompts_and_answers_and_changes_nothing(logged_in_as: As, table: str):
    operator = logged_in_as(OPERATOR)
    run(operator, f"select * from {table}")
    run(operator, "select count(*) from biz.ai_cache")
    for forbidden in (
        FIRE,
        f"delete from {table}",
        f"update {table} set status = 'failed'",
        "select * from biz.ai_tokens",
    ):
        assert refused(operator, forbidden)


def test_a_reader_does_not_see_what_people_wrote_or_what_holds_a_lease(venue_url: str):
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
            # a column that a later revision adds is not seen before it is named
            assert {
                "biz.ai_trigger_jobs": {"payload", "dedup_key", "lease_owner"},
                "biz.ai_run_logs": {"request_prompt", "response_text"},
            }[table] <= unseen
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
        "insert into biz.member_retention_clue (member_id, site_id, summary, source) values (5, 1, 'x', 'ai_note')",
    ],
)
def test_a_backend_cannot_go_round_the_door(logged_in_as: As, forbidden: str):
    assert refused(logged_in_as(BACKEND), forbidden)


ADD_CLUES = text(
    "insert into biz.member_retention_clue (member_id, site_id, summary, source)"
    " select 5, 1001, 'x', source from unnest(array['manual', 'ai_note', 'ai_consumption']) source"
)
CLUE_SOURCES = text("select source from biz.member_retention_clue where member_id = 5 order by source")


def test_a_backend_adds_changes_and_deletes_the_clues_of_people_alone(logged_in_as: As, venue_url: str):
    owner = make_engine(venue_url)
    with owner.begin() as connection:
        connection.execute(ADD_CLUES)
    backend = logged_in_as(BACKEND)
    with backend.begin() as connection:
        connection.execute(
            text(
                "insert into biz.member_retention_clue (member_id, site_id, summary, source)"
                " values (5, 1001, '手写', 'manual')"
            )
        )
        changed = connection.execute(
            text("update biz.member_retention_clue set summary = '改过' where member_id = 5")
        )
        assert changed.rowcount == 2
        assert len(connection.execute(CLUE_SOURCES).all()) == 4
    # a clue of people's does not become an app's
    assert refused(backend, "update biz.member_retention_clue set source = 'ai_note' where member_id = 5")
    with backend.begin() as connection:
        gone = connection.execute(text("delete from biz.member_retention_clue where member_id = 5"))
        assert gone.rowcount == 2
        assert list(connection.execute(CLUE_SOURCES).scalars()) == ["ai_consumption", "ai_note"]
    owner.dispose()


@pytest.mark.parametrize("role", [WORKER, GATEWAY])
def test_who_runs_apps_replaces_the_clues_of_apps(logged_in_as: As, venue_url: str, role: str):
    owner = make_engine(venue_url)
    for engine in (logged_in_as(role), owner):
        with owner.begin() as connection:
            connection.execute(text("delete from biz.member_retention_clue"))
            connection.execute(ADD_CLUES)
        with engine.begin() as connection:
            for source in ("ai_note", "ai_consumption"):
                clues.replace(connection, 1001, 5, source=source, clues=[{"summary": "a"}, {"summary": "b"}])
            assert list(connection.execute(CLUE_SOURCES).scalars()) == [
                "ai_consumption",
                "ai_consumption",
                "ai_note",
                "ai_note",
                "manual",
            ]
    owner.dispose()


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


@pytest.mark.parametrize(
    "forbidden",
    [
        "insert into biz.ai_tokens (name, role, hash) values ('mine', 'operate', '')",
        "update biz.ai_tokens set role = 'operate', site_ids = null",
        "update biz.ai_tokens set revoked_at = null",
        "delete from biz.ai_tokens",
        "select * from biz.ai_tokens for update",
        "insert into biz.ai_trigger_jobs (event_type) values ('consumption')",
        "update biz.ai_trigger_jobs set status = 'completed'",
        "delete from biz.ai_trigger_jobs",
        "delete from biz.ai_cache",
        "update biz.ai_cache set score = 10",
        "delete from biz.ai_alerts",
        "delete from biz.ai_idempotency_keys",
        f"set role {INTAKE}",
        f"set role {WORKER}",
    ],
)
def test_the_gateway_makes_no_tokens_and_changes_no_event_and_no_result(logged_in_as: As, forbidden: str):
    assert refused(logged_in_as(GATEWAY), forbidden)


def test_the_rights_of_the_gateway_are_decided_for_every_table(venue_url: str):
    """A table that a later revision adds is named among the gateway's, or here as none of its business."""
    with make_engine(venue_url).connect() as connection:
        ours = connection.execute(
            text(
                "select 'biz.' || relname from pg_class where relnamespace = 'biz'::regnamespace"
                " and relkind in ('r', 'v') and relname like 'ai\\_%'"
            )
        ).scalars()
        assert set(ours) - set(GATEWAY_RIGHTS) == {"biz.ai_schema_version"}


def test_the_gateway_follows_a_clock_that_was_set(logged_in_as: As, venue_url: str):
    gateway = logged_in_as(GATEWAY)
    run(gateway, "select biz.ai_follow_clock()")
    for step in ("+ interval '1 hour'", "- interval '1 hour'"):
        engine = make_engine(venue_url)
        run(engine, f"update biz.ai_clock set seen_at = clock_timestamp() {step}")
        engine.dispose()
        run(gateway, "select biz.ai_follow_clock()")


def test_every_kind_of_event_is_taken_in_with_the_rights_of_intake_alone(logged_in_as: As, venue_url: str):
    backend = logged_in_as(BACKEND)
    sent = (
        ("consumption", 555, '{"has_assistant": true, "assistant_id": 7}', False, "pending"),
        ("ai_consumption_settled", 555, "{}", False, "duplicate"),
        ("consumption", 555, "{}", True, "pending"),
        ("note_created", 555, '{"note_content": "好", "occurred_at": "2026-06-30"}', False, "pending"),
        ("task_assigned", 555, '{"assistant_id": 7}', False, "pending"),
        ("dws_completed", None, "{}", False, "pending"),
        ("dws_completed", None, "{}", True, "pending"),
        ("ai_dws_prewarm", None, "{}", False, "completed"),
        ("unknown", 555, "{}", False, "failed"),
        ("consumption", 555, '{"x": "%s"}' % ("y" * 300_000), False, "failed"),
    )
    fire = text("select biz.fire_ai_event(:type, 1001, :member, cast(:payload as jsonb), :forced)")
    look = text("select status from biz.ai_trigger_jobs where id = :id")
    for event_type, member, payload, forced, status in sent:
        with backend.begin() as connection:
            given = {"type": event_type, "member": member, "payload": payload, "forced": forced}
            job = connection.execute(fire, given).scalar_one()
            assert (event_type, connection.execute(look, {"id": job}).scalar_one()) == (event_type, status)


def test_where_a_source_table_was_made_anew_the_event_says_how_intake_may_read_it(
    logged_in_as: As, venue_url: str
):
    backend = logged_in_as(BACKEND)
    owner = make_engine(venue_url)
    run(owner, "create table biz.copy as table biz.sites")
    run(owner, "drop table biz.sites")
    run(owner, "alter table biz.copy rename to sites")
    owner.dispose()
    with backend.begin() as connection:
        job = connection.execute(text("select biz.fire_ai_event('consumption', 1001, 555)")).scalar_one()
        look = text("select status, error_message from biz.ai_trigger_jobs where id = :id")
        status, error = connection.execute(look, {"id": job}).one()
    assert status == "failed"
    assert "ai-assets db roles" in error


def test_intake_belongs_to_a_role_of_few_rights(logged_in_as: As, venue_url: str):
    logged_in_as(BACKEND)
    engine = make_engine(venue_url)
    with engine.connect() as connection:
        owner, definer, settings = connection.execute(
            text(
                "select pg_get_userbyid(proowner), prosecdef, proconfig from pg_proc"
                " where oid = 'biz.fire_ai_event'::regproc"
            )
        ).one()
        assert (owner, definer, settings) == (INTAKE, True, ["search_path=pg_catalog, pg_temp"])
        attributes = connection.execute(
            text(
                "select rolsuper or rolcreaterole or rolcreatedb or rolcanlogin or rolbypassrls"
                " from pg_roles where rolname = :role"
            ),
            {"role": INTAKE},
        ).scalar_one()
        assert attributes is False
        connection.execute(text(f"set role {INTAKE}"))
        for forbidden in (
            "create table biz.mine (id int)",
            "create function biz.ai_mine() returns int language sql as 'select 1'",
            "select * from biz.members",
            "select * from biz.ai_tokens",
            "select * from biz.ai_cache",
            "select * from dws.settlement",
            "update biz.ai_trigger_jobs set status = 'completed'",
            "delete from biz.ai_trigger_jobs",
            "select biz.ai_cancel_job(1, 'x')",
        ):
            with pytest.raises(ProgrammingError) as caught, connection.begin_nested():
                connection.execute(text(forbidden))
            assert getattr(caught.value.orig, "pgcode", None) == DENIED
    engine.dispose()


OPEN_FUNCTIONS = text(
    "select proname from pg_proc where pronamespace = 'biz'::regnamespace"
    " and has_function_privilege('public', oid, 'execute')"
)


def test_nobody_may_call_a_function_before_roles_are_granted(database_url: str):
    """The tables were made by `db upgrade` alone."""
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert list(connection.execute(OPEN_FUNCTIONS).scalars()) == []
    engine.dispose()


def test_the_functions_of_the_venue_stay_as_they_are(database_url: str):
    engine = make_engine(database_url)
    run(engine, "create function biz.price() returns int language sql as 'select 1'")
    with engine.begin() as connection:
        grant_roles(connection)
        assert list(connection.execute(OPEN_FUNCTIONS).scalars()) == ["price"]
    engine.dispose()


def test_an_owner_who_is_no_superuser_migrates_and_where_allowed_makes_the_roles(
    empty_database_url: str, server_url: str, new_login: Callable[..., str]
):
    """As on managed Postgres."""
    url = new_login(empty_database_url)
    login = make_url(url).username
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    here = create_engine(empty_database_url, isolation_level="AUTOCOMMIT")
    database = make_url(empty_database_url).database
    owner = make_engine(url)
    try:
        with here.connect() as connection:
            connection.execute(text(f'grant create on database "{database}" to {login}'))
        upgrade(url)
        with owner.connect() as connection:
            assert list(connection.execute(OPEN_FUNCTIONS).scalars()) == []
        with owner.begin() as connection, pytest.raises(ConfigurationError):
            grant_roles(connection)
        with admin.connect() as connection:
            connection.execute(text(f"alter role {login} createrole"))
            present = connection.execute(
                text(r"select rolname from pg_roles where rolname like 'ai\_%'")
            ).scalars()
            for role in present.all():
                # a role that this user had made would be its own to give
                connection.execute(text(f"grant {role} to {login} with admin option"))
        with owner.begin() as connection:
            create_contract_tables(connection)
        for _ in range(2):
            with owner.begin() as connection:
                grant_roles(connection)
        with owner.begin() as connection:
            definition = connection.execute(
                text("select pg_get_functiondef('biz.fire_ai_event'::regproc)")
            ).scalar_one()
            # a later revision replaces it, with no more rights than this
            connection.exec_driver_sql(definition.replace("%", "%%"), execution_options={})
            connection.execute(text("select biz.fire_ai_event('consumption', 1001, 555)"))
    finally:
        owner.dispose()
        with here.connect() as connection:
            connection.execute(text(f"drop owned by {login} cascade"))
        here.dispose()
        admin.dispose()


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
