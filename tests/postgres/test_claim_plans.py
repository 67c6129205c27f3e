"""A million finished rows and a long queue must not slow workers: claiming reads a handful of rows of either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, text

from ai_assets.store import claims, inbox, leases, workers
from ai_assets.store.queue_depth import COUNTED, queue_depth
from ai_assets.store.trigger_jobs import TriggerJob

FINISHED = 1_000_000
PENDING = 100_000
CLAIMS = 12

_FILL = (
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain, status, dedup_key)
    select 'consumption', 1 + n % 50, n, 'app3', 'completed', n::text from generate_series(1, :finished) n
    """,
    # one site has nearly all that waits; what the statistics say is from before it came
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain)
    select 'consumption', 1, n, 'app3' from generate_series(1, :pending) n
    """,
    """
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain)
    select 'consumption', s, n, 'app3' from generate_series(2, 50) s, generate_series(1, 40) n
    """,
)


@pytest.fixture(scope="module")
def long_queue(module_engine: Engine) -> Engine:
    with module_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for number, statement in enumerate(_FILL):
            connection.execute(text(statement), {"finished": FINISHED, "pending": PENDING})
            if number == 0:
                connection.execute(text("analyze biz.ai_trigger_jobs"))
        connection.execute(
            text("insert into biz.sites (site_id, name) select s, '店' from generate_series(1, 50) s")
        )
    return module_engine


@contextmanager
def reads(connection: Connection, table: str = "ai_trigger_jobs") -> Iterator[Callable[[], tuple[int, int]]]:
    """(walks from end to end, rows fetched by an index) of a table since the block began, by this connection."""

    def now() -> tuple[int, int]:
        connection.commit()
        connection.execute(text("select pg_stat_force_next_flush()"))
        connection.commit()
        walks, rows = connection.execute(
            text("select seq_scan, idx_tup_fetch from pg_stat_user_tables where relname = :table"),
            {"table": table},
        ).one()
        connection.commit()
        return walks, rows

    before = now()
    yield lambda: tuple(after - earlier for after, earlier in zip(now(), before, strict=True))


def claim(connection: Connection, limit: int = 16) -> list[TriggerJob]:
    return claims.claim_member_jobs(
        connection, owner="w1", run_id=None, lease_s=60.0, limit=limit, after_site=None
    )


def test_claiming_reads_a_few_rows_for_each_job_it_takes(long_queue):
    with long_queue.connect() as connection, reads(connection) as read:
        # more than five times: from then on Postgres may plan once for all parameters
        claimed = sum(len(claim(connection)) for _ in range(CLAIMS))
        walks, rows = read()
    assert claimed == 16 * CLAIMS
    assert walks == 0
    # the running ones are looked at by each site's turn, and the 50 sites by each claim
    assert rows < 40 * claimed, rows


def test_the_rest_of_a_workers_life_walks_no_ledger_either(long_queue):
    with long_queue.connect() as connection, reads(connection) as read:
        for number in range(CLAIMS):
            jobs = claim(connection, 4)
            workers.heartbeat(
                connection, worker_id="w1", kind="event_worker", run_id=None, host="h", pid=1, running=4,
                draining=False, lease_s=60.0,
            )  # fmt: skip
            claims.earlier_steps(connection, jobs[0].id)
            inbox.finish(connection, jobs[0].id, owner="w1", status="completed", step_results=[], error=None)
            assert leases.requeue(connection, [job.id for job in jobs[1:3]], owner="w1", error="x") == 2
            leases.expire_lease(connection, jobs[3].id, owner="w1")
            queue_depth(connection, rate_per_minute=60)
            claims.promote_stuck(connection)
            claims.claim_alone_job(connection, owner="w2", run_id=None, lease_s=60.0)
            assert len(leases.requeue_expired(connection, max_attempts=3)) == 1
            inbox.fire(connection, "consumption", site_id=1, member_id=5_000_000 + number)
        walks, _rows = read()
    assert walks == 0


def test_what_an_earlier_attempt_made_is_found_without_walking_the_cache(long_queue):
    with long_queue.begin() as connection:
        connection.execute(
            text(
                "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, "
                "prompt_hash) select 'app3_clue', 1, n::text, '{}', 'x', n, 'h' from generate_series(1, 20000) n"
            )
        )
        connection.execute(
            text(
                "insert into biz.ai_run_logs (id, trigger_job_id, app_type, site_id, target_id, trigger_type, status) "
                "select n, n, 'app3_clue', 1, n::text, 'event', 'success' from generate_series(1, 20000) n"
            )
        )
    with long_queue.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze biz.ai_cache, biz.ai_run_logs"))
    with long_queue.connect() as connection, reads(connection, "ai_cache") as read:
        for job in range(1, CLAIMS + 1):
            assert [step.cache_id is not None for step in claims.earlier_steps(connection, job)] == [True]
        walks, rows = read()
    assert walks == 0
    # the planner looks at the ends of an index too
    assert rows <= 10 * CLAIMS


def test_counting_what_waits_stops_where_it_is_enough(long_queue):
    with long_queue.connect() as connection, reads(connection) as read:
        for _ in range(CLAIMS):
            depth = queue_depth(connection)
        walks, rows = read()
    assert depth.due == depth.startable == COUNTED
    assert walks == 0
    assert rows < 4 * CLAIMS * COUNTED


@pytest.fixture(scope="module")
def backlog(long_queue: Engine) -> Engine:
    """Site 99: a member with PENDING events, before one member with one event; sites 98 has nothing but a backlog."""
    with long_queue.begin() as connection:
        for site in (98, 99):
            connection.execute(
                text(
                    "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, is_forced) "
                    "select 'note_created', :site, 5, n % 2 = 0 from generate_series(1, :n) n"
                ),
                {"site": site, "n": PENDING},
            )
        connection.execute(
            text(
                "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) values ('note_created', 99, 6)"
            )
        )
    return long_queue


def heads(connection: Connection, site: int, wanted: int = 4) -> list[int]:
    """Members of the heads that a claim would find at a site."""
    return list(
        connection.execute(
            text(
                "select j.member_id from unnest(biz.ai_member_heads(:site, :wanted, '{}')) h "
                "join biz.ai_trigger_jobs j on j.id = h"
            ),
            {"site": site, "wanted": wanted},
        ).scalars()
    )


def test_statistics_of_one_large_backlog_make_no_claim_walk_the_table(backlog):
    with backlog.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze biz.ai_trigger_jobs"))
    with backlog.connect() as connection, reads(connection) as read:
        connection.execute(text("set plan_cache_mode = force_generic_plan"))
        for _ in range(CLAIMS):
            assert 6 in heads(connection, 99)
            assert heads(connection, 1, 16)
            connection.execute(
                text(
                    "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) values ('note_created', 97, 5)"
                )
            )
        walks, rows = read()
    assert walks == 0
    assert rows < 200 * CLAIMS


@pytest.mark.parametrize("runs", [False, True], ids=["its head waits", "its head runs"])
def test_the_events_behind_the_head_of_a_member_cost_a_claim_nothing(backlog, runs):
    with backlog.connect() as connection:
        if runs:
            [job] = connection.execute(text("select biz.ai_member_heads(99, 1, '{}')")).scalar_one()
            assert claims.claim_job(connection, job, owner="w0", lease_s=60, run_id=None)
            connection.commit()
        with reads(connection) as read:
            for _ in range(CLAIMS):
                assert heads(connection, 99) == ([6] if runs else [5, 6])
            walks, rows = read()
    assert walks == 0
    assert rows < 20 * CLAIMS


def test_counting_reads_the_heads_of_a_backlog_and_not_what_is_behind_them(backlog):
    with backlog.connect() as connection, reads(connection) as read:
        for _ in range(CLAIMS):
            assert connection.execute(
                text("select startable from biz.ai_queue_depth(60, 100000)")
            ).scalar_one()
        _walks, all_rows = read()
        heads_there = connection.execute(
            text(
                "select count(*) from biz.ai_trigger_jobs "
                "where status = 'pending' and member_id is not null and not queued_behind"
            )
        ).scalar_one()
        due = connection.execute(text("select due from biz.ai_queue_depth(60, 100000)")).scalar_one()
    assert due == 100_000
    # due ones are counted up to the limit, startable ones by their heads
    assert all_rows / CLAIMS < 1.2 * due + 3 * heads_there


def test_a_member_with_a_backlog_is_worked_through_at_a_cost_that_does_not_depend_on_it(backlog):
    with backlog.connect() as connection, reads(connection) as read:
        for _ in range(CLAIMS):
            [job_ids] = connection.execute(text("select biz.ai_member_heads(98, 1, '{}')")).scalars()
            job = claims.claim_job(connection, job_ids[0], owner="w9", lease_s=60, run_id=None)
            inbox.finish(connection, job.id, owner="w9", status="completed", step_results=[], error=None)
            connection.commit()
        walks, rows = read()
    assert walks == 0
    # claiming by its id and ending it may look at all running ones
    assert rows < PENDING / 10
