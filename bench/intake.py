"""How many events a second the inbox takes in: 8 connections, every event its own transaction, as a backend sends it.

Here: an empty ledger beside one of a million rows, with commits that reach the disk and without. Not here: chains.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from sqlalchemy import Connection, Engine, create_engine, text

from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import Places, places

CONNECTIONS = 8
SECONDS = 3.0
RUNS = 3
ROWS = 1_000_000
SITES = 10
TARGET = 2000.0
SLOWER = 0.8

_SITES = text(
    "insert into biz.sites (site_id, name, timezone, is_active) "
    "select n, '店' || n, 'Asia/Shanghai', true from generate_series(1, :sites) n"
)
_FILL = text(
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, payload, app_chain, status, business_date,
        dedup_key, created_at, started_at, finished_at)
    select 'consumption', 1 + n % :sites, n, '{"settlement_id": 1}', 'app3→app8→app7', 'completed', '2026-06-17',
        md5(n::text), now(), now(), now()
    from generate_series(1, :rows) n
    """
)
# as a driver sends it: the statement with its values, one round trip
_FIRE = (
    "select biz.fire_ai_event('consumption', %s, %s, "
    '\'{"has_assistant": true, "assistant_id": 7, "settlement_id": 9, "paid": "128.00"}\')'
)


def measure() -> list[figures.Figure]:
    """Events a second with commits on disk and without, and million rows : empty ledger."""
    found: list[figures.Figure] = []
    with places() as place:
        empty, full = _ledger(place, 0), _ledger(place, ROWS)
        for on_disk in (True, False):
            how = "commits on disk" if on_disk else "commits not on disk"
            rates: dict[str, list[float]] = {"empty": [], "full": []}
            _set_on_disk(place, on_disk)
            # turn and turn about: what else the machine does falls on both
            for _ in range(RUNS):
                for name, engine in (("empty", empty), ("full", full)):
                    rates[name].append(_rate(engine))
                    print(f"intake: {how}, {name} ledger: {rates[name][-1]:.0f} a second", flush=True)
            for name, ledger in (("empty", "empty ledger"), ("full", f"{ROWS:,} rows")):
                what = f"{how}, {ledger}: events a second from {CONNECTIONS} connections"
                found.append(figures.at_least("intake", what, median(rates[name]), TARGET))
            ratio = median(rates["full"]) / median(rates["empty"])
            found.append(
                figures.at_least("intake", f"{how}: {ROWS:,} rows : empty ledger", ratio, SLOWER, " x")
            )
        empty.dispose()
        full.dispose()
    return found


def _ledger(place: Places, rows: int) -> Engine:
    engine = make_engine(place.database(), pool_size=CONNECTIONS)
    with engine.begin() as connection:
        connection.execute(_SITES, {"sites": SITES})
        if rows:
            connection.execute(_FILL, {"rows": rows, "sites": SITES})
    with _autocommit(engine) as connection:
        connection.execute(text("vacuum analyze biz.ai_trigger_jobs"))
        connection.execute(text("checkpoint"))
    return engine


def _set_on_disk(place: Places, on_disk: bool) -> None:
    admin = create_engine(place.server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"alter system set synchronous_commit = {'on' if on_disk else 'off'}"))
        connection.execute(text("select pg_reload_conf()"))
    admin.dispose()


def _rate(engine: Engine) -> float:
    """Events a second: each connection sends one after the other, all begin together."""
    start = threading.Barrier(CONNECTIONS)
    first = 10_000_000 + int(time.time() * 1000) % 1_000_000_000 * 1000

    def send(number: int) -> tuple[int, float]:
        with _autocommit(engine) as connection:
            cursor = connection.connection.cursor()
            start.wait(60)
            began = time.perf_counter()
            sent = 0
            while time.perf_counter() - began < SECONDS:
                cursor.execute(_FIRE, (1 + sent % SITES, first + number * 100_000 + sent))
                sent += 1
            return sent, time.perf_counter() - began

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(sent / seconds for sent, seconds in pool.map(send, range(CONNECTIONS)))


def _autocommit(engine: Engine) -> Connection:
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
