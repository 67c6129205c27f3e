"""Sending a sample's history to the inbox: in its own rhythm, faster by a factor, or as fast as it goes.

Here: when each event is due, how many go in one transaction, what came of them. Not here: which events there
are (`history`), arguments and what is printed (`replay_cli`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, text

from ai_assets.samples.history import Event
from ai_assets.store import inbox
from ai_assets.store.engine import reachable

TOGETHER = 500
"""Events in one transaction at most: a commit costs more than an event, and nothing of it is seen before."""

_BECAME = text("select status, error_message from biz.ai_trigger_jobs where id = any(:ids) order by id")

Became = tuple[str, str | None]
"""A trigger job's status as it was taken in, and its error."""

Send = Callable[[Sequence[Event]], Sequence[Became]]


@dataclass
class Tally:
    """What was sent so far. `errors`: the messages of events recorded as failed, and how often each."""

    sent: int = 0
    taken_in: int = 0
    duplicates: int = 0
    failed: int = 0
    ignored: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def add(self, became: Became) -> None:
        """Count one event."""
        status, error = became
        self.sent += 1
        if status == "duplicate":
            self.duplicates += 1
        elif status == "ignored":
            self.ignored += 1
        elif status == "failed":
            self.failed += 1
            message = error or "no reason given"
            self.errors[message] = self.errors.get(message, 0) + 1
        else:
            self.taken_in += 1


def due_s(at: datetime, first: datetime, speed: float | None) -> float:
    """Seconds after the start at which an event is due; `first` is the first one's time.

    `speed` is times real time; None: everything is due at once.
    """
    return 0.0 if speed is None else (at - first).total_seconds() / speed


def replay(
    events: Iterable[Event],
    send: Send,
    tally: Tally,
    *,
    speed: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    progress: Callable[[Tally], object] = lambda _tally: None,
    together: int = TOGETHER,
) -> None:
    """Send `events` in their order, each when it is due, those due together up to `together` at once.

    `tally` grows as they are sent, so it is right however this ends. `stopped` is asked before each event; what
    is due but not sent by then stays unsent. Raises what `send` raises.
    """
    began = clock()
    first: datetime | None = None
    due: list[Event] = []

    def flush() -> None:
        if due:
            for became in send(due):
                tally.add(became)
            due.clear()
            progress(tally)

    for event in events:
        first = first or event.at
        while not stopped() and (ahead := began + due_s(event.at, first, speed) - clock()) > 0:
            if due:
                # before any pause; it may have taken as long as the pause would have
                flush()
            else:
                sleep(ahead)
        if stopped():
            return
        due.append(event)
        if len(due) >= together:
            flush()
    flush()


def to_inbox(engine: Engine) -> Send:
    """Sends to this database's inbox, all at once in one transaction.

    Raises DatabaseUnavailableError; then none of them was sent.
    """

    def send(events: Sequence[Event]) -> Sequence[Became]:
        with reachable("sending events"), engine.begin() as connection:
            ids = [
                inbox.fire(
                    connection,
                    event.event_type,
                    site_id=event.site_id,
                    member_id=event.member_id,
                    payload=event.payload,
                )
                for event in events
            ]
            return [(row.status, row.error_message) for row in connection.execute(_BECAME, {"ids": ids})]

    return send
