"""How many workers the business_events sensor asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assets.sensors.worker_count import workers_to_start

CALM = {
    "startable": 0,
    "live": 0,
    "starting": 0,
    "coming_up": 0,
    "concurrency": 16,
    "minimum": 0,
    "maximum": 4,
    "overdue": False,
}


@pytest.mark.parametrize(
    ("changes", "count", "why"),
    [
        ({}, 0, "nothing to do and none wanted"),
        ({"minimum": 2}, 2, "some are kept without work"),
        ({"startable": 1}, 1, "one event is enough for one worker"),
        ({"startable": 1, "live": 1}, 0, "the one that lives takes it"),
        ({"startable": 1, "starting": 1, "coming_up": 1}, 0, "the one that starts takes it"),
        ({"startable": 65}, 2, "more than four waits a slot is worth another"),
        ({"startable": 10_000}, 4, "never more than the maximum"),
        (
            {"startable": 1, "live": 1, "overdue": True},
            1,
            "what waits for too long shows that the live one is gone",
        ),
        (
            {"startable": 1, "live": 1, "starting": 1, "coming_up": 1, "overdue": True},
            0,
            "but one start at a time",
        ),
        ({"startable": 1, "starting": 1, "overdue": True}, 1, "a run that is stuck is not waited for"),
        ({"startable": 1, "live": 4, "overdue": True}, 0, "and never more than the maximum"),
    ],
)
def test_workers_follow_what_is_due(changes, count, why):
    assert workers_to_start(**{**CALM, **changes}) == count, why


@given(
    startable=st.integers(0, 100_000),
    live=st.integers(0, 20),
    starting=st.integers(0, 20),
    maximum=st.integers(1, 20),
    overdue=st.booleans(),
)
def test_there_are_never_more_than_the_maximum_and_never_none_while_something_is_due(
    startable, live, starting, maximum, overdue
):
    count = workers_to_start(
        startable=startable,
        live=live,
        starting=starting,
        coming_up=0,
        concurrency=8,
        minimum=0,
        maximum=maximum,
        overdue=overdue,
    )
    assert count >= 0
    assert live + starting + count <= max(maximum, live + starting)
    assert not startable or live + starting + count >= 1
