"""One HTTP request under way, and the means to end it from another thread.

A read timeout bounds one read of a socket and not a response: a server that drips a byte now and then holds
its reader for ever, also while `http.client` parses headers, where no code of ours runs. So each attempt
keeps a second handle on its connection's socket, and shutting that down wakes the reader whatever it does.

Here: the handle, the connection classes that hand it over, and their adapter. Not here: what a request says
and what its failure means (`transport`), deadlines (`client`).
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import threading
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Attempt:
    """One HTTP request.

    `reused`: on a pooled connection; `sent`: the server may have read it; `answered`: a byte of its answer came.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._asking = False
        self.aborted = False
        self.reused = False
        self.sent = False
        self.answered = False

    def connected(self, sock: socket.socket) -> None:
        """A new connection is made. The handle is a duplicate, for TLS takes the original away."""
        self._hold(sock)

    def asking(self, pooled: socket.socket | None) -> None:
        """The request is about to be written, on `pooled` or on a connection that is still to be made."""
        if pooled is not None and self._handle is None:
            self.reused = True
            self._hold(pooled)
        self._asking = True
        self.sent = self._handle is not None

    def abort(self) -> None:
        """End the request now, from any thread, at any moment; harmless when it is over."""
        with self._lock:
            self.aborted = True
            self._shut()

    def finish(self) -> None:
        """The request is over, its connection closed or back in the pool."""
        with self._lock:
            self._drop()

    def _hold(self, sock: socket.socket) -> None:
        with self._lock:
            self._drop()
            self._handle = socket.fromfd(sock.fileno(), sock.family, sock.type)
            self.sent = self._asking
            if self.aborted:
                self._shut()

    def _shut(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):  # not connected any more
                self._handle.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


CURRENT: ContextVar[Attempt | None] = ContextVar("dashscope_attempt", default=None)
"""The attempt that this thread is making: urllib3 leaves no other way to its connections."""


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        attempt = CURRENT.get()
        # waits for the first byte, as the reading of the status line would
        if attempt is not None and not attempt.answered and self.fp.peek(1):
            attempt.answered = True
        super().begin()


class _HTTPConnection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connected(super()._new_conn())

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        _asking(self.sock)
        super().putrequest(*args, **kwargs)


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connected(super()._new_conn())

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        _asking(self.sock)
        super().putrequest(*args, **kwargs)


def _connected(sock: socket.socket) -> socket.socket:
    attempt = CURRENT.get()
    if attempt is not None:
        attempt.connected(sock)
    return sock


def _asking(sock: socket.socket | None) -> None:
    attempt = CURRENT.get()
    if attempt is not None:
        attempt.asking(sock)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection

    def _put_conn(self, conn: Any) -> None:
        _given_back()
        super()._put_conn(conn)


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection

    def _put_conn(self, conn: Any) -> None:
        _given_back()
        super()._put_conn(conn)


def _given_back() -> None:
    # Before another thread can take the connection: an abort must never hit its next user.
    attempt = CURRENT.get()
    if attempt is not None:
        attempt.finish()


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


def _socket_options() -> list[tuple[int, int, int]]:
    """Keep-alive, so that a connection the network forgot fails in about a minute and not in 300 s."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    wanted = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
    for name, value in wanted.items():
        option = getattr(socket, name, None)  # not every system knows each of them
        if option is not None:
            options.append((socket.IPPROTO_TCP, option, value))
    return options


class _NoQuotes(logging.Filter):
    """urllib3 warns of broken headers by quoting them, and a server may have echoed the key into them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "parse headers" in str(record.msg):
            record.msg, record.args, record.exc_info = "a response with broken headers came", (), None
        return True


_NO_QUOTES = _NoQuotes()


class HoldingAdapter(HTTPAdapter):
    """An HTTPAdapter whose connections tell the current Attempt their socket."""

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """As the base class does, with the connections of this module."""
        super().init_poolmanager(connections, maxsize, block, socket_options=_socket_options(), **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS
        logging.getLogger("urllib3.connection").addFilter(_NO_QUOTES)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """As the base class does, with the connections of this module (SOCKS keeps its own)."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager
