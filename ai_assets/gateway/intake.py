"""Single events that come at the same time are taken in together: one transaction for all rather than one for each.

An event that would have to wait for somebody else's transaction holds up none that came with it: then each is sent on
its own. Not here: batches that a client makes, and events with an idempotency key (`ai_assets.gateway.events`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from sqlalchemy import text

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.store import inbox

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.gateway.database import Database
    from ai_assets.store.inbox import Event, Fired

TOGETHER = 100
FLIGHTS = 2
"""Transactions at once: while one commits, the next is filled."""
_PATIENCE_MS = "200"
_MOST_TYPES = 1000

_WAIT_SHORTLY = text("select set_config('lock_timeout', :ms, true)")


class Intake:
    """For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Event, asyncio.Future[Fired]]] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._flights_apart: set[asyncio.Task[None]] = set()
        self._reaches_all: dict[str, bool] = {}

    async def reaches_all_sites(self, event_types: Set[str]) -> bool:
        """Whether an event of one of these types, as sent, is for all sites. Raises DatabaseUnavailableError."""
        unknown = event_types - self._reaches_all.keys()
        if unknown:
            if len(self._reaches_all) > _MOST_TYPES:
                # spellings are anybody's to make up
                self._reaches_all.clear()
            self._reaches_all |= await self._database.read(
                "reading event types", lambda connection: inbox.reaches_all_sites(connection, unknown)
            )
        return any(self._reaches_all[event_type] for event_type in event_types)

    async def take_in(self, event: Event) -> Fired:
        """Take one in; returns what it became when that is committed. Raises DatabaseUnavailableError."""
        loop = asyncio.get_running_loop()
        became: asyncio.Future[Fired] = loop.create_future()
        self._waiting.append((event, became))
        if len(self._flights) < FLIGHTS:
            flight = loop.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return await became

    async def _fly(self) -> None:
        while self._waiting:
            crew, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            try:
                fired = await self._fire([event for event, _ in crew], shortly=len(crew) > 1)
            except DatabaseUnavailableError as error:
                if len(crew) == 1 or not isinstance(getattr(error.__cause__, "orig", None), Exception):
                    _fail(crew, error)
                else:
                    # apart from this flight: those who come now need not wait for it
                    for one in crew:
                        alone = asyncio.get_running_loop().create_task(self._alone(*one))
                        self._flights_apart.add(alone)
                        alone.add_done_callback(self._flights_apart.discard)
                continue
            except Exception as error:  # noqa: BLE001  # whoever waits is told
                _fail(crew, error)
                continue
            for (_, became), one_fired in zip(crew, fired, strict=True):
                if not became.done():
                    became.set_result(one_fired)

    async def _alone(self, event: Event, became: asyncio.Future[Fired]) -> None:
        try:
            (fired,) = await self._fire([event], shortly=False)
        except Exception as error:  # noqa: BLE001  # whoever waits is told
            _fail([(event, became)], error)
        else:
            if not became.done():
                became.set_result(fired)

    async def _fire(self, events: Sequence[Event], *, shortly: bool) -> list[Fired]:
        def fire(connection: Connection) -> list[Fired]:
            if shortly:
                connection.execute(_WAIT_SHORTLY, {"ms": _PATIENCE_MS})
            return inbox.fire_all(connection, events)

        return await self._database.write("sending events", fire)


def _fail(crew: Sequence[tuple[Event, asyncio.Future[Fired]]], error: Exception) -> None:
    for _, became in crew:
        if not became.done():
            became.set_exception(error)
