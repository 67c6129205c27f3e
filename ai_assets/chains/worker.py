"""A worker: claims members' trigger jobs from the inbox and runs many chains side by side.

Here: when to claim and when to end. Not here: one chain (`chains.held_chain`), the heartbeat (`chains.heartbeat`), SQL
of claims (`store.claims`), Dagster, which only asks for a worker and shows what it made. Two rules: a job is worked on
only while Postgres says that it is ours, and what is not at its end is requeued.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.chains.heartbeat import Heartbeat
from ai_assets.chains.held_chain import ChainRunner
from ai_assets.chains.member_chain import STEPS_OF_TIME
from ai_assets.chains.worker_values import AloneJobs, HeldChain, Reporter, WorkerLimits, WorkerSummary
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.privacy.logs import log_defect
from ai_assets.store import claims, leases, workers
from ai_assets.store.alerts import alert_dead
from ai_assets.store.engine import Statements, first_line, reachable
from ai_assets.store.queue_depth import queue_depth

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.chains.runtime import Runtime
    from ai_assets.store.trigger_jobs import TriggerJob

logger = logging.getLogger(__name__)

POLL_S = 0.1
"""How often an idle worker looks into the inbox: an event waits half of this on average."""
CLAIM_PAUSE_S = 0.02
"""Under load, claims are at least so far apart: one round trip takes several jobs."""
UPKEEP_S = 5.0
"""How often a worker looks for expired leases and for events that no claim sees."""
STOP_S = 7.0
"""A worker asked to stop lets its chains go on for so long before it hands them back (10 s in all)."""
CANCEL_S = 1.0
"""A cancelled chain that has not ended after so long waits for Postgres: its statement is cancelled too."""
FAILURE_GRACE_S = 60.0
"""A worker with a failed step works on for so long at most: Dagster shows red when its run has ended."""


class Worker:
    """One worker; `run` once. Its chains run in threads of its own."""

    def __init__(
        self,
        runtime: Runtime,
        limits: WorkerLimits,
        reporter: Reporter,
        *,
        worker_id: str,
        run_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.summary = WorkerSummary()
        self._runtime = runtime
        self._limits = limits
        self._id = worker_id
        self._run_id = run_id
        self._clock = clock
        self._running: dict[Future[None], HeldChain] = {}
        self._after_site: dict[bool, int | None] = {False: None, True: None}
        self._promoted_after: tuple[int, int] | None = None
        self._draining = False
        self._first_failure: float | None = None
        self._hurry = threading.Event()
        self._stop = threading.Event()
        self._chains = ChainRunner(
            runtime,
            reporter,
            self.summary,
            owner=worker_id,
            lease_s=limits.lease_s,
            clock=clock,
            hurry=self._hurry,
            on_failed_step=self._step_failed,
        )
        self._statements = Statements(runtime.engine)
        self._failing_since: float | None = None
        self._idle_since = clock()
        self._heartbeat = Heartbeat(
            runtime.engine,
            worker_id=worker_id,
            kind=workers.ISOLATED_WORKER if limits.alone_jobs is AloneJobs.ONLY else workers.EVENT_WORKER,
            run_id=run_id,
            lease_s=limits.lease_s,
            clock=clock,
            # a copy in one step: the worker's own thread adds and takes away meanwhile
            held=lambda: list(self._running.values()),
        )

    def run(self, stop: threading.Event | None = None) -> WorkerSummary:
        """Work until there is nothing to do, the time is over, or `stop` is set; then everything has ended.

        An exception raised into this thread stops it as `stop` does, and goes on. Raises DatabaseUnavailableError
        where Postgres cannot be reached at the start.
        """
        self._stop = stop or self._stop
        with ThreadPoolExecutor(self._limits.concurrency, thread_name_prefix="chain") as pool:
            try:
                self._heartbeat.start()
                self._work(pool)
            except BaseException as error:
                self.summary.why = self.summary.why or f"of {type(error).__name__}"
                raise
            finally:
                self._stop_chains()
                self._heartbeat.stop()
        # also where it was asked in the last moment: whoever runs workers one after the other must know
        self.summary.stopped = self._stop.is_set()
        return self.summary

    def _work(self, pool: ThreadPoolExecutor) -> None:
        began = self._idle_since = self._clock()
        next_upkeep = began
        while not self._stop.is_set():
            self._collect()
            now = self._clock()
            if now >= next_upkeep:
                next_upkeep = now + UPKEEP_S
                self._recover()
            claimed = 0 if self._draining else self._claim(pool)
            if self._running or claimed:
                self._idle_since = self._clock()
            why = "" if self._draining else self._reason_to_end(began)
            if why:
                self.summary.why = why
                self._draining = True
                self._heartbeat.drain()
            if self._draining and not self._running:
                return
            self._cancel_late_chains()
            self._wait(claimed)
        self.summary.why = "it was asked to stop"

    def _reason_to_end(self, began: float) -> str:
        now, idle = self._clock(), not self._running
        if self._limits.until_empty and idle and self._inbox_is_empty():
            self.summary.emptied = True
            return "the inbox is empty"
        if now - began >= self._limits.max_s:
            return "its time is over"
        if self._first_failure is not None and self._limits.ends_in_failure:
            if idle:
                return "a step failed and it is idle"
            if now - self._first_failure >= FAILURE_GRACE_S:
                return "a step failed a minute ago"
        if not idle or self._limits.until_empty:
            return ""
        return "there was nothing to do" if now - self._idle_since >= self._limits.linger_s else ""

    def _wait(self, claimed: int) -> None:
        if not self._running:
            self._stop.wait(POLL_S)
            return
        full = self._draining or len(self._running) >= self._limits.concurrency
        if not full and not claimed:
            # nothing was waiting a moment ago: look again soon, or when a chain ends
            wait(self._running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            return
        wait(self._running, timeout=1.0 if full else CLAIM_PAUSE_S, return_when=FIRST_COMPLETED)
        self._stop.wait(CLAIM_PAUSE_S)

    def _claim(self, pool: ThreadPoolExecutor) -> int:
        free = self._limits.concurrency - len(self._running)
        if free <= 0 or any(chain.job.run_alone for chain in list(self._running.values())):
            return 0
        try:
            with reachable("claiming trigger jobs"), self._runtime.engine.begin() as connection:
                jobs = self._claim_jobs(connection, free)
        except (AiAssetsError, SQLAlchemyError) as error:
            self._bear(error)
            return 0
        self._failing_since = None
        # after the commit: a heartbeat that asked before knows nothing of these jobs, and must not miss them
        now = self._clock()
        for job in jobs:
            chain = HeldChain(job, now, deadline=now + STEPS_OF_TIME * self._runtime.step_timeout_s)
            self._running[pool.submit(self._chains.run, chain)] = chain
        return len(jobs)

    def _claim_jobs(self, connection: Connection, limit: int) -> list[TriggerJob]:
        """Jobs to run beside each other, live events first, or one that must run alone."""
        rate, alone = self._runtime.guard.limits.rate_per_minute, self._limits.alone_jobs
        jobs: list[TriggerJob] = []
        if alone is not AloneJobs.ONLY:
            jobs = self._claim_shared(connection, limit, rate, background=False)
            room = min(limit - len(jobs), self._room_for_background())
            share = self._runtime.guard.limits.batch_rate_share
            jobs += self._claim_shared(connection, room, max(1, int(rate * share)), background=True)
        if not jobs and not self._running and alone is not AloneJobs.NEVER:
            job = claims.claim_alone_job(
                connection,
                owner=self._id,
                run_id=self._run_id,
                lease_s=self._limits.lease_s,
                rate_per_minute=rate,
            )
            jobs = [job] if job else []
        return jobs

    def _claim_shared(
        self, connection: Connection, limit: int, rate: int, *, background: bool
    ) -> list[TriggerJob]:
        if limit <= 0:
            return []
        jobs = claims.claim_member_jobs(
            connection,
            owner=self._id,
            run_id=self._run_id,
            lease_s=self._limits.lease_s,
            limit=limit,
            after_site=self._after_site[background],
            rate_per_minute=rate,
            background=background,
        )
        if jobs:
            self._after_site[background] = jobs[-1].site_id
        return jobs

    def _room_for_background(self) -> int:
        """How many more background chains may begin. They leave slots free: a live event waits for none to end."""
        share = self._runtime.guard.limits.batch_rate_share
        running = sum(chain.job.background for chain in list(self._running.values()))
        return max(1, int(self._limits.concurrency * share)) - running

    def _bear(self, error: Exception) -> None:
        """Trouble with claiming passes, or not: raises it when it lasts for longer than a lease."""
        # a worker that cannot look into the inbox does not know that it is idle
        now = self._idle_since = self._clock()
        self._failing_since = self._failing_since or now
        logger.warning("worker %s: no claim: %s", self._id, first_line(error))
        if now - self._failing_since > self._limits.lease_s and not isinstance(
            error, DatabaseUnavailableError
        ):
            raise error
        self._stop.wait(1.0)

    def _collect(self) -> None:
        for future in [future for future in self._running if future.done()]:
            chain = self._running.pop(future)
            error = future.exception()
            if error is not None:
                log_defect(logger, error, "the chain of trigger job %s ended in a defect", chain.job.id)

    def _cancel_late_chains(self) -> None:
        now = self._clock()
        for chain in self._running.values():
            if now > chain.deadline:
                chain.cancelled.set()

    def _step_failed(self) -> None:
        if self._first_failure is None:
            self._first_failure = self._clock()

    def _inbox_is_empty(self) -> bool:
        try:
            with reachable("looking into the inbox"), self._runtime.engine.connect() as connection:
                depth = queue_depth(connection)
        except (AiAssetsError, SQLAlchemyError) as error:
            logger.warning("the inbox could not be looked into: %s", first_line(error))
            return False
        return depth.is_empty

    def _recover(self) -> None:
        try:
            with reachable("recovering the queue"), self._runtime.engine.begin() as connection:
                requeued = leases.requeue_expired(connection, max_attempts=self._limits.max_attempts)
                self._promoted_after = claims.promote_stuck(connection, self._promoted_after)
        except (AiAssetsError, SQLAlchemyError) as error:
            logger.warning("the queue could not be recovered: %s", first_line(error))
            return
        alert_dead(self._runtime.engine, requeued, window_s=self._runtime.guard.limits.alert_window_s)

    def _stop_chains(self) -> None:
        """Let chains go on for a moment, then hand back what is not at its end."""
        left = wait(self._running, timeout=STOP_S).not_done
        self._hurry.set()
        for future in left:
            self._running[future].cancelled.set()
        left = wait(left, timeout=CANCEL_S).not_done
        if left:
            # they wait for Postgres: for a lock, or for a slow read
            self._statements.cancel()
            wait(left)
        self._collect()
