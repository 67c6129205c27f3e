"""Which members' jobs a worker gets: the head of each member's queue, fair over sites, forced first, then older."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ai_assets.store import claims, inbox


class Queue:
    """Short ways to a queue of members' jobs: rows by SQL, claims as a worker makes them."""

    def __init__(self, db):
        self.db = db

    def add(self, site=1, member=5, *, forced=False, **more) -> int:
        columns = {
            "event_type": "note_created",
            "site_id": site,
            "member_id": member,
            "is_forced": forced,
            **more,
        }
        names = ", ".join(columns)
        values = ", ".join(f":{name}" for name in columns)
        with self.db.engine.begin() as connection:
            return connection.execute(
                text(f"insert into biz.ai_trigger_jobs ({names}) values ({values}) returning id"), columns
            ).scalar_one()

    def claim(self, limit=16, *, owner="w1", after_site=None, run_id="run-1", lease_s=60.0):
        with self.db.engine.begin() as connection:
            return claims.claim_member_jobs(
                connection, owner=owner, run_id=run_id, lease_s=lease_s, limit=limit, after_site=after_site
            )

    def ids(self, limit=16, **how) -> list[int]:
        return [job.id for job in self.claim(limit, **how)]

    def finish(self, *job_ids) -> None:
        self.db.run(
            "update biz.ai_trigger_jobs set status = 'completed', lease_owner = null, lease_until = null "
            "where id = any(:ids)",
            ids=list(job_ids),
        )

    def later(self, job_id, seconds=60) -> None:
        self.db.run(
            "update biz.ai_trigger_jobs set not_before = clock_timestamp() + make_interval(secs => :s) where id = :id",
            s=seconds,
            id=job_id,
        )


@pytest.fixture
def queue(db):
    return Queue(db)


def test_a_claimed_job_runs_for_its_owner_with_a_lease(queue):
    job_id = queue.add(error_message="attempt 1 was lost", payload='{"a": "客"}')
    (job,) = queue.claim(owner="w7", run_id="run-7", lease_s=42.0)
    assert (job.id, job.status, job.attempts, job.run_id) == (job_id, "running", 1, "run-7")
    assert (job.payload, job.error_message, job.finished_at) == ({"a": "客"}, None, None)
    row = queue.db.one(
        "select *, extract(epoch from lease_until - clock_timestamp()) as left from biz.ai_trigger_jobs"
    )
    assert row["lease_owner"] == "w7"
    assert 30 < row["left"] <= 42
    assert row["started_at"] is not None


def test_a_second_attempt_keeps_when_the_first_began(queue):
    queue.add()
    (first,) = queue.claim()
    queue.db.run("update biz.ai_trigger_jobs set status = 'pending', lease_owner = null, lease_until = null")
    (second,) = queue.claim()
    assert (second.attempts, second.started_at) == (2, first.started_at)


def test_an_empty_inbox_gives_nothing(queue):
    assert queue.claim() == []


@pytest.mark.parametrize("limit", [0, -1])
def test_nothing_is_claimed_where_nothing_is_asked_for(queue, limit):
    queue.add()
    assert queue.claim(limit) == []


def test_what_is_not_a_members_pending_job_is_left_alone(queue):
    queue.add(member=None, event_type="dws_completed")
    for number, status in enumerate(("completed", "partial", "failed", "dead", "duplicate")):
        queue.add(member=number + 1, status=status)
    assert queue.claim() == []


def test_of_one_member_only_the_oldest_is_claimed_and_the_next_when_it_has_ended(queue):
    first, second, third = (queue.add() for _ in range(3))
    assert queue.ids() == [first]
    assert queue.ids(owner="w2") == []
    queue.finish(first)
    assert queue.ids(owner="w2") == [second]
    queue.finish(second)
    assert queue.ids() == [third]


def test_the_same_member_number_at_another_site_is_another_member(queue):
    here, there = queue.add(site=1, member=5), queue.add(site=2, member=5)
    assert queue.ids() == [here, there]


def test_a_running_chain_of_a_member_holds_up_only_that_member(queue):
    queue.add(member=5, status="running", lease_owner="w0")
    queue.add(member=5)
    other = queue.add(member=6)
    assert queue.ids() == [other]


def test_within_a_site_forced_ones_go_first_and_then_older_ones(queue):
    old, newer = queue.add(member=1), queue.add(member=2)
    forced, forced_later = queue.add(member=3, forced=True), queue.add(member=4, forced=True)
    assert queue.ids(1) == [forced]
    assert queue.ids(3) == [forced_later, old, newer]


def test_a_forced_job_behind_an_older_one_of_its_member_lends_the_head_its_priority(queue):
    other = queue.add(member=1)
    head = queue.add(member=2)
    forced = queue.add(member=2, forced=True)
    assert queue.ids(1) == [head]
    assert queue.ids() == [other]
    queue.finish(head)
    assert queue.ids() == [forced]


def test_a_head_whose_time_has_not_come_holds_up_its_member_and_nobody_else(queue):
    head = queue.add(member=5)
    queue.later(head)
    behind = queue.add(member=5, forced=True)
    other = queue.add(member=6)
    assert queue.ids() == [other]
    queue.later(head, -1)
    assert queue.ids() == [head]
    queue.finish(head)
    assert queue.ids() == [behind]


def test_a_thousand_jobs_of_a_held_up_member_do_not_hide_the_next_members(queue):
    queue.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) "
        "select 'note_created', 1, 5 from generate_series(1, 1000)"
    )
    (head,) = queue.ids()
    others = [queue.add(member=6), queue.add(member=7)]
    assert queue.ids() == others
    assert queue.db.value("select min(id) from biz.ai_trigger_jobs where member_id = 5") == head


def test_a_busy_site_cannot_hold_up_the_others(queue):
    queue.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) "
        "select 'consumption', 1, n from generate_series(1, 900) n"
    )
    queue.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) "
        "select 'consumption', s, n from generate_series(2, 10) s, generate_series(1, 10) n"
    )
    first = Counter(job.site_id for job in queue.claim(16))
    assert set(first) == set(range(1, 11))
    assert max(first.values()) == 2
    # the next worker's claims count what runs already
    for _ in range(4):
        first += Counter(job.site_id for job in queue.claim(16, owner="w2"))
    assert set(first.values()) == {8}


def test_a_site_with_chains_running_waits_until_the_others_have_as_many(queue):
    for number in range(3):
        queue.add(site=1, member=100 + number, status="running", lease_owner="w0")
        queue.add(site=1, member=number + 1)
    for number in range(5):
        queue.add(site=2, member=number + 1)
    assert [job.site_id for job in queue.claim(4)] == [2, 2, 2, 1]


def test_ties_go_round_robin_beginning_after_the_site_that_came_last(queue):
    for site in (1, 2, 3, 4):
        for member in (1, 2, 3):
            queue.add(site=site, member=member)
    assert [job.site_id for job in queue.claim(3, after_site=2)] == [3, 4, 1]
    # site 2 has none running yet, and among equals the turn is its own again
    assert [job.site_id for job in queue.claim(2, after_site=1)] == [2, 2]
    assert [job.site_id for job in queue.claim(3, after_site=None)] == [1, 3, 4]


def test_one_worker_that_takes_one_job_at_a_time_comes_to_every_site_in_turn(queue):
    for site in (10, 20, 30):
        for member in range(1, 5):
            queue.add(site=site, member=member)
    seen, after = [], None
    for _ in range(9):
        (job,) = queue.claim(1, after_site=after)
        queue.finish(job.id)
        seen.append(job.site_id)
        after = job.site_id
    assert seen == [10, 20, 30] * 3


def test_a_site_that_has_less_leaves_its_places_to_the_others(queue):
    queue.add(site=1, member=1)
    waits = queue.add(site=2, member=1)
    queue.later(waits)
    for member in range(1, 21):
        queue.add(site=3, member=member)
    claimed = Counter(job.site_id for job in queue.claim(10))
    assert claimed == {1: 1, 3: 9}


@given(
    jobs=st.lists(
        st.tuples(
            st.integers(1, 3),
            st.integers(1, 4),
            st.booleans(),
            st.sampled_from(["due", "due", "later", "running"]),
        ),
        max_size=14,
    ),
    limit=st.integers(1, 8),
    after=st.one_of(st.none(), st.integers(0, 4)),
)
@settings(max_examples=60, deadline=None)
def test_a_claim_is_what_a_plain_model_of_the_rules_says(module_engine, jobs, limit, after):
    db = Model(module_engine)
    queue = Queue(db)
    rows, running = [], set()
    with module_engine.begin() as connection:
        connection.execute(text("delete from biz.ai_trigger_jobs"))
    for site, member, forced, state in jobs:
        if state == "running" and (site, member) in running:
            state = "due"
        if state == "running":
            running.add((site, member))
        status = "running" if state == "running" else "pending"
        job_id = queue.add(site, member, forced=forced, status=status)
        if state == "later":
            queue.later(job_id)
        rows.append((job_id, site, member, forced, state))
    assert queue.ids(limit, after_site=after) == expected_claim(rows, limit, after)


class Model:
    """As `db`, for a test that hypothesis repeats."""

    def __init__(self, engine):
        self.engine = engine

    def run(self, sql, **parameters):
        with self.engine.begin() as connection:
            return connection.execute(text(sql), parameters).rowcount


def expected_claim(rows, limit, after) -> list[int]:
    """The rules in plain Python: heads, priority lent, sites in turn."""
    chains = Counter(site for _, site, _, _, state in rows if state == "running")
    busy = {(site, member) for _, site, member, _, state in rows if state == "running"}
    queues = defaultdict(list)
    for row in rows:
        if row[4] != "running":
            queues[row[1], row[2]].append(row)
    sites = defaultdict(list)
    for (site, member), waiting in queues.items():
        head = waiting[0]
        if (site, member) not in busy and head[4] == "due":
            # the row that gives the head its place in the site's queue
            first = min(waiting, key=lambda row: (not row[3], row[0]))
            sites[site].append(((not first[3], first[0]), head[0]))
    found = []
    for site, heads in sites.items():
        turn = (after is not None and site <= after, site)
        found += [(chains[site] + place, turn, job) for place, (_, job) in enumerate(sorted(heads))]
    return [job for _, _, job in sorted(found)[:limit]]


def test_eight_claimers_share_500_jobs_of_40_members_each_member_in_order_and_never_twice_at_once(inbox_of):
    with inbox_of.engine.begin() as connection:
        for site in range(1, 11):
            connection.execute(text("insert into biz.sites (site_id, name) values (:s, 'x')"), {"s": site})
        sent = defaultdict(list)
        for number in range(500):
            site, member = 1 + number % 10, 1 + number * 7 % 40 // 10
            payload = {"note_content": f"note {number}"}
            job_id = inbox.fire(connection, "note_created", site_id=site, member_id=member, payload=payload)
            sent[site, member].append(job_id)
    assert len(sent) == 40
    start, mark = threading.Barrier(8), threading.Lock()
    at_work, ran, overlaps = set(), defaultdict(list), []

    def worker(number):
        start.wait(30)
        owner = f"w{number}"
        while sum(map(len, ran.values())) < 500:
            with inbox_of.engine.begin() as connection:
                jobs = claims.claim_member_jobs(
                    connection, owner=owner, run_id=None, lease_s=60.0, limit=4, after_site=number
                )
            with mark:
                for job in jobs:
                    key = job.site_id, job.member_id
                    if key in at_work:
                        overlaps.append(job)
                    at_work.add(key)
                    ran[key].append(job.id)
            for job in jobs:
                with mark:
                    at_work.discard((job.site_id, job.member_id))
                with inbox_of.engine.begin() as connection:
                    assert inbox.finish(
                        connection, job.id, owner=owner, status="completed", step_results=[], error=None
                    )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker, range(8)))
    assert overlaps == []
    assert ran == sent
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'completed' and attempts = 1") == 500


def test_claimers_pass_over_what_another_is_claiming_and_do_not_wait_for_it(queue):
    jobs = [queue.add(member=number + 1) for number in range(4)]
    with queue.db.engine.connect() as first:
        first.execute(text("select * from biz.ai_claim_member_jobs('w1', null, 60, 2, null)"))
        with queue.db.engine.begin() as second:
            second.execute(text("set local lock_timeout = '5s'"))
            got = claims.claim_member_jobs(
                second, owner="w2", run_id=None, lease_s=60.0, limit=4, after_site=None
            )
        first.rollback()
    assert [job.id for job in got] == jobs[2:]


def test_an_older_job_that_is_committed_late_does_not_let_two_claimers_meet_at_one_member(queue):
    with queue.db.engine.connect() as late:
        insert = text(
            "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) values ('x', 1, 5) returning id"
        )
        older = late.execute(insert).scalar_one()
        newer = queue.add(member=5)
        with queue.db.engine.connect() as first:
            claimed = first.execute(
                text("select id from biz.ai_claim_member_jobs('w1', null, 60, 9, null)")
            ).scalars()
            assert list(claimed) == [newer]
            late.commit()
            with queue.db.engine.begin() as second:
                second.execute(text("set local lock_timeout = '5s'"))
                assert (
                    claims.claim_member_jobs(
                        second, owner="w2", run_id=None, lease_s=60.0, limit=9, after_site=None
                    )
                    == []
                )
            first.commit()
    assert queue.ids() == []
    queue.finish(newer)
    assert queue.ids() == [older]


def test_a_job_of_the_member_that_is_claimed_by_its_id_at_this_instant_is_no_error(queue):
    head, behind, other = queue.add(member=5), queue.add(member=5), queue.add(member=6)
    with queue.db.engine.connect() as by_id:
        assert claims.claim_job(by_id, behind, owner="run:1", lease_s=60.0, run_id=None)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(queue.ids)
            for _ in range(1000):
                if queue.db.count(
                    "pg_stat_activity", "wait_event_type = 'Lock' and query like '%ai_claim_member%'"
                ):
                    break
                threading.Event().wait(0.01)
            assert not waiting.done()
            by_id.commit()
            assert waiting.result(10) == [other]
    assert queue.db.value("select status from biz.ai_trigger_jobs where id = :id", id=head) == "pending"


def take_head(queue, job_id):
    """As a claimer does whose look at the queue is a moment old."""
    with queue.db.engine.begin() as connection:
        return connection.execute(
            text("select biz.ai_claim_head(:id, 'w1', null, 60)"), {"id": job_id}
        ).scalar_one()


def test_what_was_a_head_a_moment_ago_is_looked_at_again_before_it_is_taken(queue):
    head, behind = queue.add(), queue.add()
    assert not take_head(queue, behind), "an older one waits"
    queue.later(head)
    assert not take_head(queue, head), "its time has not come"
    queue.later(head, -1)
    assert take_head(queue, head)
    assert not take_head(queue, head), "it runs"
    assert not take_head(queue, behind), "a chain of its member runs"
    queue.finish(head)
    assert take_head(queue, behind)


def test_members_whose_chain_runs_and_heads_that_were_missed_take_no_place_among_the_candidates(queue):
    queue.add(member=5, status="running", lease_owner="w0")
    queue.add(member=5)
    missed, next_one = queue.add(member=6), queue.add(member=7)
    queue.add(site=2, member=7)
    heads = text("select biz.ai_member_heads(1, 1, :missed)")
    with queue.db.engine.connect() as connection:
        assert connection.execute(heads, {"missed": []}).scalar_one() == [missed]
        assert connection.execute(heads, {"missed": [missed]}).scalar_one() == [next_one]
