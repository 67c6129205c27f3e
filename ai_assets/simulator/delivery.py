"""Sending a response over one connection: in its time, or badly on purpose.

Here: latency, hanging, dripping, dropping, and noticing that the caller has left. Not here: what is sent
(`completion`), the listening socket (`server`).
"""

from __future__ import annotations

import asyncio

from ai_assets.simulator.behaviour import Decision
from ai_assets.simulator.http11 import MOST_HEAD_BYTES
from ai_assets.simulator.kinds import OK
from ai_assets.simulator.wire import Reply

_AT_ONCE = Decision(OK, 0.0, 0.0, None)


class CallerGoneError(Exception):
    """The caller closed the connection before it had its answer."""


class WatchedReader(asyncio.StreamReader):
    """A stream reader that tells when the other side has closed, also while nobody reads."""

    def __init__(self) -> None:
        super().__init__(limit=MOST_HEAD_BYTES)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        """The other side sends no more."""
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        """The connection broke."""
        super().set_exception(exc)
        self.gone.set()


class Delivery:
    """Sends one response. Raises CallerGoneError when the caller leaves before the end."""

    def __init__(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, reply: Reply, decision: Decision | None) -> bool:
        """Send `reply` as `decision` wants it; True if the connection is good for another request."""
        try:
            return await self._send(reply, decision or _AT_ONCE)
        except (ConnectionError, TimeoutError) as error:
            raise CallerGoneError from error

    async def _send(self, reply: Reply, decision: Decision) -> bool:
        body = b"".join(reply.pieces)
        match decision.kind:
            case "hang":
                await self._wait_until_gone()
            case "hang_after_headers":
                await self._pause(decision.latency_s)
                await self._write(reply.head())
                await self._wait_until_gone()
            case "drop":
                await self._pause(decision.latency_s)
                return False
            case "drop_midway":
                await self._pause(decision.latency_s)
                await self._write(reply.head() + body[: len(body) // 2])
                return False
            case "drip":
                await self._pause(decision.latency_s)
                await self._write(reply.head())
                await self._drip(body, decision.drip_s)
            case "drip_headers":
                await self._pause(decision.latency_s)
                await self._drip(reply.head() + body, decision.drip_s)
            case _:
                await self._in_pieces(reply, decision.latency_s)
        return True

    async def _in_pieces(self, reply: Reply, latency_s: float) -> None:
        """Every piece as it is made; the last one when `latency_s` is over."""
        pause = latency_s / len(reply.pieces)
        waiting = reply.head()
        for piece in reply.pieces:
            await self._pause(pause)
            await self._write(waiting + piece)
            waiting = b""

    async def _drip(self, data: bytes, pause_s: float) -> None:
        for place in range(len(data)):
            await self._write(data[place : place + 1])
            await self._pause(pause_s)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wait_until_gone()
        except TimeoutError:
            return

    async def _wait_until_gone(self) -> None:
        await self._reader.gone.wait()
        raise CallerGoneError
