"""A trigger job that this process has claimed, and the events that stop its work.

Not here: renewing it (`chains.heartbeat`), SQL (`store.claims`, `store.leases`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.store.trigger_jobs import TriggerJob


@dataclass(frozen=True)
class JobLease:
    """A claimed trigger job. `claimed_at` is a time of the holder's own clock, taken after the claim's commit."""

    job: TriggerJob
    claimed_at: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    """The work must stop: its time is over, its process stops, an operator cancelled it, or the lease was lost."""
    lost: threading.Event = field(default_factory=threading.Event)
    """Another worker or run has the job now: nothing of it may be written."""
    ended: threading.Event = field(default_factory=threading.Event)
    """The job was ended or requeued: from here on it is rightly not this process's own."""

    @property
    def attempt(self) -> tuple[int, int]:
        """(trigger job, attempt): a job that was requeued and claimed again is another lease."""
        return self.job.id, self.job.attempts
