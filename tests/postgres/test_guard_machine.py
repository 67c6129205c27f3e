"""The circuit breaker's state machine: its whole table, row by row, and random lives of it against a plain model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITS = {"breaker_open_s": 60.0, "breaker_open_max_s": 900.0, "breaker_probes": 2}
AFTER = text(
    """
    select state, epoch, relapses, open_until, probes_passed, reason, changed_at, changed_by
    from biz.ai_breaker_after(
        row('app', :state, :epoch, :relapses, :open_until, :probes_passed, :reason, :changed_at, null, :changed_by),
        :event, :of_epoch, :why, :at, cast(:limits as jsonb))
    """
)


@dataclass(frozen=True)
class Breaker:
    """A breaker as the state machine sees it."""

    state: str = "closed"
    epoch: int = 5
    relapses: int = 0
    open_until: datetime | None = None
    probes_passed: int = 0
    reason: str | None = None
    changed_at: datetime = NOW - timedelta(hours=1)
    changed_by: str = "guard"


def after(
    connection, breaker: Breaker, event: str, *, of_epoch: int | None = None, at: datetime = NOW
) -> Breaker:
    happened = {"event": event, "of_epoch": of_epoch, "why": "new reason", "at": at}
    row = connection.execute(AFTER, {**vars(breaker), **happened, "limits": json.dumps(LIMITS)}).mappings()
    return Breaker(**row.one())


CLOSED = Breaker()
# relapsed once before it was closed by hand
ONCE_RELAPSED = Breaker(relapses=1)
OPEN = Breaker("open", open_until=NOW + timedelta(seconds=30), reason="old reason")
DUE = Breaker("open", open_until=NOW, relapses=1, reason="old reason")
HALF_OPEN = Breaker("half_open", open_until=NOW - timedelta(seconds=5), relapses=1, reason="old reason")
ONE_PASSED = replace(HALF_OPEN, probes_passed=1)
OPENED_BY_HAND = Breaker("open", open_until=NOW + timedelta(days=300), changed_by="ann", reason="maintenance")


def opened(relapses: int, seconds: float) -> dict[str, Any]:
    return {
        "state": "open",
        "relapses": relapses,
        "open_until": NOW + timedelta(seconds=seconds),
        "probes_passed": 0,
        "reason": "new reason",
    }


SAME = None
HALF = {"state": "half_open", "probes_passed": 0}
SHUT = {"state": "closed", "relapses": 0, "open_until": None, "probes_passed": 0, "reason": None}

TABLE = [
    # what it was, what happened → what it is; SAME: exactly what it was
    ("closed", CLOSED, "asked", SAME),
    ("closed", CLOSED, "passed", SAME),
    ("closed", CLOSED, "tripped", opened(0, 60)),
    ("closed", CLOSED, "blocked", opened(0, 60)),
    ("closed by hand after a relapse", ONCE_RELAPSED, "tripped", opened(1, 120)),
    ("open", OPEN, "asked", SAME),
    ("open", OPEN, "passed", SAME),
    ("open", OPEN, "tripped", SAME),
    ("open", OPEN, "blocked", opened(0, 60)),
    ("open, its time over", DUE, "asked", HALF),
    ("open, its time over", DUE, "passed", SAME),
    ("open, its time over", DUE, "tripped", SAME),
    ("open, its time over", DUE, "blocked", opened(2, 240)),
    ("half-open", HALF_OPEN, "asked", SAME),
    ("half-open", HALF_OPEN, "tripped", opened(2, 240)),
    ("half-open", HALF_OPEN, "blocked", opened(2, 240)),
    ("half-open, a probe passed", ONE_PASSED, "asked", SAME),
    ("half-open, a probe passed", ONE_PASSED, "passed", SHUT),
    ("half-open, a probe passed", ONE_PASSED, "tripped", opened(2, 240)),
    ("half-open, a probe passed", ONE_PASSED, "blocked", opened(2, 240)),
    ("opened by an operator", OPENED_BY_HAND, "asked", SAME),
    ("opened by an operator", OPENED_BY_HAND, "tripped", SAME),
    ("opened by an operator", OPENED_BY_HAND, "blocked", SAME),
]


@pytest.mark.parametrize(
    ("was", "event", "becomes"), [row[1:] for row in TABLE], ids=[f"{row[0]}: {row[2]}" for row in TABLE]
)
def test_each_row_of_the_table(db, was, event, becomes):
    with db.engine.connect() as connection:
        now = after(connection, was, event, of_epoch=was.epoch)
        if becomes is None:
            assert now == was
            return
        # every change of state begins an epoch, and says when and by whom
        assert now == replace(was, **becomes, epoch=6, changed_at=NOW, changed_by="guard")


def test_a_probe_that_passed_before_the_last_is_counted_and_nothing_else_changes(db):
    with db.engine.connect() as connection:
        assert after(connection, HALF_OPEN, "passed", of_epoch=5) == ONE_PASSED


@pytest.mark.parametrize("event", ["passed", "tripped", "blocked"])
@pytest.mark.parametrize("was", [CLOSED, OPEN, DUE, HALF_OPEN, ONE_PASSED])
def test_what_is_told_of_a_call_of_an_earlier_epoch_changes_nothing(db, was, event):
    with db.engine.connect() as connection:
        assert after(connection, was, event, of_epoch=4) == was


def test_the_open_time_doubles_with_each_relapse_up_to_its_cap_and_never_overflows(db):
    with db.engine.connect() as connection:
        lasted = []
        for relapses in (0, 1, 2, 3, 4, 40, 2_000_000_000):
            was = replace(HALF_OPEN, relapses=relapses)
            lasted.append((after(connection, was, "tripped", of_epoch=5).open_until - NOW).total_seconds())
    assert lasted == [120, 240, 480, 900, 900, 900, 900]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["asked", "passed", "tripped", "blocked"]),
            st.integers(0, 2),
            st.sampled_from([0, 1, 59, 60, 61, 500, 1000]),
        ),
        max_size=30,
    )
)
def test_any_life_of_a_breaker_is_what_a_plain_model_says(module_engine, life):
    state, epoch, relapses, passed, until = "closed", 1, 0, 0, NOW
    at = NOW
    with module_engine.connect() as connection:
        breaker = Breaker(epoch=1)
        for event, epochs_ago, seconds in life:
            at += timedelta(seconds=seconds)
            breaker = after(connection, breaker, event, of_epoch=epoch - epochs_ago, at=at)
            late = epochs_ago > 0
            if event == "asked":
                if not late and state == "open" and at >= until:
                    state, epoch, passed = "half_open", epoch + 1, 0
            elif late:
                pass
            elif event == "passed":
                if state == "half_open":
                    passed += 1
                    if passed == 2:
                        state, epoch, relapses, passed = "closed", epoch + 1, 0, 0
            elif event == "blocked" or state != "open":
                again = state == "half_open" or (state == "open" and at >= until)
                ends = at + timedelta(seconds=min(900, 60 * 2 ** (relapses + again)))
                if state != "open" or ends >= until:
                    state, epoch, passed, until = "open", epoch + 1, 0, ends
                    relapses += again
            assert (breaker.state, breaker.epoch, breaker.relapses) == (state, epoch, relapses)
            assert breaker.probes_passed == passed
            assert state != "open" or breaker.open_until == until


def test_every_change_is_recorded_with_what_it_was_and_who_did_it(bench):
    bench.limit(breaker_probes=1, breaker_min_calls=1)
    bench.failed("a")
    bench.pass_time(61)
    probe = bench.admit("b")
    bench.settle(probe)
    rows = bench.all(
        "select app_type, state_before, state_after, reason, changed_by from biz.ai_breaker_changes order by id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("app_a", "closed", "open", "test", "guard"),
        ("app_a", "open", "half_open", "test", "guard"),
        ("app_a", "half_open", "closed", None, "guard"),
    ]


def test_counting_outcomes_of_a_closed_breaker_is_no_change_and_leaves_no_record(bench):
    bench.made("a")
    bench.failed("b")
    assert bench.count("biz.ai_breaker_changes") == 0
