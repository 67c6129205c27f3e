"""The embedded Postgres: where its data lies, started once, found running, stopped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.store import embedded
from ai_assets.store.engine import make_engine


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A folder all of whose parents any user may enter."""
    home = Path(tempfile.mkdtemp(prefix="ai_assets_embedded_", dir="/tmp"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


def test_under_a_parent_that_all_may_enter_the_data_goes_under_its_home(open_home):
    for home in (open_home, open_home / "not" / "there" / "yet"):
        folder = embedded.data_folder(home)
        assert (folder.path, folder.moved_because) == (home / "postgres", "")


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o701, 0o704])
def test_under_a_private_parent_roots_data_goes_to_var_tmp_and_a_line_says_so(open_home, mode):
    private = open_home / "private"
    private.mkdir()
    private.chmod(mode)
    home = private / "checkout" / "var"
    folder = embedded.data_folder(home, as_root=True)
    assert folder.path.is_relative_to("/var/tmp")
    assert folder.path.name == "postgres"
    assert str(private) in folder.moved_because
    assert str(folder.path) in folder.moved_because
    assert "\n" not in folder.moved_because
    assert embedded.data_folder(home, as_root=True) == folder, "the next start finds it again"
    assert embedded.data_folder(private / "other" / "var", as_root=True).path != folder.path
    assert embedded.data_folder(home, as_root=False) == embedded.DataFolder(home / "postgres")


def test_a_home_that_is_private_itself_counts_too(open_home):
    home = open_home / "var"
    home.mkdir()
    home.chmod(0o700)
    assert embedded.data_folder(home, as_root=True).path.is_relative_to("/var/tmp")


def test_unless_told_the_folder_is_that_of_whoever_runs_this(open_home):
    home = open_home / "var"
    home.mkdir()
    home.chmod(0o700)
    assert embedded.data_folder(home) == embedded.data_folder(home, as_root=os.geteuid() == 0)


def test_a_home_that_was_never_started_does_not_run_and_cannot_be_stopped(open_home):
    assert embedded.running(open_home) is None
    assert embedded.stop(open_home) is False
    assert list(open_home.iterdir()) == [], "looking makes nothing"


def test_it_is_started_once_found_running_stopped_and_keeps_its_data(open_home):
    url = embedded.start(open_home)
    assert embedded.start(open_home) == url
    assert embedded.running(open_home) is not None
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table kept as select 1 as one"))
    with engine.connect() as connection:
        connection.execute(text("select * from kept"))
        assert embedded.stop(open_home) is True, "an open transaction does not hold the stop up"
        with pytest.raises(DBAPIError):
            connection.execute(text("select * from kept"))
    assert embedded.running(open_home) is None
    assert embedded.stop(open_home) is False
    assert embedded.start(open_home) == url
    with engine.connect() as connection:
        assert connection.execute(text("select one from kept")).scalar_one() == 1
    engine.dispose()
    embedded.stop(open_home)


def test_a_folder_that_holds_something_else_is_one_clear_line(open_home):
    (open_home / "postgres").mkdir()
    (open_home / "postgres" / "PG_VERSION").write_text("nonsense")
    with pytest.raises(
        DatabaseUnavailableError, match=f"the embedded Postgres in {open_home}/postgres did not start"
    ):
        embedded.start(open_home)


def test_the_same_server_serves_other_databases():
    url = "postgresql+psycopg2://postgres:pass@/postgres?host=%2Ftmp%2Fx"
    assert (
        embedded.with_database(url, "other") == "postgresql+psycopg2://postgres:pass@/other?host=%2Ftmp%2Fx"
    )
