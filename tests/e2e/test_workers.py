"""Workers as processes: killed at random moments with nothing lost and nothing doubled, and asked to stop."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import time

import pytest
from sqlalchemy import create_engine, text

MEMBERS = 40
CHAINS = 200
PATIENCE_S = 240.0


def rows(engine, sql, **parameters):
    with engine.connect() as connection:
        return list(connection.execute(text(sql), parameters))


@pytest.fixture
def database(venue_environment):
    engine = create_engine(venue_environment["AI_DATABASE_URL"])
    yield engine
    engine.dispose()


def send(engine, count: int) -> None:
    """Consumptions and notes of some members over some days: every one is an event of its own."""
    with engine.begin() as connection:
        connection.execute(
            text(
                """
                select biz.fire_ai_event(
                    case when n % 4 = 0 then 'note_created' else 'consumption' end, 1001, m.member_id,
                    jsonb_build_object(
                        'occurred_at', (date '2026-06-30' - (n / :members)::integer)::text || 'T20:00:00',
                        'note_content', '备注 ' || n, 'noted_by_name', '前台'), n % 7 = 0)
                from generate_series(0, :last) n
                join (select member_id, row_number() over (order by member_id) - 1 as place from biz.members
                    where site_id = 1001 limit :members) m on m.place = n % :members
                """
            ),
            {"members": MEMBERS, "last": count - 1},
        )


def test_workers_killed_at_random_moments_lose_no_event_and_double_no_clue(
    serve, venue_environment, database, simulator
):
    send(database, CHAINS)
    simulator.configure(latency=0.05)
    environment = {
        **venue_environment,
        "AI_MAX_ATTEMPTS": "50",
        "AI_CONCURRENCY": "8",
        "AI_STEP_TIMEOUT_S": "60",
    }
    chance = random.Random(3)
    workers = [serve("work", environment=environment) for _ in range(2)]
    ends = time.monotonic() + PATIENCE_S
    kills, seen = 0, 0

    def done() -> int:
        [(count,)] = rows(
            database, "select count(*) from biz.ai_trigger_jobs where status not in ('pending', 'running')"
        )
        return count

    next_kill = 10
    while done() < CHAINS:
        assert time.monotonic() < ends, f"{done()} after {kills} kills: {workers[-1].log.read_text()[-3000:]}"
        seen = done()
        if seen >= next_kill and kills < 5:
            victim = chance.randrange(2)
            workers[victim].process.kill()
            workers[victim].process.wait(10)
            workers[victim] = serve("work", environment=environment)
            kills += 1
            next_kill = seen + chance.randrange(10, 35)
        time.sleep(0.05)
    for worker in workers:
        assert worker.stop() == 0
    assert kills >= 4

    assert rows(database, "select distinct status from biz.ai_trigger_jobs") == [("completed",)]
    assert rows(database, "select max(attempts) > 1 from biz.ai_trigger_jobs") == [(True,)], (
        "a kill hit a chain"
    )
    doubled = rows(
        database, "select trigger_job_id, cache_type from biz.ai_cache group by 1, 2 having count(*) > 1"
    )
    assert doubled == [], "no step that had its result was made again"
    clues = rows(
        database,
        """
        select member_id, source, count(*) - count(distinct (summary, detail)) from biz.member_retention_clue
        group by 1, 2 having count(*) <> count(distinct (summary, detail))
        """,
    )
    assert clues == []
    not_as_answered = rows(
        database,
        """
        select c.target_id from biz.ai_cache_latest c
        where c.cache_type = 'app8_clue_consolidated' and jsonb_array_length(c.result_json -> 'clues') <> (
            select count(*) from biz.member_retention_clue k where k.site_id = c.site_id
                and k.member_id = c.target_id::bigint
                and k.source = case c.triggered_by when 'note_created' then 'ai_note' else 'ai_consumption' end)
        """,
    )
    assert not_as_answered == []
    assert rows(database, "select count(*) from biz.ai_leases") == [(0,)]


def signal_any_thread_but_the_first(pid: int) -> None:
    """SIGTERM, taken by a thread that Python runs no handler in: the system chooses the thread, and may choose so."""
    thread = next(int(name) for name in sorted(os.listdir(f"/proc/{pid}/task"), key=int) if int(name) != pid)
    assert ctypes.CDLL(None).tgkill(pid, thread, signal.SIGTERM) == 0


def test_a_worker_told_to_stop_hands_its_chains_back_within_ten_seconds_and_ends_with_0(
    serve, venue_environment, database, simulator
):
    send(database, 8)
    simulator.configure(latency=120.0)
    environment = {**venue_environment, "AI_STEP_TIMEOUT_S": "150"}
    worker = serve("work", environment=environment)
    ends = time.monotonic() + PATIENCE_S
    while not rows(database, "select 1 from biz.ai_leases limit 1"):
        assert time.monotonic() < ends, worker.log.read_text()[-3000:]
        assert worker.process.poll() is None, worker.log.read_text()[-3000:]
        time.sleep(0.05)
    began = time.monotonic()
    signal_any_thread_but_the_first(worker.process.pid)
    while rows(database, "select 1 from biz.ai_trigger_jobs where status = 'running' limit 1"):
        assert time.monotonic() < began + 12
        time.sleep(0.05)
    assert worker.process.wait(30) == 0
    assert rows(database, "select status, attempts from biz.ai_trigger_jobs") == [("pending", 0)] * 8
    assert rows(database, "select count(*) from biz.ai_leases") == [(0,)]
    assert "8 handed back" in worker.log.read_text()


def test_a_stop_is_obeyed_at_any_moment_also_at_the_start_and_between_two_stretches(
    serve, venue_environment, database, waiting
):
    # without linger one stretch follows the other: many moments are between or beside them
    environment = {**venue_environment, "AI_WORKER_LINGER_S": "0"}
    starting = serve("work", environment=environment)
    waiting.wait_for("the first word", lambda: "working" in starting.log.read_text(), starting)
    starting.process.send_signal(signal.SIGTERM)
    assert starting.process.wait(60) == 0, starting.log.read_text()[-2000:]

    dagster = create_engine(venue_environment["DAGSTER_POSTGRES_URL"])
    turning = [serve("work", environment=environment) for _ in range(3)]
    waiting.wait_for(
        "some stretches",
        lambda: rows(dagster, "select count(*) from runs where status = 'SUCCESS'")[0][0] >= 6,
        turning[0],
    )
    dagster.dispose()
    for worker in turning:
        worker.process.send_signal(signal.SIGTERM)
    assert [worker.process.wait(30) for worker in turning] == [0, 0, 0], turning[0].log.read_text()[-2000:]
