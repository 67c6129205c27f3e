"""WebSockets with a site's news: `/ws/ai-alerts/{site_id}` and `/ws/ai-cache/{site_id}`.

`?types=` chooses what a socket sends, and `?envelope=1` the message form of the old dispatcher.

Each is a position that walks along the news: from memory, or from the table where it is further behind, so that with
`?since=ID` nothing is missed and nothing comes twice. Here: one socket's life. Not here: where news come from (`hub`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.gateway.access import SUBPROTOCOL, check_role, check_site
from ai_assets.gateway.door import deny
from ai_assets.gateway.hub import CHANNELS, message
from ai_assets.gateway.limits import Bucket
from ai_assets.gateway.problems import Problem, of_error
from ai_assets.gateway.protocols import ABORT
from ai_assets.store import news
from ai_assets.store.tokens import LARGEST_ID

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.gateway.hub import Ring, Told
    from ai_assets.gateway.parts import Parts
    from ai_assets.store.tokens import Token

logger = logging.getLogger(__name__)

NAMED = "ai-assets"
"""The subprotocol that is agreed on where a browser sends its token as another one."""
SEND_S = 20.0
"""A socket that takes nothing for so long is ended; where to go on from is its own to know."""
ALIVE_S = 30.0
"""With no news for so long a socket is told its position."""
_LOOK_S = 5.0
# what a client sends is not read, only counted: some libraries send pings of their own
_MESSAGES_PER_S, _MESSAGES = 1.0, 60

TOO_SLOW, REVOKED, TALKS = (1013, "too-slow"), (1008, "wrong-token"), (1008, "takes-no-messages")


class _EndedError(Exception):
    """The gateway ends this socket, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def routes(parts: Parts) -> APIRouter:
    """Both addresses."""
    router = APIRouter()

    @router.websocket("/ws/ai-alerts/{site_id}")
    async def alerts(websocket: WebSocket) -> None:
        await _serve(parts, websocket, "alert_created")

    @router.websocket("/ws/ai-cache/{site_id}")
    async def cache(websocket: WebSocket) -> None:
        await _serve(parts, websocket, "cache_updated")

    return router


async def _serve(parts: Parts, websocket: WebSocket, default_type: str) -> None:
    token: Token = websocket.state.token
    query = websocket.query_params
    try:
        site_id = _number("site", websocket.path_params["site_id"], 1)
        given = query.get("since")
        since = None if given is None else _number("since", given, 0)
        channels = _channels(query.get("types", default_type))
        in_envelope = _flag("envelope", query.get("envelope"), parts.socket_envelope)
        check_role(token, "read")
        check_site(token, site_id)
        parts.sockets.take(token.id)
    except Problem as problem:
        await _refuse(parts, websocket, problem)
        return
    try:
        socket = _Socket(parts, websocket, token, channels, site_id, in_envelope=in_envelope)
        await socket.live(since)
    finally:
        parts.sockets.release(token.id)


def _channels(given: str) -> frozenset[str]:
    names = given.split(",")
    if not set(names) <= CHANNELS.keys():
        raise Problem(422, "bad-input", f"types is no comma-separated list of {', '.join(CHANNELS)}")
    return frozenset(CHANNELS[name] for name in names)


def _flag(what: str, given: str | None, default: bool) -> bool:
    if given is None:
        return default
    if given not in {"0", "1"}:
        raise Problem(422, "bad-input", f"{what} is neither 0 nor 1")
    return given == "1"


def _number(what: str, given: str, least: int) -> int:
    # not int(): it takes much that is no number to anybody else
    if not (given.isascii() and given.isdigit() and len(given) <= 19 and least <= int(given) <= LARGEST_ID):
        raise Problem(422, "bad-input", f"{what} is not a whole number from {least} on")
    return int(given)


async def _refuse(parts: Parts, websocket: WebSocket, problem: Problem) -> None:
    parts.metrics.count("sockets_refused_total", status=str(problem.status))
    await websocket.receive()
    await deny(problem, websocket.send)


class _Socket:
    def __init__(
        self,
        parts: Parts,
        websocket: WebSocket,
        token: Token,
        channels: frozenset[str],
        site_id: int,
        *,
        in_envelope: bool,
    ) -> None:
        self._parts = parts
        self._hub = parts.hub
        self._websocket = websocket
        self._token = token
        self._channels = channels
        self._in_envelope = in_envelope
        self._site_id = site_id
        self._position = 0
        self._kept_from = 0

    async def live(self, since: int | None) -> None:
        try:
            self._position = await self._begin(since)
        except AiAssetsError as error:
            await _refuse(self._parts, self._websocket, of_error(error))
            return
        except Problem as problem:
            await _refuse(self._parts, self._websocket, problem)
            return
        # from here on nothing is missed: the ring holds what comes after its floor
        ring = self._hub.follow(self._channels, self._site_id)
        try:
            await self._accept()
            ready: dict[str, Any] = {"since": self._position}
            if since is not None:
                ready["complete"] = self._kept_from <= since + 1 and self._position == since
            await self._send_own("ready", ready)
            await self._until_either(self._walk(ring), self._read())
        except _EndedError as ended:
            self._parts.metrics.count("sockets_ended_total", reason=ended.reason)
            self._end(ended)
            with suppress(Exception):
                async with asyncio.timeout(1):
                    await self._websocket.close(ended.code, ended.reason)
        except (WebSocketDisconnect, RuntimeError, OSError):
            # it is closed; the framework says so in one of these ways
            pass
        finally:
            self._hub.leave(self._channels, self._site_id)

    async def _begin(self, since: int | None) -> int:
        """Where it begins. A `since` of another time (a restored database) is the newest, and said to be no complete
        one.
        """
        position = await self._hub.begun()
        if since is None:
            return position

        def bounds(connection: Connection) -> tuple[int, int]:
            return news.oldest(connection), news.newest(connection)

        self._kept_from, newest = await self._parts.database.read("reading news", bounds)
        return min(since, newest)

    async def _accept(self) -> None:
        named = self._websocket.scope.get("subprotocols", [])
        by_browser = any(name.startswith(SUBPROTOCOL) for name in named)
        await self._websocket.accept(NAMED if by_browser and NAMED in named else None)

    async def _walk(self, ring: Ring) -> None:
        last_word = time.monotonic()
        while True:
            found = ring.above(self._position)
            if found is None:
                found = await self._from_table(ring)
            if found:
                await self._pass_on(found)
                last_word = time.monotonic()
                continue
            if not await ring.wait(_LOOK_S):
                await self._still_allowed()
                if time.monotonic() - last_word >= ALIVE_S and ring.above(self._position) == []:
                    # this site's news up to the hub's position are all sent; no await since that was looked at
                    self._position = max(self._position, self._hub.position or 0)
                    await self._send_own("alive", {"since": self._position})
                    last_word = time.monotonic()

    async def _from_table(self, ring: Ring) -> list[Told]:
        self._parts.metrics.count("news_behind_total")
        # read before: everything up to it is committed, so a page that is not full holds what there is below it
        floor = ring.floor
        while True:
            try:
                found = await self._hub.page(self._channels, self._site_id, self._position)
                break
            except DatabaseUnavailableError:
                # its position stands: it goes on when Postgres is back
                await asyncio.sleep(_LOOK_S / 5)
        if not found:
            self._position = max(self._position, floor)
        return found

    async def _pass_on(self, found: list[Told]) -> None:
        for item in found:
            await self._send(item.envelope if self._in_envelope else item.text)
            self._position = item.id
        for channel, count in Counter(item.channel for item in found).items():
            self._parts.metrics.count("news_sent_total", count, channel=channel)
        await self._still_allowed()

    async def _send_own(self, name: str, content: dict[str, Any]) -> None:
        await self._send(message(name, self._site_id, content, in_envelope=self._in_envelope))

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._websocket.send_text(text)
        except TimeoutError:
            raise _EndedError(*TOO_SLOW) from None

    async def _still_allowed(self) -> None:
        # where it cannot be told now no news come either
        with suppress(DatabaseUnavailableError):
            if not await self._parts.book.stands(self._token):
                raise _EndedError(*REVOKED)

    async def _read(self) -> None:
        """Until the client goes. What it sends is of no use here."""
        bucket = Bucket.full(_MESSAGES_PER_S, _MESSAGES, time.monotonic())
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            if bucket.take(time.monotonic()):
                raise _EndedError(*TALKS)

    async def _until_either(self, *lives: Any) -> None:
        tasks = [asyncio.ensure_future(life) for life in lives]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, ended: _EndedError) -> None:
        if (ended.code, ended.reason) == TOO_SLOW:
            # it does not read: a close would wait behind what it has not read, for ever
            abort = self._websocket.scope.get("extensions", {}).get(ABORT)
            if abort is not None:
                abort()
