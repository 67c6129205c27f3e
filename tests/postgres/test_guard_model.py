"""Rate and budgets against a model of a few lines, over random calls, times and changing limits."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from ai_assets.guard.admission import Admission, GuardRefusalError
from ai_assets.store.run_log import CallRecord

SITES = (1, 2)
PROMPT = 100


@dataclass
class Place:
    site: int
    batch: bool
    taken: datetime


class GuardModel(RuleBasedStateMachine):
    """What the guard must say, from the plain rules; where the clock stands on an edge, both answers do."""

    bench = None
    open_calls = Bundle("open_calls")

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []
        self.reserved: dict[int, tuple[int, int]] = {}
        self.used = dict.fromkeys(SITES, 0)
        self.successes: list[int] = []
        self.number = 0
        self.bench.run(str(EMPTY))
        self.bench.limit(
            rate_per_minute=10,
            batch_rate_share=0.7,
            admission_wait_s=0.0,
            batch_admission_wait_s=0.0,
            daily_tokens=20_000,
            site_daily_tokens=9_000,
        )

    def rate_free(self, site: int, batch: bool, now: datetime) -> bool:
        limits = self.bench.limits
        recent = [p for p in self.places if p.site == site and p.taken > now - timedelta(seconds=60)]
        instant = [p for p in recent if p.taken > now - timedelta(seconds=1)]
        batches = [p for p in recent if p.batch]
        share = max(1, int(limits.rate_per_minute * limits.batch_rate_share + 1e-9))
        return (
            len(recent) < limits.rate_per_minute
            and len(instant) < max(1, limits.rate_per_minute // 5)
            and not (batch and len(batches) >= share)
        )

    def estimate(self) -> int:
        recent = self.successes[-20:]
        fill = min(PROMPT + 1500, max(recent, default=PROMPT + 1500))
        return max(1, sorted([*recent, *[fill] * (20 - len(recent))])[-3])

    def broken(self, site: int) -> str | None:
        limits, more = self.bench.limits, self.estimate()
        booked = {s: self.used[s] + sum(t for of, t in self.reserved.values() if of == s) for s in SITES}
        in_all = sum(booked.values())
        # an empty budget admits one call whatever its estimate
        if limits.daily_tokens is not None and in_all and in_all + more > limits.daily_tokens:
            return "budget_exceeded:day"
        if (
            limits.site_daily_tokens is not None
            and booked[site]
            and booked[site] + more > limits.site_daily_tokens
        ):
            return "budget_exceeded:site_day"
        return None

    def now(self) -> datetime:
        return self.bench.value("select clock_timestamp()")

    @rule(target=open_calls, site=st.sampled_from(SITES), batch=st.booleans())
    def call(self, site: int, batch: bool):
        self.number += 1
        call = self.bench.call(
            f"{self.number}", site_id=site, trigger_type="batch" if batch else "event", lease_s=1e6
        )
        before = self.now()
        try:
            said = self.bench.guard().admit(call, threading.Event())
        except GuardRefusalError as refusal:
            said = refusal.refusal
        after = self.now()
        budget = self.broken(site)
        allowed = {
            (budget or "admitted") if self.rate_free(site, batch, moment) else "rate_limited"
            for moment in (before, after)
        }
        assert ("admitted" if isinstance(said, Admission) else said) in allowed
        if not isinstance(said, Admission):
            return None
        assert said.reserved_tokens == self.estimate()
        taken = self.bench.value("select max(taken_at) from biz.ai_rate_places where site_id = :s", s=site)
        self.places.append(Place(site, batch, taken))
        self.reserved[said.lease_id] = (site, said.reserved_tokens)
        return said

    @rule(admission=consumes(open_calls), tokens=st.none() | st.integers(1, 4000))
    def answered(self, admission: Admission | None, tokens: int | None):
        if admission is None:
            return
        record = CallRecord(
            "success",
            tokens_used=admission.reserved_tokens if tokens is None else tokens,
            tokens_estimated=tokens is None,
        )
        settlement = self.bench.settle(admission, record=record)
        site, reserved = self.reserved.pop(admission.lease_id)
        assert settlement.charged_tokens == (reserved if tokens is None else tokens)
        self.used[site] += settlement.charged_tokens
        if tokens is not None:
            # the newest by admission, not by answer
            self.successes = self.bench.all(
                "select tokens_used from biz.ai_run_logs where status = 'success' and not tokens_estimated order by id"
            )
            self.successes = [row["tokens_used"] for row in self.successes]

    @precondition(lambda self: self.places)
    @rule(seconds=st.sampled_from((0.3, 1.0, 7.0, 30.0, 61.0)))
    def time_passes(self, seconds: float):
        self.bench.pass_time(seconds)
        for place in self.places:
            place.taken -= timedelta(seconds=seconds)

    @rule(rate=st.sampled_from((1, 3, 10, 25)), daily=st.none() | st.integers(1, 40_000))
    def limits_change(self, rate: int, daily: int | None):
        self.bench.limit(rate_per_minute=rate, daily_tokens=daily)

    @invariant()
    def books_are_right(self):
        booked = self.bench.budgets()
        for site in SITES:
            reserved = sum(tokens for of, tokens in self.reserved.values() if of == site)
            assert booked.get((f"site:{site}", "day"), (0, 0)) == (self.used[site], reserved)
        total = (sum(self.used.values()), sum(tokens for _, tokens in self.reserved.values()))
        assert booked.get(("all", "day"), (0, 0)) == total
        assert booked.get(("all", "month"), (0, 0)) == total


EMPTY = text(
    "delete from biz.ai_leases; delete from biz.ai_rate_places; delete from biz.ai_rate_limits; "
    "delete from biz.ai_budgets; delete from biz.ai_run_logs; delete from biz.ai_breaker_outcomes"
)


def test_rate_and_budgets_are_what_a_model_of_a_few_lines_says(bench):
    GuardModel.bench = bench
    run_state_machine_as_test(
        GuardModel,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
