"""Whether intake is disturbed while a million old events go: the time of one event, with the removal and without.

Turn and turn about within one run: the removal rests in every other stretch, so that what else the machine does falls
on both. Events come at a steady pace, each its own transaction on disk, as a backend sends them.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine, text

from ai_assets.store import retention
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import places

ROWS = 1_000_000
YOUNG = 100_000
CONNECTIONS = 4
EVERY_S = 0.04
STRETCH_S = 4.0
SITES = 10
SLOWER = 1.5

_SITES = text(
    "insert into biz.sites (site_id, name, timezone, is_active) "
    "select n, '店' || n, 'Asia/Shanghai', true from generate_series(1, :sites) n"
)
# one in ten is a duplicate, as events are sent twice
_FILL = text(
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, payload, app_chain, status, business_date,
        dedup_key, created_at, started_at, finished_at)
    select 'consumption', 1 + n % :sites, n, '{"settlement_id": 1}', 'app3→app8→app7',
        case when n % 10 = 0 then 'duplicate' else 'completed' end, '2026-06-17',
        case when n % 10 > 0 then md5(:age || n::text) end, at, at, at
    from generate_series(1, :rows) n
    cross join lateral (
        select clock_timestamp() - make_interval(days => cast(:age as integer)) + n * interval '1 s' as at) a
    """
)
_FIRE = (
    "select biz.fire_ai_event('consumption', %s, %s, "
    '\'{"has_assistant": true, "assistant_id": 7, "settlement_id": 9, "paid": "128.00"}\')'
)


def measure() -> list[figures.Figure]:
    """p95 of one event while old rows go / while none go; how long the plan and the removal took."""
    with places() as place:
        engine = make_engine(place.database(), pool_size=CONNECTIONS + 2)
        with engine.begin() as connection:
            connection.execute(_SITES, {"sites": SITES})
            connection.execute(_FILL, {"rows": ROWS, "sites": SITES, "age": "400"})
            connection.execute(_FILL, {"rows": YOUNG, "sites": SITES, "age": "20"})
        with _autocommit(engine) as connection:
            connection.execute(text("vacuum analyze biz.ai_trigger_jobs"))
            connection.execute(text("checkpoint"))
        began = time.perf_counter()
        (*_, going) = retention.plan(engine, retention.KeepDays(texts=180, calls=180, jobs=180))
        planned_s = time.perf_counter() - began
        print(f"retention: {len(going.ids):,} of {ROWS + YOUNG:,} planned in {planned_s:.1f} s", flush=True)
        times, removed, working_s = _turn_about(engine, going)
        left = _left(engine)
        engine.dispose()
    quiet, busy = (figures.percentile(times[name], 0.95) * 1000 for name in ("quiet", "busy"))
    many = f"{len(times['quiet']):,} and {len(times['busy']):,} events"
    return [
        figures.exactly("retention", "old events that went", removed, ROWS),
        figures.exactly("retention", "young ones that stayed", left, YOUNG),
        figures.at_most("retention", f"p95 of an event while they go ({busy:.1f} ms) / while none go ({quiet:.1f} ms), "
                        f"{many}", busy / quiet, SLOWER, " x"),
        figures.told("retention", f"plan, then removal in {retention.DUTY:.0%} of the time",
                     f"{planned_s:.1f} s, {working_s:.0f} s"),
    ]  # fmt: skip


def _turn_about(engine: Engine, going: retention.Going) -> tuple[dict[str, list[float]], int, float]:
    """(seconds of each event by stretch, rows removed, seconds in stretches of removal)."""
    may_go, ended = threading.Event(), threading.Event()
    times: dict[str, list[float]] = {"quiet": [], "busy": []}

    def rest(seconds: float) -> None:
        time.sleep(seconds)
        may_go.wait()

    def send(number: int) -> None:
        first = 100_000_000 * (1 + number)
        with _autocommit(engine) as connection:
            cursor = connection.connection.cursor()
            sent = 0
            while not ended.is_set():
                stretch = "busy" if may_go.is_set() else "quiet"
                began = time.perf_counter()
                cursor.execute(_FIRE, (1 + sent % SITES, first + sent))
                took = time.perf_counter() - began
                sent += 1
                times[stretch].append(took)
                time.sleep(max(0.0, EVERY_S - took))

    working_s = 0.0
    with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
        senders = [pool.submit(send, number) for number in range(CONNECTIONS)]
        time.sleep(STRETCH_S)
        may_go.set()
        removal = pool.submit(retention.remove, engine, going, sleep=rest)
        try:
            while not removal.done():
                time.sleep(STRETCH_S)
                working_s += STRETCH_S
                may_go.clear()
                if not removal.done():
                    time.sleep(STRETCH_S)
                    may_go.set()
        finally:
            may_go.set()
            ended.set()
        for sender in senders:
            sender.result()
        return times, removal.result(), working_s


def _left(engine: Engine) -> int:
    with engine.connect() as connection:
        sql = "select count(*) from biz.ai_trigger_jobs where status <> 'pending'"
        return int(connection.execute(text(sql)).scalar_one())


def _autocommit(engine: Engine) -> Connection:
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
