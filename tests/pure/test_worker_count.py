"""How many workers the business_events sensor asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assets.sensors.worker_count import Present, Start, workers_to_start

CALM = {
    "startable": 0,
    "alone": 0,
    "shared": Present(),
    "isolated": Present(),
    "concurrency": 16,
    "minimum": 0,
    "maximum": 4,
    "overdue": False,
}
LIVE, STARTING, COMING_UP = Present(live=1), Present(starting=1), Present(starting=1, coming_up=1)


@pytest.mark.parametrize(
    ("changes", "count", "why"),
    [
        ({}, 0, "nothing to do and none wanted"),
        ({"minimum": 2}, 2, "some are kept without work"),
        ({"startable": 1}, 1, "one event is enough for one worker"),
        ({"startable": 1, "shared": LIVE}, 0, "the one that lives takes it"),
        ({"startable": 1, "shared": COMING_UP}, 0, "the one that starts takes it"),
        ({"startable": 65}, 2, "more than four waits a slot is worth another"),
        ({"startable": 10_000}, 4, "never more than the maximum"),
        (
            {"startable": 1, "shared": LIVE, "overdue": True},
            1,
            "what waits for too long shows that the live one is gone",
        ),
        (
            {"startable": 1, "shared": Present(1, 1, 1), "overdue": True},
            0,
            "but one start at a time",
        ),
        ({"startable": 1, "shared": STARTING, "overdue": True}, 1, "a run that is stuck is not waited for"),
        ({"startable": 1, "shared": Present(live=4), "overdue": True}, 0, "and never more than the maximum"),
    ],
)
def test_workers_follow_what_is_due(changes, count, why):
    assert workers_to_start(**{**CALM, **changes}) == Start(shared=count), why


@pytest.mark.parametrize(
    ("changes", "start", "why"),
    [
        ({"alone": 3}, Start(0, 1), "one worker for all that must run alone"),
        ({"alone": 3, "isolated": LIVE}, Start(), "and no second one"),
        ({"alone": 3, "isolated": STARTING}, Start(), "nor while one starts"),
        ({"alone": 3, "maximum": 1, "startable": 1}, Start(1, 1), "an extra one where the maximum is one"),
        ({"alone": 3, "maximum": 1, "shared": LIVE, "startable": 1}, Start(0, 1), "it waits for no place"),
        ({"alone": 3, "startable": 10_000}, Start(3, 1), "it takes one of several places"),
        ({"isolated": LIVE, "startable": 10_000}, Start(3, 0), "for as long as it is there"),
        ({"startable": 1, "isolated": LIVE}, Start(1, 0), "the isolated one runs nothing else"),
    ],
)
def test_jobs_that_must_run_alone_get_a_worker_of_their_own(changes, start, why):
    assert workers_to_start(**{**CALM, **changes}) == start, why


@given(
    startable=st.integers(0, 100_000),
    alone=st.integers(0, 100),
    live=st.integers(0, 20),
    starting=st.integers(0, 20),
    isolated=st.integers(0, 1),
    maximum=st.integers(1, 20),
    overdue=st.booleans(),
)
def test_there_are_never_more_than_the_maximum_and_never_none_while_something_is_due(
    startable, alone, live, starting, isolated, maximum, overdue
):
    start = workers_to_start(
        startable=startable,
        alone=alone,
        shared=Present(live, starting),
        isolated=Present(isolated),
        concurrency=8,
        minimum=0,
        maximum=maximum,
        overdue=overdue,
    )
    shared = live + starting + start.shared
    assert start.shared >= 0
    assert shared <= max(maximum, live + starting)
    assert not start.shared or shared + isolated + start.isolated <= max(2, maximum)
    assert not startable or shared >= 1
    assert isolated + start.isolated == max(isolated, min(alone, 1))
