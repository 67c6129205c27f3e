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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.gateway.database import Database
from ai_assets.privacy.logs import log_defect
from ai_assets.store import news
from ai_assets.store.listen import ALERTS, CACHE_UPDATES, Listening, State, listen
from ai_assets.store.news import News

logger = logging.getLogger(__name__)

CHANNELS = {"alert_created": ALERTS, "cache_updated": CACHE_UPDATES}
"""The channel of each type of message."""
_TYPES = {channel: name for name, channel in CHANNELS.items()}
# what a socket may follow: each channel alone, or all
_SETS = (*(frozenset({channel}) for channel in CHANNELS.values()), frozenset(CHANNELS.values()))
RING = 1000
"""News of a site that are held; who is further behind reads the table."""
PAGE = 200
LOOK_S = 2.0
"""The reader looks so often without being told of anything."""
_AFRESH_S = 0.5
_BEGIN_S = 5.0


@dataclass(frozen=True)
class Told:
    """One message of the feed as it is sent: its id and channel, and its JSON text in both forms.

    `envelope` is the form of the old dispatcher: type, site and payload.
    """

    id: int
    channel: str
    text: str
    envelope: str


@dataclass
class Ring:
    """The newest messages of some channels for one site: everything above `floor`, in order."""

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
        self._rings: dict[tuple[frozenset[str], int], Ring] = {}
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

    @property
    def _sites(self) -> set[int]:
        return {site_id for _, site_id in self._rings}

    async def begun(self) -> int:
        """The position, once there is one. Raises DatabaseUnavailableError where there is none for some seconds."""
        try:
            async with asyncio.timeout(_BEGIN_S):
                await self._begun.wait()
        except TimeoutError:
            raise DatabaseUnavailableError("no news could be read yet") from None
        return self.position or 0

    def follow(self, channels: frozenset[str], site_id: int) -> Ring:
        """A site's ring, which is kept until every follower has left. Needs a position."""
        ring = self._rings.setdefault((channels, site_id), Ring(self.position or 0))
        ring.followers += 1
        return ring

    def leave(self, channels: frozenset[str], site_id: int) -> None:
        """A follower is gone."""
        ring = self._rings[channels, site_id]
        ring.followers -= 1
        if not ring.followers:
            del self._rings[channels, site_id]

    async def page(self, channels: frozenset[str], site_id: int, position: int) -> list[Told]:
        """What the table holds above a position, at most a page. Raises DatabaseUnavailableError."""
        found = await self._database.read(
            "reading news", lambda connection: news.of_site(connection, channels, site_id, position, PAGE)
        )
        return [told(item, site_id) for item in found]

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
            sites = self._sites if item.site_id is None else (item.site_id,)
            for site_id in sites:
                rings = [
                    ring
                    for channels in _SETS
                    if item.channel in channels and (ring := self._rings.get((channels, site_id)))
                ]
                if rings:
                    one = told(item, site_id)
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


def told(item: News, site_id: int) -> Told:
    """A row of the feed as it is sent to a site's sockets."""
    name = _TYPES.get(item.channel, item.channel)
    content = {"id": item.id, **item.content}
    return Told(
        item.id,
        item.channel,
        message(name, site_id, content, in_envelope=False),
        message(name, site_id, content, in_envelope=True),
    )


def message(name: str, site_id: int, content: Mapping[str, Any], *, in_envelope: bool) -> str:
    """A message of a site's socket as JSON: flat, or in the envelope of the old dispatcher."""
    told = (
        {"type": name, "site_id": site_id, "payload": content} if in_envelope else {"type": name, **content}
    )
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
