"""The duplicate rule: which two events are one, on which business date, and who holds the key."""

from __future__ import annotations

from datetime import date, datetime
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.store import leases

NOTE = {"note_content": "喜欢靠窗的台", "noted_by_name": "小王", "noted_by_created_at": "2026-08-19T20:00:00"}


def today(zone: str = "Asia/Shanghai") -> date:
    return datetime.now(ZoneInfo(zone)).date()


def test_the_same_event_again_is_recorded_as_a_duplicate_of_the_first_and_not_run(inbox_of):
    first = inbox_of.fire("consumption", member_id=555, payload={"settlement": 1})
    second = inbox_of.fire("consumption", member_id=555, payload={"settlement": 2})
    third = inbox_of.fire("consumption", member_id=555)
    assert [(job.status, job.duplicate_of) for job in (second, third)] == [("duplicate", first.id)] * 2
    assert second.payload == {"settlement": 2}
    assert second.finished_at is not None
    assert inbox_of.job(first.id).status == "pending"


@pytest.mark.parametrize(
    ("event", "other"),
    [
        ("consumption", {"member_id": 556}),
        ("consumption", {"site_id": 1002}),
        ("consumption", {"payload": {"occurred_at": "2026-08-18T12:00:00"}}),
        ("task_assigned", {"payload": {"assistant_id": 8}}),
        ("note_created", {"payload": {**NOTE, "note_content": "另一条"}}),
        ("note_created", {"payload": {**NOTE, "note_id": 12}}),
        ("dws_completed", {"payload": {"batch_id": "8"}}),
        ("dws_completed", {"site_id": 1002}),
    ],
)
def test_another_member_site_day_assistant_note_or_batch_is_another_event(inbox_of, event, other):
    payload = {"task_assigned": {"assistant_id": 7}, "note_created": NOTE}.get(event, {})
    inbox_of.fire(event, member_id=555, payload=payload)
    assert inbox_of.fire(event, **{"member_id": 555, "payload": payload, **other}).status == "pending"


def test_which_assistant_it_was_is_no_part_of_a_consumptions_key(inbox_of):
    inbox_of.fire("consumption", member_id=555, payload={"has_assistant": True, "assistant_id": 7})
    other = inbox_of.fire("consumption", member_id=555, payload={"has_assistant": True, "assistant_id": 8})
    assert other.status == "duplicate"


@pytest.mark.parametrize("state", ["pending", "running", "completed", "partial"])
def test_the_first_assistant_of_a_members_day_runs_app4_and_app5_alone_whatever_came_of_the_first(
    inbox_of, state
):
    first = inbox_of.fire("consumption", member_id=555)
    inbox_of.run("update biz.ai_trigger_jobs set status = :state where id = :id", state=state, id=first.id)
    with_assistant = {"has_assistant": True, "assistant_id": 7}
    second = inbox_of.fire("consumption", member_id=555, payload=with_assistant)
    assert (second.status, second.app_chain, second.repeat_of) == ("pending", "app4→app5", None)
    third = inbox_of.fire("consumption", member_id=555, payload=with_assistant)
    assert (third.status, third.duplicate_of, third.app_chain) == ("duplicate", second.id, "app4→app5")
    if state != "partial":
        assert inbox_of.fire("consumption", member_id=555).duplicate_of == first.id


EQUAL = {
    "consumption": ({}, "app3→app8→app7"),
    "note_created": (NOTE, "app6→app8"),
    "task_assigned": ({"assistant_id": 7}, "app4→app5"),
    "dws_completed": ({}, "app2"),
}


@pytest.mark.parametrize("event", EQUAL)
def test_an_event_equal_to_a_partial_one_runs_again_and_says_which_it_repeats(inbox_of, event):
    payload, chain = EQUAL[event]
    first = inbox_of.fire(event, member_id=555, payload=payload)
    inbox_of.claim(first.id)
    inbox_of.finish(first.id, status="partial", error="1 step")
    again = inbox_of.fire(event, member_id=555, payload=payload)
    assert (again.status, again.repeat_of, again.app_chain) == ("pending", first.id, chain)
    assert inbox_of.fire(event, member_id=555, payload=payload).duplicate_of == again.id
    inbox_of.claim(again.id)
    inbox_of.finish(again.id, status="partial", error="1 step")
    third = inbox_of.fire(event, member_id=555, payload=payload)
    assert third.repeat_of == again.id
    inbox_of.claim(third.id)
    inbox_of.finish(third.id, status="completed")
    assert inbox_of.fire(event, member_id=555, payload=payload).duplicate_of == third.id


def test_a_forced_event_after_a_partial_one_repeats_nothing_of_it(inbox_of):
    first = inbox_of.fire("consumption", member_id=555)
    inbox_of.claim(first.id)
    inbox_of.finish(first.id, status="partial")
    assert inbox_of.fire("consumption", member_id=555, is_forced=True).repeat_of is None


STEP = st.one_of(
    st.tuples(st.just("fire"), st.booleans(), st.booleans()),
    st.tuples(
        st.just("end"),
        st.integers(0, 8),
        st.sampled_from(["running", "completed", "partial", "failed", "dead"]),
    ),
)
MEMBERS = count(10_000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, min_size=1, max_size=12))
def test_whatever_comes_on_a_members_day_each_part_of_it_has_one_job_at_a_time(inbox_of, steps):
    """A day has two parts: the member's own steps, and App4 and App5. An event needs one or both of them."""
    member = next(MEMBERS)
    jobs: list[int] = []
    status: dict[int, str] = {}
    chains: dict[int, str] = {}
    own: int | None = None
    pair: int | None = None

    def expected(assisted: bool, forced: bool) -> tuple[str, int | None, int | None, str]:
        """(status, duplicate_of, repeat_of, chain) of the next event."""
        chain = "app3→app8→app7" + ("→app4→app5" if assisted else "")
        if own is None or forced:
            return "pending", None, None, chain
        holder = own
        if assisted and "app4" not in chains[own]:
            chain = "app4→app5"
            if pair is None:
                return "pending", None, None, chain
            holder = pair
        if status[holder] == "partial":
            return "pending", None, holder, chain
        return "duplicate", holder, None, chain

    for kind, first, second in steps:
        if kind == "end":
            if not jobs:
                continue
            job = jobs[first % len(jobs)]
            # one chain of a member runs at a time
            if second == "running" and "running" in status.values():
                continue
            if status[job] in {"pending", "running", "completed"}:
                inbox_of.run("update biz.ai_trigger_jobs set status = :s where id = :id", s=second, id=job)
                status[job] = second
                if second in {"failed", "dead"}:
                    own, pair = (None if held == job else held for held in (own, pair))
            continue
        want = expected(first, second)
        payload = {"has_assistant": first, "assistant_id": 7}
        made = inbox_of.fire("consumption", member_id=member, payload=payload, is_forced=second)
        assert (made.status, made.duplicate_of, made.repeat_of, made.app_chain) == want
        if made.status == "pending":
            jobs.append(made.id)
            status[made.id], chains[made.id] = "pending", made.app_chain
            if made.app_chain == "app4→app5":
                pair = made.id
            else:
                # an event without an assistant leaves an earlier one its App4 and App5
                if own is not None and not first and "app4" in chains[own] and pair is None:
                    pair = own
                own = made.id


def test_two_types_of_events_of_one_member_are_two_events(inbox_of):
    inbox_of.fire("consumption", member_id=555)
    assert inbox_of.fire("note_created", member_id=555, payload=NOTE).status == "pending"


def test_a_note_is_known_by_its_id_whatever_its_text_and_without_one_by_its_text(inbox_of):
    first = inbox_of.fire("note_created", member_id=555, payload={**NOTE, "note_id": 12})
    edited = inbox_of.fire(
        "note_created", member_id=555, payload={**NOTE, "note_id": "12", "note_content": "改"}
    )
    assert edited.duplicate_of == first.id
    unnamed = inbox_of.fire("note_created", member_id=555, payload=NOTE)
    assert unnamed.status == "pending"
    again = inbox_of.fire(
        "note_created", member_id=555, payload={**NOTE, "noted_by_name": "小李", "note_id": None}
    )
    assert again.duplicate_of == unnamed.id


def test_an_id_written_another_way_is_the_same_id(inbox_of):
    inbox_of.fire("task_assigned", member_id=555, payload={"assistant_id": 7})
    assert (
        inbox_of.fire("task_assigned", payload={"assistant_id": "07", "member_id": "555"}).status
        == "duplicate"
    )


@pytest.mark.parametrize(
    ("site", "occurred_at", "business_date"),
    [
        (1001, "2026-08-18T23:30:00", "2026-08-18"),
        (1001, "2026-08-18", "2026-08-18"),
        (1001, "2026-08-18T16:00:00Z", "2026-08-19"),
        (1001, "2026-08-18t15:59:59.999z", "2026-08-18"),
        (1001, "2026-08-18T23:30:00+08:00", "2026-08-18"),
        (1001, "2026-08-18 23:30:00-0500", "2026-08-19"),
        (1001, "2026-08-18T23:30+08", "2026-08-18"),
        (1002, "2026-08-18T23:30:00", "2026-08-18"),
        (1002, "2026-08-18T03:59:00Z", "2026-08-17"),
        (1002, "2026-01-18T04:59:00.123456789Z", "2026-01-17"),
        (1002, "  2026-08-18T23:30:00+08:00 ", "2026-08-18"),
    ],
)
def test_the_business_date_is_that_of_occurred_at_in_the_sites_own_zone(
    inbox_of, site, occurred_at, business_date
):
    job = inbox_of.fire("consumption", site_id=site, member_id=1, payload={"occurred_at": occurred_at})
    assert (job.status, str(job.business_date)) == ("pending", business_date)


def test_without_occurred_at_it_is_now_in_the_sites_own_zone(inbox_of):
    inbox_of.site(1003, "Pacific/Kiritimati")
    inbox_of.site(1004, "Pacific/Pago_Pago")
    dates = [inbox_of.fire("consumption", site_id=site, member_id=1).business_date for site in (1003, 1004)]
    assert dates == [today("Pacific/Kiritimati"), today("Pacific/Pago_Pago")]


@pytest.mark.parametrize("zone", [None, "", "  "])
def test_a_site_without_a_zone_lives_in_shanghai_as_the_warehouse_reads_it(inbox_of, zone):
    if zone is None:
        inbox_of.run("alter table biz.sites alter timezone drop not null")
    inbox_of.site(1005, zone)
    job = inbox_of.fire(
        "consumption", site_id=1005, member_id=1, payload={"occurred_at": "2026-08-18T16:00:00Z"}
    )
    assert str(job.business_date) == "2026-08-19"


def test_one_moment_on_both_sides_of_a_sites_midnight_is_two_events(inbox_of):
    moments = ("2026-08-18T15:59:59Z", "2026-08-18T16:00:00Z", "2026-08-19T15:59:59Z")
    jobs = [inbox_of.fire("consumption", member_id=1, payload={"occurred_at": moment}) for moment in moments]
    assert [job.status for job in jobs] == ["pending", "pending", "duplicate"]


def test_a_forced_event_runs_though_it_is_a_duplicate_and_takes_the_key(inbox_of):
    first = inbox_of.fire("consumption", member_id=555)
    forced = inbox_of.fire("consumption", member_id=555, is_forced=True)
    assert (forced.status, forced.is_forced, forced.duplicate_of) == ("pending", True, None)
    assert inbox_of.job(first.id).status == "pending"
    assert inbox_of.fire("consumption", member_id=555).duplicate_of == forced.id
    again = inbox_of.fire("consumption", member_id=555, is_forced=True)
    assert inbox_of.fire("consumption", member_id=555).duplicate_of == again.id


def test_a_forced_event_that_comes_first_holds_the_key_too(inbox_of):
    forced = inbox_of.fire("dws_completed", is_forced=True)
    assert inbox_of.fire("dws_completed").duplicate_of == forced.id


def test_an_event_that_has_run_still_holds_its_key(inbox_of):
    first = inbox_of.fire("dws_completed")
    inbox_of.claim(first.id)
    inbox_of.finish(first.id, status="completed")
    assert inbox_of.fire("dws_completed").duplicate_of == first.id


def test_one_that_failed_holds_no_key(inbox_of):
    first = inbox_of.fire("dws_completed")
    inbox_of.claim(first.id)
    inbox_of.finish(first.id, status="failed", error="nothing worked")
    second = inbox_of.fire("dws_completed")
    assert second.status == "pending"
    assert inbox_of.fire("dws_completed").duplicate_of == second.id


def test_one_that_is_dead_holds_no_key(inbox_of):
    first = inbox_of.fire("dws_completed")
    with inbox_of.engine.begin() as connection:
        lost = leases.lose_start(connection, first, max_attempts=1)
    assert lost is not None
    assert lost.status == "dead"
    assert inbox_of.fire("dws_completed").status == "pending"


def test_a_malformed_one_holds_no_key(inbox_of):
    bad = inbox_of.fire("task_assigned", member_id=555, payload={"assistant_id": "seven"})
    assert bad.status == "failed"
    assert inbox_of.fire("task_assigned", member_id=555, payload={"assistant_id": 7}).status == "pending"
