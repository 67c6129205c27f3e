"""What the simulator was asked, counted.

Here: counters and the last prompts, safe to read from any thread. Not here: API keys, which are never kept.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

UNKNOWN_APP: Final = "unknown"


@dataclass(frozen=True)
class Call:
    """One completion call as it arrived. `at` is aware; `outcome` is a kind."""

    at: datetime
    app: str
    outcome: str
    prompt: str | None = None
    stream: bool = False
    session_id: str | None = None
    biz_params: dict[str, object] | None = None


class Stats:
    """Counts completion calls; keeps the last `keep_prompts` of them per app."""

    def __init__(self, keep_prompts: int) -> None:
        self._keep = keep_prompts
        self._lock = threading.Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is in flight right now."""
        with self._lock:
            self._total = 0
            self._abandoned = 0
            self._max_in_flight = self._in_flight
            self._by_app: dict[str, Counter[str]] = {}
            self._first: datetime | None = None
            self._last: datetime | None = None
            self._last_answer: datetime | None = None
            self._calls: dict[str, deque[Call]] = {}

    def begin(self, call: Call) -> None:
        """A call has arrived and its outcome is decided."""
        with self._lock:
            self._total += 1
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
            self._by_app.setdefault(call.app, Counter())[call.outcome] += 1
            self._first = self._first or call.at
            self._last = call.at
            if self._keep and call.prompt is not None:
                self._calls.setdefault(call.app, deque(maxlen=self._keep)).append(call)

    def end(self, at: datetime, *, abandoned: bool) -> None:
        """A call is over; `abandoned`: the caller was gone before it had its answer."""
        with self._lock:
            self._in_flight -= 1
            self._abandoned += abandoned
            self._last_answer = at

    def calls(self, app: str) -> list[Call]:
        """The kept calls of `app`, oldest first."""
        with self._lock:
            return list(self._calls.get(app, ()))

    def as_json(self, *, prompts: bool = False) -> dict[str, object]:
        """The counters, as `GET /stats` shows them; times are ISO 8601 with their offset, or null.

        Keys: total, by_app, by_outcome, by_app_outcome, in_flight, max_in_flight, abandoned,
        first_request_at, last_request_at, last_answer_at; with `prompts` also prompts: the kept calls per
        app, oldest first.
        """
        with self._lock:
            shown: dict[str, object] = {
                "total": self._total,
                "by_app": {app: sum(counts.values()) for app, counts in self._by_app.items()},
                "by_outcome": dict(sum(self._by_app.values(), Counter())),
                "by_app_outcome": {app: dict(counts) for app, counts in self._by_app.items()},
                "in_flight": self._in_flight,
                "max_in_flight": self._max_in_flight,
                "abandoned": self._abandoned,
                "first_request_at": _iso(self._first),
                "last_request_at": _iso(self._last),
                "last_answer_at": _iso(self._last_answer),
            }
            if prompts:
                shown["prompts"] = {app: [_shown(call) for call in row] for app, row in self._calls.items()}
            return shown


def _shown(call: Call) -> dict[str, object]:
    return {**asdict(call), "at": _iso(call.at)}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
