"""Replaying trigger jobs: which requests make sense, at what pace, and what came of it in words.

Here: rules for the command and the Dagster job alike; clock, sleep and sending are given. Not here: which jobs there
are (`ai_assets.store.job_list`), what a replay is (`ai_assets.store.job_control`).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ai_assets.errors import InputError
from ai_assets.store.job_control import Replay, Replayed, replay_job
from ai_assets.store.job_filter import JobFilter
from ai_assets.store.job_list import ids_to_replay

if TYPE_CHECKING:
    from sqlalchemy import Engine

MOST_TOLD = 20
"""Jobs named one by one in a summary."""
FASTEST_PER_MINUTE = 60_000.0

_RATE = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)\s*(?:/\s*(s|sec|min|m|h))?", re.ASCII)
_PER_MINUTE = {"s": 60.0, "sec": 60.0, "min": 1.0, "m": 1.0, "h": 1 / 60, None: 1.0}

_SAID: Mapping[Replayed, str] = {
    Replayed.REPLAYED: "replayed as {replay}",
    Replayed.DUPLICATE: "not run: the same event came again meanwhile (see {replay})",
    Replayed.FAILED: "taken in as {replay}, and it cannot be run (see its error)",
    Replayed.IGNORED: "not run: a consumption without a member (see {replay})",
    Replayed.REPLAYED_BEFORE: "was replayed before, as {replay}: that one may be replayed",
    Replayed.PAYLOAD_LOST: "cannot be replayed: its payload was refused, and not kept",
    Replayed.PENDING: "is pending: it runs by itself",
    Replayed.RUNNING: "is running",
    Replayed.MISSING: "is not there",
}
_NOT_DONE = frozenset(
    {Replayed.FAILED, Replayed.PAYLOAD_LOST, Replayed.MISSING, Replayed.RUNNING, Replayed.PENDING}
)


def per_minute(rate: str | None) -> float | None:
    """Jobs a minute of a rate such as `30/min`, `2/s`, `600/h` or `30` (a minute); None: as fast as it goes.

    Raises InputError.
    """
    if rate is None or not rate.strip():
        return None
    found = _RATE.fullmatch(rate.strip())
    value = float(found[1]) * _PER_MINUTE[found[2]] if found else 0.0
    if not 0 < value <= FASTEST_PER_MINUTE:
        raise InputError(f"rate {rate!r} is none above 0 and up to 1000/s: give 30/min, 2/s or 600/h")
    return value


@dataclass
class Tally:
    """What a replay has come to so far: right however it ends. `told` are the first jobs by name."""

    chosen: int
    outcomes: Counter[Replayed] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    replays: list[int] = field(default_factory=list)

    @property
    def done(self) -> int:
        """How many were looked at."""
        return self.outcomes.total()

    @property
    def not_done(self) -> int:
        """How many of them could not be replayed."""
        return sum(self.outcomes[outcome] for outcome in _NOT_DONE)

    def add(self, replay: Replay) -> None:
        """Count one."""
        self.outcomes[replay.outcome] += 1
        if replay.outcome is Replayed.REPLAYED and replay.replay is not None:
            self.replays.append(replay.replay)
        if len(self.told) < MOST_TOLD:
            self.told.append(said(replay))

    def sentence(self) -> str:
        """One line for people."""
        parts = ", ".join(f"{count} {outcome.value}" for outcome, count in self.outcomes.most_common())
        head = "" if self.done == self.chosen else f"stopped after {self.done} of {self.chosen}: "
        return head + (parts or "nothing to replay")


def said(replay: Replay) -> str:
    """What came of one, in words."""
    return f"trigger job {replay.job_id} " + _SAID[replay.outcome].format(replay=replay.replay)


def chosen(engine: Engine, wanted: JobFilter, *, limit: int | None) -> list[int]:
    """The jobs to replay, in the order in which they came; fixed now: what fails again meanwhile is not among them.

    Jobs named by their ids alone are taken as they are, so that each is told why it cannot be. Raises InputError for a
    filter that says nothing: nobody means the whole ledger.
    """
    if wanted.is_empty:
        raise InputError("say which jobs: by id, state, site, event type, member, error text, since or until")
    if wanted == JobFilter(ids=wanted.ids):
        return list(wanted.ids[:limit])
    with engine.connect() as connection:
        return ids_to_replay(connection, wanted, limit=limit)


def sender(engine: Engine, *, forced: bool) -> Callable[[int], Replay]:
    """Replays one job in a transaction of its own: an interruption cuts none in two."""

    def send(job_id: int) -> Replay:
        with engine.begin() as connection:
            return replay_job(connection, job_id, forced=forced)

    return send


def replay_all(
    job_ids: Sequence[int],
    send: Callable[[int], Replay],
    tally: Tally,
    *,
    rate: float | None,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Replay]:
    """Replay the jobs one after the other, never more than `rate` a minute; yields each as it is done.

    `tally` grows with them. Once `stopped` says so, the next one is not begun. Raises what `send` raises.
    """
    next_at = clock()
    for job_id in job_ids:
        while not stopped() and (ahead := next_at - clock()) > 0:
            sleep(ahead)
        if stopped():
            return
        # from the beginning of one to that of the next; who was held up does not hurry afterwards
        next_at = clock() + (60.0 / rate if rate else 0.0)
        replay = send(job_id)
        tally.add(replay)
        yield replay
