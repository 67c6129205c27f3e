"""The guarded door: ask for admission, take a place for a retry, end the call.

Here: the Python side of `biz.ai_admit` and `biz.ai_take_place`, and waiting one's turn. Not here: the rules (SQL, see
`ai_assets.guard.limits`), how a call ends (`ai_assets.guard.ending`), the call itself, alerts.
Order (docs/behaviour.md, A step): target in flight → memo → circuit breaker → rate limit → token budget.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from ai_assets.errors import AiAssetsError, TransientError
from ai_assets.guard.ending import Ending, Settlement, end_call
from ai_assets.guard.limits import GuardLimits
from ai_assets.store.engine import autocommitting, reachable

_ADMIT = text(
    """
    select * from biz.ai_admit(:app, :site, :target, :member, :job, :trigger, :prompt, :hash, :forced, :batch,
        :pending, :turn, :ticket, :wait_s, :lease_s, :waited_s, cast(:limits as jsonb))
    """
)
_TAKE_PLACE = text(
    "select wait_s, p_ticket as ticket from biz.ai_take_place(:site, :batch, :wait_s, cast(:limits as jsonb), :ticket)"
)
_LEAVE = text(
    """
    with gone as (delete from biz.ai_run_logs where id = :pending and status = 'pending')
    select biz.ai_rate_leave(:site, :turn, :ticket)
    """
)

SINGLE_FLIGHT_POLL_S = 0.25
"""How often a second call for a target looks whether the first has ended."""

LATE_S = 0.005
"""A look that comes a moment early is one more round trip; one that comes late costs its place nothing."""


class GuardRefusalError(AiAssetsError):
    """The guard refused a call; `reason` is circuit_open, rate_limited or budget_exceeded:<which>.

    `until_closed`: the breaker that refused it stays open until somebody closes it.
    """

    def __init__(self, reason: str, run_log_id: int, message: str, *, until_closed: bool = False) -> None:
        super().__init__(message)
        self.refusal = reason
        self.run_log_id = run_log_id
        self.until_closed = until_closed


class NoPlaceError(TransientError):
    """An admitted call found no place in the rate for one more HTTP attempt within its time."""

    reason = "rate_limited"


class AdmissionCancelledError(AiAssetsError):
    """The run was cancelled while the call waited for its turn; nothing was spent."""

    reason = "cancelled"


@dataclass(frozen=True)
class Call:
    """One call that asks to be admitted."""

    app: str
    cache_type: str
    site_id: int
    target_id: str
    prompt: str
    prompt_hash: str
    trigger_type: str
    """event, batch or manual; a batch may use only its share of the rate and waits longer."""
    member_id: int | None = None
    trigger_job_id: int | None = None
    forced: bool = False
    background: bool = False
    """Work that leaves room for live events as a batch does, whatever its trigger type."""
    lease_s: float = 185.0

    @property
    def batch(self) -> bool:
        """Whether the call leaves room for live ones."""
        return self.background or self.trigger_type == "batch"


@dataclass(frozen=True)
class Admission:
    """A call that may be made: its lease, its row in the run log, and what was reserved for it."""

    lease_id: int
    run_log_id: int
    reserved_tokens: int


@dataclass(frozen=True)
class Reuse:
    """The newest cached result has the same prompt: no call is needed."""

    cache_id: int


class Guard:
    """Admission on Postgres. Thread-safe: it keeps nothing between calls.

    `pause(seconds, cancelled)` waits and says whether the run was cancelled meanwhile.
    """

    def __init__(
        self,
        engine: Engine,
        limits: GuardLimits,
        *,
        apps: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float, threading.Event], bool] | None = None,
    ) -> None:
        self.limits = limits
        self._engine = engine
        self._apps = apps
        self._clock = clock
        self._pause = pause or (lambda seconds, cancelled: cancelled.wait(seconds))

    def admit(
        self, call: Call, cancelled: threading.Event, *, patience_s: float | None = None
    ) -> Admission | Reuse:
        """Wait for the target to be free and for a turn in the rate; returns at once where neither is needed.

        `patience_s`: how long it may wait for its turn at most, if that is less than the limits say.
        Raises GuardRefusalError, AdmissionCancelledError, or DatabaseUnavailableError (fail closed).
        """
        wait_s = self.limits.wait_s(batch=call.batch)
        asked_at = self._clock()
        patience_ends = asked_at + (wait_s if patience_s is None else min(wait_s, patience_s))
        waiting = _Waiting()
        while True:
            now = self._clock()
            row = self._ask(call, waiting, max(0.0, patience_ends - now), now - asked_at)
            waiting = _Waiting(row["run_log_id"], row["turn_at"], row["ticket"])
            match row["verdict"]:
                case "admitted":
                    return Admission(row["lease_id"], row["run_log_id"], row["estimate"])
                case "reuse":
                    return Reuse(row["cache_id"])
                case "refused":
                    raise GuardRefusalError(
                        row["reason"],
                        row["run_log_id"],
                        row["message"],
                        until_closed=bool(row["until_closed"]),
                    )
                case "again":
                    continue
                case "wait":
                    seconds = row["retry_after_s"] + LATE_S
                case _:
                    seconds = min(SINGLE_FLIGHT_POLL_S, row["retry_after_s"] + LATE_S)
            began = self._clock()
            if self._pause(seconds, cancelled):
                self._leave(call, waiting)
                raise AdmissionCancelledError
            if row["verdict"] == "in_flight":
                # waiting for another call of the target is not waiting for a turn in the rate
                patience_ends += self._clock() - began

    def take_place(self, call: Call, remaining_s: float, cancelled: threading.Event) -> None:
        """A place in the rate for one more HTTP attempt of an admitted call, within `remaining_s`.

        It goes before calls that are not admitted yet. Raises NoPlaceError where none comes free in time,
        AdmissionCancelledError, DatabaseUnavailableError.
        """
        ends = self._clock() + remaining_s
        ticket: int | None = None
        while True:
            patience_s = max(0.0, ends - self._clock())
            asked = {
                "site": call.site_id,
                "batch": call.batch,
                "wait_s": patience_s,
                "limits": self._limits(call),
                "ticket": ticket,
            }
            with reachable("a place for a retry"), autocommitting(self._engine) as connection:
                row = connection.execute(_TAKE_PLACE, asked).mappings().one()
            ticket = row["ticket"]
            if row["wait_s"] == 0:
                return
            if row["wait_s"] > patience_s:
                raise NoPlaceError(
                    f"rate_limited: no place in the rate of site {call.site_id} for another attempt of "
                    f"{call.app} ({call.target_id}) within its time (AI_RATE_PER_MINUTE)"
                )
            if self._pause(row["wait_s"] + LATE_S, cancelled):
                # its ticket stops counting by itself
                raise AdmissionCancelledError

    def end(self, connection: Connection, admission: Admission, ending: Ending) -> Settlement:
        """Write how the call ended, all or nothing; last in a transaction that writes more."""
        return end_call(connection, admission.lease_id, ending, apps=self._apps, limits=self.limits)

    def _ask(self, call: Call, waiting: _Waiting, wait_s: float, waited_s: float) -> dict[str, Any]:
        parameters = {
            "app": call.app,
            "site": call.site_id,
            "target": call.target_id,
            "member": call.member_id,
            "job": call.trigger_job_id,
            "trigger": call.trigger_type,
            "prompt": call.prompt,
            "hash": call.prompt_hash,
            "forced": call.forced,
            "batch": call.batch,
            "pending": waiting.run_log_id,
            "turn": waiting.turn_at,
            "ticket": waiting.ticket,
            "wait_s": wait_s,
            "lease_s": call.lease_s,
            "waited_s": waited_s,
            "limits": self._limits(call),
        }
        with reachable("asking the guard"), autocommitting(self._engine) as connection:
            return dict(connection.execute(_ADMIT, parameters).mappings().one())

    def _limits(self, call: Call) -> str:
        return json.dumps({**self.limits.as_json(), "cache_type": call.cache_type})

    def _leave(self, call: Call, waiting: _Waiting) -> None:
        if waiting.run_log_id is None and waiting.ticket is None:
            return
        parameters = {
            "pending": waiting.run_log_id,
            "site": call.site_id,
            "turn": waiting.turn_at,
            "ticket": waiting.ticket,
        }
        with reachable("giving a turn back"), autocommitting(self._engine) as connection:
            connection.execute(_LEAVE, parameters)


@dataclass(frozen=True)
class _Waiting:
    """What a waiting call holds: its row in the run log, its turn and its ticket in the site's queue."""

    run_log_id: int | None = None
    turn_at: datetime | None = None
    ticket: int | None = None
