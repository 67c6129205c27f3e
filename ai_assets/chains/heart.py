"""A worker's heartbeat: says that it lives, holds its jobs on, and learns which of them are another's by now."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.errors import AiAssetsError
from ai_assets.store import claims, job_control, workers
from ai_assets.store.engine import first_line, reachable

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.chains.worker_values import HeldChain

logger = logging.getLogger(__name__)

LONGEST_PAUSE_S = 5.0


class Heart:
    """Beats every third of the lease and at least every LONGEST_PAUSE_S, in a thread of its own.

    A chain whose job is another's, or may be because no beat got through for a lease, is cancelled and marked lost:
    two must never work on one.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        worker_id: str,
        kind: str,
        run_id: str | None,
        lease_s: float,
        clock: Callable[[], float],
        held: Callable[[], Sequence[HeldChain]],
    ) -> None:
        self._engine = engine
        self._worker_id = worker_id
        self._kind = kind
        self._run_id = run_id
        self._lease_s = lease_s
        self._clock = clock
        self._held = held
        self._draining = False
        self._orphans: set[tuple[int, int]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"heart-{worker_id}", daemon=True)

    def start(self) -> None:
        """The first beat, in this thread: raises what it raises. Then on by itself."""
        self.beat()
        self._thread.start()

    def drain(self) -> None:
        """Say that this worker takes nothing new. Trouble with it is logged."""
        self._draining = True
        self._try("a worker's heartbeat", self.beat)

    def stop(self) -> None:
        """No beat any more, and no worker: its row goes. Trouble with it is logged."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._try("a worker's end", self._gone)

    def beat(self) -> None:
        """One beat. Raises DatabaseUnavailableError."""
        asked = self._clock()
        chains = self._held()
        with reachable("a worker's heartbeat"), self._engine.begin() as connection:
            ours = set(
                workers.beat(
                    connection,
                    worker_id=self._worker_id,
                    kind=self._kind,
                    run_id=self._run_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    running=len(chains),
                    draining=self._draining,
                    lease_s=self._lease_s,
                ).items()
            )
            cancelled = job_control.asked_to_stop(connection, owner=self._worker_id)
        self._lose(ours, asked)
        self._cancel(cancelled)
        self._let_orphans_go(ours)

    def _beat_on(self) -> None:
        last = self._clock()
        while not self._ended.wait(min(self._lease_s / 3, LONGEST_PAUSE_S)):
            asked = self._clock()
            if self._try("a worker's heartbeat", self.beat):
                last = asked
            elif self._clock() - last > self._lease_s:
                # by now another worker may have every job of ours
                self._lose(set(), asked)

    def _lose(self, ours: set[tuple[int, int]], asked: float) -> None:
        for chain in self._held():
            # claimed after we asked: not among the answers yet
            if chain.attempt not in ours and chain.claimed_at < asked and not chain.ended.is_set():
                logger.error("trigger job %s is another worker's now: its chain stops", chain.job.id)
                chain.lost.set()
                chain.cancelled.set()

    def _cancel(self, attempts: set[tuple[int, int]]) -> None:
        """Chains that an operator wants stopped: they end as in a worker that stops, and Postgres ends their jobs."""
        for chain in self._held():
            if chain.attempt in attempts and not chain.ended.is_set() and not chain.cancelled.is_set():
                logger.warning("trigger job %s was cancelled: its chain stops", chain.job.id)
                chain.cancelled.set()

    def _let_orphans_go(self, ours: set[tuple[int, int]]) -> None:
        """Jobs that are ours and that no chain works on: one that could not be ended must not be held forever.

        Only what was so at the beat before too: between a claim and its chain's start there is a moment.
        """
        orphans = ours - {chain.attempt for chain in self._held()}
        again = orphans & self._orphans
        self._orphans = orphans
        if again:
            with reachable("letting jobs go"), self._engine.begin() as connection:
                for job_id, attempts in again:
                    claims.let_go(connection, job_id, owner=self._worker_id, attempts=attempts)

    def _gone(self) -> None:
        with reachable("a worker's end"), self._engine.begin() as connection:
            # what could not be ended: its members must not wait for the lease
            claims.let_all_go(connection, owner=self._worker_id)
            if self._run_id is None:
                workers.gone(connection, self._worker_id)
            else:
                workers.goodbye(connection, self._worker_id)

    def _try(self, what: str, do: Callable[[], None]) -> bool:
        try:
            do()
        except (AiAssetsError, SQLAlchemyError) as error:
            logger.warning("worker %s: %s: %s", self._worker_id, what, first_line(error))
            return False
        return True
