"""The rate of one site under pressure from four processes: never above, nearly all of it used, and in order.

Here: places as the database's clock saw them, and who was served before whom. Not here: budget and probes
(`bench.guard_limits`), what it costs (`bench.guard_speed`).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass

from sqlalchemy import Engine, text

from ai_assets.store.engine import make_engine
from bench import figures
from bench.guard_crew import crew, divided
from bench.guard_limits import APP, EMPTY, SITE

RATE = 600
PRESS_S = 75.0
ORDER_S = 25.0
CALLERS = 50
LIVE_EVERY_S = 2.0
USED = 0.98

_LOG = text("create table bench_places (place bigint primary key, taken_at timestamptz)")
_NOTE = text(
    "insert into bench_places select place, taken_at from biz.ai_rate_places where site_id = :site "
    "on conflict do nothing"
)
_TAKEN = text("select extract(epoch from taken_at)::float8 from bench_places order by place")
_EVEN_PAST = text(
    """
    with rate as (insert into biz.ai_rate_limits (site_id, last_place) values (:site, :rate))
    insert into biz.ai_rate_places (site_id, place, taken_at)
    select :site, n, clock_timestamp() - interval '60 s' * (:rate - n) / :rate from generate_series(1, :rate) n
    """
)
_SERVED = text("select target_id, extract(epoch from admitted_at)::float8 as at from biz.ai_leases")


@dataclass(frozen=True)
class Served:
    """One call: when it asked and was admitted (Unix time), how often it looked."""

    asked: float
    admitted: float
    looks: int
    batch: bool

    @property
    def waited(self) -> float:
        return self.admitted - self.asked


def rate(url: str, engine: Engine) -> list[figures.Figure]:
    """75 s of pressure from an empty start; then 25 s where the last minute was used evenly, for the order."""
    _press(url, engine, live=CALLERS // 2, live_every_s=0.0, seconds=PRESS_S)
    with engine.connect() as connection:
        taken = list(connection.execute(_TAKEN).scalars())
    most, instant, used = most_within(taken, 60.0), most_within(taken, 1.0), least_used(taken)
    print(f"guard: rate: {len(taken)} places, {most} in 60 s, {instant} in 1 s, {used:.4f} used", flush=True)
    found = [
        figures.at_most(
            "guard", f"rate {RATE}, {PRESS_S:.0f} s of pressure: most places in any 60 s", most, RATE
        ),
        figures.at_most("guard", "the same: most places in any second", instant, RATE / 5),
        figures.at_least("guard", "the same: share used, of the worst 60 s", used, USED),
    ]
    served = _press(url, engine, live=20, live_every_s=LIVE_EVERY_S, seconds=ORDER_S, even_past=True)
    return [*found, *_order(served)]


def most_within(taken: list[float], seconds: float) -> int:
    """The most places in any window of this length, its end not counted."""
    return max(bisect_left(taken, at + seconds - 1e-6) - place for place, at in enumerate(taken))


def least_used(taken: list[float]) -> float:
    """The share of the rate that was used in the worst window of 60 s that lies within the pressure."""
    starts = [at for at in taken if at + 60 <= taken[0] + PRESS_S]
    return min(bisect_left(taken, at + 60) - bisect_left(taken, at) for at in starts) / RATE


def _press(
    url: str, engine: Engine, *, live: int, live_every_s: float, seconds: float, even_past: bool = False
) -> list[Served]:
    with engine.begin() as connection:
        connection.execute(EMPTY)
        connection.execute(text("drop table if exists bench_places"))
        connection.execute(_LOG)
    job = {
        "role": "press",
        "seconds": seconds,
        "live_every_s": live_every_s,
        "apps": [APP],
        "sites": [SITE],
        # patience enough for who waits through the quiet part of a minute
        "limits": {"rate_per_minute": RATE, "admission_wait_s": 120.0, "batch_admission_wait_s": 600.0},
    }
    over = threading.Event()
    note = threading.Thread(target=_note_places, args=(url, over))
    with crew(url) as workers:
        workers.begin([1] * 4, {**job, "seconds": 0.0}, live=[1] * 4)
        workers.results()
        if even_past:
            with engine.begin() as connection:
                connection.execute(_EVEN_PAST, {"site": SITE, "rate": RATE})
        workers.begin(divided(CALLERS), job, live=divided(live))
        note.start()
        asked = [call for calls in workers.results() for call in calls]
        over.set()
        note.join()
    with engine.connect() as connection:
        admitted = {row.target_id: row.at for row in connection.execute(_SERVED)}
    return [Served(began, admitted[target], looks, batch) for target, began, looks, batch in asked]


def _note_places(url: str, over: threading.Event) -> None:
    """Places are forgotten after 61 s; these are kept."""
    engine = make_engine(url, pool_size=1)
    last = False
    while not last:
        last = over.wait(5.0)
        with engine.begin() as connection:
            connection.execute(_NOTE, {"site": SITE})
    engine.dispose()


def _order(served: list[Served]) -> list[figures.Figure]:
    served = sorted(served, key=lambda call: call.admitted)
    found = []
    for batch in (False, True):
        calls = [call for call in served if call.batch is batch]
        passed, by = overtaken(calls)
        waits = [call.waited for call in calls]
        looks = [call.looks for call in calls]
        kind = "batch" if batch else "live"
        found += [
            figures.told("guard", f"steady rate {RATE}, {kind}: waited p50 / p95 ({len(calls)} calls)",
                         f"{figures.percentile(waits, 0.5):.2f} / {figures.percentile(waits, 0.95):.2f} s"),
            figures.told("guard", f"the same, {kind}: round trips for one admission, mean / most",
                         f"{sum(looks) / len(looks):.2f} / {max(looks)}"),
            figures.told("guard", f"the same, {kind}: served before one that had asked earlier, and by how much",
                         f"{passed} of {len(calls)}, {by * 1000:.0f} ms at most"),
        ]  # fmt: skip
    for figure in found:
        print(f"guard: {figure.what}: {figure.figure}", flush=True)
    return found


def overtaken(calls: list[Served]) -> tuple[int, float]:
    """Of calls in the order they were admitted: how many were passed by a later one, and by how many seconds."""
    latest, count, most = 0.0, 0, 0.0
    for call in calls:
        if call.asked < latest:
            count += 1
            most = max(most, latest - call.asked)
        latest = max(latest, call.asked)
    return count, most
