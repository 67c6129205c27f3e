"""Everything at once on few rows: no deadlock, and afterwards the accounts are right."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from ai_assets.guard.admission import Admission, AdmissionCancelledError, GuardRefusalError
from ai_assets.store import upkeep
from ai_assets.store.run_log import CallRecord

THREADS = 20
STORM_S = 3.0
EFFECTS = ("passed",) * 12 + ("neutral", "counts", "cooldown", "opens", "hard_stop")


def test_a_storm_of_calls_on_few_targets_sites_and_apps_deadlocks_never_and_loses_no_token(bench):
    bench.limit(
        rate_per_minute=100_000,
        daily_tokens=1_500_000,
        admission_wait_s=0.05,
        breaker_open_s=0.001,
        breaker_open_max_s=0.002,
        breaker_min_calls=5,
        site_daily_tokens=900_000,
    )
    ends = time.monotonic() + STORM_S
    counts: Counter[str] = Counter()
    counting = threading.Lock()

    def count(what: str) -> None:
        with counting:
            counts[what] += 1

    def one_call(dice: random.Random) -> None:
        # some leases are so short that others take them over while their holders still work
        call = bench.call(
            f"t{dice.randrange(3)}",
            app=f"app_{dice.choice('abc')}",
            site_id=dice.randrange(1, 3),
            trigger_type=dice.choice(("event", "batch")),
            forced=dice.random() < 0.5,
            lease_s=dice.choice((0.01, 30.0)),
        )
        guard = bench.guard(lambda _seconds, _cancelled: dice.random() < 0.8 or time.sleep(0.001))
        try:
            admission = guard.admit(call, threading.Event())
        except GuardRefusalError as refusal:
            return count(refusal.refusal)
        except AdmissionCancelledError:
            return count("gave up")
        if not isinstance(admission, Admission):
            return count("reused")
        if dice.random() < 0.2:
            bench.guard().take_place(call, 60.0, threading.Event())
        tokens = dice.randrange(1000)
        record = CallRecord("success", tokens_used=tokens)
        settled = bench.settle(admission, dice.choice(EFFECTS), cooldown_s=0.001, record=record).settled
        return count("settled" if settled else "taken over")

    def worker(seed: int) -> None:
        dice = random.Random(seed)
        while time.monotonic() < ends:
            one_call(dice)

    def sweeper() -> None:
        while time.monotonic() < ends:
            upkeep.sweep(bench.engine)
            time.sleep(0.01)

    with ThreadPoolExecutor(THREADS + 1) as pool:
        for future in [*(pool.submit(worker, seed) for seed in range(THREADS)), pool.submit(sweeper)]:
            future.result(STORM_S + 60)

    assert counts["settled"] > 50, counts
    bench.pass_time(3600)
    upkeep.sweep(bench.engine)
    assert bench.count("biz.ai_leases") == 0
    assert bench.count("biz.ai_run_logs", "status = 'running'") == 0
    assert bench.value("select count(*) from biz.ai_budgets where reserved <> 0") == 0
    charged = bench.value(
        "select sum(tokens_used) from biz.ai_run_logs where status in ('success', 'failed')"
    )
    for budget in (
        "scope = 'all' and period like 'day%'",
        "scope = 'all' and period like 'month%'",
        "scope like 'site%' and period like 'month%'",
        "scope like 'site%' and period like 'day%'",
    ):
        assert bench.value(f"select sum(used) from biz.ai_budgets where {budget}") == charged
