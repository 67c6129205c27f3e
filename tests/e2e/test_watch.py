"""`ai-assets watch` as a process: a line for each alert and cache news, and a clean end at Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.alert_row import add_alert

CLI = str(Path(sys.executable).parent / "ai-assets")
LONG_S = 60


def environment(database_url: str) -> dict[str, str]:
    """This process's environment with nothing of this project's but the database."""
    plain = {
        name: v for name, v in os.environ.items() if not name.startswith(("AI_", "DASHSCOPE_", "DAGSTER_"))
    }
    return {**plain, "AI_DATABASE_URL": database_url, "TERM": "xterm"}


class Watch:
    """The command with its two streams read line by line."""

    def __init__(self, database_url: str, *arguments: str, terminal: bool = False) -> None:
        output = subprocess.PIPE
        if terminal:
            self._screen, output = pty.openpty()
        self.process = subprocess.Popen(
            [CLI, "watch", *arguments],
            env=environment(database_url),
            stdout=output,
            stderr=subprocess.PIPE,
        )
        if terminal:
            os.close(output)
        out = os.fdopen(self._screen, "rb") if terminal else self.process.stdout
        self._readers: list[threading.Thread] = []
        self.out: queue.Queue[str] = queue.Queue()
        self.err: queue.Queue[str] = queue.Queue()
        for stream, lines in ((out, self.out), (self.process.stderr, self.err)):
            reader = threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            reader.start()
            self._readers.append(reader)

    @staticmethod
    def _read(stream, lines: queue.Queue[str]) -> None:
        # OSError: a terminal whose other end has closed
        with stream, suppress(OSError):
            for line in stream:
                lines.put(line.decode().rstrip("\r\n"))

    def line(self) -> str:
        return self.out.get(timeout=LONG_S)

    def told(self) -> str:
        """The next line on standard error."""
        return self.err.get(timeout=LONG_S)

    def close(self) -> None:
        """Kill what is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LONG_S)
        for reader in self._readers:
            reader.join(LONG_S)

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(LONG_S)


@pytest.fixture
def watch(database_url: str) -> Iterator[Callable[..., Watch]]:
    started: list[Watch] = []

    def start(*arguments: str, terminal: bool = False) -> Watch:
        watching = Watch(database_url, *arguments, terminal=terminal)
        started.append(watching)
        assert watching.told() == "listening for alerts and cache news; Ctrl-C ends it"
        return watching

    yield start
    for watching in started:
        watching.close()


def alert(engine: Engine, message: str, site: int | None = 1001, kind: str = "timeout") -> None:
    add_alert(engine, message, alert_type=kind, site=site, log=12, window_s=300)


def cache_news(engine: Engine, target: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id,"
                " prompt_hash) values ('app3_clue', 1001, :target, '{}', 'consumption', 9, 'h')"
            ),
            {"target": target},
        )


def test_an_alert_and_cache_news_are_a_line_each_and_ctrl_c_ends_it_with_0(watch, engine):
    watching = watch()
    alert(engine, "app3 超时了")
    cache_news(engine, "555")
    first, second = watching.line(), watching.line()
    day, time_, rest = first.split(" ", 2)
    datetime.fromisoformat(f"{day} {time_}")
    assert rest == " site 1001  ALERT timeout app3_clue: app3 超时了 (run log 12)"
    assert second.endswith("  site 1001  updated app3_clue 555 by consumption")
    assert watching.end() == 0
    assert watching.told() == "stopped"


def test_a_polite_kill_ends_it_too(watch):
    assert watch().end(signal.SIGTERM) == 0


def test_a_site_is_told_of_itself_and_of_what_concerns_every_site(watch, engine):
    watching = watch("--site", "1002", "--json")
    alert(engine, "of another site", site=1001)
    alert(engine, "of none", site=None)
    alert(engine, "of this site", site=1002)
    told = [json.loads(watching.line()) for _ in range(2)]
    assert [line["message"] for line in told] == ["of none", "of this site"]
    assert told[1] == {
        "at": told[1]["at"],
        "channel": "ai_alert",
        "site_id": 1002,
        "app_type": "app3_clue",
        "alert_type": "timeout",
        "message": "of this site",
        "log_id": 12,
    }
    assert abs((datetime.now(UTC) - datetime.fromisoformat(told[1]["at"])).total_seconds()) < LONG_S


HOSTILE = "a\x1b[2Jb\nc\rd\x9be\u202ef\x07 字"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_control_character_of_a_message_reaches_the_terminal(watch, engine, form):
    watching = watch(*form)
    alert(engine, HOSTILE)
    # another kind: the same one would only be counted on the first
    alert(engine, "next", kind="failed")
    first, second = watching.line(), watching.line()
    assert not set("\x1b\r\x9b\u202e\x07") & set(first)
    assert "next" in second
    if form:
        assert json.loads(first)["message"] == HOSTILE
    else:
        assert first.count("�") == 6
        assert "字" in first


def test_an_alert_is_red_on_a_terminal(watch, engine):
    watching = watch(terminal=True)
    alert(engine, "x")
    cache_news(engine, "555")
    assert watching.line().startswith("\x1b[31m")
    assert "\x1b" not in watching.line()


def test_a_lost_connection_is_told_and_made_again(watch, engine):
    watching = watch()
    with engine.begin() as connection:
        ended = connection.execute(
            text(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = current_database() and application_name = 'ai_assets listen'"
            )
        ).scalar_one()
    assert ended == 1
    assert watching.told().startswith("the connection is lost (")
    assert watching.told() == "listening for alerts and cache news again; what happened in between was missed"
    alert(engine, "after")
    assert ": after" in watching.line()


def test_a_database_that_is_away_or_without_tables_is_one_line_and_no_endless_try(empty_database_url: str):
    for url, code, said in (
        ("postgresql://nobody@127.0.0.1:1/none", 1, "Postgres cannot be reached"),
        (empty_database_url, 2, "ai-assets db upgrade"),
    ):
        done = subprocess.run(
            [CLI, "watch"],
            env=environment(url),
            capture_output=True,
            text=True,
            timeout=LONG_S,
            check=False,
        )
        assert done.returncode == code
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
