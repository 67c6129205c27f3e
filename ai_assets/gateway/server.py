"""Serving the app with uvicorn: the listening socket, the limits of the process, the end. Not here: the app."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from ai_assets.errors import InputError
from ai_assets.gateway.protocols import Http, WebSocket

if TYPE_CHECKING:
    from fastapi import FastAPI

_MESSAGE_BYTES = 4096
# what the system holds for a client that does not read
_SEND_BUFFER = 256 * 1024
_GRACE_S = 10


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket on this address; port 0: any free one. Raises InputError where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the gateway cannot listen on {host}, port {port} ({error}): stop what uses it, or give another --port"
        ) from None
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return made


def serve(app: FastAPI, sock: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, then end requests and sockets within some seconds."""
    _raise_file_limit()
    # uvicorn ends in good order at a signal, and then raises it again for whoever had it before
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server(app, on_ready).run(sockets=[sock])


def server(app: FastAPI, on_ready: Callable[[], None]) -> uvicorn.Server:
    """The server; it ends where its `should_exit` is set."""
    config = uvicorn.Config(
        app,
        http=Http,
        ws=WebSocket,
        ws_max_size=_MESSAGE_BYTES,
        # a dictionary for each socket would be most of its memory
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        lifespan="on",
        # whose address it was is of no use here, and headers are anybody's to set
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return _Server(config, on_ready)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
