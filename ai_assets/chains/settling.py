"""Writing what came of a call, once, as soon as Postgres is there. Not here: what is written.

The hard case is a commit whose answer was lost: it may have gone through. Then the lease is gone, and the run log tells
whose doing that was: ours, or the next comer's, who found the lease ended (`outcome_unknown`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.store import run_log
from ai_assets.store.engine import reachable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ai_assets.guard.admission import Admission, Guard, Settlement
    from ai_assets.store.run_log import CallRecord

T = TypeVar("T")

SETTLE_RETRY_S = 0.5


@dataclass(frozen=True)
class Written(Generic[T]):
    """What went through: how the guard settled it, and what `also` returned."""

    settlement: Settlement
    also: T


@dataclass(frozen=True)
class Ending:
    """How a call ended: its row in the run log, and what that means for the guard (see Guard.settle)."""

    record: CallRecord
    effect: str
    cooldown_s: float | None = None


def write_ending(
    engine: Engine,
    guard: Guard,
    admission: Admission,
    ending: Ending,
    also: Callable[[Connection], T],
    *,
    deadline: float,
    cancelled: threading.Event,
) -> Written[T] | None:
    """Write the run log, settle the guard, and `also`, in one transaction; None: the lease was taken over.

    Tries again as long as the lease lasts (`deadline`, monotonic seconds), and never does it twice. Raises
    DatabaseUnavailableError after that, or at once where the run was cancelled: then the lease ends by itself, and the
    next comer settles it at its estimate. What `also` raises passes through; nothing is written then.
    """
    tried: Written[T] | None = None

    def write() -> Written[T] | None:
        nonlocal tried
        with reachable("writing how a call ended"), engine.begin() as connection:
            if not guard.holds(connection, admission):
                return tried if _is_ours(connection, admission.run_log_id, ending.record) else None
            more = also(connection)
            run_log.finish(connection, admission.run_log_id, ending.record)
            settlement = guard.settle(
                connection,
                admission,
                effect=ending.effect,
                reason=ending.record.reason or "",
                tokens=ending.record.tokens_used,
                cooldown_s=ending.cooldown_s,
            )
            tried = Written(settlement, more)
        return tried

    while True:
        try:
            return write()
        except DatabaseUnavailableError:
            if cancelled.is_set() or time.monotonic() + SETTLE_RETRY_S > deadline:
                raise
            cancelled.wait(SETTLE_RETRY_S)


def _is_ours(connection: Connection, run_log_id: int, record: CallRecord) -> bool:
    row = run_log.run_log(connection, run_log_id)
    return row is not None and (row["status"], row["reason"]) == (record.status, record.reason)
