"""Running one app by hand for who asked over HTTP: in a few threads, beside the requests, to an end that is recorded.

A call takes up to minutes, and a connection may not last so long: so a run is a row that can be looked at, whichever
process is asked. Here: starting, waiting, recording. Not here: the run itself (`ai_assets.chains.by_hand`), the
addresses (`ai_assets.gateway.runs`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ai_assets.chains.by_hand import run_by_hand
from ai_assets.errors import AiAssetsError
from ai_assets.privacy.logs import log_defect
from ai_assets.store import app_runs
from ai_assets.store.app_runs import Ended

if TYPE_CHECKING:
    from ai_assets.chains.by_hand import Asked
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime
    from ai_assets.gateway.database import Database
    from ai_assets.gateway.metrics import Metrics
    from ai_assets.gateway.quota import Quota

logger = logging.getLogger(__name__)

LOST_MARGIN_S = 60.0
"""Beyond what a run may take at most: then nobody runs it any more."""
_STOP_S = 8.0
_END_TRIES = 5


class Runner:
    """Runs apps. `runtime` is made when first needed, so that a gateway without a key serves all else.

    `report` shows a result in Dagster; trouble with it is logged and fails nothing.
    """

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        make_runtime: Callable[[], Runtime],
        *,
        quota: Quota,
        report: Callable[[StepResult], None] | None = None,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._make_runtime = make_runtime
        self._report = report
        self.quota = quota
        self._threads = ThreadPoolExecutor(quota.size, thread_name_prefix="app run")
        # Dagster is told by one: loading it takes seconds, and nobody waits for it
        self._reporting = ThreadPoolExecutor(1, thread_name_prefix="report")
        self._runtime: Runtime | None = None
        self._making = threading.Lock()
        self._cancelled = threading.Event()
        self._running: dict[int, asyncio.Task[None]] = {}

    async def runtime(self) -> Runtime:
        """What runs need. Raises ConfigurationError where there is no key for a real service."""
        return await asyncio.to_thread(self._made)

    def start(self, run_id: int, token_id: int, asked: Asked) -> None:
        """Run it, in a place of `quota` that was taken for this token; it is released at the end."""
        task = asyncio.get_running_loop().create_task(self._run(run_id, asked))
        self._running[run_id] = task
        task.add_done_callback(lambda _: self._gone(run_id, token_id))

    async def wait(self, run_id: int, seconds: float) -> None:
        """Wait until a run of this process ends, or for so long."""
        task = self._running.get(run_id)
        if task is not None and seconds > 0:
            await asyncio.wait([task], timeout=seconds)

    async def stop(self) -> None:
        """Cancel what runs and wait for it to be recorded, a few seconds at most."""
        self._cancelled.set()
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=_STOP_S)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._reporting.shutdown(wait=False, cancel_futures=True)
        if self._runtime is not None and not self._running:
            self._runtime.close()

    def lives_s(self, runtime: Runtime) -> float:
        """How long a run may take: two calls (an unreadable answer is asked for again), with their waits."""
        return 2 * (runtime.step_timeout_s + runtime.guard.limits.admission_wait_s) + LOST_MARGIN_S

    def _made(self) -> Runtime:
        with self._making:
            if self._runtime is None:
                self._runtime = self._make_runtime()
            return self._runtime

    def _gone(self, run_id: int, token_id: int) -> None:
        self._running.pop(run_id, None)
        self.quota.release(token_id)

    async def _run(self, run_id: int, asked: Asked) -> None:
        loop = asyncio.get_running_loop()
        ended, result = await loop.run_in_executor(self._threads, self._result, asked)
        self._metrics.count("app_runs_total", app=asked.app_name, outcome=ended.status)
        for tried in range(_END_TRIES):
            try:
                await self._database.write(
                    "recording a run", lambda connection: app_runs.end(connection, run_id, ended)
                )
                break
            except AiAssetsError as error:
                # the answer itself is in the cache; this row will say `lost`
                logger.warning("the end of run %s is not recorded yet: %s", run_id, error)
                await asyncio.sleep(2**tried)
        if result is not None and result.outcome.has_result and self._report is not None:
            self._reporting.submit(self._tell_dagster, result)

    def _result(self, asked: Asked) -> tuple[Ended, StepResult | None]:
        try:
            result = run_by_hand(self._made(), asked, self._cancelled)
        except AiAssetsError as error:
            return Ended("failed", error.reason, str(error)), None
        except Exception as error:  # noqa: BLE001  # the row must end
            log_defect(logger, error, "a run by hand failed")
            return Ended("failed", "defect", "that went wrong here; the gateway's log says how"), None
        return (
            Ended(
                result.outcome.value,
                result.reason,
                result.message,
                result.target_id,
                result.run_log_id,
                result.cache_id,
                result.clues_set,
            ),
            result,
        )

    def _tell_dagster(self, result: StepResult) -> None:
        try:
            assert self._report is not None  # noqa: S101  # it is asked for only then
            self._report(result)
        except Exception as error:  # noqa: BLE001  # whatever it is, the result stands
            logger.warning("the result of %s stands, but Dagster could not be told: %s", result.app, error)
