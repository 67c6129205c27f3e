"""How many workers to start: a pure decision. Not here: reading Postgres or Dagster (`worker_tick`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

CHAINS_A_SLOT = 4
"""One more worker is worth its start when so many chains wait for each of the slots there are."""


def counted_for(*, concurrency: int, maximum: int) -> int:
    """How many waiting chains to count: more of them start no further worker. At least 1,000, for those who read it."""
    return max(1_000, concurrency * CHAINS_A_SLOT * maximum)


@dataclass(frozen=True)
class Present:
    """Workers of one kind: `live` ones send heartbeats and still claim, `starting` runs were requested and send none.

    `coming_up`: those of the starting ones that were requested, or began, a moment ago.
    """

    live: int = 0
    starting: int = 0
    coming_up: int = 0

    @property
    def total(self) -> int:
        """Live and starting ones."""
        return self.live + self.starting


@dataclass(frozen=True)
class Start:
    """Workers to request now: shared ones, which run many chains, and isolated ones, which run one job alone."""

    shared: int = 0
    isolated: int = 0


def workers_to_start(
    *,
    startable: int,
    alone: int,
    shared: Present,
    isolated: Present,
    concurrency: int,
    minimum: int,
    maximum: int,
    overdue: bool,
) -> Start:
    """How many workers to request now.

    `startable`: chains that could begin now in a shared worker. `alone`: due jobs that must run alone. `overdue`: an
    event has waited for longer than a live worker ever lets it wait, so the workers that seem live or starting are not
    (killed, stuck), or are full.

    There is at most one isolated worker. It takes one of the `maximum` places, but never the last one, and it does not
    wait for a place: jobs that run alone block no others, and are not blocked. So there may be one worker more than
    `maximum` where that is 1, or until a shared worker ends.
    """
    isolated_wanted = 1 if alone else 0
    start_isolated = max(0, isolated_wanted - isolated.total)
    places = max(1, maximum - 1) if start_isolated or isolated.total else maximum
    wanted = minimum
    if startable:
        wanted = max(wanted, 1, ceil(startable / (concurrency * CHAINS_A_SLOT)))
        if overdue and not shared.coming_up:
            wanted = max(wanted, shared.total + 1)
    return Start(max(0, min(wanted, places) - shared.total), start_isolated)
