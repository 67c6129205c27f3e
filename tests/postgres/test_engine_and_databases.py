"""Engines: what a connection is like, what counts as unreachable; making a database where it is missing."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError
from ai_assets.store.databases import ensure_database
from ai_assets.store.embedded import with_database
from ai_assets.store.engine import Statements, autocommitting, first_line, make_engine, reachable

NOBODY = "postgresql+psycopg2://user:secret@127.0.0.1:1/db"


def test_connections_speak_utc_and_read_what_is_committed_whatever_the_servers_defaults(database_url):
    engine = make_engine(database_url, application_name="who asks")
    name = engine.url.database
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(f"alter database {name} set default_transaction_isolation = 'repeatable read'")
        )
        connection.execute(text(f"alter database {name} set timezone = 'America/Lima'"))
    engine.dispose()
    with engine.connect() as connection:
        shown = [
            connection.execute(text(f"show {setting}")).scalar_one()
            for setting in ("timezone", "transaction_isolation", "application_name")
        ]
    engine.dispose()
    assert shown == ["UTC", "read committed", "who asks"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_way_to_write_a_postgres_url_means_the_driver_that_is_installed(scheme):
    engine = make_engine(f"{scheme}://user:pass@host/db")
    assert engine.url.drivername == "postgresql+psycopg2"
    assert "pass" not in repr(engine)


@pytest.mark.parametrize(
    "url", ["postgresql://u:sec@ret@host:5432/db", "postgresql://u@host:secret/db", "postgresql://[::1/db"]
)
def test_a_url_that_cannot_be_read_is_refused_without_quoting_it(url):
    with pytest.raises(ConfigurationError, match="AI_DATABASE_URL cannot be read") as error:
        make_engine(url)
    assert (error.value.__cause__, error.value.__context__) == (None, None)
    assert "ret" not in str(error.value)


def test_a_refused_connection_is_database_unavailable_with_one_line_that_names_what_was_done():
    engine = make_engine(NOBODY)
    with (
        pytest.raises(DatabaseUnavailableError, match=r"^Postgres cannot be reached \(looking\): ") as error,
        reachable("looking"),
    ):
        engine.connect()
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_server_that_is_no_postgres_is_database_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(100)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        engine = make_engine(f"postgresql://u@127.0.0.1:{server.getsockname()[1]}/db?sslmode=prefer")
        with pytest.raises(DatabaseUnavailableError), reachable("looking"), engine.connect():
            pass
        thread.join(10)


def test_a_connection_that_is_cut_is_database_unavailable_and_the_next_one_works(engine: Engine):
    with engine.connect() as connection:
        pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
        with engine.connect() as other:
            other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DatabaseUnavailableError), reachable("asking"):
            connection.execute(text("select 1"))
    with reachable("asking"), engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1


def test_a_connection_that_was_ended_while_it_lay_idle_is_replaced_before_it_is_used(engine: Engine):
    def backend() -> int:
        with engine.connect() as connection:
            return connection.execute(text("select pg_backend_pid()")).scalar_one()

    first = backend()
    assert backend() == first, "an idle connection that is well is used again"
    other = make_engine(engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        connection.execute(text("select pg_terminate_backend(:pid, 10000)"), {"pid": first})
    other.dispose()
    assert backend() != first


def test_each_statement_of_an_autocommitting_connection_is_kept_and_the_next_user_has_transactions(
    database_url,
):
    engine = make_engine(database_url, pool_size=1)
    with autocommitting(engine) as connection:
        pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
        connection.execute(text("create table kept (n int)"))
        connection.execute(text("insert into kept values (1)"))
        connection.rollback()
    with engine.connect() as connection:
        assert connection.execute(text("select pg_backend_pid()")).scalar_one() == pid
        assert connection.execute(text("select count(*) from kept")).scalar_one() == 1
        connection.execute(text("insert into kept values (2)"))
        connection.rollback()
        assert connection.execute(text("select count(*) from kept")).scalar_one() == 1
    engine.dispose()


def test_an_autocommitting_connection_that_is_ended_leaves_its_place_in_the_pool(database_url):
    engine = make_engine(database_url, pool_size=1)
    other = make_engine(database_url)

    def ended() -> None:
        with reachable("ending"), autocommitting(engine) as connection:
            pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
            with other.connect() as ender:
                ender.execute(text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            connection.execute(text("select 1"))

    for _ in range(4):
        with pytest.raises(DatabaseUnavailableError):
            ended()
    assert engine.pool.checkedout() == 0
    with engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1
    engine.dispose()
    other.dispose()


def test_a_pool_that_is_used_up_is_database_unavailable(database_url):
    engine = make_engine(database_url, pool_size=1)
    engine.pool._timeout = 0.05
    held = [engine.connect(), engine.connect()]
    with pytest.raises(DatabaseUnavailableError, match="QueuePool limit"), reachable("asking"):
        engine.connect()
    for connection in held:
        connection.close()
    engine.dispose()


def test_an_error_of_a_statement_is_not_taken_for_a_lost_connection(engine: Engine):
    with pytest.raises(DataError), reachable("asking"), engine.connect() as connection:
        connection.execute(text("select 'x'::jsonb"))
    with engine.connect() as connection:
        connection.execute(text("set statement_timeout = 10"))
        with pytest.raises(DatabaseUnavailableError, match=r"busy.*statement timeout"), reachable("asking"):
            connection.execute(text("select pg_sleep(5)"))


def test_whoever_must_end_can_cancel_what_an_engines_connections_wait_for(database_url: str):
    engine = make_engine(database_url)
    statements = Statements(engine)
    said: list[str] = []

    def wait_long() -> None:
        try:
            with reachable("waiting"), engine.connect() as connection:
                connection.execute(text("select pg_sleep(60)"))
        except DatabaseUnavailableError as error:
            said.append(str(error))

    thread = threading.Thread(target=wait_long)
    thread.start()
    while not said and thread.is_alive():
        statements.cancel()
        thread.join(0.05)
    assert "busy" in said[0]
    with engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1
    engine.dispose()


def test_the_first_line_of_an_error_has_neither_sql_nor_parameters(engine: Engine):
    with pytest.raises(DataError) as error, engine.connect() as connection:
        connection.execute(text("select cast(:value as integer)"), {"value": "secret\nsecond line"})
    assert "22P02" in first_line(error.value)
    assert "secret" not in first_line(error.value)
    assert "\n" not in first_line(error.value)
    assert first_line(RuntimeError()) == "RuntimeError"


@pytest.fixture
def missing_url(server_url, database_url):
    """A URL on the server of a database that is not there; dropped afterwards."""
    name = "Ai assets test-made"
    yield with_database(server_url, name)
    with make_engine(server_url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'drop database if exists "{name}" with (force)'))
        connection.engine.dispose()


def test_a_missing_database_is_made_once(missing_url):
    assert ensure_database(missing_url) is True
    assert ensure_database(missing_url) is False
    engine = make_engine(missing_url)
    with engine.connect() as connection:
        assert connection.execute(text("select current_database()")).scalar_one() == "Ai assets test-made"
    engine.dispose()


def test_of_two_that_make_it_at_once_neither_fails(missing_url):
    start = threading.Barrier(2)

    def make(_number: int) -> bool:
        start.wait(20)
        return ensure_database(missing_url)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(make, range(2)))
    assert True in results
    assert ensure_database(missing_url) is False


def test_a_server_that_is_away_a_url_without_a_database_or_of_another_kind_are_told_apart(database_url):
    with pytest.raises(DatabaseUnavailableError, match="port 1"):
        ensure_database(NOBODY)
    with pytest.raises(ConfigurationError, match="names no database"):
        ensure_database("postgresql://user@host")
    with pytest.raises(ConfigurationError, match="not a Postgres URL"):
        ensure_database("mysql://user@host/db")


def test_a_user_who_may_not_make_databases_is_told_what_to_do(missing_url, new_login):
    with pytest.raises(ConfigurationError, match=r"cannot be made by this user .*permission denied.*by hand"):
        ensure_database(new_login(missing_url))
