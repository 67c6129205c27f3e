"""Hearing of alerts and cache news as they are committed: LISTEN on a connection of its own, kept up for ever.

Here: connecting, waiting, reading payloads, connecting again after a loss. Not here: who tells (the triggers
in `migrations/sql`), what is done with the news (`ai_assets.cli.watch`, the gateway).

News are not stored: what is told while the connection is lost is missed. Who needs it all reads the tables
again when `Listening.again` is true.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, cast

import psycopg2
import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Engine

from ai_assets.store.engine import first_line, make_engine, wait_readable

logger = logging.getLogger(__name__)

ALERTS, CACHE_UPDATES = "ai_alert", "ai_cache_updated"

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A server that starts again needs seconds; a longer pause would only make news late."""

# how soon a listener in a thread sees that it is to stop
_LOOK_S = 0.5

# whoever only listens never notices by itself that the other end is gone; the system's own two hours are too long
_KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}

_LISTEN = sql.SQL("listen {channel}")


@dataclass(frozen=True)
class Heard:
    """One notification: its channel and its payload, a JSON object (docs/behaviour.md, Notifications)."""

    channel: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Listening:
    """The connection stands and hears. `again`: it was lost before, and news in between were missed."""

    again: bool


@dataclass(frozen=True)
class Lost:
    """There is no connection; it is tried again after `wait_s` seconds."""

    error: str
    wait_s: float


State = Listening | Lost


def listen(
    url: str,
    channels: Sequence[str] = (ALERTS, CACHE_UPDATES),
    stop: Event | None = None,
    *,
    on_state: Callable[[State], None] | None = None,
    pause: Callable[[float], object] | None = None,
) -> Iterator[Heard]:
    """Yield what is told on `channels` until `stop` is set; a lost connection is made again for ever.

    Blocks between news, so a server runs it in a thread. `on_state` hears of connections made and lost (default:
    the log); `pause` waits before another try (default: `stop.wait`). Any failure ends the connection and is
    followed by another try, later each time. Raises ConfigurationError for a URL that is not Postgres, nothing
    else. Closing the generator closes the connection.
    """
    stop = stop or Event()
    pause = pause or stop.wait
    tell = on_state or _log
    engine = _engine(url)
    again, wait_s = False, FIRST_WAIT_S
    while not stop.is_set():
        try:
            with _listening(engine, channels) as connection:
                # before it counts as listening: what cannot be waited for is not heard either
                wait_readable(connection, 0)
                tell(Listening(again))
                again = True
                while not stop.is_set():
                    yield from _heard(connection)
                    # the connection works, so the next failure is a new one
                    wait_s = FIRST_WAIT_S
        except Exception as error:  # noqa: BLE001  # whatever it was, the listener starts again
            tell(Lost(first_line(error), wait_s))
            pause(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _engine(url: str) -> Engine:
    given = make_engine(url).url
    missing = {name: value for name, value in _KEEPALIVE.items() if name not in given.query}
    watched = given.update_query_dict(missing).render_as_string(hide_password=False)
    return make_engine(watched, pool_size=1, application_name="ai_assets listen")


@contextmanager
def _listening(engine: Engine, channels: Sequence[str]) -> Iterator[psycopg2.extensions.connection]:
    pooled = engine.raw_connection()
    connection = cast("psycopg2.extensions.connection", pooled.driver_connection)
    # out of the pool: a connection that listens goes on listening wherever it is used next
    pooled.detach()
    try:
        # outside of a transaction: news reach a session only between two
        connection.set_session(autocommit=True)
        with connection.cursor() as cursor:
            for channel in channels:
                cursor.execute(_LISTEN.format(channel=sql.Identifier(channel)))
        yield connection
    finally:
        connection.close()


def _heard(connection: psycopg2.extensions.connection) -> Iterator[Heard]:
    """Yield what comes within the next `_LOOK_S` seconds."""
    wait_readable(connection, _LOOK_S)
    connection.poll()
    while connection.notifies:
        notify = connection.notifies.pop(0)
        payload = _payload(notify.payload)
        if payload is None:
            logger.warning("skipped news on %s: the payload is not a JSON object", notify.channel)
            continue
        yield Heard(notify.channel, payload)


def _payload(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _log(state: State) -> None:
    match state:
        case Listening(again=True):
            logger.info("listening again; news in between were missed")
        case Lost(error=error, wait_s=wait_s):
            logger.warning("no longer listening (%s); trying again in %.1f s", error, wait_s)
        case _:
            pass
