"""A worker as a process of its own: `python worker_process.py DATABASE_URL BASE_URL ALONE_JOBS`.

It kills itself by SIGKILL when it meets an event whose payload says `poison`. Leases and waits are short.
"""

from __future__ import annotations

import os
import signal
import sys

from ai_assets.catalog import CATALOG
from ai_assets.chains import worker as worker_module
from ai_assets.chains.outcome import StepResult
from ai_assets.chains.runtime import runtime_from
from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import AloneJobs, WorkerLimits
from ai_assets.settings import Settings
from ai_assets.store import leases
from ai_assets.store.trigger_jobs import TriggerJob

LEASE_S = 2.0


class Poisonable:
    """A reporter that a marked event kills, with all that runs beside it."""

    def began(self, job: TriggerJob, steps: object) -> None:
        """Die, where the event is poison."""
        if job.payload.get("poison"):
            os.kill(os.getpid(), signal.SIGKILL)

    def made(self, job: TriggerJob, result: StepResult) -> None:
        """Report nothing."""


def main(database_url: str, base_url: str, alone_jobs: str) -> None:
    """Work until nothing is to be claimed for a moment."""
    worker_module.UPKEEP_S = 0.2
    leases.RETRY_BASE_S = 0.05
    settings = Settings(
        DASHSCOPE_API_KEY="sk-marked-secret",
        DASHSCOPE_BASE_URL=base_url,
        AI_RATE_PER_MINUTE=100_000,
        AI_STEP_TIMEOUT_S=20,
        **{entry.env: entry.alias for entry in CATALOG.values()},
    )
    limits = WorkerLimits(
        lease_s=LEASE_S, linger_s=0.5, alone_jobs=AloneJobs(alone_jobs), ends_in_failure=False
    )
    with runtime_from(settings, database_url=database_url, concurrency=16) as runtime:
        Worker(runtime, limits, Poisonable(), worker_id=f"process {os.getpid()}").run()


if __name__ == "__main__":
    main(*sys.argv[1:])
