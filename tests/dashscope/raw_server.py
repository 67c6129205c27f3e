"""A server of raw sockets whose handler decides every byte: for what a real server never does on purpose.

Here: accepting, reading a request, well-formed responses, and the means to misbehave. Not here: DashScope's
manners; each test writes its own. Everything ends when the server is closed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLOSE = False
"""What a handler returns to have the connection closed."""


@dataclass(frozen=True)
class Request:
    """One request as it came. `number` counts requests over all connections, from 1."""

    number: int
    connection: int
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Peer:
    """One connection, seen from the server."""

    sock: socket.socket
    stopping: threading.Event
    gone: threading.Event = field(default_factory=threading.Event)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def respond(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, *, declared: int = -1
    ) -> None:
        length = len(body) if declared < 0 else declared
        fields = {"Content-Type": "application/json", "Content-Length": str(length), **(headers or {})}
        head = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items())
        self.send(head.encode("latin-1") + b"\r\n" + body)

    def answer(self, text: str = "好", **more: Any) -> None:
        self.respond(json.dumps(reply_document(text, **more), ensure_ascii=False).encode())

    def fail(
        self, status: int, code: str, message: str = "m", headers: Mapping[str, str] | None = None
    ) -> None:
        document = {"code": code, "message": message, "request_id": "r-fail"}
        self.respond(json.dumps(document).encode(), status, headers)

    def chunked(self, parts: list[bytes], content_type: str = "text/event-stream;charset=UTF-8") -> None:
        self.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
            + content_type.encode()
            + b"\r\n\r\n"
        )
        for part in parts:
            self.send(b"%x\r\n%b\r\n" % (len(part), part))
        self.send(b"0\r\n\r\n")

    def hang(self) -> None:
        """Send nothing more until the client goes away."""
        self.sock.settimeout(0.05)
        while not self.stopping.is_set():
            try:
                if not self.sock.recv(65_536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.gone.set()

    def drip(self, piece: bytes, every_s: float = 0.02) -> None:
        """Send `piece` again and again until the client goes away."""
        try:
            while not self.stopping.wait(every_s):
                self.sock.sendall(piece)
        except OSError:
            pass
        self.gone.set()

    def wait_until_read(self) -> None:
        """Return when the client has read all that was sent: a reset drops what it has not."""
        ours, theirs = (f":{name[1]:04X}" for name in (self.sock.getsockname(), self.sock.getpeername()))
        while not self.stopping.wait(0.005):
            sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            unread = [
                columns[4].partition(":")[2]
                for columns in sockets
                if columns[1].endswith(theirs) and columns[2].endswith(ours)
            ]
            if all(int(size, 16) == 0 for size in unread):
                return

    def reset(self) -> None:
        """Drop the connection with a reset instead of a proper end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


Handler = Callable[[Peer, Request], object]


class RawServer:
    """Serves on loopback until closed. `requests` and `connections` tell what has come."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.peers: list[Peer] = []
        self._handler = handler
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def base_url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/api/v1"

    def close(self) -> None:
        self._stopping.set()
        for sock in (self._listener, *(peer.sock for peer in self.peers)):
            with contextlib.suppress(OSError):  # wakes whoever reads it; gone already is as well
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, connection: int) -> None:
        sock.settimeout(10)
        with contextlib.suppress(OSError), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            peer = Peer(sock, self._stopping)
            self.peers.append(peer)
            try:
                while (request := self._read(sock, connection)) is not None:
                    if self._handler(peer, request) is CLOSE or self._stopping.is_set():
                        break
            finally:
                sock.close()
                peer.gone.set()

    def _read(self, sock: socket.socket, connection: int) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := self._receive(sock)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            if not (more := self._receive(sock)):
                return None
            body += more
        with self._lock:
            request = Request(len(self.requests) + 1, connection, first.split(" ")[1], headers, body)
            self.requests.append(request)
        return request

    def _receive(self, sock: socket.socket) -> bytes:
        sock.settimeout(0.05)
        while not self._stopping.is_set():
            try:
                return sock.recv(65_536)
            except TimeoutError:
                continue
            finally:
                sock.settimeout(0.05)
        return b""


def reply_document(text: str | None = "好", **more: Any) -> dict[str, Any]:
    """A successful reply's body."""
    document: dict[str, Any] = {
        "output": {"finish_reason": "stop", "session_id": "s1", "text": text},
        "usage": {"models": [{"model_id": "qwen-plus", "input_tokens": 121, "output_tokens": 51}]},
        "request_id": "r1",
    }
    return {**document, **more}
