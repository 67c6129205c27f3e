"""Reading the body of a request: only for a token whose role the route accepts, and within size, time and quota.

The framework reads a body before it asks who sent it and whether that token may send it. A route of this class asks
first. Not here: whose token it is (`door`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from ai_assets.gateway.access import check_role
from ai_assets.gateway.problems import Problem

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

    from ai_assets.gateway.parts import Parts
    from ai_assets.store.tokens import Role, Token

BODY_S = 20.0
"""A request's body must have come by then."""
HELD_BYTES = 64 * 1024 * 1024
"""Bodies that are held at once, in all; more where one body may be larger."""
# who sends too much is read on for so long, or would see a broken connection in place of the answer
_DRAIN_S, _DRAIN_BYTES = 2.0, 16 * 1024 * 1024


class TokenRoute(APIRoute):
    """A route that needs a token. It must depend on `access.holder_with(role)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check the role, then read the body, then do what the framework does."""
        handle = super().get_route_handler()
        role = self._role()

        async def handle_in_bounds(request: Request) -> Response:
            token: Token = request.state.token
            check_role(token, role)
            async with _body_read(request.app.state.parts, token, request) as receive:
                return await handle(Request(request.scope, receive))

        return handle_in_bounds

    def _role(self) -> Role:
        for dependency in self.dependant.dependencies:
            role: Role | None = getattr(dependency.call, "role", None)
            if role is not None:
                return role
        raise TypeError(f"{self.path} names no role: have it depend on holder_with(role)")


def is_left(scope: Scope) -> bool:
    """Whether this request has a body that was not read to its end."""
    return declared_bytes(scope) > 0 and not scope.get("state", {}).get("body_read", False)


def declared_bytes(scope: Scope) -> int:
    """What a request says of its body's size: bytes, 1 for an unknown size, a huge number for nonsense, 0 for none."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 1 << 62
        if name == b"transfer-encoding":
            return 1
    return 0


@asynccontextmanager
async def _body_read(parts: Parts, token: Token, request: Request) -> AsyncIterator[Receive]:
    body = bytearray()
    try:
        await _read(parts, token, request, body)
        request.scope["state"]["body_read"] = True
        yield _whole(bytes(body), request.receive)
    finally:
        parts.bodies.release(token.id, len(body))


async def _read(parts: Parts, token: Token, request: Request, body: bytearray) -> None:
    scope, receive = request.scope, request.receive
    if declared_bytes(scope) > parts.body_bytes:
        await _drain(scope, receive)
        raise _too_large(parts)
    try:
        async with asyncio.timeout(BODY_S):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "bad-input", "the body ended before its end")
                part, more = message.get("body", b""), message.get("more_body", False)
                parts.bodies.take(token.id, len(part))
                body += part
                if len(body) > parts.body_bytes:
                    if more:
                        await _drain(scope, receive)
                    raise _too_large(parts)
    except TimeoutError:
        raise Problem(408, "too-slow", f"the body did not come within {BODY_S:.0f} s") from None


def _too_large(parts: Parts) -> Problem:
    return Problem(413, "too-large", f"the body is over {parts.body_bytes:,} bytes: send smaller batches")


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
