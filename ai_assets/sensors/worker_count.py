"""How many workers to start: a pure decision. Not here: reading Postgres or Dagster (`worker_tick`)."""

from __future__ import annotations

from math import ceil

CHAINS_A_SLOT = 4
"""One more worker is worth its start when so many chains wait for each of the slots there are."""


def workers_to_start(
    *, due: int, live: int, starting: int, concurrency: int, minimum: int, maximum: int, overdue: bool
) -> int:
    """How many workers to ask for now.

    `due`: members' events that could be claimed; `live`: workers with a heartbeat that still claim; `starting`:
    runs that were asked for and have no heartbeat yet; `overdue`: an event has waited for longer than a live
    worker ever lets it wait, so that those that seem live are not (killed a moment ago) or are full.
    """
    present = live + starting
    wanted = minimum
    if due:
        wanted = max(wanted, 1, ceil(due / (concurrency * CHAINS_A_SLOT)))
        if overdue and not starting:
            wanted = max(wanted, live + 1)
    return max(0, min(wanted, maximum) - present)
