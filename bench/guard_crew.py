"""Processes of callers (`bench.guard_worker`), told together what to do. Not here: what is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

PROCESSES = 4

_CONNECTED = text("select count(*) from pg_stat_activity where application_name = :name")
_ROOT = str(Path(__file__).parents[1])


class Crew:
    """Four processes. One that was killed is replaced before the next job."""

    def __init__(self, url: str, connections: int) -> None:
        self._url = url
        self._connections = str(connections)
        self._number = 0
        self._members = [self._start() for _ in range(PROCESSES)]

    def _start(self) -> tuple[str, subprocess.Popen[str]]:
        self._number += 1
        name = f"guard_worker_{self._number}"
        command = [sys.executable, "-m", "bench.guard_worker", self._url, name, self._connections]
        return name, subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )

    def begin(self, callers: Sequence[int], job: dict[str, Any], **by_member: Sequence[Any]) -> None:
        """All do `job` with so many callers each; returns when they have been let go, at the same instant.

        `by_member`: what differs from one process to the next.
        """
        for place, (_, process) in enumerate(self._members):
            if process.poll() is not None:
                self._members[place] = self._start()
        for place, (_, process) in enumerate(self._members):
            more = {name: values[place] for name, values in by_member.items()}
            self._say(process, json.dumps({**job, "callers": callers[place], **more}))
        for name, process in self._members:
            if (heard := self._hear(process)) != "ready":
                raise SystemExit(f"guard: {name} is not ready: {heard!r}")
        for _, process in self._members:
            self._say(process, "go")

    def results(self) -> list[Any]:
        """What each caller of the processes that live came to."""
        found: list[Any] = []
        for _, process in self._members:
            heard = self._hear(process)
            if heard:
                found += json.loads(heard)
            elif process.wait(10) >= 0:
                raise SystemExit("guard: a process of callers ended by itself")
        return found

    def kill(self, place: int, engine: Engine) -> None:
        """SIGKILL one, and wait until Postgres has noticed: what it had asked for may still be given."""
        name, process = self._members[place]
        process.kill()
        process.wait(10)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while connection.execute(_CONNECTED, {"name": name}).scalar_one():
                pass

    def end(self) -> None:
        """End them all."""
        for _, process in self._members:
            process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    @staticmethod
    def _say(process: subprocess.Popen[str], line: str) -> None:
        if process.stdin is not None:
            process.stdin.write(line + "\n")
            process.stdin.flush()

    @staticmethod
    def _hear(process: subprocess.Popen[str]) -> str:
        return "" if process.stdout is None else process.stdout.readline().strip()


@contextmanager
def crew(url: str, connections: int = 10) -> Iterator[Crew]:
    """Four processes of callers on this database; all are gone at the end.

    Each keeps so many connections, and takes as many again under pressure: a server allows 100 unless told otherwise.
    """
    members = Crew(url, connections)
    try:
        yield members
    finally:
        members.end()


def divided(callers: int) -> list[int]:
    """So many callers over the processes, as evenly as can be."""
    return [callers // PROCESSES + (place < callers % PROCESSES) for place in range(PROCESSES)]
