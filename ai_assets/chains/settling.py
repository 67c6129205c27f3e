"""Writing what came of a call, once, as soon as Postgres is there. Not here: what is written.

The hard case is a commit whose answer was lost: it may have gone through. Then the lease is gone, and the run log tells
whose doing that was: ours, or the next comer's, who found the lease ended (`outcome_unknown`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.guard.ending import Settlement
from ai_assets.store import cache, run_log
from ai_assets.store.engine import autocommitting, reachable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ai_assets.guard.admission import Admission, Guard
    from ai_assets.guard.ending import Ending

T = TypeVar("T")

SETTLE_RETRY_S = 0.5


@dataclass(frozen=True)
class Written(Generic[T]):
    """What went through: how the guard settled it, and what `also` returned."""

    settlement: Settlement
    also: T | None


def write_ending(
    engine: Engine,
    guard: Guard,
    admission: Admission,
    ending: Ending,
    also: Callable[[Connection], T] | None,
    *,
    deadline: float,
    cancelled: threading.Event,
) -> Written[T] | None:
    """Write the run log, the answer, `also`, and settle the guard, all or nothing; None: the lease was taken over.

    Tries again as long as the lease lasts (`deadline`, monotonic seconds), and never does it twice. Raises
    DatabaseUnavailableError after that, or at once where the run was cancelled: then the lease ends by itself, and the
    next comer settles it at its estimate. What `also` raises passes through; nothing is written then.
    """
    tried: Written[T] | None = None

    def write() -> Written[T] | None:
        nonlocal tried
        with reachable("writing how a call ended"), _transaction(engine, ending, also) as connection:
            more = also(connection) if also is not None else None
            settlement = guard.end(connection, admission, ending)
            if settlement.settled:
                tried = Written(settlement, more)
                return tried
            # what `also` wrote is not this call's to write any more
            connection.rollback()
        with reachable("looking how a call ended"), engine.connect() as connection:
            return _written_before(connection, admission, ending, tried)

    while True:
        try:
            return write()
        except DatabaseUnavailableError:
            if cancelled.is_set() or time.monotonic() + SETTLE_RETRY_S > deadline:
                raise
            cancelled.wait(SETTLE_RETRY_S)


@contextmanager
def _transaction(engine: Engine, ending: Ending, also: object) -> Iterator[Connection]:
    """One that is committed at its end; where the one statement is all, that statement is its own."""
    if also is None and ending.answer is not None:
        with autocommitting(engine) as connection:
            yield connection
        return
    # a failure may open breakers: which ones must be known though the answer to the commit is lost
    with engine.begin() as connection:
        yield connection


def _written_before(
    connection: Connection, admission: Admission, ending: Ending, tried: Written[T] | None
) -> Written[T] | None:
    """What an earlier try came to whose answer was lost; None: it was another's doing."""
    row = run_log.run_log(connection, admission.run_log_id)
    record = ending.record
    if row is None or (row["status"], row["reason"]) != (record.status, record.reason):
        return None
    if tried is not None:
        return tried
    return Written(
        Settlement(True, record.tokens_used, cache_id=cache.of_call(connection, admission.run_log_id)), None
    )
