"""One app by hand over HTTP: waiting or not, once for each key, through the guard, to an end that is recorded."""

from __future__ import annotations

import json
import time

import pytest
from sqlalchemy import text

from ai_assets.store import app_runs

RUN = {"site_id": 1001, "member_id": 555}


@pytest.fixture
def venue(venue_url, simulator, start_gateway, app_settings):
    """A gateway on the venue and the simulator; `reported` is what Dagster was told."""
    reported = []
    gateway = start_gateway(
        venue_url, report=reported.append, **{"DASHSCOPE_BASE_URL": simulator.base_url, **app_settings}
    )
    gateway.reported = reported
    return gateway


def test_with_a_wait_the_answer_is_the_end_with_its_result(venue, simulator):
    ran = venue.post("/apps/app3_clue/run?wait=30", RUN)
    assert (ran.status, ran.body["status"]) == (200, "success")
    assert ran.body["result"]["clues"]
    assert "_references" not in ran.body["result"]
    cached = venue.get("/sites/1001/cache/app3_clue/555").body
    assert (cached["id"], cached["triggered_by"]) == (ran.body["cache_id"], "admin_manual")
    assert simulator.stats()["total"] == 1
    while not venue.reported:
        time.sleep(0.01)
    assert [(one.app, one.target_id) for one in venue.reported] == [("app3_clue", "555")]


def test_without_a_wait_it_is_202_and_where_to_look(venue, simulator):
    simulator.configure(latency=0.5)
    began = venue.post(
        "/apps/app2a_finance_area/run", {"site_id": 1001, "time": "this_month", "area": "hallA"}
    )
    assert (began.status, began.body["status"], began.body["result"]) == (202, "running", None)
    place = began.headers["location"]
    assert began.headers["retry-after"] == "2"
    assert venue.get(place).body["status"] == "running"
    ended = venue.get(f"{place}?wait=30")
    assert (ended.status, ended.body["status"], ended.body["target_id"]) == (
        200,
        "success",
        "this_month__hallA",
    )
    assert ended.body["result"]["insights"]


def test_by_hand_it_is_always_a_new_answer_unless_reuse_is_asked_for(venue, simulator):
    for reuse, status, calls in ((False, "success", 1), (False, "success", 2), (True, "reused", 2)):
        ran = venue.post("/apps/app3_clue/run?wait=30", {**RUN, "reuse": reuse, "as_of": "2026-06-30"})
        assert (ran.body["status"], simulator.stats()["total"]) == (status, calls)


def test_a_run_that_fails_says_so_and_is_no_error_of_the_request(venue, simulator):
    simulator.configure(fail=1.0)
    ran = venue.post("/apps/app3_clue/run?wait=60", RUN)
    assert ran.status == 200
    assert ran.body["status"] in ("failed", "timeout")
    assert ran.body["reason"]
    assert ran.body["result"] is None
    assert venue.reported == []


def test_a_member_that_is_not_there_is_a_failed_run_and_costs_no_call(venue, simulator):
    ran = venue.post("/apps/app3_clue/run?wait=30", {**RUN, "member_id": 987654})
    assert (ran.body["status"], ran.body["reason"]) == ("failed", "missing_subject")
    assert simulator.stats()["total"] == 0


def test_the_same_key_gives_the_same_run_and_one_call(venue, simulator):
    key = {"Idempotency-Key": "regenerate-555"}
    first = venue.post("/apps/app3_clue/run?wait=30", RUN, headers=key)
    second = venue.post("/apps/app3_clue/run?wait=30", RUN, headers=key)
    assert first.body == second.body
    assert simulator.stats()["total"] == 1
    for path, body in (("app3_clue", {**RUN, "reuse": True}), ("app7_customer", RUN)):
        assert venue.post(f"/apps/{path}/run", body, headers=key).kind == "idempotency-key-reused"


def test_no_more_run_at_once_than_there_are_places(venue_url, simulator, start_gateway, app_settings):
    gateway = start_gateway(
        venue_url, **{"DASHSCOPE_BASE_URL": simulator.base_url, "AI_GATEWAY_RUNS": 2, **app_settings}
    )
    simulator.configure(latency=1.0)
    one, other = gateway.token(), gateway.token("operate", (1001,))
    places = []
    for token, status in ((one, 429), (other, 503)):
        ran = gateway.post("/apps/app3_clue/run", {**RUN, "member_id": 555 + len(places)}, token=token)
        places.append(ran.headers["location"])
        refused = gateway.post("/apps/app3_clue/run", {**RUN, "member_id": 557}, token=token)
        assert (refused.status, refused.kind) == (status, "too-many-runs")
        assert refused.headers["retry-after"]
    for place in places:
        gateway.get(f"{place}?wait=30")
    assert gateway.post("/apps/app3_clue/run?wait=30", RUN).status == 200
    # refused requests hold no place
    assert gateway.parts.runner.quota.used == 0


def test_an_app_runs_under_each_of_its_spellings_as_the_one_app(venue):
    for spelling in ("app8_consolidation", "app8_consolidate", "app8"):
        run = venue.post(f"/apps/{spelling}/run?wait=30", RUN).body
        assert (run["app"], run["status"]) == ("app8_consolidation", "success")


def test_clues_are_set_again_from_the_newest_answer(venue):
    assert venue.post("/apps/app3_clue/run?wait=30", RUN).body["status"] == "success"
    assert venue.post("/apps/app8_consolidation/run?wait=30", RUN).body["status"] == "success"
    with venue.engine.begin() as connection:
        connection.execute(
            text("delete from biz.member_retention_clue where site_id = 1001 and member_id = 555")
        )
    again = venue.post("/apps/member_retention_clue/run?wait=30", {**RUN, "source": "ai_note"})
    assert again.body["status"] in ("success", "reused")
    assert again.body["clues_set"] == len(venue.get("/sites/1001/clues/555").body["clues"]) > 0


@pytest.mark.parametrize(
    ("app", "body", "where"),
    [
        ("app2_finance", {"site_id": 1001}, "body.time"),
        ("app2_finance", {"site_id": 1001, "time": "next_month"}, "body.time"),
        ("app2_finance", {"site_id": 1001, "time": "this_month", "area": "hallA"}, "body.area"),
        ("app2a_finance_area", {"site_id": 1001, "time": "this_month", "area": "all"}, "body.area"),
        ("app3_clue", {"member_id": 5}, "body.site_id"),
        ("app4_analysis", RUN, "body.assistant_id"),
        ("app6_note", {**RUN, "note_content": "  "}, "body.note_content"),
        (
            "app5_tactics",
            {**RUN, "assistant_id": 7, "app4_analysis": {}},
            "body.app4_analysis.task_description",
        ),
        ("app8_consolidation", {**RUN, "source": "manual"}, "body.source"),
        ("app2_finance", {"site_id": 1001, "time_dimension": "next_month"}, "body.time_dimension"),
        (
            "app2_finance",
            {"site_id": 1001, "time": "this_month", "time_dimension": "this_month"},
            "body.time_dimension",
        ),
        ("app5_tactics", {**RUN, "assistant_id": 7, "app4_result": {}}, "body.app4_result.task_description"),
        ("app6_note", {**RUN, "note_content": "会员", "noted_by_created_at": 5}, "body.noted_by_created_at"),
        ("app6_note", {**RUN, "noted_by_name": "前台小李"}, "body.noted_by_name"),
        ("app3_clue", {**RUN, "triggered_by": "张三"}, "body.triggered_by"),
        ("app3_clue", {**RUN, "note_content": "会员"}, "body.note_content"),
        ("app3_clue", {**RUN, "张三": 1}, "body.(a key)"),
        ("app3_clue", {**RUN, "as_of": 20260630}, "body.as_of"),
        ("app3_clue", {**RUN, "as_of": "20260630"}, "body.as_of"),
        ("app3_clue?wait=61", RUN, "query.wait"),
    ],
)
def test_missing_or_wrong_input_is_422_before_anything_is_spent(gateway, app, body, where):
    path, _, query = app.partition("?")
    answer = gateway.post(f"/apps/{path}/run?{query}", body)
    assert (answer.status, answer.kind) == (422, "bad-input")
    assert answer.body["faults"][0]["where"] == where
    assert gateway.value("select count(*) from biz.ai_app_runs") == 0


@pytest.mark.parametrize("name", ["time", "time_dimension"])
def test_app2_takes_the_old_names_of_its_window_and_area(venue, name):
    body = {"site_id": 1001, name: "last_week", "area": "all", "triggered_by": "owner_page"}
    ran = venue.post("/apps/app2_finance/run?wait=30", body)
    assert (ran.body["status"], ran.body["target_id"]) == ("success", "last_week__all")
    assert venue.get("/sites/1001/cache/app2_finance/last_week__all").body["triggered_by"] == "owner_page"


def test_app6_takes_who_wrote_the_note_and_when(venue, simulator):
    note = {
        "note_content": "会员说想学斯诺克",
        "noted_by_name": "前台小李",
        "noted_by_created_at": "2026-06-30T19:00:00",
    }
    assert venue.post("/apps/app6_note/run?wait=30", {**RUN, **note}).body["status"] == "success"
    prompt = json.loads(simulator.calls("app6")[0].prompt)
    assert prompt["备注"] == {
        "内容": "会员说想学斯诺克",
        "记录人": "前台小李",
        "记录时间": "2026-06-30 19:00",
    }


@pytest.mark.parametrize("name", ["app4_analysis", "app4_result"])
def test_app5_takes_app4s_answer_under_both_names(venue, simulator, name):
    answer = {"task_description": "约周五", "action_suggestions": ["先问候"], "one_line_summary": "老搭档"}
    body = {**RUN, "assistant_id": 7, name: {**answer, "_references": {}}}
    assert venue.post("/apps/app5_tactics/run?wait=30", body).body["status"] == "success"
    prompt = json.loads(simulator.calls("app5")[0].prompt)
    assert prompt["关系分析"] == {"任务描述": "约周五", "行动建议": ["先问候"], "一句话总结": "老搭档"}


def test_a_page_that_waits_for_its_regenerate_is_released_by_a_reuse(venue):
    with venue.socket("/ws/ai-alerts/1001?types=alert_created,cache_updated&envelope=1") as socket:
        assert venue.heard(socket)["type"] == "ready"
        for reuse, told in ((False, None), (True, True)):
            venue.post("/apps/app3_clue/run", {**RUN, "reuse": reuse})
            while (heard := venue.heard(socket))["type"] == "alive":
                pass
            assert (heard["type"], heard["payload"]["target_id"]) == ("cache_updated", "555")
            assert heard["payload"].get("reused") is told


def test_an_unknown_app_is_404_and_says_which_there_are(gateway):
    answer = gateway.post("/apps/app9/run", RUN)
    assert answer.kind == "not-found"
    assert "app2a_finance_area" in answer.body["detail"]


def test_without_a_key_runs_are_503_and_all_else_is_served(gateway, caplog):
    answer = gateway.post("/apps/app3_clue/run", RUN)
    assert (answer.status, answer.kind) == (503, "not-configured")
    assert "DASHSCOPE_API_KEY is not set" in caplog.text
    assert gateway.get("/sites/1001/alerts").status == 200


def test_the_run_of_another_site_cannot_be_looked_at(venue):
    run_id = venue.post("/apps/app3_clue/run?wait=30", RUN).body["id"]
    assert venue.get(f"/runs/{run_id}", token=venue.token("operate", (1002,))).kind == "not-found"
    assert venue.get(f"/runs/{run_id}", token=venue.token("read", (1001,))).status == 200


def test_a_run_whose_process_is_gone_is_lost_after_its_time(gateway):
    with gateway.engine.begin() as connection:
        run_id = app_runs.begin(connection, token_id=1, app="app3_clue", site_id=1001, lives_s=100)
    assert gateway.get(f"/runs/{run_id}").body["status"] == "running"
    with gateway.engine.begin() as connection:
        connection.execute(text("update biz.ai_app_runs set expires_at = clock_timestamp() - interval '1 s'"))
    assert gateway.get(f"/runs/{run_id}").body["status"] == "lost"


def test_stopping_the_gateway_ends_its_runs_and_records_it(venue, simulator):
    simulator.configure(latency=30)
    place = venue.post("/apps/app3_clue/run", RUN).headers["location"]
    while not venue.value("select count(*) from biz.ai_leases"):
        time.sleep(0.02)
    began = time.monotonic()
    venue.stop()
    assert time.monotonic() - began < 12
    assert (
        venue.value("select status from biz.ai_app_runs where id = :id", id=int(place.split("/")[-1]))
        == "failed"
    )
