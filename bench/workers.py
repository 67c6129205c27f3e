"""Workers' chains: how many a second, how soon a warm worker calls, and that one busy site holds up no other.

Here: one worker process, the simulator at no latency. Not here: intake (`bench.intake`), what needs the daemon
(`bench.runs`: one Dagster run an event, the cold start), memory (`bench.memory`).
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from ai_assets.samples.venue import load_venue
from ai_assets.store import inbox
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import (
    LAST_DAY,
    SITE,
    Places,
    SimulatorProcess,
    ai_assets,
    limits_out_of_the_way,
    places,
    simulator,
)

CHAINS = 400
WARM_EVENTS = 60
WARM_TARGET_S = 0.3
FAIR_SITES = 10
FAIR_SECONDS = 40.0
LIGHT_A_SECOND = 2.0
"""The nine together."""
BUSY_A_SECOND = 18.0
FAIR_TARGET = 3.0

_SEND = text(
    """
    select biz.fire_ai_event('consumption', :site, m.member_id,
        jsonb_build_object('occurred_at', (cast(:day as date) - (n / m.members)::integer)::text || 'T20:00:00'))
    from generate_series(0, :last) n
    join (select member_id, row_number() over (order by member_id) - 1 as place, count(*) over () as members
        from biz.members where site_id = :site) m on m.place = n % m.members
    """
)
_MEMBERS = text("select member_id from biz.members order by member_id desc")
_ENDED = text("select count(*) from biz.ai_trigger_jobs where status not in ('pending', 'running')")
_SPAN = text(
    "select extract(epoch from max(finished_at) - min(started_at))::float8, "
    "count(*) filter (where status <> 'completed') from biz.ai_trigger_jobs"
)


def measure() -> list[figures.Figure]:
    """Chains a second, warm latency and fairness."""
    with places() as place, simulator(0.0) as dashscope:
        return [*_speed(place, dashscope), *_warm(place, dashscope), *_fairness(place, dashscope)]


def chains_a_second(place: Places, dashscope: SimulatorProcess, chains: int = CHAINS) -> float:
    """One worker process empties an inbox of `chains` consumptions (three steps each, new answers)."""
    url = place.database(venue=True)
    engine = make_engine(url, pool_size=1)
    send(engine, SITE, chains)
    subprocess.run(
        ai_assets("work", "--until-empty"),
        env={**place.variables(url), **limits_out_of_the_way(dashscope.base_url)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    with engine.connect() as connection:
        seconds, failed = connection.execute(_SPAN).one()
    engine.dispose()
    if failed:
        raise SystemExit(f"workers: {failed} chains failed, so the time says nothing")
    return chains / float(seconds)


def send(engine: Engine, site: int, count: int) -> None:
    """Consumptions of a site's members, one after the other, day after day backwards: none is a duplicate."""
    with engine.begin() as connection:
        connection.execute(_SEND, {"site": site, "last": count - 1, "day": LAST_DAY})


def _speed(place: Places, dashscope: SimulatorProcess) -> list[figures.Figure]:
    rates = []
    for _ in range(2):
        rates.append(chains_a_second(place, dashscope))
        print(f"workers: {rates[-1]:.1f} chains a second", flush=True)
    return [figures.told("workers", f"one worker, {CHAINS} consumptions of three steps: chains a second",
                         " / ".join(f"{rate:.1f}" for rate in rates))]  # fmt: skip


@contextmanager
def worker(place: Places, url: str, dashscope: SimulatorProcess) -> Iterator[None]:
    """A worker process that lives while the block runs, warm when it begins."""
    environment = {**place.variables(url), **limits_out_of_the_way(dashscope.base_url)}
    process = subprocess.Popen(
        ai_assets("work"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    engine = make_engine(url, pool_size=1)
    try:
        send(engine, SITE, 20)
        _wait_for_ended(engine, 20)
        yield
    finally:
        process.terminate()
        process.wait(30)
        engine.dispose()


def _wait_for_ended(engine: Engine, count: int) -> None:
    ends = time.monotonic() + 120
    while True:
        with engine.connect() as connection:
            ended = connection.execute(_ENDED).scalar_one()
        if ended >= count:
            return
        if time.monotonic() > ends:
            raise SystemExit(f"workers: {ended} of {count} chains ended within two minutes")
        time.sleep(0.05)


def _warm(place: Places, dashscope: SimulatorProcess) -> list[figures.Figure]:
    url = place.database(venue=True)
    engine = make_engine(url, pool_size=1)
    chance = random.Random(5)
    waits: list[float] = []
    with worker(place, url, dashscope):
        with engine.connect() as connection:
            members = list(connection.execute(_MEMBERS).scalars())
        for number in range(WARM_EVENTS):
            time.sleep(0.2 + 0.3 * chance.random())
            dashscope.reset()
            sent = datetime.now(UTC)
            with engine.begin() as connection:
                inbox.fire(connection, "consumption", site_id=SITE, member_id=members[number], payload={})
            _wait_for_ended(engine, 20 + number + 1)
            waits.append((dashscope.first_call_at() - sent).total_seconds())
    engine.dispose()
    print(f"workers: warm: median {figures.percentile(waits, 0.5):.3f} s", flush=True)
    what = f"warm worker: event sent to first request, p95 of {WARM_EVENTS}"
    return [
        figures.told("workers", "the same, median", f"{figures.percentile(waits, 0.5):.3f} s"),
        figures.at_most("workers", what, figures.percentile(waits, 0.95), WARM_TARGET_S, " s"),
    ]


def _fairness(place: Places, dashscope: SimulatorProcess) -> list[figures.Figure]:
    p95 = {}
    for busy in (False, True):
        url = place.database()
        engine = make_engine(url, pool_size=2)
        load_venue(engine, sites=FAIR_SITES, days=60, end=LAST_DAY)
        with worker(place, url, dashscope):
            waits = _waits_of_light_sites(engine, busy=busy)
        engine.dispose()
        p95[busy] = figures.percentile(waits, 0.95)
        print(f"workers: fairness, busy {busy}: p95 {p95[busy]:.3f} s of {len(waits)} events", flush=True)
    what = (
        f"nine sites' p95 wait with one that sends 90 % of the load "
        f"({p95[True]:.3f} s) / without it ({p95[False]:.3f} s)"
    )
    return [figures.at_most("workers", what, p95[True] / p95[False], FAIR_TARGET, " x")]


def _waits_of_light_sites(engine: Engine, *, busy: bool) -> Sequence[float]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("select site_id, member_id from biz.members order by member_id desc")
        ).all()
    members: dict[int, list[int]] = {}
    for site, member in rows:
        members.setdefault(site, []).append(member)
    sites = sorted(members)
    began, light, heavy, count = time.monotonic(), 0, 0, 20
    while (passed := time.monotonic() - began) < FAIR_SECONDS:
        due: list[tuple[int, int]] = []
        while light < passed * LIGHT_A_SECOND:
            site = sites[1 + light % (FAIR_SITES - 1)]
            due.append((site, members[site][light // (FAIR_SITES - 1)]))
            light += 1
        while busy and heavy < passed * BUSY_A_SECOND:
            due.append((sites[0], members[sites[0]][heavy % len(members[sites[0]])]))
            heavy += 1
        for site, member in due:
            with engine.begin() as connection:
                payload = {"nonce": count}
                inbox.fire(
                    connection, "consumption", site_id=site, member_id=member, payload=payload, is_forced=True
                )
            count += 1
        time.sleep(0.02)
    _wait_for_ended(engine, count)
    with engine.connect() as connection:
        return list(
            connection.execute(
                text(
                    "select extract(epoch from started_at - created_at)::float8 from biz.ai_trigger_jobs "
                    "where site_id <> :busy and status <> 'duplicate'"
                ),
                {"busy": sites[0]},
            ).scalars()
        )


if __name__ == "__main__":
    print(json.dumps([figure.__dict__ for figure in measure()], ensure_ascii=False))
