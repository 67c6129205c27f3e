"""News from Postgres to the sockets: one listener and one reader for all, and for each site what came last.

A notification only wakes the reader: what is passed on is read from `biz.ai_news`, whose ids rise in the order of the
commits. So nothing is missed where a notification is (a restart of Postgres, a full queue): the reader looks every few
seconds anyway, and goes on from where it was. A socket is no more than a position: one that is slow costs no memory.

Not here: the sockets themselves (`ai_assets.gateway.sockets`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.gateway.database import Database
from ai_assets.privacy.logs import log_defect
from ai_assets.store import news
from ai_assets.store.listen import ALERTS, CACHE_UPDATES, Listening, State, listen
from ai_assets.store.news import News

logger = logging.getLogger(__name__)

TYPES = {ALERTS: "alert_created", CACHE_UPDATES: "cache_updated"}
"""What news of a channel are called where they are told."""
RING = 1000
"""News of a site that are held; who is further behind reads the table."""
PAGE = 200
LOOK_S = 2.0
"""The reader looks so often without being told of anything."""
_AFRESH_S = 0.5
_BEGIN_S = 5.0


@dataclass(frozen=True)
class Told:
    """One piece of news as it is sent: its id, and its JSON text."""

    id: int
    text: str


@dataclass
class Ring:
    """What came last of one channel for one site: everything above `floor`, in order."""

    floor: int
    told: deque[Told] = field(default_factory=deque)
    followers: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, item: Told) -> None:
        """Put it in; the oldest goes where there are too many."""
        self.told.append(item)
        if len(self.told) > RING:
            self.floor = self.told.popleft().id
        self._changed.set()
        self._changed = asyncio.Event()

    def above(self, position: int) -> list[Told] | None:
        """What is above a position, at most a page; None where some of it is no longer here."""
        if position < self.floor:
            return None
        if not self.told or self.told[-1].id <= position:
            return []
        start = bisect_right(self.told, position, key=lambda item: item.id)
        return [self.told[n] for n in range(start, min(start + PAGE, len(self.told)))]

    async def wait(self, seconds: float) -> bool:
        """Wait for news; False where there were none for so long."""
        changed = self._changed
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return False
        return True


class Hub:
    """Start it in the event loop, and stop it. `position`: everything up to it was passed on."""

    def __init__(self, url: str, database: Database) -> None:
        self._url = url
        self._database = database
        self._rings: dict[tuple[str, int], Ring] = {}
        self._woken = asyncio.Event()
        self._begun = asyncio.Event()
        self._stop = threading.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.position: int | None = None
        self.listening = False
        self.reading = False

    def start(self) -> None:
        """Begin to listen and to read."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), name="listen", daemon=True).start()
        self._tasks.append(loop.create_task(self._read()))

    async def stop(self) -> None:
        """End both."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def ready(self) -> bool:
        """Whether news come at once: Postgres tells of them, and they can be read."""
        return self.listening and self.reading

    async def begun(self) -> int:
        """The position, once there is one. Raises DatabaseUnavailableError where there is none for some seconds."""
        try:
            async with asyncio.timeout(_BEGIN_S):
                await self._begun.wait()
        except TimeoutError:
            raise DatabaseUnavailableError("no news could be read yet") from None
        return self.position or 0

    def follow(self, channel: str, site_id: int) -> Ring:
        """A site's ring, which is kept until every follower has left. Needs a position."""
        ring = self._rings.setdefault((channel, site_id), Ring(self.position or 0))
        ring.followers += 1
        return ring

    def leave(self, channel: str, site_id: int) -> None:
        """A follower is gone."""
        ring = self._rings[channel, site_id]
        ring.followers -= 1
        if not ring.followers:
            del self._rings[channel, site_id]

    async def page(self, channel: str, site_id: int, position: int) -> list[Told]:
        """What the table holds above a position, at most a page. Raises DatabaseUnavailableError."""
        found = await self._database.read(
            "reading news", lambda connection: news.of_site(connection, channel, site_id, position, PAGE)
        )
        return [told(item) for item in found]

    async def _read(self) -> None:
        while True:
            try:
                await self._catch_up()
                self.reading = True
            except AiAssetsError as error:
                if self.reading:
                    logger.warning("news cannot be read now: %s", error)
                self.reading = False
                await asyncio.sleep(_AFRESH_S)
                continue
            except Exception as error:  # noqa: BLE001  # it must go on
                self.reading = False
                log_defect(logger, error, "reading news failed")
                await asyncio.sleep(LOOK_S)
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _catch_up(self) -> None:
        if self.position is None:
            self.position = await self._database.read("reading news", news.newest)
            self._begun.set()
        more = True
        while more:
            # before the read: what is told of while it runs may not be in it
            self._woken.clear()
            position = self.position
            found = await self._database.read(
                "reading news", partial(news.after, position=position, limit=PAGE)
            )
            self._publish(found)
            more = len(found) == PAGE

    def _publish(self, found: Iterable[News]) -> None:
        for item in found:
            # what concerns every site goes to each
            rings = (
                [ring for (channel, _), ring in self._rings.items() if channel == item.channel]
                if item.site_id is None
                else [ring for ring in (self._rings.get((item.channel, item.site_id)),) if ring]
            )
            if rings:
                one = told(item)
                for ring in rings:
                    ring.add(one)
            self.position = item.id

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        def state(now: State) -> None:
            self.listening = isinstance(now, Listening)
            wake()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(self._woken.set)
            except RuntimeError:
                # the loop has ended before this thread
                self._stop.set()

        try:
            for _heard in listen(self._url, stop=self._stop, on_state=state):
                wake()
        finally:
            # a thread that has ended listens no more, whatever ended it
            self.listening = False


def told(item: News) -> Told:
    """A piece of news as it is sent."""
    content = {"id": item.id, "type": TYPES.get(item.channel, item.channel), **item.content}
    return Told(item.id, json.dumps(content, ensure_ascii=False, separators=(",", ":")))
