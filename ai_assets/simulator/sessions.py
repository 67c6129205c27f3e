"""Sessions of the simulated service: issued with each first answer, continued when asked for.

Here: which session id an answer carries. Not here: any memory of what was said; an answer depends on its own
prompt only.

A session lives 1 hour and 50 rounds (public documentation); after that, and for an id that was never issued,
the simulator begins a new one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

LIFE_S: Final = 3600.0
MOST_ROUNDS: Final = 50
MOST_SESSIONS: Final = 10_000


class Sessions:
    """Session ids in use, the least recently used forgotten beyond MOST_SESSIONS. For one thread."""

    def __init__(self, new_id: Callable[[], str], monotonic: Callable[[], float]) -> None:
        self._new_id = new_id
        self._monotonic = monotonic
        self._rounds: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def next_round(self, asked_for: str | None) -> str:
        """The id (32 hex digits) of the session in which this round is held."""
        now = self._monotonic()
        rounds, begun = self._rounds.pop(asked_for, (0, now)) if asked_for else (0, now)
        if asked_for and 0 < rounds < MOST_ROUNDS and now - begun < LIFE_S:
            session = asked_for
        else:
            session, rounds, begun = self._new_id(), 0, now
        self._rounds[session] = (rounds + 1, begun)
        if len(self._rounds) > MOST_SESSIONS:
            self._rounds.popitem(last=False)
        return session

    def forget(self) -> None:
        """End every session."""
        self._rounds.clear()
