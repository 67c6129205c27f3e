"""What every request passes first: its token, the token's rate, a place among the requests at once.

An ASGI middleware, because the framework would match routes and read a body before it asks who sent it. Here: what is
refused at the door, and counting what was answered. Not here: the role and the body (`bodies`), sites (`access`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ai_assets.errors import AiAssetsError
from ai_assets.gateway import docs_page
from ai_assets.gateway.access import given_token, wrong_token
from ai_assets.gateway.bodies import is_left
from ai_assets.gateway.problems import Problem, of_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ai_assets.gateway.parts import Parts
    from ai_assets.store.tokens import Token

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"}) | docs_page.PATHS
"""Addresses that need no token: they tell nothing of any site."""
IN_FLIGHT = 400
"""Requests at once; beyond, they would only wait for Postgres and hold memory."""


class Door:
    """The middleware."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status, answering = time.monotonic(), 0, False

        async def sent(message: Message) -> None:
            nonlocal status, answering
            if message["type"] == "http.response.start":
                status, answering = message["status"], True
                if is_left(scope):
                    # what is left of the body would be taken for the next request
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        try:
            await self._let_in(scope, receive, sent)
        except Exception as error:
            if answering:
                raise
            await of_error(error).response()(scope, receive, sent)
        finally:
            self._count(scope, status, time.monotonic() - began)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN:
            await self._app(scope, _nothing, send)
            return
        token = await self._identify(scope)
        with self._parts.requests.place(token.id):
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._identify(scope)
        except (Problem, AiAssetsError) as error:
            problem = of_error(error)
            self._parts.metrics.count("sockets_refused_total", status=str(problem.status))
            await receive()
            await deny(problem, send)
            return
        await self._app(scope, receive, send)

    async def _identify(self, scope: Scope) -> Token:
        given = given_token(dict(scope["headers"]), scope.get("subprotocols", []))
        token = self._parts.book.known(given)
        if token is None:
            # looking for it takes time: all who show no known token share one part of the places
            with self._parts.requests.place(None):
                token = await self._parts.book.holder(given)
        if token is None:
            raise wrong_token()
        self._parts.rates.take(token)
        scope.setdefault("state", {})["token"] = token
        return token

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", None) or (scope["path"] if scope["path"] in OPEN else "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._parts.metrics.count("requests_total", route=path, method=method, status=str(status))
        self._parts.metrics.took(seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def deny(problem: Problem, send: Send) -> None:
    """Refuse a WebSocket with the problem as the answer to its handshake."""
    response = problem.response()
    await send(
        {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": response.body})


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
