"""One held chain from its claim to its end: run it, then end its trigger job, or give it back.

Called in a thread of the worker's pool. Not here: claiming, the heartbeat, when a worker ends (`chains.worker`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.chains.member_chain import ChainResult, ChainStoppedError, run_chain
from ai_assets.chains.worker_values import HeldChain, Reporter, WorkerSummary
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.privacy.logs import describe, log_defect
from ai_assets.store import inbox, leases
from ai_assets.store.alerts import alert_job
from ai_assets.store.engine import first_line, reachable

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime
    from ai_assets.store.trigger_jobs import TriggerJob

logger = logging.getLogger(__name__)

HANDED_BACK = "its worker was asked to stop"
RETRY_S = 0.5


class ChainRunner:
    """What all chains of one worker share. `hurry`: the worker ends now, Postgres is waited for no more."""

    def __init__(
        self,
        runtime: Runtime,
        reporter: Reporter,
        summary: WorkerSummary,
        *,
        owner: str,
        lease_s: float,
        clock: Callable[[], float],
        hurry: threading.Event,
        on_failed_step: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._reporter = reporter
        self._summary = summary
        self._owner = owner
        self._lease_s = lease_s
        self._clock = clock
        self._hurry = hurry
        self._on_failed_step = on_failed_step

    def run(self, chain: HeldChain) -> None:
        """Run the chain to its end; never raises for what went wrong in it."""
        job = chain.job
        try:
            result = run_chain(
                self._runtime,
                job,
                cancelled=chain.cancelled,
                out_of_time=lambda: self._clock() > chain.deadline,
                on_start=lambda steps: self._show(lambda: self._reporter.began(job, steps)),
                on_step=lambda step: self._step_ended(job, step),
            )
        except (ChainStoppedError, DatabaseUnavailableError) as stopped:
            # where the worker ends now, it was the worker that cancelled what the chain waited for
            away = isinstance(stopped, DatabaseUnavailableError) and not self._hurry.is_set()
            self._give_back(chain, lost_attempt=away)
            return
        except Exception as error:  # noqa: BLE001
            # a defect must cost this job only, and be seen
            log_defect(logger, error, "trigger job %s: unexpected error", job.id)
            result = ChainResult(error=describe(error))
        self._finish(chain, result)

    def _step_ended(self, job: TriggerJob, step: StepResult) -> None:
        self._summary.step_ended(job.id, step)
        if step.outcome.is_failure:
            self._on_failed_step()
        self._show(lambda: self._reporter.made(job, step))

    def _finish(self, chain: HeldChain, result: ChainResult) -> None:
        job = chain.job

        def write() -> bool:
            with reachable("ending a trigger job"), self._runtime.engine.begin() as connection:
                return inbox.finish(
                    connection,
                    job.id,
                    owner=self._owner,
                    status=result.status,
                    step_results=[step.as_step_result() for step in result.steps],
                    error=result.message,
                    attempts=job.attempts,
                )

        # from here on the heartbeat may find it no longer ours, as it should be
        chain.ended.set()
        ended = self._patiently(job, write)
        with self._summary.lock:
            self._summary.statuses[result.status] += ended
            self._summary.lost += not ended
        if ended and result.timed_out:
            alert_job(
                self._runtime.engine,
                "timeout:event",
                job,
                window_s=self._runtime.guard.limits.alert_window_s,
            )

    def _give_back(self, chain: HeldChain, *, lost_attempt: bool) -> None:
        """Give a job back: at once where the worker stops, as a lost attempt where Postgres went away."""
        job = chain.job

        def write() -> bool:
            with reachable("handing a trigger job back"), self._runtime.engine.begin() as connection:
                if lost_attempt:
                    return (
                        leases.expire_lease(connection, job.id, owner=self._owner, attempts=job.attempts) == 1
                    )
                handed = leases.requeue(
                    connection, [job.id], owner=self._owner, error=HANDED_BACK, attempts=job.attempts
                )
                return handed == 1

        chain.ended.set()
        given = not chain.lost.is_set() and self._patiently(job, write)
        with self._summary.lock:
            self._summary.handed_back += given and not lost_attempt
            self._summary.lost += not given or lost_attempt

    def _patiently(self, job: TriggerJob, write: Callable[[], bool]) -> bool:
        """Try for as long as the lease may still be ours. False: its lease will end, another worker will see to it."""
        ends = self._clock() + self._lease_s
        while True:
            try:
                return write()
            except DatabaseUnavailableError as error:
                if self._clock() > ends or self._hurry.wait(RETRY_S):
                    logger.error("trigger job %s is left to its lease: %s", job.id, error)
                    return False
            except (AiAssetsError, SQLAlchemyError) as error:
                logger.error("trigger job %s could not be written: %s", job.id, first_line(error))
                return False

    def _show(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:  # noqa: BLE001
            # the answer is in the cache: a reporting error fails no step (docs/behaviour.md, A step)
            log_defect(logger, error, "what a chain made could not be shown")
