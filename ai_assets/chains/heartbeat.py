"""The heartbeat of a worker or a site run: renews its leases and finds out which of them it has lost."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.errors import AiAssetsError
from ai_assets.store import job_control, leases, workers
from ai_assets.store.engine import first_line, reachable

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.chains.job_lease import JobLease

logger = logging.getLogger(__name__)

LONGEST_PAUSE_S = 5.0


class Heartbeat:
    """Sends a heartbeat every third of the lease and at least every LONGEST_PAUSE_S, in a thread of its own.

    Work on a job that another process has, or may have because no heartbeat got through for a lease, is cancelled and
    its lease marked lost: two must never work on one job.
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
        held: Callable[[], Sequence[JobLease]],
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
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{worker_id}", daemon=True)

    def start(self) -> None:
        """Send the first heartbeat in this thread, which raises what it raises; then go on in the background."""
        self.send()
        self._thread.start()

    def drain(self) -> None:
        """Record that this process claims nothing new. An error is logged."""
        self._draining = True
        self._try("a heartbeat", self.send)

    def stop(self) -> None:
        """Send no more heartbeats and record that this process has stopped. An error is logged."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._try("recording the end", self._deregister)

    def send(self) -> None:
        """Send one heartbeat. Raises DatabaseUnavailableError."""
        asked = self._clock()
        held = self._held()
        with reachable("a heartbeat"), self._engine.begin() as connection:
            ours = set(
                workers.heartbeat(
                    connection,
                    worker_id=self._worker_id,
                    kind=self._kind,
                    run_id=self._run_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    running=len(held),
                    draining=self._draining,
                    lease_s=self._lease_s,
                ).items()
            )
            cancelled = job_control.asked_to_stop(connection, owner=self._worker_id)
        self._abandon_lost(ours, asked)
        self._cancel(cancelled)
        self._release_orphans(ours)

    def _run(self) -> None:
        last = self._clock()
        while not self._ended.wait(min(self._lease_s / 3, LONGEST_PAUSE_S)):
            asked = self._clock()
            if self._try("a heartbeat", self.send):
                last = asked
            elif self._clock() - last > self._lease_s:
                # by now another process may have every job of ours
                self._abandon_lost(set(), asked)

    def _abandon_lost(self, ours: set[tuple[int, int]], asked: float) -> None:
        for lease in self._held():
            # one that was claimed after the question is not in the answer yet
            if lease.attempt not in ours and lease.claimed_at < asked and not lease.ended.is_set():
                logger.error("trigger job %s was taken over by another process: its work stops", lease.job.id)
                lease.lost.set()
                lease.cancelled.set()

    def _cancel(self, attempts: set[tuple[int, int]]) -> None:
        """Stop the work on jobs that an operator cancelled; Postgres ends the job when it is finished or requeued."""
        for lease in self._held():
            if lease.attempt in attempts and not lease.ended.is_set() and not lease.cancelled.is_set():
                logger.warning("trigger job %s was cancelled: its work stops", lease.job.id)
                lease.cancelled.set()

    def _release_orphans(self, ours: set[tuple[int, int]]) -> None:
        """Expire leases that nothing works on: a job whose end could not be written must not be held forever.

        Only those that were orphans at the heartbeat before too: between a claim and the start of its work there is a
        moment.
        """
        orphans = ours - {lease.attempt for lease in self._held()}
        again = orphans & self._orphans
        self._orphans = orphans
        if again:
            with reachable("expiring a lease"), self._engine.begin() as connection:
                for job_id, attempts in again:
                    leases.expire_lease(connection, job_id, owner=self._worker_id, attempts=attempts)

    def _deregister(self) -> None:
        with reachable("recording the end"), self._engine.begin() as connection:
            # what could not be ended: it must not wait until the lease expires
            leases.expire_leases(connection, owner=self._worker_id)
            if self._run_id is None:
                workers.delete(connection, self._worker_id)
            else:
                workers.mark_stopped(connection, self._worker_id)

    def _try(self, what: str, do: Callable[[], None]) -> bool:
        try:
            do()
        except (AiAssetsError, SQLAlchemyError) as error:
            logger.warning("%s: %s: %s", self._worker_id, what, first_line(error))
            return False
        return True
