"""What waits to be written: nothing too long, nothing twice, no plan before an older materialization."""

from __future__ import annotations

from dagster import AssetKey, AssetMaterialization
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.assets.pending_events import Due, Made, PendingEvents, Planned

CLUE, NOTE = AssetKey("app3_clue"), AssetKey("app6_note")


def made(asset_key: AssetKey = CLUE, partition: str = "1:5") -> Made:
    return Made(AssetMaterialization(asset_key, partition=partition), 0.0)


def planned(asset_key: AssetKey = CLUE, partition: str = "1:5") -> Planned:
    return Planned(asset_key, partition, 0.0)


def test_nothing_is_due_before_its_time_and_all_of_it_then():
    pending = PendingEvents(wait_s=0.3, batch=100)
    assert pending.due_at() is None
    pending.make(made(), 10.0)
    pending.make(made(NOTE), 10.2)
    assert pending.take(10.29) == Due()
    assert pending.due_at() == 10.3
    assert [len(batch) for batch in pending.take(10.3).made] == [1, 1]
    assert not pending


def test_a_full_batch_does_not_wait_and_none_is_larger():
    pending = PendingEvents(wait_s=0.3, batch=3)
    for number in range(7):
        pending.make(made(partition=f"1:{number + 1}"), 10.0)
    due = pending.take(10.0)
    assert [len(batch) for batch in due.made] == [3, 3, 1]


def test_a_plan_whose_cell_is_made_within_the_wait_is_not_written():
    pending = PendingEvents(wait_s=0.3, batch=100)
    pending.plan(planned(), 10.0)
    pending.make(made(), 10.2)
    due = pending.take(10.5)
    assert (len(due.made), due.planned) == (1, [])


def test_a_plan_that_waits_longer_is_written_after_what_was_made_before_it():
    pending = PendingEvents(wait_s=0.3, batch=100)
    pending.plan(planned(NOTE), 10.0)
    pending.make(made(), 10.25)
    pending.plan(planned(), 10.28)
    due = pending.take(10.3)
    assert [m.materialization.asset_key for batch in due.made for m in batch] == [CLUE]
    assert due.planned == [planned(NOTE)]
    assert not pending.take(10.59).planned
    assert pending.take(10.61).planned == [planned()]


def test_plans_that_come_one_after_the_other_are_written_together():
    pending = PendingEvents(wait_s=0.3, batch=100)
    written = []
    for tick in range(100):
        now = 10 + tick / 100
        pending.plan(planned(partition=f"1:{tick + 1}"), now)
        due_at = pending.due_at()
        if due_at <= now:
            written.append(len(pending.take(now).planned))
    assert len(written) <= 3
    assert sum(written) >= 60


def test_at_the_end_everything_is_written_at_once():
    pending = PendingEvents(wait_s=0.3, batch=100)
    pending.plan(planned(NOTE), 10.0)
    pending.make(made(), 10.0)
    due = pending.take(10.0, everything=True)
    assert (len(due.made), len(due.planned)) == (1, 1)
    assert not pending


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["plan", "make", "take"]),
        st.sampled_from([CLUE, NOTE]),
        st.sampled_from(["1:1", "1:2"]),
        st.floats(0, 0.4),
    ),
    max_size=40,
)


@given(STEPS)
@settings(deadline=None, max_examples=200)
def test_whatever_the_order_each_cell_ends_in_the_state_it_was_last_said_to_be_in(steps):
    pending = PendingEvents(wait_s=0.3, batch=3)
    now, said, written, count = 0.0, {}, {}, 0

    def write(due: Due) -> None:
        nonlocal count
        for batch in due.made:
            assert len({m.materialization.asset_key for m in batch}) == 1
            assert 1 <= len(batch) <= 3
            for m in batch:
                written[m.materialization.asset_key, m.materialization.partition] = "make"
                count += 1
        for plan in due.planned:
            written[plan.asset_key, plan.partition] = "plan"

    for what, key, partition, wait in steps:
        now += wait
        if what == "take":
            write(pending.take(now))
            assert (pending.due_at() or now + 1) > now
            continue
        said[key, partition] = what
        if what == "plan":
            pending.plan(planned(key, partition), now)
        else:
            pending.make(made(key, partition), now)
    write(pending.take(now, everything=True))
    assert written == said
    assert count == sum(what == "make" for what, *_ in steps)
    assert not pending
