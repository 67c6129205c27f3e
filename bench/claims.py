"""What a claim and a count of the queue cost behind 10, 10,000 and 1,000,000 waiting events, of one member and of many.

Here: SQL alone, by one connection; each claim is rolled back, so the queue stays as it is. Not here: chains
(`bench.workers`), intake (`bench.intake`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, text

from ai_assets.store import claims
from ai_assets.store.engine import make_engine
from ai_assets.store.queue_depth import queue_depth
from bench import figures
from bench.places import Places, places

SIZES = (10, 10_000, 1_000_000)
JOBS = 8
ROUNDS = 30
SLOWER = 3.0
COUNT_SLOWER = 20.0
"""A count reads up to 1,000 heads where there are so many, and 10 where there are 10."""

# the first event of the one member runs, so that a claim must pass its backlog to find the others'
_FILL = {
    "one member": """
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, status, lease_owner, lease_until)
        values ('note_created', 1, 1, 'running', 'other', now() + interval '1 day');
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id)
        select 'note_created', 1, 1 from generate_series(1, {events}) n;
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id)
        select 'note_created', 1, 1 + n from generate_series(1, {jobs}) n
    """,
    "many members": """
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id)
        select 'note_created', 1, n from generate_series(1, {events}) n
    """,
}


def measure() -> list[figures.Figure]:
    """Milliseconds of a claim and of a count by shape and size, and how much slower the largest queue is."""
    found: list[figures.Figure] = []
    with places() as place:
        for shape in _FILL:
            times = {size: _times(place, shape, size) for size in SIZES}
            for number, (what, limit) in enumerate((("claim", SLOWER), ("count", COUNT_SLOWER))):
                line = " / ".join(f"{times[size][number] * 1000:.2f}" for size in SIZES)
                sizes = " / ".join(f"{size:,}" for size in SIZES)
                ratio = times[SIZES[-1]][number] / times[SIZES[0]][number]
                found += [
                    figures.told("claims", f"{shape}: ms of a {what} behind {sizes} events, median", line),
                    figures.at_most("claims", f"{shape}: {what} behind {SIZES[-1]:,} / behind {SIZES[0]}", ratio,
                                    limit, " x"),
                ]  # fmt: skip
    return found


def _times(place: Places, shape: str, events: int) -> tuple[float, float]:
    """Median seconds of a claim and of a count."""
    engine = make_engine(place.database(), pool_size=1)
    began = time.monotonic()
    _fill(engine, shape, events)
    filled_s = time.monotonic() - began
    with engine.connect() as connection:
        claim, count = _median(connection, _claim), _median(connection, queue_depth)
    engine.dispose()
    print(
        f"claims: {shape}, {events:,} events (filled in {filled_s:.0f} s): "
        f"claim {claim * 1000:.2f} ms, count {count * 1000:.2f} ms",
        flush=True,
    )
    return claim, count


def _fill(engine: Engine, shape: str, events: int) -> None:
    with engine.begin() as connection:
        for statement in _FILL[shape].split(";"):
            connection.execute(text(statement.format(events=events, jobs=JOBS)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze biz.ai_trigger_jobs"))


def _claim(connection: Connection) -> None:
    jobs = claims.claim_member_jobs(
        connection, owner="bench", run_id=None, lease_s=60.0, limit=JOBS, after_site=None
    )
    if len(jobs) != JOBS:
        raise SystemExit(f"claims: {len(jobs)} of {JOBS} jobs were claimed, so the time says nothing")


def _median(connection: Connection, do: Callable[[Connection], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        do(connection)
        times.append(time.perf_counter() - began)
        connection.rollback()
    return figures.percentile(times, 0.5)
