"""Retention of the ledger: what is old goes, what is in use stays, in small batches that wait for nobody."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text

from ai_assets.store import inbox, retention
from ai_assets.store.retention import KeepDays

KEEP = KeepDays(texts=100, calls=100, jobs=100)
OLD, YOUNG = 101, 99


class Ledger:
    """Rows of any age; times are days ago."""

    def __init__(self, db) -> None:
        self.db = db
        self.engine = db.engine
        self.calls = 0

    def job(self, age: int = OLD, status: str = "completed", **columns) -> int:
        names = {"event_type": "consumption", "site_id": 1001, "member_id": 5, "status": status, **columns}
        sql = (
            f"insert into biz.ai_trigger_jobs ({', '.join(names)}, created_at) "
            f"values ({', '.join(f':{n}' if n != 'payload' else 'cast(:payload as jsonb)' for n in names)}, "
            "clock_timestamp() - make_interval(days => :age)) returning id"
        )
        with self.engine.begin() as connection:
            return connection.execute(text(sql), {**names, "age": age}).scalar_one()

    def call(
        self, age: int = OLD, status: str = "success", app: str = "app3_clue", job: int | None = None, **more
    ) -> int:
        names = {"app_type": app, "site_id": 1001, "target_id": "5", "trigger_type": "event", "status": status,
                 "trigger_job_id": job, "tokens_estimated": True, **more}  # fmt: skip
        sql = (
            f"insert into biz.ai_run_logs ({', '.join(names)}, created_at) values ({', '.join(f':{n}' for n in names)},"
            " clock_timestamp() - make_interval(days => :age)) returning id"
        )
        with self.engine.begin() as connection:
            return connection.execute(text(sql), {**names, "age": age}).scalar_one()

    def text(self, age: int = OLD, target: str = "5", cache_type: str = "app3_clue", call: int | None = None,
             built_on: tuple[int, ...] = ()) -> int:  # fmt: skip
        call = self.call(age, app=cache_type) if call is None else call
        answers = {f"app{n}": {"cache_id": cache_id} for n, cache_id in enumerate(built_on)}
        made = self.db.cached(call, target=target, site=1001, cache_type=cache_type,
                              result={"x": 1, "_references": {"answers": answers or None}})  # fmt: skip
        self.db.run(
            "update biz.ai_cache set created_at = clock_timestamp() - make_interval(days => :age) where id = :id",
            age=age, id=made,
        )  # fmt: skip
        return made

    def alert(self, age: float = OLD) -> int:
        with self.engine.begin() as connection:
            return connection.execute(text(
                "insert into biz.ai_alerts (alert_type, message, last_at) values ('failed', 'x', clock_timestamp() - "
                "make_interval(secs => 86400 * :age)) returning id"), {"age": age}).scalar_one()  # fmt: skip

    def ids(self, table: str) -> set[int]:
        return {row["id"] for row in self.db.all(f"select id from biz.{table}")}

    def clean(self, **how) -> dict[str, int]:
        """Plan and remove; how many of each went. What a plan says is what goes."""
        gone = {}
        for going in retention.plan(self.engine, KEEP):
            gone[going.what] = retention.remove(self.engine, going, **{"sleep": lambda _s: None, **how})
            assert gone[going.what] == len(going.ids)
        return gone


@pytest.fixture
def ledger(db) -> Ledger:
    db.run(
        "insert into biz.sites (site_id, name, timezone, is_active) values (1001, '店', 'Asia/Shanghai', true)"
    )
    return Ledger(db)


def test_an_empty_ledger_has_nothing_to_let_go_of(ledger):
    assert ledger.clean() == {"cache versions": 0, "run logs": 0, "alerts": 0, "trigger jobs": 0}


def test_a_plan_alone_changes_nothing_and_says_how_many_are_old_and_stay(ledger):
    ledger.job()
    ledger.text()
    plans = {going.what: going for going in retention.plan(ledger.engine, KEEP)}
    assert (plans["trigger jobs"].old, len(plans["trigger jobs"].ids), plans["trigger jobs"].kept) == (
        1,
        1,
        0,
    )
    assert (plans["cache versions"].old, plans["cache versions"].kept) == (1, 1)
    assert (plans["run logs"].old, plans["run logs"].kept) == (1, 1)
    assert plans["trigger jobs"].setting == "AI_INBOX_RETENTION_DAYS"
    assert len(ledger.ids("ai_trigger_jobs")) == 1


# --- texts


def test_the_newest_text_of_a_target_stays_however_old_with_its_call_and_its_event(ledger):
    job = ledger.job(3000)
    call = ledger.call(3000, job=job)
    newest = ledger.text(3000, call=call)
    assert ledger.clean() == {"cache versions": 0, "run logs": 0, "alerts": 0, "trigger jobs": 0}
    assert (ledger.ids("ai_cache"), ledger.ids("ai_run_logs"), ledger.ids("ai_trigger_jobs")) == (
        {newest},
        {call},
        {job},
    )


def test_a_version_goes_when_a_newer_one_took_its_place_long_ago_not_when_it_is_merely_old(ledger):
    superseded_long_ago = ledger.text(300)
    superseded_lately = ledger.text(200)
    newest = ledger.text(YOUNG)
    other_target = ledger.text(300, target="6")
    ledger.clean()
    assert ledger.ids("ai_cache") == {superseded_lately, newest, other_target}
    assert superseded_long_ago not in ledger.ids("ai_cache")


def test_the_newest_is_the_one_admitted_last_not_the_one_written_last(ledger):
    first, second = ledger.call(300), ledger.call(300)
    late = ledger.text(150, call=second)
    ledger.text(140, call=first)
    ledger.clean()
    assert ledger.ids("ai_cache") == {late}


def test_what_a_text_that_stays_was_built_on_stays_and_what_only_went_along_goes(ledger):
    deepest = ledger.text(400, cache_type="app3_clue")
    middle = ledger.text(390, cache_type="app8_clue_consolidated", built_on=(deepest,))
    standing = ledger.text(380, cache_type="app7_customer_analysis", built_on=(middle,))
    going_base = ledger.text(400, cache_type="app4_analysis", target="7_5")
    going_top = ledger.text(390, cache_type="app5_tactics", target="7_5", built_on=(going_base,))
    newer = {
        ledger.text(300, cache_type=cache_type, target=target)
        for cache_type, target in (("app3_clue", "5"), ("app8_clue_consolidated", "5"), ("app4_analysis", "7_5"),
                                   ("app5_tactics", "7_5"))
    }  # fmt: skip
    assert ledger.clean()["cache versions"] == 2
    assert ledger.ids("ai_cache") == {deepest, middle, standing, *newer}
    assert not {going_base, going_top} & ledger.ids("ai_cache")


# --- calls and alerts


def test_old_calls_go_but_not_those_that_run_or_wait_or_hold_a_lease(ledger):
    ledger.call(status="failed")
    ledger.call(status="refused")
    kept = {ledger.call(status="running"), ledger.call(status="pending"), ledger.call(YOUNG)}
    leased = ledger.call()
    ledger.db.run(
        "insert into biz.ai_leases (app_type, site_id, target_id, run_log_id, day, month, expires_at) "
        "values ('app3_clue', 1001, '5', :log, 'day:x', 'month:x', clock_timestamp() + interval '1 hour')",
        log=leased,
    )
    assert ledger.clean()["run logs"] == 2
    assert ledger.ids("ai_run_logs") == {*kept, leased}


def test_the_calls_that_the_next_estimate_looks_at_stay_of_every_app(ledger):
    for app in ("app3_clue", "app6_note"):
        for number in range(25):
            ledger.call(400, app=app, tokens_estimated=False, tokens_used=number)
    assert ledger.clean()["run logs"] == 10
    rows = ledger.db.all(
        "select app_type, min(tokens_used) as least, count(*) as n from biz.ai_run_logs group by 1"
    )
    assert {(row["app_type"], row["least"], row["n"]) for row in rows} == {
        ("app3_clue", 5, 20),
        ("app6_note", 5, 20),
    }


def test_an_alert_goes_before_its_call_can(ledger):
    ledger.alert(OLD)
    # its call may be some minutes older, and go this night
    ledger.alert(99.5)
    young = ledger.alert(YOUNG - 1)
    ledger.clean()
    assert ledger.ids("ai_alerts") == {young}


# --- trigger jobs


@pytest.mark.parametrize("status", ["completed", "partial", "failed", "dead", "duplicate"])
def test_old_ended_jobs_go_and_young_ones_stay(ledger, status):
    old, young = ledger.job(OLD, status), ledger.job(YOUNG, status)
    assert ledger.clean()["trigger jobs"] == 1
    assert ledger.ids("ai_trigger_jobs") == {young}
    assert old != young


def test_a_job_that_waits_or_runs_never_goes(ledger):
    kept = {ledger.job(5000, "pending"), ledger.job(5000, "running", member_id=6, lease_owner="w")}
    ledger.clean()
    assert ledger.ids("ai_trigger_jobs") == kept


def test_a_job_stays_as_long_as_a_call_of_it(ledger):
    kept, gone = ledger.job(), ledger.job()
    ledger.call(YOUNG, job=kept)
    ledger.call(OLD, job=gone)
    assert ledger.clean()["trigger jobs"] == 1
    assert ledger.ids("ai_trigger_jobs") == {kept}


def test_a_job_that_a_younger_one_points_at_stays_and_whole_old_families_go(ledger):
    first = ledger.job()
    middle = ledger.job(status="duplicate", duplicate_of=first)
    young = ledger.job(YOUNG, replay_of=middle)
    family = ledger.job()
    ledger.job(status="duplicate", duplicate_of=family)
    ledger.job(replay_of=family)
    assert ledger.clean()["trigger jobs"] == 3
    assert ledger.ids("ai_trigger_jobs") == {first, middle, young}
    assert (
        ledger.db.one("select duplicate_of from biz.ai_trigger_jobs where id = :id", id=middle)[
            "duplicate_of"
        ]
        == first
    )


def test_a_sites_newest_batch_stays_so_that_the_daily_event_of_a_quiet_site_is_its_duplicate(ledger):
    batch = {"event_type": "dws_completed", "member_id": None, "payload": '{"batch_id": "31"}'}
    ledger.job(400, **batch, dedup_key="a")
    newest = ledger.job(300, **batch, dedup_key="b")
    ledger.job(250, "failed", **batch)
    other = ledger.job(200, **{**batch, "site_id": 1002}, dedup_key="c")
    ledger.clean()
    assert ledger.ids("ai_trigger_jobs") == {newest, other}


# --- what happens meanwhile


def test_what_came_into_use_since_the_plan_stays(ledger):
    running, held, referenced, called = (ledger.job(dedup_key=key) for key in ("r", "h", "d", "c"))
    goes = ledger.job()
    old_text = ledger.text(400)
    newer = ledger.text(300)
    plans = {going.what: going for going in retention.plan(ledger.engine, KEEP)}
    assert set(plans["trigger jobs"].ids) == {running, held, referenced, called, goes}
    # a run is re-executed; the same event comes again; somebody holds a row; its newer version was taken away by hand
    ledger.db.run("update biz.ai_trigger_jobs set status = 'running' where id = :id", id=running)
    ledger.job(0, "duplicate", duplicate_of=referenced)
    ledger.call(0, job=called)
    ledger.db.run("delete from biz.ai_cache where id = :id", id=newer)
    done = threading.Event()
    # the pool ends last: a removal that waits for the row ends when the row is let go of
    with ThreadPoolExecutor(1) as pool, ledger.engine.connect() as holder, holder.begin():
        holder.execute(text("select from biz.ai_trigger_jobs where id = :id for update"), {"id": held})
        removal = pool.submit(retention.remove, ledger.engine, plans["trigger jobs"])
        removal.add_done_callback(lambda _: done.set())
        assert done.wait(20), "it waits for a row that somebody holds"
        assert removal.result() == 1
    assert goes not in ledger.ids("ai_trigger_jobs")
    assert {running, held, referenced, called} <= ledger.ids("ai_trigger_jobs")
    assert retention.remove(ledger.engine, plans["cache versions"]) == 0
    assert ledger.ids("ai_cache") == {old_text}


def test_it_goes_in_small_transactions_with_pauses_as_long_as_the_work_and_stops_between_two(ledger):
    ledger.db.run(
        "insert into biz.ai_trigger_jobs (event_type, status, created_at) select 'consumption', 'completed', "
        "clock_timestamp() - interval '1 year' from generate_series(1, 1000)"
    )
    (*_, going) = retention.plan(ledger.engine, KEEP)
    commits, pauses, now = [], [], [0.0]
    event.listen(ledger.engine, "commit", lambda _connection: commits.append(1))

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    removed = retention.remove(
        ledger.engine, going, batch=100, duty=0.25, clock=clock, sleep=pauses.append,
        stopped=lambda: len(commits) >= 4,
    )  # fmt: skip
    assert (removed, len(commits)) == (400, 4)
    # a second of work, three of rest
    assert pauses == [3.0] * 4
    assert ledger.clean()["trigger jobs"] == 600


def test_what_goes_while_events_come_in_costs_no_event(ledger):
    ledger.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, status, created_at) select 'consumption', "
        "1001, n, 'completed', clock_timestamp() - interval '1 year' from generate_series(1, 20000) n"
    )
    (*_, going) = retention.plan(ledger.engine, KEEP)
    ended = threading.Event()

    def send(first: int) -> int:
        sent = 0
        while not ended.is_set():
            with ledger.engine.begin() as connection:
                inbox.fire(connection, "consumption", site_id=1001, member_id=first + sent)
            sent += 1
        return sent

    with ThreadPoolExecutor(2) as pool:
        senders = [pool.submit(send, first) for first in (1_000_000, 2_000_000)]
        try:
            assert retention.remove(ledger.engine, going, sleep=lambda _s: None) == 20_000
        finally:
            ended.set()
        sent = sum(sender.result() for sender in senders)
    assert ledger.db.count("biz.ai_trigger_jobs", "status = 'pending'") == sent > 0


def test_looking_for_what_is_old_among_much_that_is_young_walks_no_ledger(ledger):
    ledger.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, status, created_at) select 'consumption', "
        "1001, n, 'completed', clock_timestamp() - n * interval '1 second' from generate_series(1, 40000) n"
    )
    ledger.db.run(
        "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, trigger_job_id, created_at) "
        "select 'app3_clue', 1001, n, 'event', 'success', n, clock_timestamp() - n * interval '1 second' "
        "from generate_series(1, 40000) n"
    )
    ledger.db.run(
        "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash, "
        "created_at) select 'app3_clue', 1001, n % 5000, '{}', 'x', n, 'h', clock_timestamp() - n * interval '1 s' "
        "from generate_series(1, 40000) n"
    )
    for age in range(110, 140):
        ledger.job(age, dedup_key=str(age))
        ledger.text(age, target="x")
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("ai_trigger_jobs", "ai_run_logs", "ai_cache"):
            connection.execute(text(f"analyze biz.{table}"))
    before = scans(ledger)
    plans = {going.what: len(going.ids) for going in retention.plan(ledger.engine, KEEP)}
    assert plans["trigger jobs"] == 30
    assert plans["cache versions"] == 29
    assert scans(ledger) == before


def scans(ledger) -> dict[str, int]:
    ledger.engine.dispose()
    return {
        row["relname"]: row["seq_scan"]
        for row in ledger.db.all(
            "select relname, seq_scan from pg_stat_user_tables "
            "where schemaname = 'biz' and relname in ('ai_trigger_jobs', 'ai_run_logs', 'ai_cache')"
        )
    }


def test_the_days_are_counted_back_from_the_databases_clock(ledger):
    (texts, *_) = retention.plan(ledger.engine, KEEP)
    assert abs((datetime.now(UTC) - texts.before).total_seconds() - 100 * 86_400) < 60
