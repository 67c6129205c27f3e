"""The nightly sweep, and what stands now, on an empty database and on a busy one."""

from __future__ import annotations

import json
from decimal import Decimal

from ai_assets.store import upkeep
from ai_assets.store.run_log import CallRecord
from ai_assets.store.status import status


def stands(db):
    with db.engine.connect() as connection:
        return status(connection)


def test_a_sweep_of_nothing_says_so(db):
    assert upkeep.sweep(db.engine) == {
        "dead leases": 0,
        "abandoned waits": 0,
        "old breaker outcomes": 0,
        "old rate places": 0,
        "old breaker changes": 0,
        "old budget rows": 0,
        "abandoned turns": 0,
        "old news": 0,
        "old idempotency keys": 0,
        "old runs by hand": 0,
        "gone workers": 0,
    }


def test_a_sweep_settles_the_dead_and_removes_the_old_and_leaves_the_rest(bench):
    for number in range(3):
        bench.admit(f"dead {number}")
    bench.failed("counted")
    bench.pass_time(3 * 86_400 + 0.5)
    bench.run(
        "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, created_at) values "
        "('a', 1, 'gone', 'event', 'pending', now() - interval '25 h'), ('a', 1, 'waits', 'event', 'pending', now())"
    )
    bench.run(
        "insert into biz.ai_budgets (scope, period, updated_at) values ('all', 'day:2020-01-01', '2020-01-01')"
    )
    bench.run(
        "insert into biz.ai_breaker_changes (app_type, state_before, state_after, epoch, relapses, changed_by, "
        "created_at) values ('a', 'open', 'closed', 2, 0, 'guard', now() - interval '401 d'), "
        "('a', 'closed', 'open', 3, 0, 'guard', now() - interval '399 d')"
    )
    bench.run(
        "insert into biz.ai_workers (id, kind, host, pid, heartbeat_at) values "
        "('gone', 'k', 'h', 1, now() - interval '2 d'), ('here', 'k', 'h', 2, now())"
    )
    bench.run(
        "insert into biz.ai_news (id, channel, content, told_at) values (1, 'c', '{}', now() - interval '20 d'), "
        "(2, 'c', '{}', now() - interval '15 d'), (3, 'c', '{}', now() - interval '15 d')"
    )
    bench.run(
        "insert into biz.ai_idempotency_keys (token_id, key, asked, created_at) values "
        "(1, 'old', '', now() - interval '49 h'), (1, 'kept', '', now() - interval '47 h')"
    )
    bench.run(
        "insert into biz.ai_app_runs (token_id, app, site_id, created_at, expires_at) values "
        "(1, 'a', 1, now() - interval '31 d', now()), (1, 'a', 1, now() - interval '29 d', now())"
    )
    live = bench.admit("live", site_id=2)
    # the admission was the next comer, and has settled all three before the sweep came
    assert upkeep.sweep(bench.engine) == {
        "dead leases": 0,
        "abandoned waits": 1,
        "old breaker outcomes": 1,
        "old rate places": 4,
        "old breaker changes": 1,
        "old budget rows": 1,
        "abandoned turns": 0,
        "old news": 2,
        "old idempotency keys": 1,
        "old runs by hand": 1,
        "gone workers": 1,
    }
    assert bench.all("select id from biz.ai_leases") == [{"id": live.lease_id}]
    assert bench.count("biz.ai_rate_places") == 1
    assert bench.all("select id from biz.ai_workers") == [{"id": "here"}]
    assert bench.count("biz.ai_run_logs", "status = 'pending'") == 1
    # also where all news are old: a listener's position is told from the newest
    assert bench.all("select id from biz.ai_news") == [{"id": 3}]
    assert bench.all("select key from biz.ai_idempotency_keys") == [{"key": "kept"}]
    assert bench.count("biz.ai_app_runs") == 1
    assert bench.value("select epoch from biz.ai_breaker_changes") == 3


def test_a_sweep_settles_every_dead_lease_at_its_estimate(bench):
    for number in range(3):
        bench.admit(f"dead {number}")
    bench.pass_time(200)
    assert upkeep.sweep(bench.engine)["dead leases"] == 3
    assert bench.budgets()["all", "day"] == (3 * 1600, 0)
    assert bench.count("biz.ai_run_logs", "reason = 'outcome_unknown'") == 3


def test_the_status_of_an_empty_database_is_empty(db):
    parts = ("inbox", "breakers", "rates", "budgets", "leases", "today", "workers")
    assert stands(db) == {part: [] for part in parts}


def test_the_status_of_a_busy_one_tells_every_part(bench, inbox_of):
    for member in range(3):
        inbox_of.fire("consumption", member_id=member + 1)
    inbox_of.fire("consumption", member_id=1)
    inbox_of.claim(inbox_of.value("select min(id) from biz.ai_trigger_jobs"))
    done = bench.admit("t", trigger_type="batch")
    bench.settle(done, record=CallRecord("success", tokens_used=70, cost_cny=Decimal("0.5")))
    bench.failed("u", "opens", app="app_b")
    bench.settle(bench.admit("v", app="app_c"), "cooldown", cooldown_s=100.0)
    assert bench.refusal("w", app="app_b") == "circuit_open"
    bench.admit("x")
    bench.run("insert into biz.ai_workers (id, kind, host, pid) values ('w1', 'event', 'host', 42)")

    now = stands(bench)
    assert {row["status"]: row["jobs"] for row in now["inbox"]} == {
        "pending": 2,
        "running": 1,
        "duplicate": 1,
    }
    breakers = {row["app_type"]: row for row in now["breakers"]}
    assert {app: row["state"] for app, row in breakers.items()} == {
        "app_a": "closed",
        "app_b": "open",
        "app_c": "closed",
    }
    assert (breakers["app_b"]["reason"], breakers["app_a"]["cooldown_until"]) == ("test", None)
    assert breakers["app_c"]["cooldown_until"] is not None
    assert now["rates"] == [{"site_id": 1, "calls_last_60_s": 4, "of_them_batch": 1}]
    assert {row["scope"]: (row["used"], row["reserved"]) for row in now["budgets"]} == {
        "all": (170, 70),
        "site:1": (170, 70),
    }
    assert len(now["budgets"]) == 4
    assert [(row["app_type"], row["target_id"], row["reserved_tokens"]) for row in now["leases"]] == [
        ("app_a", "x", 70)
    ]
    today = {row["app_type"]: row for row in now["today"]}
    assert (today["app_a"]["successes"], today["app_a"]["tokens"], today["app_a"]["cost_cny"]) == (
        1,
        70,
        Decimal("0.5"),
    )
    assert today["app_b"]["refusals"] == 1
    assert [(row["id"], row["pid"]) for row in now["workers"]] == [("w1", 42)]
    json.dumps(now, default=str)


def test_a_breaker_whose_open_time_is_over_shows_as_half_open(bench):
    bench.failed("t", "opens")
    bench.pass_time(61)
    assert [row["state"] for row in stands(bench)["breakers"]] == ["half_open"]


def test_a_cooldown_shows_only_while_it_lasts(bench):
    bench.settle(bench.admit("t"), "cooldown", cooldown_s=100.0)
    assert [row["cooldown_until"] is None for row in stands(bench)["breakers"]] == [False]
    bench.pass_time(101)
    for _ in range(200):
        assert [row["cooldown_until"] for row in stands(bench)["breakers"]] == [None]


def test_yesterdays_calls_and_budgets_are_not_todays(bench):
    bench.made("t")
    bench.run("update biz.ai_run_logs set created_at = created_at - interval '25 h'")
    bench.run("update biz.ai_budgets set period = 'day:2020-01-01' where period like 'day:%'")
    now = stands(bench)
    assert now["today"] == []
    assert [row["period"][:6] for row in now["budgets"]] == ["month:", "month:"]
