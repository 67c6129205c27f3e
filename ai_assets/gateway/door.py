"""The door that every request comes through, before any of its body is held: token, rate, room, size, time.

An ASGI middleware, because the framework would read a body before it asks who sent it. Here: what is refused at the
door, and counting what was answered. Not here: roles and sites (`access`), which a route knows.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ai_assets.errors import AiAssetsError
from ai_assets.gateway.access import given_token, wrong_token
from ai_assets.gateway.problems import Problem, busy, of_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ai_assets.gateway.parts import Parts

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect"})
"""Addresses that need no token: they tell nothing of any site."""
BODY_S = 20.0
"""A request's body must have come by then."""
IN_FLIGHT = 400
"""Requests at once; beyond, they would only wait for Postgres and hold memory."""
HELD_BYTES = 64 * 1024 * 1024
"""Bodies that are held at once, in all."""
# who sends too much is read on for so long, or would see a broken connection in place of the answer
_DRAIN_S, _DRAIN_BYTES = 2.0, 16 * 1024 * 1024


class Door:
    """The middleware."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts
        self._in_flight = 0
        self._held = 0

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
            await send(message)

        self._in_flight += 1
        try:
            await self._let_in(scope, receive, sent)
        except Exception as error:
            if answering:
                raise
            await of_error(error).response()(scope, receive, sent)
        finally:
            self._in_flight -= 1
            self._count(scope, status, time.monotonic() - began)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN:
            await self._app(scope, _nothing, send)
            return
        if self._in_flight > IN_FLIGHT:
            raise busy("there are too many requests at once: try again")
        body = bytearray()
        try:
            await self._identify(scope)
            await self._read(scope, receive, body)
            await self._app(scope, _whole(bytes(body), receive), send)
        except Problem as problem:
            if _declared(scope):
                # what is left of the body would be taken for the next request
                problem.headers["Connection"] = "close"
            raise
        finally:
            self._held -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        if _declared(scope) > self._parts.body_bytes:
            await _drain(scope, receive)
            raise self._too_large()
        try:
            async with asyncio.timeout(BODY_S):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "bad-input", "the body ended before its end")
                    part, more = message.get("body", b""), message.get("more_body", False)
                    self._held += len(part)
                    body += part
                    if len(body) > self._parts.body_bytes:
                        if more:
                            await _drain(scope, receive)
                        raise self._too_large()
                    if self._held > HELD_BYTES:
                        raise busy("there is too much to read at once: try again")
        except TimeoutError:
            raise Problem(408, "too-slow", f"the body did not come within {BODY_S:.0f} s") from None

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

    async def _identify(self, scope: Scope) -> None:
        given = given_token(dict(scope["headers"]), scope.get("subprotocols", []))
        token = await self._parts.book.holder(given)
        if token is None:
            raise wrong_token()
        self._parts.rates.take(token)
        scope.setdefault("state", {})["token"] = token

    def _too_large(self) -> Problem:
        most = self._parts.body_bytes
        return Problem(413, "too-large", f"the body is over {most:,} bytes: send smaller batches")

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


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 1 << 62
        if name == b"transfer-encoding":
            return 1
    return 0


async def _drain(scope: Scope, receive: Receive) -> None:
    if any(name == b"expect" for name, _ in scope["headers"]):
        # it waits for our word before it sends
        return
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_S):
            while left > 0:
                message: dict[str, Any] = dict(await receive())
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _whole(body: bytes, receive: Receive) -> Receive:
    told = False

    async def once() -> Message:
        nonlocal told
        if told:
            # a client that goes away while its request runs
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
