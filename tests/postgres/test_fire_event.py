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
        ("consumption", {"assistant_id": 7}, "app3→app8→app7→app4→app5"),
        ("consumption", {"has_assistant": False, "assistant_id": 7}, "app3→app8→app7"),
        ("consumption", {"has_assistant": False, "assistant_id": "left over"}, "app3→app8→app7"),
        *(
            ("consumption", {"has_assistant": no, "assistant_id": 7}, "app3→app8→app7")
            for no in ("false", " False ", "F", "no\n", "N", "Off", "", " ", "\u3000", 0, "0")
        ),
        *(
            ("consumption", {"has_assistant": yes, "assistant_id": 7}, "app3→app8→app7→app4→app5")
            for yes in (None, True, " TRUE ", 1, "on", "nobody said no")
        ),
        ("consumption", {"has_assistant": True, "assistant_id": 2**63 - 1}, "app3→app8→app7→app4→app5"),
        ("task_assigned", {"assistant_id": f" 00{2**63 - 1} "}, "app4→app5"),
        ("consumption", {"has_assistant": True, "assistant_id": 0}, "app3→app8→app7"),
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
