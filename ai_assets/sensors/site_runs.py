"""What to do about each waiting site job: pure decisions over inbox rows and run states.

Not here: reading Postgres or Dagster (`ai_assets.sensors.dws_completed`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.store.trigger_jobs import TriggerJob


class RunState(StrEnum):
    """The state of the Dagster run of a job's next launch."""

    NONE = "none"
    ALIVE = "alive"
    CANCELLED = "cancelled"
    ENDED = "ended"


class Act(StrEnum):
    """What to do about a job."""

    LAUNCH = "launch"
    LEAVE = "leave"
    END_CANCELLED = "end_cancelled"
    LOST_ATTEMPT = "lost_attempt"


def next_launch(job: TriggerJob) -> int:
    """The number of a pending job's next run. Its run may have been requested already.

    Not the attempt: a run that was asked to stop does not count as an attempt, and the next run is another one.
    """
    return job.launches + 1


def for_waiting(run: RunState, *, site_is_busy: bool) -> Act:
    """What to do about a pending job whose time has come, by the state of its next run.

    `site_is_busy`: another job of its site has a run that waits or works. One at a time: two would make the same
    cells.
    """
    match run:
        case RunState.NONE:
            return Act.LEAVE if site_is_busy else Act.LAUNCH
        case RunState.ALIVE:
            return Act.LEAVE
        case RunState.CANCELLED:
            return Act.END_CANCELLED
        case RunState.ENDED:
            # it ended before it could claim the job: its process or its code location was lost
            return Act.LOST_ATTEMPT


def run_key(job_id: int, launch: int) -> str:
    """One run a launch, however often the sensor asks."""
    return f"trigger-job-{job_id}-attempt-{launch}"
