"""The server's two protocols, with an end for whoever sends its request's head slowly, or takes nothing.

Here: what uvicorn leaves open. Not here: bodies (`door`), what a socket is sent (`sockets`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_S = 10.0
"""A request's head must have come by then, from the connection's or the request's first byte."""
HEAD_BYTES = 64 * 1024
ABORT = "ai_assets.abort"
"""The extension of a WebSocket's scope that ends its connection without waiting for what was not read."""


class Http(HttpToolsProtocol):
    """Ends a connection whose next request's head is slow or endless."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: its first request is awaited."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request."""
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The whole head."""
        self._head_came()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_S, self._too_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        self.transport.abort()


class WebSocket(WebSocketsSansIOProtocol):
    """Ends for good a connection that does not answer: closing would wait until all was read."""

    def handle_connect(self, event: Any) -> None:
        """A handshake."""
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort

    def keepalive_timeout(self) -> None:
        """A ping was not answered."""
        super().keepalive_timeout()
        self.transport.abort()

    async def send(self, message: Any) -> None:
        """Something for the client."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # a refused handshake is complete too; uvicorn would log it as an error of ours
            self.handshake_complete = True
        if message["type"] == "websocket.close":
            self.loop.call_later(self.close_timeout, self.transport.abort)
