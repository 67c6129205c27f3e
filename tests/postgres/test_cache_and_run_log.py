"""The cache and the run log: newest is admitted last, history stays, what Postgres cannot hold is replaced."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy.exc import IntegrityError

from ai_assets.store import cache, run_log


def latest(db, target="t", site=1, cache_type="cache_a"):
    with db.engine.connect() as connection:
        return cache.latest(connection, cache_type, site, target)


def reusable(db, prompt_hash="h", app="app_a"):
    with db.engine.connect() as connection:
        return cache.reusable(
            connection, app=app, cache_type="cache_a", site_id=1, target_id="t", prompt_hash=prompt_hash
        )


def test_what_is_written_is_read_back_whole(db):
    cache_id = db.cached(5, result={"点": [1, {"b": None}]}, score=7, triggered_by="note_created", job=3)
    found = latest(db)
    assert (found.id, found.cache_type, found.site_id, found.target_id) == (cache_id, "cache_a", 1, "t")
    assert (found.result_json, found.score) == ({"点": [1, {"b": None}]}, 7)
    assert (found.triggered_by, found.trigger_job_id, found.run_log_id, found.prompt_hash) == (
        "note_created",
        3,
        5,
        "h",
    )
    assert found.created_at.tzinfo is not None
    with db.engine.connect() as connection:
        assert cache.entry(connection, cache_id) == found
        assert cache.entry(connection, cache_id + 1) is None


def test_newest_means_admitted_last_not_written_last(db):
    db.cached(20)
    db.cached(10)
    db.run("update biz.ai_cache set created_at = created_at + interval '1 h' where run_log_id = 10")
    assert latest(db).run_log_id == 20
    assert db.all("select run_log_id from biz.ai_cache_latest") == [{"run_log_id": 20}]
    assert db.count("biz.ai_cache") == 2, "history is kept"


def test_a_late_answer_of_an_earlier_call_never_hides_one_that_was_asked_for_after_it(bench):
    early = bench.admit("t")
    bench.pass_time(186)
    late = bench.admit("t")
    assert late.run_log_id > early.run_log_id
    bench.cached(late.run_log_id)
    bench.cached(early.run_log_id)
    assert latest(bench).run_log_id == late.run_log_id


def test_each_target_site_and_type_has_its_own_newest(db):
    db.cached(1)
    db.cached(2, target="u")
    db.cached(3, site=2)
    db.cached(4, cache_type="cache_b")
    newest = db.all("select run_log_id from biz.ai_cache_latest order by run_log_id")
    assert [row["run_log_id"] for row in newest] == [1, 2, 3, 4]
    assert latest(db, "none") is None


def test_one_call_writes_one_version(db):
    db.cached(1)
    with pytest.raises(IntegrityError):
        db.cached(1)


def test_reusable_is_the_newest_of_this_very_prompt_while_no_call_of_the_target_runs(bench):
    bench.cached(1, prompt_hash="old")
    bench.cached(2, prompt_hash="h")
    assert reusable(bench).run_log_id == 2
    assert reusable(bench, "old") is None
    running = bench.admit("t")
    assert reusable(bench) is None, "the call that runs may bring another"
    assert reusable(bench, app="app_b") is not None
    bench.settle(running, "neutral")
    assert reusable(bench) is not None


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("NUL\x00", "NUL\ufffd"),
        ("half \ud83c", "half \ufffd"),
        (float("nan"), None),
        ({"k\x00": 1}, {"k\ufffd": 1}),
    ],
)
def test_what_jsonb_cannot_hold_is_replaced(db, value, stored):
    db.cached(1, result={"v": value})
    assert latest(db).result_json == {"v": stored}


def test_a_finished_call_is_logged_with_everything_it_came_to(bench):
    admission = bench.admit("t")
    record = run_log.CallRecord(
        status="timeout",
        reason="reason\x00",
        error_message="what went wrong",
        response_text="回答\x00\ud83c",
        tokens_in=10,
        tokens_out=5,
        tokens_used=15,
        tokens_estimated=True,
        cost_cny=Decimal("0.000123"),
        latency_ms=180_000,
        session_id="s\x00",
        request_id="r",
        checks={"numbers": "all of them\x00"},
    )
    bench.settle(admission, "counts", record=record)
    with bench.engine.connect() as connection:
        row = run_log.run_log(connection, admission.run_log_id)
        assert run_log.run_log(connection, 4711) is None
    assert {name: row[name] for name in record.__dict__} == {
        **record.__dict__,
        "reason": "reason\ufffd",
        "response_text": "回答\ufffd\ufffd",
        "session_id": "s\ufffd",
        "checks": {"numbers": "all of them\ufffd"},
    }
    assert row["created_at"] <= row["finished_at"]
    assert row["request_prompt"] == "p" * 100


def test_calls_that_are_admitted_at_once_each_have_their_own_row(bench):
    start = threading.Barrier(8)

    def one(number):
        start.wait(20)
        return bench.admit(f"{number}").run_log_id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(one, range(8)))
    assert len(set(ids)) == 8
    assert bench.count("biz.ai_run_logs", "status = 'running'") == 8
