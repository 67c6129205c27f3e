"""One app by hand: always a new answer, what each is given beside its subject, and nothing spent on wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ai_assets.apps.base import Subject
from ai_assets.apps.clue_parts import NO_ANALYSIS, NO_CLUES
from ai_assets.catalog import CATALOG
from ai_assets.chains.by_hand import Asked, check, run_by_hand
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.errors import ConfigurationError, InputError, MissingSubjectError

MEMBER = Subject(1001, member_id=555)
PAIR = Subject(1001, member_id=555, assistant_id=7)
NOBODY = Subject(1001, member_id=999_999)
TOO_LARGE = 2**63

APPS = {
    "app3_clue": MEMBER,
    "app4_analysis": PAIR,
    "app5_tactics": PAIR,
    "app6_note": MEMBER,
    "app7_customer": MEMBER,
    "app8_consolidation": MEMBER,
}
ANALYSIS = {
    "task_description": "约会员周五来练斯诺克",
    "action_suggestions": ["先问上次的球杆用得惯不惯"],
    "one_line_summary": "老搭档，好久没来",
}
Run = Callable[..., StepResult]


@pytest.fixture
def run(make_runtime) -> Run:
    """Run an app by hand on one runtime; `payload`, `as_of`, `forced` as asked."""
    runtime = make_runtime()

    def by_hand(app: str, subject: Subject = MEMBER, **asked: Any) -> StepResult:
        return run_by_hand(runtime, Asked(app, subject, **asked))

    return by_hand


def prompts(simulator, app: str) -> list[dict[str, Any]]:
    return [json.loads(call.prompt) for call in simulator.calls(app)]


def spent(events, simulator) -> dict[str, int]:
    """What is left behind by anything that was spent, or written."""
    tables = ("ai_run_logs", "ai_leases", "ai_rate_places", "ai_cache", "ai_alerts", "member_retention_clue")
    left = {name: events.rows(f"select count(*) from biz.{name}")[0][0] for name in tables}
    return {**left, "calls": simulator.stats()["total"]}


NOTHING = {
    "ai_run_logs": 0,
    "ai_leases": 0,
    "ai_rate_places": 0,
    "ai_cache": 0,
    "ai_alerts": 0,
    "member_retention_clue": 0,
    "calls": 0,
}


def local_minute(moment) -> str:
    return f"{moment.astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("app", APPS)
def test_the_answer_is_in_the_cache_as_admin_manual_and_in_the_log_as_manual(run, events, app):
    made = run(app, APPS[app])
    assert made.outcome is Outcome.SUCCESS, made.message
    target = "7_555" if APPS[app] is PAIR else "555"
    assert events.rows(
        "select id, cache_type, site_id, target_id, triggered_by, trigger_job_id, run_log_id, result_json"
        " from biz.ai_cache"
    ) == [
        (
            made.cache_id, CATALOG[app].cache_type, 1001, target, "admin_manual", None, made.run_log_id,
            dict(made.result),
        )
    ]  # fmt: skip
    assert made.result["_references"]["app"]["name"] == app
    assert events.rows(
        "select id, app_type, target_id, trigger_type, trigger_job_id, status from biz.ai_run_logs"
    ) == [(made.run_log_id, app, target, "manual", None, "success")]
    assert events.rows("select count(*) from biz.ai_leases") == [(0,)]


@pytest.mark.parametrize("app", APPS)
def test_each_time_is_a_new_answer_and_only_one_who_reuses_gets_the_old_one(run, events, simulator, app):
    first, second = run(app, APPS[app]), run(app, APPS[app])
    assert first.prompt == second.prompt, "it is the same question: only being asked by hand makes it anew"
    assert (first.outcome, second.outcome) == (Outcome.SUCCESS, Outcome.SUCCESS)
    assert simulator.stats()["total"] == 2
    reused = run(app, APPS[app], forced=False)
    assert (reused.outcome, reused.cache_id) == (Outcome.REUSED, second.cache_id)
    assert simulator.stats()["total"] == 2
    assert events.rows("select count(*) from biz.ai_cache") == [(2,)]
    assert events.rows("select count(*) from biz.ai_run_logs") == [(2,)]


def test_a_short_name_runs_the_app_and_an_assistant_who_has_no_part_in_it_is_not_looked_for(run):
    made = run("app3", replace(MEMBER, assistant_id=TOO_LARGE))
    assert (made.app, made.target_id, made.outcome) == ("app3_clue", "555", Outcome.SUCCESS)
    assert run("app4", PAIR).target_id == "7_555"


def test_the_as_of_date_that_is_given_is_the_prompts(run, simulator):
    run("app3_clue", as_of=date(2026, 5, 31))
    assert prompts(simulator, "app3")[0]["截止日期"] == "2026-05-31"


# App5 and App4's answer


@pytest.mark.parametrize(
    "payload",
    [
        {"app4_analysis": ANALYSIS},
        ANALYSIS,
        {"app4_analysis": {**ANALYSIS, "_references": {"app": {"name": "app4_analysis"}}}},
        {**ANALYSIS, "_references": {"app": {"name": "app4_analysis"}}, "triggered_by": "admin_manual"},
        {"app4_result": {**ANALYSIS, "action_suggestions": ANALYSIS["action_suggestions"][0]}},
    ],
    ids=[
        "under its name",
        "the answer itself",
        "with references",
        "as run-app prints it",
        "under its old name",
    ],
)
def test_app5_takes_app4s_answer_from_the_payload_though_the_cache_holds_one(run, simulator, payload):
    cached = run("app4_analysis", PAIR)
    made = run("app5_tactics", PAIR, payload=payload)
    [prompt] = prompts(simulator, "app5")
    assert prompt["关系分析"] == {
        "任务描述": ANALYSIS["task_description"],
        "行动建议": ANALYSIS["action_suggestions"],
        "一句话总结": ANALYSIS["one_line_summary"],
    }
    assert cached.result["task_description"] not in made.prompt
    told = made.result["_references"]["answers"]["app4_analysis"]
    assert told is not None
    assert told["cache_id"] is None, "it names no version of the cache: it is none of its"


@pytest.mark.parametrize("payload", [{}, {"app4_analysis": None}])
def test_app5_without_one_takes_app4s_newest_answer_of_the_cache(run, simulator, payload):
    run("app4_analysis", PAIR)
    newest = run("app4_analysis", PAIR)
    made = run("app5_tactics", PAIR, payload=payload)
    [prompt] = prompts(simulator, "app5")
    assert prompt["关系分析"]["任务描述"] == newest.result["task_description"]
    assert made.result["_references"]["answers"]["app4_analysis"]["cache_id"] == newest.cache_id


def test_app5_says_that_there_is_no_analysis_where_none_is_given_and_none_was_made(run, simulator):
    made = run("app5_tactics", PAIR)
    assert made.outcome is Outcome.SUCCESS
    assert prompts(simulator, "app5")[0]["关系分析"] == NO_ANALYSIS
    assert made.result["_references"]["answers"] == {"app4_analysis": None}


# App6 and its note


def test_app6_takes_the_note_of_the_payload_and_its_time_as_the_sites_own(run, simulator):
    made = run(
        "app6_note",
        payload={
            "note_content": "会员说想学斯诺克",
            "noted_by_name": "前台小李",
            "noted_by_created_at": "2026-06-30T19:00:00",
        },
    )
    [prompt] = prompts(simulator, "app6")
    assert prompt["备注"] == {
        "内容": "会员说想学斯诺克",
        "记录人": "前台小李",
        "记录时间": "2026-06-30 19:00",
    }
    assert made.result["_references"]["note"]["noted_at"] == "2026-06-30T19:00:00+08:00"


def test_app6_without_one_takes_the_members_newest_note(run, events, simulator):
    events.run(
        "insert into biz.member_notes (note_id, site_id, member_id, content, noted_by_name, created_at) values"
        " (900001, 1001, 555, '不是最新的', '甲', '2026-06-30T18:00:00+08:00'),"
        " (900002, 1001, 555, '最新的一条', '乙', '2026-06-30T21:30:00+08:00'),"
        " (900003, 1001, 555, '  ', '丙', '2026-06-30T22:00:00+08:00'),"
        " (900004, 1001, 556, '别人的', '丁', '2026-06-30T23:00:00+08:00')"
    )
    made = run("app6_note")
    assert prompts(simulator, "app6")[0]["备注"] == {
        "内容": "最新的一条",
        "记录人": "乙",
        "记录时间": "2026-06-30 21:30",
    }
    assert made.result["_references"]["note"]["note_id"] == 900002


@pytest.mark.parametrize("left", [False, True], ids=["no note", "a blank one"])
def test_app6_of_a_member_without_any_note_is_a_clear_error_and_nothing_is_spent(
    run, events, simulator, left
):
    events.run("delete from biz.member_notes where member_id = 555")
    if left:
        events.run(
            "insert into biz.member_notes (note_id, site_id, member_id, content, created_at)"
            " values (900003, 1001, 555, E' \\n', now())"
        )
    with pytest.raises(MissingSubjectError, match=r"member 555 of site 1001 has no note.*note_content"):
        run("app6_note")
    assert spent(events, simulator) == NOTHING
    # a note that is given needs none in the warehouse
    assert run("app6_note", payload={"note_content": "新会员，第一次来"}).outcome is Outcome.SUCCESS


# App8 and the retention clues


def test_app8_reads_both_sets_of_clues_from_the_cache_with_when_they_were_made(run, events, simulator):
    clue = run("app3_clue")
    note = run("app6_note", payload={"note_content": "会员说想学斯诺克", "noted_by_name": "前台小李"})
    # years ago: neither the time of this run, nor the same for both
    events.run("update biz.ai_cache set created_at = '2024-02-03T01:02:03Z' where id = :id", id=clue.cache_id)
    events.run("update biz.ai_cache set created_at = '2024-05-06T17:08:09Z' where id = :id", id=note.cache_id)
    made = run("app8_consolidation")
    from_consumption, from_note = prompts(simulator, "app8")[0]["线索组"]
    assert (from_consumption["来源"], from_consumption["生成时间"]) == ("消费分析", "2024-02-03 09:02")
    assert (from_note["来源"], from_note["生成时间"]) == ("前台小李", "2024-05-07 01:08")
    assert [c["摘要"] for c in from_consumption["线索"]] == [c["summary"] for c in clue.result["clues"]]
    assert [c["摘要"] for c in from_note["线索"]] == [c["summary"] for c in note.result["clues"]]
    answers = made.result["_references"]["answers"]
    assert {name: said["cache_id"] for name, said in answers.items()} == {
        "app3_clue": clue.cache_id,
        "app6_note": note.cache_id,
    }


def test_app8_tells_the_set_that_is_not_in_the_cache_as_none(run, simulator):
    run("app3_clue")
    run("app8_consolidation")
    from_consumption, from_note = prompts(simulator, "app8")[0]["线索组"]
    assert from_consumption["线索"] != NO_CLUES
    assert (from_note["生成时间"], from_note["线索"]) == ("", NO_CLUES)


@pytest.mark.parametrize(
    ("payload", "source"),
    [({}, "ai_consumption"), ({"source": "ai_consumption"}, "ai_consumption"), ({"source": "ai_note"}, "ai_note")],
)  # fmt: skip
def test_app8s_clues_are_filed_under_ai_consumption_unless_told_ai_note(run, events, payload, source):
    events.run(
        "insert into biz.member_retention_clue (member_id, site_id, summary, source) values"
        " (555, 1001, '手写', 'manual'), (555, 1001, '旧的', 'ai_consumption'), (555, 1001, '旧的', 'ai_note')"
    )
    run("app3_clue")
    made = run("app8_consolidation", payload=payload)
    rows = events.rows("select source, summary from biz.member_retention_clue order by id")
    of_source = [summary for at, summary in rows if at == source]
    assert of_source == [f"{clue['emoji']} {clue['summary']}".strip() for clue in made.result["clues"]]
    assert made.clues_set == len(of_source) > 0
    (other,) = {"ai_consumption", "ai_note"} - {source}
    assert sorted(row for row in rows if row[0] != source) == [(other, "旧的"), ("manual", "手写")]


@pytest.mark.parametrize("source", ["ai_consumption", "ai_note"])
def test_the_retention_clues_alone_are_set_again_from_app8s_newest_answer_without_a_call(
    run, events, simulator, source
):
    run("app3_clue")
    run("app8_consolidation")
    newest = run("app8_consolidation")
    events.run("delete from biz.member_retention_clue")
    logs, calls = events.rows("select count(*) from biz.ai_run_logs"), simulator.stats()["total"]
    made = run(RETENTION_CLUE, payload={"source": source})
    assert (made.app, made.target_id, made.outcome) == (RETENTION_CLUE, "555", Outcome.SUCCESS)
    assert made.cache_id == newest.cache_id
    rows = events.rows("select source, summary from biz.member_retention_clue order by id")
    assert rows == [(source, f"{clue['emoji']} {clue['summary']}".strip()) for clue in newest.result["clues"]]
    assert made.clues_set == len(rows) > 0
    assert (logs, calls) == (
        events.rows("select count(*) from biz.ai_run_logs"),
        simulator.stats()["total"],
    )


def test_the_retention_clues_of_a_member_without_an_app8_answer_say_so_and_stay(run, events, simulator):
    events.run(
        "insert into biz.member_retention_clue (member_id, site_id, summary, source)"
        " values (555, 1001, '旧的', 'ai_consumption')"
    )
    # of another member, and of the same number at another site: neither is this one's
    for of_others in (Subject(1001, member_id=556), Subject(1002, member_id=555)):
        events.run(
            "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id,"
            " prompt_hash) values ('app8_clue_consolidated', :site, :member,"
            """ '{"clues": [{"category": "客户基础", "summary": "别人的"}]}', 'test', 1, 'hash')""",
            site=of_others.site_id,
            member=str(of_others.member_id),
        )
    made = run(RETENTION_CLUE)
    assert (made.outcome, made.reason) == (Outcome.FAILED, "no_answer")
    assert made.message == "member 555 of site 1001 has no answer of App8: run app8_consolidation"
    assert events.rows("select summary from biz.member_retention_clue") == [("旧的",)]
    assert simulator.stats()["total"] == 0


# wrong input

MISSING = [
    *[(app, Subject(0, member_id=555, assistant_id=7), "site") for app in (*APPS, RETENTION_CLUE)],
    *[(app, Subject(1001, assistant_id=7), "member") for app in (*APPS, RETENTION_CLUE)],
    *[(app, Subject(1001, member_id=555), "assistant") for app in ("app4_analysis", "app5_tactics")],
]
WRONG_IDS = [
    *[(app, Subject(-1, member_id=555, assistant_id=7), "-1") for app in (*APPS, RETENTION_CLUE)],
    *[(app, Subject(1001, member_id=TOO_LARGE, assistant_id=7), str(TOO_LARGE)) for app in (*APPS, RETENTION_CLUE)],
    *[(app, Subject(1001, member_id=555, assistant_id=-7), "-7") for app in ("app4_analysis", "app5_tactics")],
]  # fmt: skip
FINANCE = [
    ("app2_finance", Subject(0, window="this_month"), "site"),
    ("app2_finance", Subject(1001), "time window"),
    ("app2_finance", Subject(1001, window="this_month", area="vip"), "app2a_finance_area"),
    ("app2_finance", Subject(TOO_LARGE, window="this_month"), str(TOO_LARGE)),
    ("app2a_finance_area", Subject(1001, area="vip"), "time window"),
    ("app2a_finance_area", Subject(1001, window="this_month"), "area"),
    ("app2a_finance_area", Subject(1001, window="this_month", area="all"), "app2_finance"),
]


@pytest.mark.parametrize(
    ("app", "subject", "said"), [*MISSING, *WRONG_IDS, *FINANCE, ("app9", MEMBER, "app9"), ("", MEMBER, "''")]
)
def test_a_subject_that_the_app_cannot_take_is_an_input_error_and_nothing_is_spent(
    run, events, simulator, app, subject, said
):
    with pytest.raises(InputError, match=said):
        check(Asked(app, subject))
    with pytest.raises(InputError, match=said):
        run(app, subject)
    assert spent(events, simulator) == NOTHING


@pytest.mark.parametrize(
    ("app", "payload", "said"),
    [
        ("app5_tactics", {"app4_analysis": "去约会员"}, "app5_tactics: payload.app4_analysis: "),
        ("app5_tactics", {"app4_analysis": []}, "app5_tactics: payload.app4_analysis: "),
        ("app5_tactics", {"app4_result": {}}, "app5_tactics: payload.app4_result.task_description: "),
        (
            "app5_tactics",
            {"app4_result": ANALYSIS, "app4_analysis": ANALYSIS},
            "app5_tactics: payload.app4_result ",
        ),
        ("app5_tactics", {"app4_analysis": ANALYSIS, **ANALYSIS}, "app5_tactics: payload.task_description "),
        ("app5_tactics", {"app4_anlysis": ANALYSIS}, "app5_tactics: payload.app4_anlysis "),
        ("app5_tactics", {"app4_analysis": {}}, "task_description: Field required"),
        ("app5_tactics", {"app4_analysis": {**ANALYSIS, "task_description": "  "}}, "task_description"),
        ("app5_tactics", {"task_description": "只有任务"}, "action_suggestions: Field required"),
        ("app5_tactics", {"one_line_summary": "没有任务"}, "task_description: Field required"),
        ("app6_note", {"note_content": ""}, "payload.note_content is empty"),
        ("app6_note", {"note_content": " \n\t"}, "payload.note_content is empty"),
        ("app6_note", {"note_content": "\u0007\u0000"}, "payload.note_content is empty"),
        ("app6_note", {"note_contents": "会员"}, "app6_note: payload.note_contents "),
        ("app6_note", {"note_content": "会员", "noted_by_created_at": "昨天"}, "payload.noted_by_created_at"),
        ("app6_note", {"note_content": "会员", "noted_by_name": "字" * 201}, "payload.noted_by_name"),
        ("app6_note", {"noted_by_name": "前台小李"}, "app6_note: payload.noted_by_name"),
        (
            "app6_note",
            {"note_content": None, "noted_by_created_at": "2026-06-30T19:00:00"},
            "noted_by_created_at",
        ),
        ("app3_clue", {"source": "ai_note"}, "app3_clue: payload.source "),
        ("app3_clue", {"triggered_by": "张三"}, "app3_clue: payload.triggered_by "),
        ("app3_clue", {"triggered_by": "u13800000000"}, "payload.triggered_by "),
        ("app3_clue", {"triggered_by": "a" * 41}, "payload.triggered_by "),
        ("app3_clue", {"triggered_by": None}, "payload.triggered_by "),
        ("app7_customer", {"member_id": 555}, "app7_customer: payload.member_id "),
        ("app6_note", {"note_content": {"text": "会员"}}, "payload.note_content"),
        ("app6_note", {"note_content": ["会员"]}, "payload.note_content"),
        ("app8_consolidation", {"source": "manual"}, "payload.source: "),
        ("app8_consolidation", {"source": ""}, "app8_consolidation: payload.source: "),
        ("app8_consolidation", {"source": None}, "app8_consolidation: payload.source: "),
        ("app8_consolidation", {"source": ["ai_note"]}, "app8_consolidation: payload.source: "),
        (RETENTION_CLUE, {"source": "manual"}, "payload.source: "),
    ],
)
def test_a_payload_of_no_use_is_an_input_error_and_nothing_is_spent(
    run, events, simulator, app, payload, said
):
    asked = Asked(app, APPS.get(app, MEMBER), payload=payload)
    with pytest.raises(InputError) as checked:
        check(asked)
    with pytest.raises(InputError) as ran:
        run(app, asked.subject, payload=payload)
    assert said in str(checked.value) == str(ran.value)
    for secret in ("去约会员", "张三", "13800000000", "昨天", "前台小李"):
        assert secret not in str(ran.value)
    assert len(str(ran.value).splitlines()) == 1
    assert spent(events, simulator) == NOTHING


@pytest.mark.parametrize("key", ["13800000000", "张三", "zhang san"])
def test_an_unknown_key_that_may_be_a_persons_data_is_not_quoted(key):
    with pytest.raises(InputError) as checked:
        check(Asked("app3_clue", MEMBER, {key: 1}))
    assert key not in str(checked.value)
    assert "triggered_by" in str(checked.value), "it says which keys there are"


@pytest.mark.parametrize("app", [*APPS, RETENTION_CLUE])
@pytest.mark.parametrize("missing", ["site_id", "member_id", "assistant_id"])
def test_a_missing_part_of_the_subject_is_named_with_the_app(app, missing):
    subject = replace(PAIR, **{missing: 0})
    if missing == "assistant_id" and APPS.get(app) is not PAIR:
        check(Asked(app, subject))
        return
    with pytest.raises(InputError, match=rf"{app}.*{missing}"):
        check(Asked(app, subject))


@pytest.mark.parametrize("app", APPS)
def test_what_asked_for_the_answer_is_kept_with_it_and_reported(run, events, app):
    made = run(app, APPS[app], payload={"triggered_by": "nightly_refresh2"})
    assert made.outcome is Outcome.SUCCESS, made.message
    assert events.rows("select triggered_by from biz.ai_cache") == [("nightly_refresh2",)]
    assert events.rows("select content ->> 'triggered_by' from biz.ai_news") == [("nightly_refresh2",)]
    assert events.rows("select trigger_type from biz.ai_run_logs") == [("manual",)]


@pytest.mark.parametrize("app", [*APPS, RETENTION_CLUE])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"site_id": 999}, "unknown site 999"),
        ({"member_id": 999_999}, "member 999999 of site 1001"),
    ],
)
def test_a_site_or_member_that_is_not_there_is_an_input_error_and_nothing_is_spent(
    run, events, simulator, app, changed, said
):
    with pytest.raises(InputError, match=said):
        run(app, replace(APPS.get(app, MEMBER), **changed))
    assert spent(events, simulator) == NOTHING


@pytest.mark.parametrize("app", ["app4_analysis", "app5_tactics"])
def test_an_assistant_who_is_not_there_is_an_input_error_and_nothing_is_spent(run, events, simulator, app):
    with pytest.raises(MissingSubjectError, match="assistant 424242 of site 1001"):
        run(app, replace(PAIR, assistant_id=424_242))
    assert spent(events, simulator) == NOTHING


@pytest.mark.parametrize("app", [*APPS, RETENTION_CLUE])
def test_an_as_of_date_out_of_range_is_an_input_error_and_nothing_is_spent(run, events, simulator, app):
    with pytest.raises(InputError, match="as-of"):
        run(app, APPS.get(app, MEMBER), as_of=date(1, 1, 1))
    assert spent(events, simulator) == NOTHING


@pytest.mark.parametrize("app", APPS)
def test_an_app_id_that_is_not_set_is_named_and_nothing_is_spent(make_runtime, events, simulator, app):
    runtime = replace(make_runtime(), app_ids={})
    with pytest.raises(ConfigurationError, match=CATALOG[app].env):
        run_by_hand(runtime, Asked(app, APPS[app]))
    assert spent(events, simulator) == NOTHING


def test_a_call_that_fails_says_so_keeps_the_last_good_answer_and_raises_an_alert(run, events, simulator):
    kept = run("app3_clue")
    simulator.configure("app3", fail=1.0)
    made = run("app3_clue")
    assert made.outcome is Outcome.FAILED
    assert made.message
    assert events.rows("select id from biz.ai_cache") == [(kept.cache_id,)]
    assert events.rows("select alert_type, log_id from biz.ai_alerts") == [("failed", made.run_log_id)]
