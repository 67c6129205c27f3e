"""What to do about each waiting or lost site job: pure decisions over inbox rows and run states.

Not here: reading Postgres or Dagster (`ai_assets.sensors.dws_completed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.store.trigger_jobs import TriggerJob


class RunState(StrEnum):
    """The state of the Dagster run of a job's present attempt."""

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


@dataclass(frozen=True)
class Decision:
    """What to do about one job, and the attempt number that it is about."""

    act: Act
    attempt: int


def for_waiting(job: TriggerJob, run: RunState) -> Decision:
    """A pending job whose time has come. Its next attempt's run may have been asked for already."""
    attempt = job.attempts + 1
    match run:
        case RunState.NONE:
            return Decision(Act.LAUNCH, attempt)
        case RunState.ALIVE:
            return Decision(Act.LEAVE, attempt)
        case RunState.CANCELLED:
            return Decision(Act.END_CANCELLED, attempt)
        case RunState.ENDED:
            # it ended before it could claim the job: its process or its code location was lost
            return Decision(Act.LOST_ATTEMPT, attempt)


def for_lost(job: TriggerJob, run: RunState) -> Decision:
    """A running job whose lease has ended: its attempt is lost, unless a person cancelled it."""
    act = Act.END_CANCELLED if run is RunState.CANCELLED else Act.LOST_ATTEMPT
    return Decision(act, job.attempts)


def run_key(job_id: int, attempt: int) -> str:
    """One run an attempt, however often the sensor asks."""
    return f"trigger-job-{job_id}-attempt-{attempt}"
