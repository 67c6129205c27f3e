"""A worker: claims members' trigger jobs from the inbox and runs many chains side by side.

Here: when to claim, when to end, what becomes of chains when the worker must stop. Not here: one chain
(`chains.member_chain`), SQL of claims (`store.claims`), Dagster, which only asks for a worker and shows what it
made. Two rules hold it all: a job is worked on only while Postgres says that it is ours, and what is not at its
end goes back to the inbox.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.chains.member_chain import STEPS_OF_TIME, ChainResult, ChainStoppedError, run_chain, sentence
from ai_assets.chains.outcome import StepResult
from ai_assets.chains.runtime import Runtime
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.store import claims, inbox, workers
from ai_assets.store.alerts import raise_alert
from ai_assets.store.engine import first_line, reachable

if TYPE_CHECKING:
    from ai_assets.store.inbox import TriggerJob

logger = logging.getLogger(__name__)

POLL_S = 0.1
"""How often an idle worker looks into the inbox: an event waits half of this on average."""
CLAIM_PAUSE_S = 0.02
"""Under load, claims are at least so far apart: one round trip takes several jobs."""
UPKEEP_S = 5.0
"""How often lost jobs are looked for, and a heartbeat is given at least."""
STOP_S = 7.0
"""A worker asked to stop lets its chains go on for so long before it hands them back (10 s in all)."""
FAILURE_GRACE_S = 60.0
"""A worker with a failed step works on for so long at most: Dagster shows red when its run has ended."""
FAILURES_KEPT = 50


class Reporter(Protocol):
    """Whoever shows what a worker makes. Called from many threads; what it raises is logged and changes nothing."""

    def began(self, job: TriggerJob) -> None:
        """A chain begins; its member, and its assistant, are there."""

    def made(self, job: TriggerJob, result: StepResult) -> None:
        """One of its steps has ended, with a result or without."""


@dataclass(frozen=True)
class WorkerLimits:
    """How a worker works; see the settings of the same names. Times in seconds."""

    concurrency: int = 16
    lease_s: float = 60.0
    max_attempts: int = 3
    linger_s: float = 60.0
    max_s: float = 900.0
    until_empty: bool = False
    """End when no member's job is pending, waiting or running anywhere."""
    ends_in_failure: bool = True
    """End soon after a step failed, so that whoever shows the run can show it red."""


@dataclass
class WorkerSummary:
    """What a worker came to."""

    statuses: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    failed_steps: int = 0
    failures: deque[tuple[int, StepResult]] = field(default_factory=lambda: deque(maxlen=FAILURES_KEPT))
    """(trigger job, step) of the last steps that gave no result."""
    handed_back: int = 0
    lost: int = 0
    why: str = ""
    stopped: bool = False
    """It was asked to stop."""
    emptied: bool = False
    """It found the inbox empty (with `until_empty`)."""

    def sentence(self) -> str:
        """One line for people."""
        line = sentence(self.statuses, [step for _, step in self.failures])
        if self.handed_back:
            line += f"; {self.handed_back} handed back"
        if self.lost:
            line += f"; {self.lost} lost to another worker"
        return f"{line}; ended because {self.why}"


@dataclass(frozen=True)
class _Chain:
    job: TriggerJob
    deadline: float
    claimed_at: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)


class Worker:
    """One worker. `run` once; thread-safe only in that its chains run in threads of its own."""

    def __init__(
        self,
        runtime: Runtime,
        limits: WorkerLimits,
        reporter: Reporter,
        *,
        worker_id: str,
        run_id: str | None = None,
        kind: str = "event_worker",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.summary = WorkerSummary()
        self._runtime = runtime
        self._limits = limits
        self._reporter = reporter
        self._id = worker_id
        self._run_id = run_id
        self._kind = kind
        self._clock = clock
        self._running: dict[Future[None], _Chain] = {}
        self._count = threading.Lock()
        self._after_site: int | None = None
        self._draining = False
        self._first_failure: float | None = None
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._orphans: set[int] = set()

    def run(self, stop: threading.Event | None = None) -> WorkerSummary:
        """Work until there is nothing to do, the time is over, or `stop` is set; then everything has ended.

        An exception raised into this thread (a signal) stops it as `stop` does and goes on. Raises
        DatabaseUnavailableError where Postgres was away for longer than a lease.
        """
        stop = stop or threading.Event()
        began = self._clock()
        heart = threading.Thread(target=self._beat, name=f"heart-{self._id}", daemon=True)
        with ThreadPoolExecutor(self._limits.concurrency, thread_name_prefix="chain") as pool:
            try:
                self._beat_once()
                heart.start()
                self._work(pool, stop, began)
            except BaseException as error:
                self.summary.why = self.summary.why or f"of {type(error).__name__}"
                raise
            finally:
                self._stop_chains()
                self._ended.set()
                if heart.ident is not None:
                    heart.join()
                self._say_goodbye()
        return self.summary

    # -- the loop -------------------------------------------------------------------------------------------

    def _work(self, pool: ThreadPoolExecutor, stop: threading.Event, began: float) -> None:
        idle_since = self._clock()
        next_upkeep = self._clock()
        while not stop.is_set():
            self._collect()
            now = self._clock()
            if now >= next_upkeep:
                next_upkeep = now + UPKEEP_S
                self._upkeep()
            claimed = 0 if self._draining else self._claim(pool)
            if self._running or claimed:
                idle_since = self._clock()
            why = self._reason_to_end(self._clock(), began, idle_since)
            if why and not self._draining:
                self.summary.why = why
                self._draining = True
                self._beat_once()
            if self._draining and not self._running:
                return
            self._cancel_late_chains()
            self._wait(claimed)
        self.summary.stopped = True
        self.summary.why = "it was asked to stop"

    def _reason_to_end(self, now: float, began: float, idle_since: float) -> str:
        idle = not self._running
        if now - began >= self._limits.max_s:
            return "its time is over"
        if self._first_failure is not None and self._limits.ends_in_failure:
            if idle:
                self.summary.emptied = self._limits.until_empty and self._inbox_is_empty()
                return "a step failed and it is idle"
            if now - self._first_failure >= FAILURE_GRACE_S:
                return "a step failed a minute ago"
        if not idle:
            return ""
        if self._limits.until_empty:
            self.summary.emptied = self._inbox_is_empty()
            return "the inbox is empty" if self.summary.emptied else ""
        return "there was nothing to do" if now - idle_since >= self._limits.linger_s else ""

    def _wait(self, claimed: int) -> None:
        if not self._running:
            self._wake.wait(POLL_S)
            return
        full = len(self._running) >= self._limits.concurrency
        if not full and not claimed:
            # nothing was waiting a moment ago: look again soon, or when a chain ends
            wait(self._running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            return
        wait(
            self._running,
            timeout=1.0 if full or self._draining else CLAIM_PAUSE_S,
            return_when=FIRST_COMPLETED,
        )
        self._wake.wait(CLAIM_PAUSE_S)

    def _claim(self, pool: ThreadPoolExecutor) -> int:
        free = self._limits.concurrency - len(self._running)
        if free <= 0:
            return 0
        now = self._clock()
        try:
            with reachable("claiming trigger jobs"), self._runtime.engine.begin() as connection:
                jobs = claims.claim_member_jobs(
                    connection,
                    owner=self._id,
                    run_id=self._run_id,
                    lease_s=self._limits.lease_s,
                    limit=free,
                    after_site=self._after_site,
                )
        except DatabaseUnavailableError as error:
            logger.warning("%s", error)
            self._wake.wait(1.0)
            return 0
        for job in jobs:
            chain = _Chain(job, now + STEPS_OF_TIME * self._runtime.step_timeout_s, now)
            self._running[pool.submit(self._run, chain)] = chain
        if jobs:
            self._after_site = jobs[-1].site_id
        return len(jobs)

    def _collect(self) -> None:
        for future in [future for future in self._running if future.done()]:
            chain = self._running.pop(future)
            error = future.exception()
            if error is not None:
                logger.error("the chain of trigger job %s ended in a defect", chain.job.id, exc_info=error)

    def _cancel_late_chains(self) -> None:
        now = self._clock()
        for chain in self._running.values():
            if now > chain.deadline:
                chain.cancelled.set()

    def _inbox_is_empty(self) -> bool:
        with reachable("looking into the inbox"), self._runtime.engine.connect() as connection:
            waiting = claims.waiting(connection)
        return not (waiting.due or waiting.later or waiting.running)

    # -- one chain, in a thread of the pool ---------------------------------------------------------------------

    def _run(self, chain: _Chain) -> None:
        job = chain.job
        try:
            result = run_chain(
                self._runtime,
                job,
                cancelled=chain.cancelled,
                out_of_time=lambda: self._clock() > chain.deadline,
                on_start=lambda: self._tell(lambda: self._reporter.began(job)),
                on_step=lambda step: self._step_ended(job, step),
            )
        except (ChainStoppedError, DatabaseUnavailableError) as stopped:
            self._give_up(chain, lost_attempt=isinstance(stopped, DatabaseUnavailableError))
            return
        except Exception as error:
            logger.exception("trigger job %s: unexpected error", job.id)
            result = ChainResult(error=f"unexpected {type(error).__name__}: {error}")
        self._finish(chain, result)

    def _step_ended(self, job: TriggerJob, step: StepResult) -> None:
        with self._count:
            self.summary.steps[step.outcome.value] += 1
            if not step.outcome.has_result:
                self.summary.failed_steps += 1
                self.summary.failures.append((job.id, step))
                if self._first_failure is None:
                    self._first_failure = self._clock()
        self._tell(lambda: self._reporter.made(job, step))

    def _finish(self, chain: _Chain, result: ChainResult) -> None:
        job = chain.job

        def write() -> bool:
            with reachable("ending a trigger job"), self._runtime.engine.begin() as connection:
                return inbox.finish(
                    connection,
                    job.id,
                    owner=self._id,
                    status=result.status,
                    step_results=[step.as_step_result() for step in result.steps],
                    error=result.message,
                )

        try:
            ended = self._patiently(write)
        except AiAssetsError as error:
            logger.error(
                "trigger job %s could not be ended, another worker will see to it: %s", job.id, error
            )
            ended = False
        with self._count:
            self.summary.statuses[result.status] += ended
            self.summary.lost += not ended
        if ended and result.timed_out:
            self._alert(job, "timeout", f"trigger job {job.id}: {result.message}")

    def _give_up(self, chain: _Chain, *, lost_attempt: bool) -> None:
        """Give a job back: at once where the worker stops, as a lost attempt where Postgres went away."""
        if chain.lost.is_set():
            with self._count:
                self.summary.lost += 1
            return

        def write() -> int:
            with reachable("handing a trigger job back"), self._runtime.engine.begin() as connection:
                if lost_attempt:
                    return claims.let_go(connection, chain.job.id, owner=self._id)
                return claims.hand_back(
                    connection, [chain.job.id], owner=self._id, error="its worker was asked to stop"
                )

        try:
            given = self._patiently(write)
        except AiAssetsError as error:
            logger.error(
                "trigger job %s could not be given back, its lease will end: %s", chain.job.id, error
            )
            given = 0
        with self._count:
            self.summary.handed_back += given and not lost_attempt
            self.summary.lost += not given or lost_attempt

    def _patiently(self, write: Callable[[], int]) -> int:
        """Try while the lease may still be ours. Raises DatabaseUnavailableError after it, AiAssetsError."""
        ends = self._clock() + self._limits.lease_s
        while True:
            try:
                return write()
            except DatabaseUnavailableError:
                if self._clock() > ends or self._hurry.wait(0.5):
                    raise
            except SQLAlchemyError as error:
                raise AiAssetsError(first_line(error)) from error

    # -- heartbeat, upkeep, the end -------------------------------------------------------------------------------

    def _beat(self) -> None:
        pause = min(self._limits.lease_s / 3, UPKEEP_S)
        last = self._clock()
        while not self._ended.wait(pause):
            asked = self._clock()
            try:
                self._beat_once()
            except (AiAssetsError, SQLAlchemyError) as error:
                logger.warning("worker %s: no heartbeat: %s", self._id, first_line(error))
                if self._clock() - last > self._limits.lease_s:
                    # by now another worker may have every job of ours: two must never work on one
                    self._lose(set(), asked)
                continue
            last = asked

    def _beat_once(self) -> None:
        asked = self._clock()
        with reachable("a worker's heartbeat"), self._runtime.engine.begin() as connection:
            held = workers.beat(
                connection,
                worker_id=self._id,
                kind=self._kind,
                run_id=self._run_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                running=len(self._running),
                draining=self._draining,
                lease_s=self._limits.lease_s,
            )
        self._lose(set(held), asked)
        self._let_orphans_go(set(held))

    def _let_orphans_go(self, held: set[int]) -> None:
        """Jobs that are ours and that no chain works on: one that could not be ended must not be held forever.

        Only what was so at the heartbeat before too: between a claim and its chain's start there is a moment.
        """
        orphans = held - {chain.job.id for chain in list(self._running.values())}
        if orphans & self._orphans:
            with reachable("letting jobs go"), self._runtime.engine.begin() as connection:
                for job_id in orphans & self._orphans:
                    claims.let_go(connection, job_id, owner=self._id)
        self._orphans = orphans

    def _lose(self, held: set[int], asked: float) -> None:
        for future, chain in list(self._running.items()):
            # claimed after we asked: not among the answers yet
            if chain.job.id not in held and chain.claimed_at < asked and not future.done():
                chain.lost.set()
                chain.cancelled.set()

    def _upkeep(self) -> None:
        try:
            with reachable("looking for lost jobs"), self._runtime.engine.begin() as connection:
                taken = claims.take_over_lost(connection, max_attempts=self._limits.max_attempts)
        except (AiAssetsError, SQLAlchemyError) as error:
            logger.warning("lost jobs could not be looked for: %s", first_line(error))
            return
        alert_dead(self._runtime, taken)

    def _stop_chains(self) -> None:
        """Let chains go on for a moment, then hand back what is not at its end."""
        self._draining = True
        ends = self._clock() + STOP_S
        left = wait(self._running, timeout=max(0.0, ends - self._clock())).not_done
        self._hurry.set()
        for future in left:
            self._running[future].cancelled.set()
        wait(left)
        self._collect()

    def _say_goodbye(self) -> None:
        try:
            with reachable("a worker's end"), self._runtime.engine.begin() as connection:
                workers.gone(connection, self._id)
        except (AiAssetsError, SQLAlchemyError) as error:
            logger.warning("worker %s: %s", self._id, first_line(error))

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:
            # the result stands in the cache: trouble with showing it fails no step (behaviour.md, A step)
            logger.exception("what a chain made could not be shown")

    def _alert(self, job: TriggerJob, kind: str, message: str) -> None:
        raise_alert(self._runtime.engine, kind, message, site_id=job.site_id, app_type=None, log_id=None)


def alert_dead(runtime: Runtime, jobs: list[TriggerJob]) -> None:
    """Raise an alert for each of these jobs that was given up."""
    for job in jobs:
        if job.status == "dead":
            raise_alert(
                runtime.engine,
                "dead",
                f"trigger job {job.id} ({job.event_type}) was given up after {job.attempts} attempts",
                site_id=job.site_id,
                app_type=None,
                log_id=None,
            )
