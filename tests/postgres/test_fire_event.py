"""Taking an event in: what each becomes, under which names, inside its sender's transaction."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

NOTE = {"note_content": "喜欢靠窗的台", "noted_by_name": "小王", "noted_by_created_at": "2026-08-19T20:00:00"}


def today(zone: str = "Asia/Shanghai") -> date:
    return datetime.now(ZoneInfo(zone)).date()


@pytest.mark.parametrize(
    ("event", "payload", "chain"),
    [
        ("consumption", {}, "app3→app8→app7"),
        ("consumption", {"has_assistant": True}, "app3→app8→app7"),
        ("consumption", {"has_assistant": True, "assistant_id": None}, "app3→app8→app7"),
        ("consumption", {"has_assistant": True, "assistant_id": 7}, "app3→app8→app7→app4→app5"),
        ("consumption", {"has_assistant": "true", "assistant_id": "7"}, "app3→app8→app7→app4→app5"),
        ("consumption", {"has_assistant": True, "assistant_id": 7.0}, "app3→app8→app7→app4→app5"),
        *(
            # whether the id can be used is the chain's matter
            ("consumption", {"has_assistant": True, "assistant_id": unusable}, "app3→app8→app7→app4→app5")
            for unusable in ("abc", 7.5, -1, [1], {"id": 7}, True, 2**63)
        ),
        ("consumption", {"assistant_id": 7}, "app3→app8→app7"),
        ("consumption", {"has_assistant": None, "assistant_id": 7}, "app3→app8→app7"),
        ("consumption", {"has_assistant": False, "assistant_id": 7}, "app3→app8→app7"),
        ("consumption", {"has_assistant": False, "assistant_id": "left over"}, "app3→app8→app7"),
        *(
            ("consumption", {"has_assistant": no, "assistant_id": 7}, "app3→app8→app7")
            for no in (
                "false",
                " False ",
                "F",
                "no\n",
                "N",
                "Off",
                "",
                " ",
                "\u3000",
                0,
                "0",
                "nobody said",
                2,
                [1],
            )
        ),
        *(
            ("consumption", {"has_assistant": yes, "assistant_id": 7}, "app3→app8→app7→app4→app5")
            for yes in (True, " TRUE ", 1, 1.0, "on", "Yes\n", "t", "y", "1")
        ),
        ("consumption", {"has_assistant": True, "assistant_id": 2**63 - 1}, "app3→app8→app7→app4→app5"),
        ("task_assigned", {"assistant_id": f" 00{2**63 - 1} "}, "app4→app5"),
        *(
            ("consumption", {"has_assistant": True, "assistant_id": none}, "app3→app8→app7")
            for none in (0, 0.0, "", " 00 ")
        ),
        ("task_assigned", {"assistant_id": "7.0"}, "app4→app5"),
        ("note_created", NOTE, "app6→app8"),
        ("task_assigned", {"assistant_id": 7}, "app4→app5"),
        ("dws_completed", {}, "app2"),
    ],
)
def test_each_event_waits_with_its_chain(inbox_of, event, payload, chain):
    job = inbox_of.fire(event, member_id=555, payload=payload)
    assert (job.status, job.error_message) == ("pending", None)
    assert (job.event_type, job.site_id, job.app_chain) == (event, 1001, chain)
    assert job.member_id == (None if event == "dws_completed" else 555)
    assert (job.attempts, job.step_results, job.duplicate_of, job.is_forced) == (0, [], None, False)
    assert (job.started_at, job.finished_at) == (None, None)
    assert job.business_date == today()
    assert inbox_of.value("select connector_type from biz.ai_trigger_jobs") == "feiqiu"


@pytest.mark.parametrize(
    ("older", "name", "payload"),
    [
        ("ai_consumption_settled", "consumption", {}),
        ("ai_note_created", "note_created", NOTE),
        ("ai_task_assigned", "task_assigned", {"assistant_id": 7}),
        ("ai_dws_completed", "dws_completed", {}),
    ],
)
def test_the_backends_older_names_are_the_same_events(inbox_of, older, name, payload):
    first = inbox_of.fire(older, member_id=555, payload=payload)
    assert (first.status, first.event_type) == ("pending", name)
    second = inbox_of.fire(name, member_id=555, payload=payload)
    assert (second.status, second.duplicate_of) == ("duplicate", first.id)


@pytest.mark.parametrize("number", [1002, 1002.0, "1002", " 01002 "])
@pytest.mark.parametrize("missing", [None, 0])
def test_site_and_member_are_read_from_the_payload_where_the_argument_is_missing(inbox_of, number, missing):
    payload = {"site_id": number, "member_id": 55.0}
    job = inbox_of.fire("ai_consumption_settled", site_id=missing, member_id=missing, payload=payload)
    assert (job.status, job.site_id, job.member_id) == ("pending", 1002, 55)
    site_job = inbox_of.fire("ai_dws_completed", site_id=missing, payload={"site_id": number})
    assert (site_job.status, site_job.site_id, site_job.member_id) == ("pending", 1002, None)


def test_an_argument_goes_before_the_payload(inbox_of):
    job = inbox_of.fire("consumption", member_id=5, payload={"site_id": 1002, "member_id": "abc"})
    assert (job.status, job.site_id, job.member_id) == ("pending", 1001, 5)


@pytest.mark.parametrize("nobody", [{}, {"member_id": None}, {"member_id": 0}, {"member_id": ""}])
@pytest.mark.parametrize("forced", [False, True])
def test_a_consumption_without_a_member_is_ignored_each_time(inbox_of, nobody, forced):
    payload = {"occurred_at": "2026-08-18T12:00:00", "has_assistant": True, "assistant_id": 7, **nobody}
    jobs = [inbox_of.fire("consumption", payload=payload, is_forced=forced) for _ in range(2)]
    for job in jobs:
        assert (job.status, job.error_message, job.duplicate_of) == ("ignored", None, None)
        assert (job.site_id, job.member_id, job.app_chain) == (1001, None, None)
        assert job.business_date == date(2026, 8, 18)
        assert job.finished_at is not None
    assert inbox_of.count("biz.ai_alerts") == 0


@pytest.mark.parametrize("event", ["note_created", "task_assigned"])
def test_only_a_consumption_may_be_without_a_member(inbox_of, event):
    payload = {**NOTE, "assistant_id": 7}
    assert inbox_of.fire(event, payload=payload).status == "failed"


def test_the_function_has_the_contracts_name_arguments_and_defaults(inbox_of):
    signature = inbox_of.value(
        "select pg_get_function_arguments(oid) from pg_proc where proname = 'fire_ai_event'"
    )
    assert signature == (
        "event_type text, site_id bigint, member_id bigint DEFAULT NULL::bigint, payload jsonb DEFAULT '{}'::jsonb, "
        "is_forced boolean DEFAULT false, connector_type text DEFAULT 'feiqiu'::text"
    )
    with inbox_of.engine.begin() as connection:
        positional = inbox_of.sql_fire(connection, "'consumption', 1001, 555, '{\"a\": 1}', true, 'pos'")
        named = inbox_of.sql_fire(connection, "event_type => 'dws_completed', site_id => 1001")
        nulls = inbox_of.sql_fire(connection, "'dws_completed', 1002, null, null, null, null")
    assert (positional.status, positional.is_forced, positional.payload) == ("pending", True, {"a": 1})
    assert (named.status, nulls.status, nulls.payload, nulls.is_forced) == ("pending", "pending", {}, False)
    assert inbox_of.all("select connector_type from biz.ai_trigger_jobs order by id") == [
        {"connector_type": name} for name in ("pos", "feiqiu", "feiqiu")
    ]


def test_inside_a_transaction_that_rolls_back_nothing_stays(inbox_of):
    with inbox_of.engine.connect() as connection:
        for arguments in ("'consumption', 1001, 5", "'nonsense', 1001", "'ai_dws_prewarm', null"):
            inbox_of.sql_fire(connection, arguments)
        connection.rollback()
    assert inbox_of.count("biz.ai_trigger_jobs") == 0
    assert inbox_of.fire("consumption", member_id=5).status == "pending"


@pytest.mark.parametrize("arguments", ["'consumption', 1001, 5", "'nonsense', 1001", "'dws_completed', 4711"])
def test_the_callers_transaction_and_settings_stay_as_they_were(inbox_of, arguments):
    settings = "select name, setting from pg_settings order by name"
    with inbox_of.engine.connect() as connection:
        # the language adds settings of its own when a connection first uses it
        connection.execute(text("do $$ begin end $$"))
        connection.execute(text("set local timezone = 'America/Lima'"))
        connection.execute(text("set local datestyle = 'SQL, DMY'"))
        before = connection.execute(text(settings)).all()
        assert inbox_of.sql_id(connection, arguments) > 0
        assert connection.execute(text(settings)).all() == before
        connection.execute(text("insert into biz.sites (site_id, name) values (77, 'after')"))
        connection.commit()
    assert inbox_of.count("biz.sites", "site_id = 77") == 1


def test_what_makes_two_events_the_same_does_not_depend_on_the_callers_session(inbox_of):
    first = inbox_of.fire("consumption", member_id=5, payload={"occurred_at": "2026-08-09T23:30:00"})
    for setting in ("timezone = 'America/Lima'", "datestyle = 'German, DMY'", "datestyle = 'SQL, MDY'"):
        with inbox_of.engine.begin() as connection:
            connection.execute(text(f"set local {setting}"))
            # the colon before a word would be a parameter
            job_id = connection.exec_driver_sql(
                "select biz.fire_ai_event('consumption', 1001, 5, '{\"occurred_at\": \"2026-08-09T23:30:00\"}')"
            ).scalar_one()
        assert inbox_of.job(job_id).duplicate_of == first.id, setting
