"""How much work waits for workers. The counts are SQL (`biz.ai_queue_depth`); they read a bounded number of rows.

Not here: how many workers that needs (`ai_assets.sensors.worker_count`), claims (`store.claims`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

COUNTED = 1_000
"""Counts go up to here where the caller names no other number."""

_DEPTH = text("select * from biz.ai_queue_depth(:rate, :counted)")


@dataclass(frozen=True)
class QueueDepth:
    """Members' jobs that wait or run.

    `due`: pending and their time has come, up to `counted`. `later`: pending, their time is to come. `startable`:
    chains that a worker could begin now beside others, one a member, up to `counted`. `alone`: due jobs that must run
    alone in a worker. `held_up`: sites whose rate has no room for one more chain. `oldest_due_s`: for how long the
    oldest of the startable ones has waited, in seconds; 0: there is none.
    """

    due: int
    later: int
    running: int
    startable: int
    alone: int
    held_up: int
    oldest_due_s: float

    @property
    def is_empty(self) -> bool:
        """Whether no member's job is pending or running."""
        return not (self.due or self.later or self.running)


def queue_depth(
    connection: Connection, *, rate_per_minute: int | None = None, counted: int = COUNTED
) -> QueueDepth:
    """Count what waits and runs; `rate_per_minute` as in `claims.claim_member_jobs`."""
    parameters = {"rate": rate_per_minute, "counted": counted}
    return QueueDepth(**connection.execute(_DEPTH, parameters).mappings().one())
