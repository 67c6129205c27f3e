"""A worker's memory after many chains against that after a few: it must not grow.

Takes about a quarter of an hour; so it is not among what `python -m bench` runs without names.
"""

from __future__ import annotations

import subprocess
import time

import psutil
from sqlalchemy import Engine, text

from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import LAST_DAY, SITE, ai_assets, limits_out_of_the_way, places, simulator

FEW = 1_000
MANY = 20_000
TARGET = 1.2
PATIENCE_S = 3600.0

_SEND = text(
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, payload, app_chain, business_date)
    select 'consumption', :site, m.member_id, '{}', 'app3→app8→app7', cast(:day as date) - (n / m.members)::integer % 60
    from generate_series(0, :last) n
    join (select member_id, row_number() over (order by member_id) - 1 as place, count(*) over () as members
        from biz.members where site_id = :site) m on m.place = n % m.members
    """
)
_ENDED = text("select count(*) from biz.ai_trigger_jobs where status not in ('pending', 'running')")


def measure() -> list[figures.Figure]:
    """Resident memory of one worker process after MANY chains / after FEW."""
    with places() as place, simulator(0.0) as dashscope:
        url = place.database(venue=True)
        engine = make_engine(url, pool_size=1)
        with engine.begin() as connection:
            connection.execute(_SEND, {"site": SITE, "last": MANY - 1, "day": LAST_DAY})
        environment = {
            **place.variables(url),
            **limits_out_of_the_way(dashscope.base_url),
            "AI_WORKER_MAX_MINUTES": "1440",
        }
        process = subprocess.Popen(
            ai_assets("work", "--until-empty"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            few = _memory_after(engine, process.pid, FEW)
            many = _memory_after(engine, process.pid, MANY - 50)
        finally:
            process.terminate()
            process.wait(30)
            engine.dispose()
    what = f"a worker's memory after {MANY:,} chains ({many / 2**20:.0f} MB) / after {FEW:,} ({few / 2**20:.0f} MB)"
    return [figures.at_most("memory", what, many / few, TARGET, " x")]


def _memory_after(engine: Engine, pid: int, chains: int) -> int:
    ends = time.monotonic() + PATIENCE_S
    told = 0.0
    while True:
        with engine.connect() as connection:
            ended = connection.execute(_ENDED).scalar_one()
        memory: int = psutil.Process(pid).memory_info().rss
        if ended >= chains:
            print(f"memory: {memory / 2**20:.0f} MB after {ended:,} chains", flush=True)
            return memory
        if time.monotonic() > ends:
            raise SystemExit(f"memory: {ended} of {chains} chains ended in time")
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"memory: {memory / 2**20:.0f} MB after {ended:,} chains", flush=True)
        time.sleep(0.5)
