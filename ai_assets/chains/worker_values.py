"""What a worker is told and what it tells: limits, summary, whoever shows its work. Not here: working."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from ai_assets.chains.job_lease import JobLease

if TYPE_CHECKING:
    from ai_assets.apps.base import Subject
    from ai_assets.chains.outcome import StepResult
    from ai_assets.store.trigger_jobs import TriggerJob

FAILURES_KEPT = 50


class Reporter(Protocol):
    """Whoever shows what a worker makes. Called from many threads; what it raises is logged and changes nothing."""

    def began(self, job: TriggerJob, steps: Sequence[tuple[str, Subject]], /) -> None:
        """A chain begins; `steps` are the app name and subject of each step that can run."""

    def made(self, job: TriggerJob, result: StepResult) -> None:
        """One of its steps has ended, with a result or without."""


class AloneJobs(StrEnum):
    """Whether a worker claims jobs that must run alone (`TriggerJob.run_alone`), of which any may kill it."""

    NEVER = "never"
    """A worker of the sensor, which starts another one for them."""
    WHEN_IDLE = "when idle"
    """A worker that may be the only one: when nothing else can be claimed."""
    ONLY = "only"
    """An isolated worker: it claims nothing else."""


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
    alone_jobs: AloneJobs = AloneJobs.WHEN_IDLE
    ends_in_failure: bool = True
    """End soon after a step failed, so that whoever shows the run can show it red."""


@dataclass
class WorkerSummary:
    """What a worker came to. Filled from many threads, under `lock`."""

    statuses: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Steps that gave no result, by app and reason: all of them."""
    failures: deque[tuple[int, StepResult]] = field(default_factory=lambda: deque(maxlen=FAILURES_KEPT))
    """(trigger job, step) of the last steps that gave no result."""
    handed_back: int = 0
    lost: int = 0
    why: str = ""
    stopped: bool = False
    """It was asked to stop."""
    emptied: bool = False
    """It found the inbox empty (with `until_empty`)."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def failed_steps(self) -> int:
        """How many steps gave no result."""
        return self.reasons.total()

    def step_ended(self, job_id: int, step: StepResult) -> None:
        """Count one step."""
        with self.lock:
            self.steps[step.outcome.value] += 1
            if step.outcome.is_failure:
                self.reasons[f"{step.app} {step.reason or step.outcome.value}"] += 1
                self.failures.append((job_id, step))

    def sentence(self) -> str:
        """One line for people: chains by how they ended, and why steps failed, the most frequent first."""
        line = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items())) or "no chain"
        if self.reasons:
            said = ", ".join(f"{reason} x {count}" for reason, count in self.reasons.most_common())
            line += f" ({said})"
        if self.handed_back:
            line += f"; {self.handed_back} handed back"
        if self.lost:
            line += f"; {self.lost} lost to another worker"
        return f"{line}; ended because {self.why}"


@dataclass(frozen=True, kw_only=True)
class HeldChain(JobLease):
    """A member's trigger job that a worker runs. `deadline`: when its time is over, by the worker's clock."""

    deadline: float
