"""The lease of an admitted call: its end, its taking over when the holder died, settling late or twice."""

from __future__ import annotations

from sqlalchemy import text

from ai_assets.guard.ending import Answer, Ending, Settlement
from ai_assets.store.run_log import CallRecord

PASSED = Ending(CallRecord("success", tokens_used=7), "passed")


def test_a_dead_holders_lease_is_settled_by_the_next_comer_at_its_estimate_as_outcome_unknown(bench):
    dead = bench.admit("dead")
    bench.pass_time(186)
    bench.admit("next", site_id=2)
    log = bench.one("select * from biz.ai_run_logs where id = :id", id=dead.run_log_id)
    assert (log["status"], log["reason"]) == ("failed", "outcome_unknown")
    assert (log["tokens_used"], log["tokens_estimated"]) == (1600, True)
    assert log["finished_at"] is not None
    assert bench.budgets()["site:1", "day"] == (1600, 0)
    assert bench.budgets()["all", "day"] == (1600, 1600)


def test_every_dead_lease_is_settled_before_a_call_is_admitted(bench):
    for number in range(5):
        bench.admit(f"dead {number}", site_id=number)
    bench.pass_time(186)
    bench.admit("next", site_id=9)
    assert bench.count("biz.ai_leases") == 1
    assert bench.count("biz.ai_run_logs", "reason = 'outcome_unknown'") == 5


def test_the_target_of_a_dead_holder_is_free_again(bench):
    dead = bench.admit("t")
    assert bench.wait("t") <= 0.25
    bench.pass_time(186)
    assert bench.admit("t").run_log_id > dead.run_log_id


def test_a_lease_begins_when_the_call_is_admitted_and_lasts_as_long_as_was_asked(bench):
    bench.admit("t", lease_s=42.0)
    left = bench.value("select extract(epoch from expires_at - clock_timestamp()) from biz.ai_leases")
    assert 38 < left <= 42


def test_a_settle_after_the_lease_was_taken_over_changes_nothing(bench):
    late = bench.admit("t")
    bench.pass_time(186)
    bench.admit("next")
    state = bench.budgets(), bench.all("select * from biz.ai_run_logs order by id")
    settlement = bench.settle(late, "opens", answer=Answer("cache_a", {}, "test"))
    assert settlement == Settlement(settled=False)
    assert bench.count("biz.ai_cache") == 0
    assert (bench.budgets(), bench.all("select * from biz.ai_run_logs order by id")) == state
    assert bench.breaker()["state"] == "closed"


def test_a_settle_after_expiry_still_counts_while_nobody_took_the_lease_over(bench):
    late = bench.admit("t")
    bench.pass_time(186)
    assert bench.settle(late, tokens=5).settled
    assert bench.budgets()["all", "day"] == (5, 0)


def test_a_second_settle_of_one_call_changes_nothing(bench):
    admission = bench.admit()
    assert bench.settle(admission, tokens=10).settled
    assert not bench.settle(admission, tokens=10).settled
    assert bench.budgets()["all", "day"] == (10, 0)


def test_a_lease_that_is_held_in_a_transaction_is_not_taken_over_meanwhile(bench):
    slow = bench.admit("slow")
    bench.pass_time(186)
    with bench.engine.begin() as connection:
        # what ending a call does first
        connection.execute(text("select from biz.ai_leases where id = :id for update"), {"id": slow.lease_id})
        bench.admit("other", site_id=2)
        assert bench.guard().end(connection, slow, PASSED).settled
    assert bench.value("select status from biz.ai_run_logs where id = :id", id=slow.run_log_id) == "success"


def test_settling_rolls_back_with_the_transaction_that_it_is_part_of(bench):
    admission = bench.admit()
    before = bench.budgets()
    with bench.engine.connect() as connection:
        assert bench.guard().end(connection, admission, Ending(CallRecord("failed"), "opens")).settled
        connection.rollback()
    assert bench.budgets() == before
    assert bench.breaker()["state"] == "closed"
    assert bench.settle(admission, tokens=10).settled
