"""How many partitions go into one run of a backfill, and whether a run is part of a batch.

Dagster stops a run after `max_runtime_seconds` of dagster.yaml, four hours, whatever it has left to do. A batch ends
well within that even if calls time out, so that a backfill of any size ends, in as many runs as it needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagster import BackfillPolicy

from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

BACKFILL_TAG = "dagster/backfill"

MEMBERS_PER_RUN = 100
"""Members, or pairs of assistant and member. At the default limits the rate of one site allows the 400 calls of 100
members in 10 minutes. Where each call takes its 180 s, 16 at once, they take 75."""
CELLS_PER_RUN = len(AREAS) * len(WINDOWS)
"""As many cells as a site has: the time limit of their chain is then within that of the run."""

members_backfill = BackfillPolicy.multi_run(MEMBERS_PER_RUN)
cells_backfill = BackfillPolicy.multi_run(CELLS_PER_RUN)


def is_batch(partitions: int, run_tags: Mapping[str, str]) -> bool:
    """Whether a run works on many partitions, or on a part of a backfill, whose runs may have one partition each."""
    return partitions > 1 or BACKFILL_TAG in run_tags
