"""Bringing a database to this code's schema: what stands afterwards, twice, two at once, newer, refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError, SchemaVersionError
from ai_assets.settings import Settings
from ai_assets.store import claims, migrate, workers
from ai_assets.store.embedded import with_database
from ai_assets.store.engine import make_engine
from ai_assets.store.shared_settings import warn_of_differences

CONTRACT = {
    "ai_trigger_jobs": "id event_type site_id member_id connector_type payload is_forced app_chain status duplicate_of "
    "business_date attempts step_results error_message created_at started_at finished_at",
    "ai_cache": "id cache_type site_id target_id result_json score triggered_by trigger_job_id run_log_id prompt_hash "
    "created_at",
    "ai_cache_latest": "id cache_type site_id target_id result_json score triggered_by trigger_job_id run_log_id "
    "prompt_hash created_at",
    "ai_run_logs": "id trigger_job_id app_type site_id member_id target_id trigger_type status reason error_message "
    "request_prompt response_text prompt_hash tokens_in tokens_out tokens_used cost_cny latency_ms session_id "
    "request_id created_at finished_at",
    "ai_alerts": "id site_id app_type alert_type message log_id created_at",
    "member_retention_clue": "id member_id site_id category summary detail source recorded_by_name "
    "recorded_by_assistant_id created_at",
    "ai_breakers": "",
    "ai_rate_limits": "",
    "ai_budgets": "",
    "ai_leases": "app_type site_id target_id reserved_tokens expires_at",
    "ai_workers": "",
}
"""The tables of design.md, column by column. Lease columns and the guard's own are free to differ."""

JSONB = [("ai_trigger_jobs", "payload"), ("ai_trigger_jobs", "step_results"), ("ai_cache", "result_json")]

CATALOG = text(
    """
    select 'column' as kind, table_name || '.' || column_name as name,
        concat_ws(' ', data_type, is_nullable, column_default, is_identity) as is
    from information_schema.columns where table_schema = 'biz'
    union all select 'index', indexname, indexdef from pg_indexes where schemaname = 'biz'
    union all select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'biz'::regnamespace
    union all select 'function', oid::regprocedure::text, md5(prosrc)
        from pg_proc where pronamespace = 'biz'::regnamespace
    union all select 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
        from pg_trigger where tgrelid::regclass::text like 'biz.%' and not tgisinternal
    union all select 'view', viewname, md5(definition) from pg_views where schemaname = 'biz'
    union all select 'oid', relname, oid::text from pg_class where relnamespace = 'biz'::regnamespace
    union all select 'version', 'version', version_num from biz.ai_schema_version
    order by 1, 2, 3
    """
)


def catalog(url: str) -> list:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return list(connection.execute(CATALOG))
    finally:
        engine.dispose()


@pytest.mark.parametrize("table", CONTRACT)
def test_every_table_and_column_of_the_contract_is_there_by_its_name(
    module_engine: Engine, table: str
) -> None:
    columns = {column["name"] for column in inspect(module_engine).get_columns(table, schema="biz")}
    assert columns >= set(CONTRACT[table].split())


@pytest.mark.parametrize(("table", "column"), JSONB)
def test_what_the_contract_calls_jsonb_is_jsonb(module_engine: Engine, table: str, column: str) -> None:
    types = {c["name"]: str(c["type"]) for c in inspect(module_engine).get_columns(table, schema="biz")}
    assert types[column] == "JSONB"


def test_head_is_the_newest_migration_script() -> None:
    scripts = sorted((Path(migrate.__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))
    assert scripts[-1].name.startswith(f"{migrate.HEAD}_")
    assert all(f'revision = "{script.name[:4]}"' in script.read_text("utf-8") for script in scripts)


def test_every_sql_script_belongs_to_a_migration() -> None:
    folder = Path(migrate.__file__).parent / "migrations"
    named = "".join(script.read_text("utf-8") for script in (folder / "versions").glob("[0-9]*.py"))
    assert [script.name for script in (folder / "sql").iterdir() if f'"{script.name}"' not in named] == []


def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    assert migrate.upgrade(empty_database_url) == (None, migrate.HEAD)
    before = catalog(empty_database_url)
    assert migrate.upgrade(empty_database_url) == (migrate.HEAD, migrate.HEAD)
    assert catalog(empty_database_url) == before
    assert len(before) > 100


@pytest.mark.parametrize(
    ("name", "variable", "values"),
    [
        ("timezone", "AI_TIMEZONE", ("Asia/Shanghai", "America/New_York", "Europe/Berlin")),
        ("alert_language", "AI_ALERT_LANGUAGE", ("zh", "en", "zh")),
    ],
)
def test_migrating_stores_what_all_processes_share_and_another_value_is_warned_of(
    empty_database_url: str,
    caplog: pytest.LogCaptureFixture,
    name: str,
    variable: str,
    values: tuple[str, str, str],
) -> None:
    first, second, third = values
    engine = make_engine(empty_database_url)
    for given, stored in (({}, first), ({name: second}, second), (None, second), ({name: third}, third)):
        migrate.upgrade(empty_database_url, given)
        with engine.connect() as connection:
            assert warn_of_differences(connection, Settings(**{variable: stored})) == []
            assert caplog.records == []
            other = next(value for value in values if value != stored)
            assert warn_of_differences(connection, Settings(**{variable: other})) == [name]
        assert caplog.records[-1].args == (variable, other, stored)
        caplog.clear()
    engine.dispose()


def test_migrating_again_keeps_what_is_in_the_tables(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("select biz.fire_ai_event('nonsense', 1)"))
    migrate.upgrade(empty_database_url)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from biz.ai_trigger_jobs")).scalar_one() == 1
    engine.dispose()


def test_a_database_of_the_first_revision_with_rows_in_it_is_brought_on(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(migrate, "HEAD", "0001")
        assert migrate.upgrade(empty_database_url) == (None, "0001")
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) values ('consumption', 1, 5)"
            )
        )
        connection.execute(
            text("insert into biz.ai_workers (id, kind, host, pid) values ('w1', 'event_worker', 'h', 1)")
        )
    assert migrate.upgrade(empty_database_url) == ("0001", migrate.HEAD)
    with engine.begin() as connection:
        jobs = claims.claim_member_jobs(
            connection, owner="w1", run_id=None, lease_s=60.0, limit=16, after_site=None
        )
        assert [job.member_id for job in jobs] == [5]
        assert workers.alive(connection) == workers.Alive(workers=1, free=1)
    engine.dispose()


def test_four_at_once_wait_for_each_other_and_one_does_it(empty_database_url: str) -> None:
    start = threading.Barrier(4)

    def upgrade(_number: int) -> tuple[str | None, str]:
        start.wait(20)
        return migrate.upgrade(empty_database_url)

    with ThreadPoolExecutor(4) as pool:
        results = sorted(pool.map(upgrade, range(4)), key=str)
    assert results == [(migrate.HEAD, migrate.HEAD)] * 3 + [(None, migrate.HEAD)]


def test_migrating_waits_for_one_that_holds_the_lock(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    with ThreadPoolExecutor(1) as pool, engine.connect() as holder:
        holder.execute(text("select pg_advisory_lock(hashtext('ai_assets.migrate'))"))
        waiting = pool.submit(migrate.upgrade, empty_database_url)
        seen = threading.Event()
        for _ in range(1000):
            blocked = holder.execute(
                text("select count(*) from pg_locks where locktype = 'advisory' and not granted")
            )
            if blocked.scalar_one():
                break
            seen.wait(0.01)
        assert not waiting.done()
        assert migrate.current_revision(holder) is None
        holder.execute(text("select pg_advisory_unlock(hashtext('ai_assets.migrate'))"))
        assert waiting.result(30) == (None, migrate.HEAD)
    engine.dispose()


def test_a_database_that_is_newer_than_the_code_is_refused_and_left_alone(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("update biz.ai_schema_version set version_num = '0999'"))
    before = catalog(empty_database_url)
    with pytest.raises(SchemaVersionError, match=r"0999.*newer than the code.*install"):
        migrate.upgrade(empty_database_url)
    with engine.connect() as connection, pytest.raises(SchemaVersionError, match="0999"):
        migrate.require_current(connection)
    assert catalog(empty_database_url) == before
    engine.dispose()


def test_an_unmigrated_database_is_refused_with_what_to_do(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    with engine.connect() as connection:
        with pytest.raises(SchemaVersionError, match="has no ai_assets tables: run `ai-assets db upgrade`"):
            migrate.require_current(connection)
        assert connection.execute(text("select 1")).scalar_one() == 1
    engine.dispose()


def test_a_migrated_one_is_fine(module_engine: Engine) -> None:
    with module_engine.connect() as connection:
        migrate.require_current(connection)
        assert migrate.current_revision(connection) == migrate.HEAD


def test_a_table_of_another_software_in_the_way_is_one_clear_line_and_nothing_is_half_made(
    empty_database_url: str,
) -> None:
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("create schema biz"))
        connection.execute(text("create table biz.ai_cache (theirs text)"))
    with pytest.raises(
        ConfigurationError, match=r'cannot be made .* relation "ai_cache" already exists'
    ) as error:
        migrate.upgrade(empty_database_url)
    assert "\n" not in str(error.value)
    assert inspect(engine).get_table_names(schema="biz") == ["ai_cache"]
    with engine.begin() as connection:
        connection.execute(text("drop table biz.ai_cache"))
    engine.dispose()
    assert migrate.upgrade(empty_database_url) == (None, migrate.HEAD), "the lock was given back"


def test_a_user_without_rights_is_told_so(empty_database_url: str, new_login) -> None:
    poor = new_login(empty_database_url)
    with pytest.raises(ConfigurationError, match="permission denied"):
        migrate.upgrade(poor)
    migrate.upgrade(empty_database_url)
    engine = make_engine(poor)
    with engine.connect() as connection, pytest.raises(ConfigurationError, match=r"permission denied.*grant"):
        migrate.require_current(connection)
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://root:secret@host/db", "sqlite:///x.db", "host:5432/db", ""])
def test_a_url_that_is_not_postgres_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not a Postgres URL") as error:
        migrate.upgrade(url)
    assert "secret" not in str(error.value)


def test_a_server_that_cannot_be_reached_is_named_as_that() -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"cannot be reached \(migrating\).*port 1") as error:
        migrate.upgrade("postgresql+psycopg2://user:secret@127.0.0.1:1/db")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_database_that_there_is_not_is_named(server_url: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match='database "there_is_none" does not exist'):
        migrate.upgrade(with_database(server_url, "there_is_none"))
