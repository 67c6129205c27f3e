"""Live events go before what a person queued, however much that is; a member's jobs still run in their order."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ai_assets.store import claims, manual_jobs
from ai_assets.store.manual_jobs import ManualJob
from ai_assets.store.queue_depth import queue_depth

MANY = 20_000


def queue(inbox_of, *members: int, site: int = 1001, forced: bool = False) -> list[int]:
    jobs = [ManualJob(site, member, "app3", {}) for member in members]
    with inbox_of.engine.begin() as connection:
        return manual_jobs.queue(connection, jobs, forced=forced, queued_by="run:1")


def claim(inbox_of, *, background: bool, limit: int = 10, rate: int | None = None) -> list[int]:
    with inbox_of.engine.begin() as connection:
        claimed = claims.claim_member_jobs(
            connection, owner="w", run_id=None, lease_s=60, limit=limit, after_site=None,
            rate_per_minute=rate, background=background,
        )  # fmt: skip
    return [job.id for job in claimed]


def finish(inbox_of, job_id: int) -> None:
    assert inbox_of.finish(job_id, owner="w")


def test_a_claim_for_live_events_finds_none_of_the_queued_work_forced_or_not(inbox_of):
    queued = [*queue(inbox_of, 1, 2), *queue(inbox_of, 3, forced=True)]
    event = inbox_of.fire("consumption", member_id=9).id
    assert claim(inbox_of, background=False) == [event]
    # forced first, as among events
    assert claim(inbox_of, background=True) == [queued[2], queued[0], queued[1]]


@pytest.mark.parametrize("forced", [False, True])
def test_a_live_event_brings_the_queued_work_before_it_forward(inbox_of, forced):
    [before] = queue(inbox_of, 5, forced=forced)
    queue(inbox_of, 6)
    event = inbox_of.fire("consumption", member_id=5).id
    assert claim(inbox_of, background=False) == [before]
    assert claim(inbox_of, background=False) == []
    finish(inbox_of, before)
    assert claim(inbox_of, background=False) == [event]


def test_queued_work_behind_a_live_event_waits_for_it(inbox_of):
    event = inbox_of.fire("consumption", member_id=5).id
    [after] = queue(inbox_of, 5)
    assert claim(inbox_of, background=False) == [event]
    assert claim(inbox_of, background=True) == []
    finish(inbox_of, event)
    assert claim(inbox_of, background=True) == [after]


def test_a_members_queued_jobs_are_claimed_one_after_the_other(inbox_of):
    with inbox_of.engine.begin() as connection:
        jobs = [ManualJob(1001, 5, "app3", {}), ManualJob(1001, 5, "app4", {"assistant_id": 7})]
        first, second = manual_jobs.queue(connection, jobs, forced=False, queued_by="run:1")
    assert claim(inbox_of, background=True) == [first]
    assert claim(inbox_of, background=True) == []
    finish(inbox_of, first)
    assert claim(inbox_of, background=True) == [second]


def test_what_a_site_cannot_start_within_its_share_waits(inbox_of):
    queue(inbox_of, *range(1, 9))
    assert len(claim(inbox_of, background=True, rate=20)) == 4
    assert claim(inbox_of, background=True, rate=20) == []
    inbox_of.fire("consumption", member_id=99)
    assert len(claim(inbox_of, background=False, rate=30)) == 1


def test_queued_work_counts_as_work_to_start_workers_for_and_never_as_overdue(inbox_of):
    queue(inbox_of, 1, 2)
    inbox_of.run("update biz.ai_trigger_jobs set created_at = created_at - interval '1 hour'")
    with inbox_of.engine.connect() as connection:
        depth = queue_depth(connection)
    assert (depth.due, depth.startable, depth.oldest_due_s) == (2, 2, 0)
    inbox_of.fire("consumption", member_id=9)
    inbox_of.run("update biz.ai_trigger_jobs set created_at = created_at - interval '1 hour'")
    with inbox_of.engine.connect() as connection:
        assert queue_depth(connection).oldest_due_s > 3000


def test_a_claim_for_live_events_reads_nothing_of_a_long_backlog(inbox_of):
    with inbox_of.engine.begin() as connection:
        connection.execute(
            text(
                "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain, background) "
                "select 'manual', 1001 + n % 2, n, 'app3', true from generate_series(1, :many) n"
            ),
            {"many": MANY},
        )
    event = inbox_of.fire("consumption", member_id=MANY + 1).id

    def read() -> int:
        with inbox_of.engine.connect() as connection:
            connection.execute(text("select pg_stat_force_next_flush()"))
            connection.commit()
            return connection.execute(
                text(
                    "select idx_tup_fetch + seq_tup_read from pg_stat_user_tables where relname = 'ai_trigger_jobs'"
                )
            ).scalar_one()

    with inbox_of.engine.begin() as connection:
        connection.execute(text("select pg_stat_force_next_flush()"))
    before = read()
    with inbox_of.engine.begin() as connection:
        connection.execute(text("select pg_stat_force_next_flush()"))
        claimed = connection.execute(
            text("select id from biz.ai_claim_member_jobs('w', null, 60, 10, null)")
        ).scalars()
        assert list(claimed) == [event]
    assert read() - before < 200
