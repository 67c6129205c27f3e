"""Workers' heartbeats: what they hold, who lives, who is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ai_assets.store import claims, leases, workers
from ai_assets.store.status import status


class Crew:
    def __init__(self, db):
        self.db = db

    def do(self, what, *given, **how):
        with self.db.engine.begin() as connection:
            return what(connection, *given, **how)

    def beat(self, worker="w1", **how):
        told = {
            "kind": "event_worker",
            "run_id": None,
            "host": "here",
            "pid": 42,
            "running": 0,
            "draining": False,
        }
        return self.do(workers.heartbeat, worker_id=worker, **{**told, "lease_s": 60.0, **how})

    def silent(self, worker, seconds):
        self.db.run(
            "update biz.ai_workers set heartbeat_at = heartbeat_at - make_interval(secs => :s) where id = :id",
            s=seconds,
            id=worker,
        )

    def shown(self):
        with self.db.engine.connect() as connection:
            return status(connection)["workers"]


@pytest.fixture
def crew(db):
    return Crew(db)


def claim(crew, owner, limit=16):
    return crew.do(
        claims.claim_member_jobs, owner=owner, run_id=None, lease_s=60.0, limit=limit, after_site=None
    )


def fill(crew, members):
    crew.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) "
        "select 'consumption', 1, n from generate_series(1, :n) n",
        n=members,
    )


def test_a_heartbeat_holds_all_jobs_of_its_worker_on_and_says_which_are_left(crew):
    fill(crew, 4)
    mine = [job.id for job in claim(crew, "w1", 3)]
    claim(crew, "w2")
    crew.db.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp()")
    assert crew.beat(lease_s=42.0) == dict.fromkeys(mine, 1)
    left = crew.db.all(
        "select lease_owner, extract(epoch from lease_until - clock_timestamp())::float8 as s "
        "from biz.ai_trigger_jobs order by id"
    )
    assert all(30 < row["s"] <= 42 for row in left if row["lease_owner"] == "w1")
    assert [row["s"] <= 0 for row in left if row["lease_owner"] == "w2"] == [True]
    crew.db.run("update biz.ai_trigger_jobs set status = 'completed' where id = :id", id=mine[0])
    crew.db.run("update biz.ai_trigger_jobs set lease_owner = 'w3' where id = :id", id=mine[1])
    assert crew.beat() == {mine[2]: 1}


def test_a_worker_is_one_row_that_each_heartbeat_renews(crew):
    assert crew.beat(run_id="run-1", running=3) == {}
    first = crew.db.one("select * from biz.ai_workers")
    crew.beat(run_id="run-1", running=5, lease_s=30.0)
    row = crew.db.one("select * from biz.ai_workers")
    assert (row["id"], row["kind"], row["run_id"], row["host"], row["pid"]) == (
        "w1", "event_worker", "run-1", "here", 42,
    )  # fmt: skip
    assert (row["running"], row["lease_s"], row["draining"], row["ends_at"]) == (5, 30.0, False, None)
    assert row["started_at"] == first["started_at"]
    assert row["heartbeat_at"] > first["heartbeat_at"]


def test_a_draining_worker_keeps_when_it_began_to_drain(crew):
    crew.beat(draining=True)
    since = crew.db.value("select ends_at from biz.ai_workers")
    crew.beat(draining=True)
    assert crew.db.value("select ends_at from biz.ai_workers") == since
    assert since is not None


def test_live_are_those_that_beat_within_their_lease_and_take_new_jobs(crew):
    assert crew.do(workers.alive) == workers.Alive(0, 0)
    crew.beat("idle")
    crew.beat("busy", running=3)
    crew.beat("drains", draining=True, running=1)
    crew.beat("ended", draining=True)
    crew.beat("silent", lease_s=60.0)
    crew.silent("silent", 61)
    crew.beat("patient", lease_s=300.0)
    crew.silent("patient", 200)
    assert crew.do(workers.alive) == workers.Alive(workers=3, free=2)
    assert [row["id"] for row in crew.shown()] == ["idle", "busy", "drains", "patient"]
    assert [row["id"] for row in crew.shown() if row["draining"]] == ["drains"]


def test_lost_are_those_whose_heartbeat_is_older_than_their_lease(crew):
    crew.beat("lives", run_id="run-1")
    crew.beat("lost", run_id="run-2")
    crew.beat("lost by hand", draining=True)
    crew.silent("lost", 61)
    crew.silent("lost by hand", 90)
    assert crew.do(workers.expired) == [
        workers.ExpiredWorker("lost by hand", None),
        workers.ExpiredWorker("lost", "run-2"),
    ]
    crew.beat("lost", run_id="run-2")
    crew.do(workers.delete, "lost by hand")
    assert crew.do(workers.expired) == []


def test_a_worker_that_has_ended_is_no_more(crew):
    crew.beat("w1", run_id="run-1")
    crew.beat("w2", run_id="run-2")
    crew.beat("w3")
    assert crew.do(workers.run_ids) == {"run-1", "run-2"}
    crew.do(workers.delete, "w1")
    crew.do(workers.delete, "never was")
    assert crew.do(workers.run_ids) == {"run-2"}


def test_a_worker_that_said_goodbye_keeps_its_row_for_a_lease_while_its_run_ends(crew):
    crew.beat("w1", run_id="run-1", running=2)
    crew.do(workers.mark_stopped, "w1")
    assert crew.do(workers.run_ids) == {"run-1"}
    assert crew.do(workers.alive) == workers.Alive(0, 0)
    assert crew.do(workers.expired) == []
    assert crew.shown() == []
    crew.silent("w1", 61)
    assert crew.do(workers.expired) == [workers.ExpiredWorker("w1", "run-1")]


def test_a_row_that_a_backend_holds_is_passed_over_and_is_the_workers_all_the_same(crew):
    fill(crew, 3)
    mine = [job.id for job in claim(crew, "w1", 3)]
    crew.db.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp()")
    with crew.db.engine.begin() as backend:
        backend.execute(
            text("update biz.ai_trigger_jobs set dedup_key = null where id = :id"), {"id": mine[0]}
        )
        assert crew.beat() == dict.fromkeys(mine, 1)
    ended = crew.db.all("select id from biz.ai_trigger_jobs where lease_until < clock_timestamp()")
    assert [row["id"] for row in ended] == [mine[0]]


def test_heartbeats_beside_handing_back_never_end_in_a_deadlock(crew):
    fill(crew, 40)
    start = threading.Barrier(3)

    def beats(_number):
        start.wait(20)
        for _ in range(60):
            crew.beat()

    def hands_back(_number):
        start.wait(20)
        for _ in range(30):
            ids = [job.id for job in claim(crew, "w1", 40)]
            crew.do(leases.requeue, ids[::-1], owner="w1", error="x")

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(beats, 1), pool.submit(beats, 2), pool.submit(hands_back, 1)]
        assert [future.result(60) for future in done] == [None] * 3
