"""How many workers to start: a pure decision. Not here: reading Postgres or Dagster (`worker_tick`)."""

from __future__ import annotations

from math import ceil

CHAINS_A_SLOT = 4
"""One more worker is worth its start when so many chains wait for each of the slots there are."""


def workers_to_start(
    *,
    startable: int,
    live: int,
    starting: int,
    coming_up: int,
    concurrency: int,
    minimum: int,
    maximum: int,
    overdue: bool,
) -> int:
    """How many workers to ask for now.

    `startable`: chains that could begin now; `live`: workers with a heartbeat that still claim; `starting`: runs that
    were asked for and have no heartbeat yet, `coming_up` those of them that were asked for a moment ago; `overdue`: an
    event has waited for longer than a live worker ever lets it wait, so that those that seem live or starting are not
    (killed, stuck) or are full.
    """
    present = live + starting
    wanted = minimum
    if startable:
        wanted = max(wanted, 1, ceil(startable / (concurrency * CHAINS_A_SLOT)))
        if overdue and not coming_up:
            wanted = max(wanted, present + 1)
    return max(0, min(wanted, maximum) - present)
