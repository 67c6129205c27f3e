"""Who may come in: the tokens that are valid now, and what a route asks of one.

Here: holding them in memory for a moment, roles, sites, rates. Not here: how a token is made and kept
(`ai_assets.store.tokens`), refusing a request (`ai_assets.gateway.door`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from ai_assets.gateway.limits import Bucket, whole_seconds
from ai_assets.gateway.problems import Problem, busy
from ai_assets.store.tokens import Kept, Role, Token, fits, id_in

FRESH_S = 3.0
"""A token that was revoked opens nothing more after so many seconds."""
_AGAIN_S = 0.05
"""An unknown token may be a new one: the tokens are read again, but no sooner than this after the last time."""

SUBPROTOCOL = "bearer."
"""How a browser, which cannot set a header, sends its token to a WebSocket: as a subprotocol with this beginning."""


class TokenBook:
    """The valid tokens, read again when they are asked for and no longer fresh. One reads, the others wait for it."""

    def __init__(
        self,
        load: Callable[[], Awaitable[Mapping[int, Kept]]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._load = load
        self._clock = clock
        self._sleep = sleep
        self._kept: Mapping[int, Kept] = {}
        self._at: float | None = None
        self._reading = asyncio.Lock()

    async def holder(self, given: str) -> Token | None:
        """Whose token this text is, or None. Raises DatabaseUnavailableError where that cannot be told now."""
        token_id = id_in(given)
        await self._be_fresh(FRESH_S)
        if token_id is not None and token_id not in self._kept:
            await self._read_after(self._clock())
        return self._valid(given)

    def known(self, given: str) -> Token | None:
        """Whose token this text is, where that can be said without waiting; else None: ask `holder`."""
        return self._valid(given) if self._is_fresh(FRESH_S) else None

    def _valid(self, given: str) -> Token | None:
        token_id = id_in(given)
        kept = self._kept.get(token_id) if token_id is not None else None
        return kept.token if fits(given, kept) and kept and kept.token.live(datetime.now(UTC)) else None

    async def stands(self, token: Token) -> bool:
        """Whether a token that was valid still is."""
        await self._be_fresh(FRESH_S)
        return token.id in self._kept and token.live(datetime.now(UTC))

    async def _be_fresh(self, seconds: float) -> None:
        if self._is_fresh(seconds):
            return
        async with self._reading:
            if not self._is_fresh(seconds):
                await self._read()

    async def _read_after(self, moment: float) -> None:
        """So that what was made before this moment is known."""
        async with self._reading:
            if self._at is not None and self._at < moment:
                await self._sleep(max(0.0, self._at + _AGAIN_S - self._clock()))
            if self._at is None or self._at < moment:
                await self._read()

    async def _read(self) -> None:
        began = self._clock()
        self._kept = await self._load()
        self._at = began

    def _is_fresh(self, seconds: float) -> bool:
        return self._at is not None and self._clock() - self._at < seconds


class Rates:
    """Each token's bucket. There are no more of them than tokens."""

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}

    def take(self, token: Token) -> None:
        """Count a request. Raises Problem where the token makes too many."""
        now = self._clock()
        bucket = self._buckets.setdefault(token.id, Bucket.full(self._per_s, 2 * self._per_s, now))
        if wait_s := bucket.take(now):
            detail = (
                f"more than {self._per_s} requests a second with this token: send batches, or more slowly"
            )
            raise busy(detail, whole_seconds(wait_s), status=429, kind="rate-limited")


def wrong_token() -> Problem:
    """No token, or none that is valid; which of these it was is nobody's to know."""
    return Problem(
        401,
        "wrong-token",
        "send a valid token: Authorization: Bearer aia_… (made by `ai-assets token create`)",
        headers={"WWW-Authenticate": "Bearer"},
    )


def given_token(headers: Mapping[bytes, bytes], subprotocols: list[str]) -> str:
    """The token's text of a request, empty where there is none: a header, or a WebSocket's subprotocol."""
    scheme, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    named = [name.removeprefix(SUBPROTOCOL) for name in subprotocols if name.startswith(SUBPROTOCOL)]
    return named[0] if len(named) == 1 else ""


def check_role(token: Token, role: Role, what: str = "that") -> None:
    """Raise Problem where the token's role is too small for `what`."""
    if not token.may(role):
        raise Problem(403, "wrong-role", f"this token may {token.role}; {what} needs one that may {role}")


def check_site(token: Token, site_id: int | None) -> None:
    """Raise Problem where the token is not for this site; None: for something that belongs to no single one."""
    if not token.sees(site_id):
        what = f"site {site_id}" if site_id is not None else "all sites"
        raise Problem(403, "wrong-site", f"this token is not for {what}")


# says in OpenAPI that a token is needed; the door has looked at it before the body was read
_scheme = HTTPBearer(auto_error=False, description="aia_…, made by `ai-assets token create`")


def holder_with(role: Role) -> Callable[..., Awaitable[Token]]:
    """What a route depends on: the request's token, with at least this role.

    `TokenRoute` reads the role from the attribute `role` and checks it before it reads the body.
    """

    # async though it waits for nothing: the framework would give a plain function a thread of its own
    async def holder(request: Request, _given: Annotated[object, Depends(_scheme)]) -> Token:
        token: Token = request.state.token
        # again, for a route of another class
        check_role(token, role)
        return token

    holder.role = role  # type: ignore[attr-defined]
    return holder
