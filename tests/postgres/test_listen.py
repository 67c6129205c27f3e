"""Listening: news come after the commit and never after a rollback, and a lost connection is made again."""

from __future__ import annotations

import json
import logging
import os
import queue
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import pytest
from sqlalchemy import Engine, text

from ai_assets.errors import ConfigurationError
from ai_assets.store import listen as listen_module
from ai_assets.store.listen import (
    ALERTS,
    CACHE_UPDATES,
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    Heard,
    Listening,
    Lost,
    State,
    listen,
)
from tests.alert_row import add_alert

LONG_S = 30
"""How long a test waits for what must come: reached only where it does not."""


class Listener:
    """`listen` in a thread: what it heard and how its connection stands, each in order."""

    def __init__(self, engine: Engine, **how: object) -> None:
        self.heard: queue.Queue[Heard] = queue.Queue()
        self.states: queue.Queue[State] = queue.Queue()
        self.stop = threading.Event()
        url = engine.url.render_as_string(hide_password=False)
        self._news = listen(url, stop=self.stop, on_state=self.states.put, **how)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for heard in self._news:
            self.heard.put(heard)

    def next(self) -> Heard:
        return self.heard.get(timeout=LONG_S)

    def state(self) -> State:
        return self.states.get(timeout=LONG_S)


@pytest.fixture
def listening(db) -> Iterator[Callable[..., Listener]]:
    started: list[Listener] = []

    def start(**how: object) -> Listener:
        listener = Listener(db.engine, **how)
        listener.thread.start()
        started.append(listener)
        assert listener.state() == Listening(again=False)
        return listener

    yield start
    for listener in started:
        listener.stop.set()
        listener.thread.join(LONG_S)
        assert not listener.thread.is_alive()


def alert(engine: Engine, message: str = "x", site: int | None = 1001) -> None:
    # each a row of its own: a repetition is not news
    add_alert(engine, message, site=site)


def tell(engine: Engine, channel: str, payload: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("select pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload}
        )


def end_listeners(db) -> int:
    return db.value(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where datname = current_database() and application_name = 'ai_assets listen'"
    )


@contextmanager
def insert_of_a_cache_row(engine: Engine, target: str):
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(
            text(
                "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id,"
                " prompt_hash) values ('app3_clue', 1001, :target, '{}', 'consumption', 9, 'h')"
            ),
            {"target": target},
        )
        yield transaction


def test_an_alert_is_heard_with_its_channel_and_payload(db, listening):
    listener = listening()
    alert(db.engine, "坏了 \x1b[31m")
    assert listener.next() == Heard(
        ALERTS,
        {
            "site_id": 1001,
            "app_type": "app3_clue",
            "alert_type": "failed",
            "message": "坏了 \x1b[31m",
            "log_id": 5,
        },
    )


def test_cache_news_come_after_the_commit_and_never_after_a_rollback(db, listening):
    listener = listening()
    with insert_of_a_cache_row(db.engine, "rolled back") as transaction:
        transaction.rollback()
    with insert_of_a_cache_row(db.engine, "555") as transaction:
        alert(db.engine, "told before the commit")
        assert listener.next().channel == ALERTS
        transaction.commit()
    news = listener.next()
    assert (news.channel, news.payload["target_id"]) == (CACHE_UPDATES, "555")
    assert listener.heard.empty()


def test_many_news_come_in_the_order_of_their_commits(db, listening):
    listener = listening()
    for number in range(200):
        alert(db.engine, str(number))
    assert [listener.next().payload["message"] for _ in range(200)] == [str(n) for n in range(200)]


def test_only_the_channels_asked_for_are_heard(db, listening):
    listener = listening(channels=(CACHE_UPDATES,))
    alert(db.engine)
    tell(db.engine, "something_else", "{}")
    tell(db.engine, CACHE_UPDATES, '{"n": 1}')
    assert listener.next() == Heard(CACHE_UPDATES, {"n": 1})


@pytest.mark.parametrize("payload", ["", "not JSON", "[1]", '"text"', "null", "[" * 3000])
def test_a_payload_that_is_no_json_object_is_skipped_with_a_log_line(db, listening, caplog, payload):
    with caplog.at_level(logging.WARNING, logger="ai_assets.store.listen"):
        listener = listening()
        tell(db.engine, ALERTS, payload)
        tell(db.engine, ALERTS, '{"n": 2}')
        assert listener.next().payload == {"n": 2}
    assert [record.getMessage() for record in caplog.records] == [
        "skipped news on ai_alert: the payload is not a JSON object"
    ]


def test_a_killed_connection_is_made_again_and_what_comes_after_is_heard(db, listening):
    waited: list[float] = []
    listener = listening(pause=waited.append)
    for _ in range(2):
        assert end_listeners(db) == 1
        lost = listener.state()
        assert isinstance(lost, Lost)
        assert lost.error
        assert "\n" not in lost.error
        assert listener.state() == Listening(again=True)
        alert(db.engine, "after")
        assert listener.next().payload["message"] == "after"
    # a connection that stood starts the waits anew
    assert waited == [FIRST_WAIT_S, FIRST_WAIT_S]


def test_the_waits_grow_to_a_bound_while_the_server_cannot_be_reached():
    stop = threading.Event()
    waited: list[float] = []
    states: list[State] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 10:
            stop.set()

    news = listen("postgresql://nobody@127.0.0.1:1/none", stop=stop, on_state=states.append, pause=pause)
    assert list(news) == []
    assert waited == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert waited[-1] == LONGEST_WAIT_S
    assert all(isinstance(state, Lost) for state in states)


def test_without_a_callback_a_loss_and_the_return_are_logged(db, caplog):
    stop = threading.Event()
    with caplog.at_level(logging.INFO, logger="ai_assets.store.listen"):
        url = db.engine.url.render_as_string(hide_password=False)
        news = listen(url, stop=stop, pause=lambda _seconds: None)
        told = threading.Event()
        heard: list[Heard] = []

        def run() -> None:
            for item in news:
                heard.append(item)
                told.set()
                if item.payload.get("last"):
                    stop.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while not told.wait(0.05):
            tell(db.engine, ALERTS, "{}")
        end_listeners(db)
        while not stop.wait(0.05):
            tell(db.engine, ALERTS, json.dumps({"last": True}))
        thread.join(LONG_S)
        assert not thread.is_alive()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("no longer listening (")
    assert lines[1] == "listening again; news in between were missed"


def test_closing_the_generator_closes_its_connection(db):
    url = db.engine.url.render_as_string(hide_password=False)

    def on_state(_state: State) -> None:
        tell(db.engine, ALERTS, "{}")

    news = listen(url, on_state=on_state)
    assert len(list(islice(news, 1))) == 1
    count = (
        "select count(*) from pg_stat_activity"
        " where application_name = 'ai_assets listen' and datname = current_database()"
    )
    assert db.value(count) == 1
    news.close()
    # the server needs a moment to see it: ask until it has
    seen = threading.Event()
    for _ in range(200):
        if db.value(count) == 0:
            break
        seen.wait(0.05)
    assert db.value(count) == 0


@pytest.fixture
def crowded() -> Iterator[int]:
    """Every file descriptor up to 1,023 is in use; the number of the next one."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] != resource.RLIM_INFINITY and limits[1] < 2048:
        pytest.skip("this machine allows no 2,048 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while taken[-1] <= 1024:
            taken.append(os.dup(taken[0]))
        yield taken[-1]
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_connection_with_a_high_file_descriptor_is_heard_and_made_again(db, crowded, listening):
    listener = listening(pause=lambda _seconds: None)
    alert(db.engine, "first")
    assert listener.next().payload["message"] == "first"
    assert end_listeners(db) == 1
    assert isinstance(listener.state(), Lost)
    assert listener.state() == Listening(again=True)
    alert(db.engine, "second")
    assert listener.next().payload["message"] == "second"


def test_a_failure_that_is_no_database_error_is_followed_by_later_and_later_tries(db, monkeypatch):
    stop = threading.Event()
    waited: list[float] = []
    states: list[State] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            stop.set()

    def fail(_connection: object, _seconds: float) -> bool:
        raise ValueError("filedescriptor out of range in select()")

    monkeypatch.setattr(listen_module, "wait_readable", fail)
    url = db.engine.url.render_as_string(hide_password=False)
    assert list(listen(url, stop=stop, on_state=states.append, pause=pause)) == []
    assert waited == [0.5, 1, 2, 4]
    # it never counted as listening
    assert all(isinstance(state, Lost) for state in states)


def test_a_url_that_is_not_postgres_is_an_error_and_no_endless_try():
    with pytest.raises(ConfigurationError):
        next(listen("mysql://root@127.0.0.1/db"))
