"""The processes that `up` and `demo` start, and ending every one of them. Not here: what they are for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ai_assets.errors import AiAssetsError, InputError

STOP_S = 20.0


@dataclass
class Child:
    """One process, leader of a group of its own, and the file it writes to."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def tail(self, lines: int = 5) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


class Children:
    """Started processes; leaving the block ends them all, with everything that they started."""

    def __init__(self, log_folder: Path) -> None:
        self._folder = log_folder
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], *, stdout: int | IO[str] | None = None) -> Child:
        """Start one; what it writes goes to NAME.log, or to `stdout`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        with log.open("a", encoding="utf-8") as output:
            process = subprocess.Popen(  # noqa: S603  # our own commands
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=stdout if stdout is not None else output,
                stderr=output,
                text=True,
                # a group of its own: Ctrl-C reaches this process alone, which then ends the others in order
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def watch(self) -> None:
        """Wait until one ends by itself. Raises AiAssetsError saying which, with its last lines."""
        while True:
            for child in self._children:
                code = child.process.poll()
                if code is not None:
                    raise AiAssetsError(
                        f"{child.name} ended by itself ({code}); see {child.log}:\n{child.tail()}"
                    )
            time.sleep(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # a second Ctrl-C must not leave half of them behind
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for child in reversed(self._children):
                _end(child.process)
        finally:
            signal.signal(signal.SIGINT, previous)


def _end(process: subprocess.Popen[str]) -> None:
    group = process.pid
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    # what it started and did not end itself
    _signal_group(group, signal.SIGTERM)
    ends = time.monotonic() + 5
    while _signal_group(group, 0) and time.monotonic() < ends:
        process.poll()
        time.sleep(0.1)
    _signal_group(group, signal.SIGKILL)
    process.wait()


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def is_free(port: int) -> bool:
    """Whether nothing listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_free_port(port: int, what: str, option: str = "--port") -> None:
    """Raise InputError where something listens on this loopback port already."""
    if not is_free(port):
        raise InputError(
            f"port {port} of 127.0.0.1 is taken, and {what} needs it: stop what uses it, or give another {option}"
        )


def script(name: str) -> str:
    """The path of a command that is installed beside this Python."""
    return str(Path(sys.executable).parent / name)
