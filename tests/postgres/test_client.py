"""A backend's own connection sends events in its own transaction, whichever driver made it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from ai_assets.client import fire_event, fire_event_async

Sending = Iterator[Any]


def dsn(inbox_of) -> str:
    """The test's database, for a driver without SQLAlchemy."""
    url = inbox_of.engine.url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


@contextmanager
def by_sqlalchemy(inbox_of) -> Sending:
    with inbox_of.engine.connect() as connection:
        yield connection


@contextmanager
def by_a_session(inbox_of) -> Sending:
    with Session(inbox_of.engine) as session:
        yield session


@contextmanager
def by_psycopg2(inbox_of) -> Sending:
    with closing(psycopg2.connect(dsn(inbox_of))) as connection:
        yield connection


@contextmanager
def by_psycopg2_with_dicts(inbox_of) -> Sending:
    with closing(
        psycopg2.connect(dsn(inbox_of), cursor_factory=psycopg2.extras.RealDictCursor)
    ) as connection:
        yield connection


@contextmanager
def by_psycopg(inbox_of) -> Sending:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(dsn(inbox_of)) as connection:
        yield connection


@contextmanager
def by_psycopg_with_dicts(inbox_of) -> Sending:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(dsn(inbox_of), row_factory=psycopg.rows.dict_row) as connection:
        yield connection


@contextmanager
def by_sqlalchemy_on_psycopg(inbox_of) -> Sending:
    pytest.importorskip("psycopg")
    engine = create_engine(make_url(dsn(inbox_of)).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def by_django(inbox_of) -> Sending:
    django = pytest.importorskip("django")
    from django.conf import settings
    from django.db.backends.postgresql.base import DatabaseWrapper
    from django.db.utils import ConnectionHandler

    if not settings.configured:
        settings.configure(LOGGING_CONFIG=None)
        django.setup()
    url = make_url(dsn(inbox_of))
    given = {"NAME": url.database, "USER": url.username, "PASSWORD": url.password or "",
             "HOST": url.host or url.query.get("host", ""), "PORT": url.port or "",
             "ENGINE": "django.db.backends.postgresql", "AUTOCOMMIT": False}  # fmt: skip
    connection = ConnectionHandler({"default": given})["default"]
    assert isinstance(connection, DatabaseWrapper)
    with closing(connection):
        yield connection


DRIVERS = [
    by_sqlalchemy,
    by_a_session,
    by_psycopg2,
    by_psycopg2_with_dicts,
    by_psycopg,
    by_psycopg_with_dicts,
    by_sqlalchemy_on_psycopg,
    by_django,
]


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_event_is_sent_in_the_callers_transaction_and_no_other(inbox_of, driver):
    with driver(inbox_of) as connection:
        fire_event(connection, "ai_dws_completed", {"site_id": 1001})
        connection.rollback()
        assert inbox_of.count("biz.ai_trigger_jobs") == 0
        job_id = fire_event(connection, "ai_dws_completed", {"site_id": 1001})
        assert inbox_of.count("biz.ai_trigger_jobs") == 0
        connection.commit()
    job = inbox_of.job(job_id)
    assert (job.status, job.event_type, job.site_id) == ("pending", "dws_completed", 1001)


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_argument_arrives_and_bad_input_leaves_the_transaction_whole(inbox_of, driver):
    payload = {"note": "100% 好\x00 ' :x %(y)s", "odd": float("nan")}
    with driver(inbox_of) as connection:
        sent = fire_event(
            connection,
            "consumption",
            payload,
            site_id=1001,
            member_id=5,
            is_forced=True,
            connector_type="pos",
        )
        bad = [
            fire_event(connection, "teleport\x00", {}),
            fire_event(connection, "consumption", {"member_id": "abc"}, site_id=1001),
            fire_event(connection, "consumption", site_id=10**30, member_id=5),
        ]
        connection.commit()
    job = inbox_of.job(sent)
    assert (job.status, job.site_id, job.member_id, job.is_forced) == ("pending", 1001, 5, True)
    assert job.payload == {"note": "100% 好� ' :x %(y)s", "odd": None}
    assert inbox_of.value("select connector_type from biz.ai_trigger_jobs where id = :id", id=sent) == "pos"
    assert {inbox_of.job(job_id).status for job_id in bad} == {"failed"}


@pytest.mark.parametrize("kind", ["psycopg", "sqlalchemy"])
def test_connections_of_asyncio_send_too(inbox_of, kind):
    psycopg = pytest.importorskip("psycopg")
    pytest.importorskip("greenlet")
    from sqlalchemy.ext.asyncio import create_async_engine

    async def by_psycopg_itself() -> int:
        async with await psycopg.AsyncConnection.connect(dsn(inbox_of)) as connection:
            return await fire_event_async(connection, "ai_dws_completed", {"site_id": 1001})

    async def by_sqlalchemy_itself() -> int:
        engine = create_async_engine(make_url(dsn(inbox_of)).set(drivername="postgresql+psycopg"))
        async with engine.begin() as connection:
            job_id = await fire_event_async(connection, "ai_dws_completed", {"site_id": 1001})
        await engine.dispose()
        return job_id

    job_id = asyncio.run(by_psycopg_itself() if kind == "psycopg" else by_sqlalchemy_itself())
    assert inbox_of.job(job_id).status == "pending"


def test_the_client_needs_the_standard_library_alone():
    code = (
        "import sys; before = set(sys.modules); import ai_assets.client;"
        "found = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(found - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['ai_assets']"
