"""Shared servers and fresh databases for every test. One Postgres a session, one clone a test."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from ai_assets.samples.contract import create_contract_tables
from ai_assets.samples.venue import load_venue
from ai_assets.simulator.server import Simulator
from ai_assets.store import embedded
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade

_number = count(1)

VENUE_LAST_DAY = date(2026, 6, 30)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A real Postgres: the one in AI_TEST_DATABASE_URL, or an embedded one that ends with the session."""
    given = os.environ.get("AI_TEST_DATABASE_URL", "")
    if given:
        yield given
        return
    # not tmp_path: its parents are private to root, and the server runs as a user of its own
    home = Path(tempfile.mkdtemp(prefix="ai_assets_test_"))
    home.chmod(0o755)
    url = embedded.start(home)
    with _admin(url) as connection:
        for setting in (
            "fsync = off",
            "synchronous_commit = off",
            "full_page_writes = off",
            "max_connections = 300",
        ):
            connection.execute(text(f"alter system set {setting}"))
    embedded.stop(home)
    try:
        yield embedded.start(home)
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def _admin(url: str):
    return create_engine(url, isolation_level="AUTOCOMMIT").connect()


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a database with the migrated schema and the contract's empty tables, to clone from."""
    name = f"ai_assets_template_{os.getpid()}"
    with _admin(server_url) as connection:
        connection.execute(text(f"create database {name}"))
    url = embedded.with_database(server_url, name)
    upgrade(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        create_contract_tables(connection)
    engine.dispose()
    yield name
    with _admin(server_url) as connection:
        connection.execute(text(f"drop database {name} with (force)"))


def _new_database(server_url: str, template: str | None) -> str:
    name = f"ai_assets_test_{os.getpid()}_{next(_number)}"
    clause = f" template {template}" if template else ""
    with _admin(server_url) as connection:
        connection.execute(text(f"create database {name}{clause}"))
    return embedded.with_database(server_url, name)


def _name_of(url: str) -> str:
    return make_url(url).database or ""


def _drop_database(server_url: str, url: str) -> None:
    with _admin(server_url) as connection:
        connection.execute(text(f"drop database {_name_of(url)} with (force)"))


class Clones:
    """Clones of a template, made ahead of the tests that take them and dropped behind them: none waits for it."""

    AHEAD = 2

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._pool = ThreadPoolExecutor(self.AHEAD)
        self._ready = deque(self._made() for _ in range(self.AHEAD))
        self._dropped: list[Future[None]] = []

    def take(self) -> str:
        """The URL of a clone that nobody else has."""
        self._ready.append(self._made())
        return self._ready.popleft().result()

    def drop(self, url: str) -> None:
        """Give a clone back; it need not be there any more when this returns."""
        self._dropped.append(self._pool.submit(_drop_database, self._server_url, url))

    def close(self) -> None:
        """Drop what was made and not taken. Raises what went wrong with a drop."""
        for url in [ready.result() for ready in self._ready]:
            self.drop(url)
        for dropped in self._dropped:
            dropped.result()
        self._pool.shutdown()

    def _made(self) -> Future[str]:
        return self._pool.submit(_new_database, self._server_url, self._template)


@pytest.fixture(scope="session")
def clones(server_url: str, template: str) -> Iterator[Clones]:
    """Clones of the migrated, empty database."""
    made = Clones(server_url, template)
    yield made
    made.close()


@pytest.fixture
def database_url(clones: Clones) -> Iterator[str]:
    """A database of this test's own, migrated, with empty contract tables."""
    url = clones.take()
    yield url
    clones.drop(url)


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database of this test's own with nothing in it."""
    url = _new_database(server_url, None)
    yield url
    _drop_database(server_url, url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on this test's own database."""
    engine = make_engine(database_url, pool_size=20)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[Simulator]:
    """One simulator for all; a test that uses it takes `simulator`, which is reset."""
    with Simulator(seed=7, keep_prompts=500) as running:
        yield running


@pytest.fixture
def simulator(simulator_server: Simulator) -> Simulator:
    """The simulator, counting from zero and without any trouble."""
    simulator_server.reset()
    return simulator_server


@pytest.fixture(scope="session")
def venue_template(server_url: str, template: str) -> Iterator[str]:
    """The name of a database with the generated venue of two sites in it, to clone from."""
    url = _new_database(server_url, template)
    engine = make_engine(url)
    load_venue(engine, sites=2, days=400, end=VENUE_LAST_DAY)
    engine.dispose()
    yield _name_of(url)
    _drop_database(server_url, url)


@pytest.fixture(scope="session")
def venue_clones(server_url: str, venue_template: str) -> Iterator[Clones]:
    """Clones of the venue's database."""
    made = Clones(server_url, venue_template)
    yield made
    made.close()


@pytest.fixture
def venue_url(venue_clones: Clones) -> Iterator[str]:
    """A database of this test's own with the venue: sites 1001 and 1002, 400 days to VENUE_LAST_DAY."""
    url = venue_clones.take()
    yield url
    venue_clones.drop(url)


NewLogin = Callable[..., str]


@pytest.fixture
def new_login(server_url: str) -> Iterator[NewLogin]:
    """`new_login(url, *roles)` → the URL of that database for a login of its own, with these roles and no others."""
    made: list[str] = []

    def make(url: str, *roles: str) -> str:
        login, password = f"login_{secrets.token_hex(6)}", secrets.token_hex(8)
        with _admin(server_url) as connection:
            connection.execute(text(f"create role {login} login password '{password}'"))
            made.append(login)
            for role in roles:
                connection.execute(text(f"grant {role} to {login}"))
        return make_url(url).set(username=login, password=password).render_as_string(hide_password=False)

    yield make
    with _admin(server_url) as connection:
        for login in made:
            # a closed connection's backend lives on for a moment, and its temporary objects with it
            connection.execute(
                text("select pg_terminate_backend(pid, 30000) from pg_stat_activity where usename = :login"),
                {"login": login},
            ).all()
            connection.execute(text(f"drop role {login}"))
