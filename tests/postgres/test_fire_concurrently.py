"""Many senders of the same events at once: exactly one runs, nobody is turned away."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ai_assets.store import claims, inbox
from ai_assets.store.trigger_jobs import TriggerJob

FIRE = text("select biz.fire_ai_event(:event, 1001, 5, cast(:payload as jsonb), :forced)")


def fire_at_once(inbox_of, connections: int, each: int, *, event="consumption", payload="{}", forced=False):
    """`each` times from each of `connections`, every event its own transaction; all begin together."""
    start = threading.Barrier(connections)

    def sender(_number: int) -> list[int]:
        with inbox_of.engine.connect() as connection:
            connection.execute(text("select 1"))
            connection.commit()
            start.wait(30)
            ids = []
            for _ in range(each):
                ids.append(
                    connection.execute(
                        FIRE, {"event": event, "payload": payload, "forced": forced}
                    ).scalar_one()
                )
                connection.commit()
            return ids

    with ThreadPoolExecutor(connections) as pool:
        return [job_id for ids in pool.map(sender, range(connections)) for job_id in ids]


def test_of_a_thousand_identical_events_from_twenty_connections_exactly_one_runs(inbox_of):
    ids = fire_at_once(inbox_of, 20, 50)
    assert len(set(ids)) == 1000
    rows = inbox_of.all("select status, duplicate_of from biz.ai_trigger_jobs order by id")
    pending = inbox_of.one("select id from biz.ai_trigger_jobs where status = 'pending'")
    assert [row["status"] for row in rows].count("duplicate") == 999
    assert {row["duplicate_of"] for row in rows} == {None, pending["id"]}


def test_a_thousand_identical_events_beside_claims_of_them_run_once(inbox_of):
    """While some send, others claim and end the one that runs: its key is held all the same."""
    ended = threading.Event()

    def work() -> list[int]:
        ran = []
        while not ended.is_set():
            with inbox_of.engine.begin() as connection:
                jobs = claims.claim_member_jobs(
                    connection, owner="w1", run_id=None, lease_s=60.0, limit=4, after_site=None
                )
            for job in jobs:
                assert inbox_of.finish(job.id, "w1")
                ran.append(job.id)
        return ran

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            ids = fire_at_once(inbox_of, 20, 50)
            while inbox_of.count("biz.ai_trigger_jobs", "status in ('pending', 'running')"):
                threading.Event().wait(0.01)
        finally:
            ended.set()
        ran = working.result(30)
    assert len(ids) == 1000
    assert len(ran) == 1
    assert (
        inbox_of.count("biz.ai_trigger_jobs", "status = 'duplicate' and duplicate_of = :id", id=ran[0]) == 999
    )


def test_of_forced_ones_all_run_and_exactly_one_holds_the_key(inbox_of):
    fire_at_once(inbox_of, 8, 5, forced=True)
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'pending'") == 40
    assert inbox_of.count("biz.ai_trigger_jobs", "dedup_key is not null") == 1


def test_two_prewarms_at_once_give_each_site_one_job(inbox_of):
    for site in range(1100, 1110):
        inbox_of.site(site)
    fire_at_once(inbox_of, 4, 1, event="ai_dws_prewarm")
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'pending'") == 12
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'duplicate'") == 36


ASSISTED = '{"has_assistant": true, "assistant_id": 7}'


def test_of_many_repeats_of_a_partial_job_at_once_one_runs_and_the_others_are_its_duplicates(inbox_of):
    first = inbox_of.fire("consumption", member_id=5)
    inbox_of.claim(first.id)
    inbox_of.finish(first.id, status="partial")
    fire_at_once(inbox_of, 10, 5)
    running = inbox_of.one("select id, repeat_of from biz.ai_trigger_jobs where status = 'pending'")
    assert running["repeat_of"] == first.id
    assert (
        inbox_of.count("biz.ai_trigger_jobs", "status = 'duplicate' and duplicate_of = :id", id=running["id"])
        == 49
    )


def test_of_many_first_assistants_at_once_one_runs(inbox_of):
    inbox_of.fire("consumption", member_id=5)
    fire_at_once(inbox_of, 10, 5, payload=ASSISTED)
    chains = inbox_of.all("select app_chain from biz.ai_trigger_jobs where status = 'pending' order by id")
    assert [row["app_chain"] for row in chains] == ["app3→app8→app7", "app4→app5"]


def test_senders_with_and_without_an_assistant_forced_and_not_are_all_taken_in(inbox_of):
    """Keys pass between the jobs of a day in every direction at once, and nobody is turned away."""
    inbox_of.run(
        "create function biz.test_partial() returns trigger language plpgsql as"
        " $$ begin new.status := 'partial'; return new; end $$"
    )
    # half of what would wait has ended as partial at once
    inbox_of.run(
        "create trigger test_partial before insert on biz.ai_trigger_jobs for each row"
        " when (new.status = 'pending' and new.id % 2 = 0) execute function biz.test_partial()"
    )
    kinds = [
        {"payload": payload, "forced": forced} for payload in ("{}", ASSISTED) for forced in (False, True)
    ]
    try:
        with ThreadPoolExecutor(len(kinds)) as pool:
            sent = list(pool.map(lambda kind: fire_at_once(inbox_of, 4, 25, **kind), kinds))
    finally:
        inbox_of.run("drop function biz.test_partial() cascade")
    assert len({job for ids in sent for job in ids}) == 400
    assert inbox_of.count("biz.ai_trigger_jobs", "dedup_key is not null") <= 2
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'failed'") == 0


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_an_event_beside_an_unfinished_transaction_waits_for_how_that_one_ends(inbox_of, outcome):
    def beside() -> TriggerJob:
        with inbox_of.engine.begin() as connection:
            connection.execute(text("set local application_name = 'beside'"))
            job_id = inbox.fire(connection, "consumption", site_id=1001, member_id=5)
        return inbox_of.job(job_id)

    def waits() -> bool:
        return bool(
            inbox_of.count("pg_stat_activity", "application_name = 'beside' and wait_event_type = 'Lock'")
        )

    with ThreadPoolExecutor(1) as pool, inbox_of.engine.connect() as first:
        first_id = inbox.fire(first, "consumption", site_id=1001, member_id=5)
        second = pool.submit(beside)
        seen = threading.Event()
        for _ in range(1000):
            if waits():
                break
            seen.wait(0.01)
        assert not second.done()
        getattr(first, outcome)()
        job = second.result(10)
    expected = ("duplicate", first_id) if outcome == "commit" else ("pending", None)
    assert (job.status, job.duplicate_of) == expected
