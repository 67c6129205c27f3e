"""A way to Postgres that loses connections at a chosen moment: what a network or a restart does, made exact.

Here: passing bytes on, and cutting. Not here: what follows from it; each test says.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url


@dataclass
class Cut:
    """Cuts one connection, when its client has sent `words` in this order since its last commit.

    `before`: Postgres does not get what held the last of them. Else it does, and is at its end with it, and its
    answer is lost.
    """

    words: tuple[bytes, ...]
    before: bool
    left: int = 1
    done: threading.Event = field(default_factory=threading.Event)


class CuttingProxy:
    """Passes connections on to the server of `url` until closed. While down, none is passed on."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._closed = threading.Event()
        self._down = threading.Event()
        self._threads: list[threading.Thread] = []
        self.cut: Cut | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.02)
        self.url = self._target.set(
            host="127.0.0.1", port=self._listener.getsockname()[1], query={"sslmode": "disable"}
        ).render_as_string(hide_password=False)
        self._run(self._accept)

    def take_down(self) -> None:
        """Postgres is away from now on: what is connected is cut, what comes is dropped."""
        self._down.set()

    def bring_back(self) -> None:
        self._down.clear()

    def close(self) -> None:
        self._closed.set()
        for thread in list(self._threads):
            thread.join(10)
        self._listener.close()

    def _run(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                if self._down.is_set():
                    client.close()
                else:
                    self._run(self._pass_on, client, self._connect())

    def _connect(self) -> socket.socket:
        folder = self._target.query.get("host")
        if folder is None:
            return socket.create_connection((self._target.host, self._target.port or 5432))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{self._target.port or 5432}")
        return server

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        seen, losing = 0, None
        with client, server, selectors.DefaultSelector() as waiting, contextlib.suppress(OSError):
            for end in (client, server):
                waiting.register(end, selectors.EVENT_READ)
            while not (self._closed.is_set() or self._down.is_set()):
                for ready in (key.fileobj for key, _ in waiting.select(0.02)):
                    data = ready.recv(1 << 20)
                    if not data:
                        return
                    if ready is server:
                        if losing is not None:
                            losing.done.set()
                            return
                        client.sendall(data)
                        continue
                    cut = self.cut
                    while cut is not None and seen < len(cut.words) and cut.words[seen] in data:
                        seen += 1
                    if cut is not None and seen == len(cut.words) and cut.left > 0:
                        cut.left -= 1
                        if cut.before:
                            cut.done.set()
                            return
                        losing = cut
                    elif b"COMMIT" in data or b"ROLLBACK" in data:
                        seen = 0
                    server.sendall(data)
