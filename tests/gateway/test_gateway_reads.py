"""Results, clues and alerts over HTTP."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ai_assets.store import clues


def test_the_newest_result_comes_with_its_age_checks_and_references(gateway):
    checks = {"reading": {"how": "plain"}, "numbers": None}
    references = {"as_of": "2026-06-30", "checks": checks}
    cache_id = gateway.cached(result={"clues": [{"summary": "字"}], "_references": references})
    found = gateway.get("/sites/1001/cache/app3_clue/555")
    assert found.status == 200
    assert found.headers["content-type"] == "application/json"
    body = found.body
    assert (body["id"], body["result"]) == (cache_id, {"clues": [{"summary": "字"}]})
    assert (body["references"], body["checks"]) == ({"as_of": "2026-06-30"}, checks)
    assert 0 <= body["age_s"] < 60
    assert "history" not in body


def test_history_gives_the_versions_before_the_newest_which_was_admitted_last(gateway):
    # a late answer never hides one that was asked for after it
    newest, oldest, middle = (gateway.cached(run_log=n) for n in (9, 3, 5))
    body = gateway.get("/sites/1001/cache/app3_clue/555?history=1").body
    assert (body["id"], [one["id"] for one in body["history"]]) == (newest, [middle])
    body = gateway.get("/sites/1001/cache/app3_clue/555?history=100").body
    assert [one["id"] for one in body["history"]] == [middle, oldest]


def test_a_target_without_a_result_is_404(gateway):
    gateway.cached(site=1002)
    answer = gateway.get("/sites/1001/cache/app3_clue/555")
    assert (answer.status, answer.kind) == (404, "not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/sites/0/alerts",
        "/sites/x/alerts",
        "/sites/9223372036854775808/alerts",
        "/sites/1001/cache/app9/555",
        "/sites/1001/cache/app3_clue/a-b",
        "/sites/1001/cache/app3_clue/%00",
        "/sites/1001/cache/app3_clue/555?history=101",
        "/sites/1001/cache/app3_clue/555?history=x",
        "/sites/1001/clues/-5",
        "/sites/1001/alerts?limit=501",
        "/sites/1001/alerts?limit=0",
        "/sites/1001/alerts?before=0",
        "/sites/1001/alerts?alert_type=nonsense",
        "/events/" + "9" * 5000,
        "/runs/x",
    ],
)
def test_a_part_of_the_address_of_another_form_is_422(gateway, path):
    assert gateway.get(path).kind == "bad-input"


def test_a_members_clues_are_of_every_source_and_of_that_member_alone(gateway):
    with gateway.engine.begin() as connection:
        for site, member, summary in ((1001, 5, "爱打斯诺克"), (1001, 6, "x"), (1002, 5, "y")):
            clues.replace(
                connection, site, member, source="ai_note", clues=[{"summary": summary, "emoji": "🎱"}]
            )
        connection.execute(
            text(
                "insert into biz.member_retention_clue (member_id, site_id, summary, source, recorded_by_assistant_id)"
                " values (5, 1001, '手写', 'manual', 7)"
            )
        )
    found = gateway.get("/sites/1001/clues/5").body["clues"]
    assert [(one["summary"], one["source"], one["recorded_by_assistant_id"]) for one in found] == [
        ("手写", "manual", 7),
        ("🎱 爱打斯诺克", "ai_note", None),
    ]
    assert gateway.get("/sites/1001/clues/99").body == {"clues": []}


def test_alerts_are_the_sites_and_those_of_every_site_newest_first(gateway):
    for message, site in (("a", 1001), ("b", 1002), ("c", None), ("d", 1001)):
        gateway.alert(message, site)
    body = gateway.get("/sites/1001/alerts").body
    assert [(one["message"], one["site_id"]) for one in body["alerts"]] == [
        ("d", 1001),
        ("c", None),
        ("a", 1001),
    ]
    assert body["alerts"][0]["count"] == 1
    first = body["alerts"][0]["id"]
    page = gateway.get(f"/sites/1001/alerts?before={first}&limit=1").body
    assert [one["message"] for one in page["alerts"]] == ["c"]
    assert gateway.get("/sites/1001/alerts?alert_type=dead").body["alerts"] == []


def test_alerts_say_where_a_socket_goes_on_from_them(gateway):
    gateway.alert("listed")
    since = gateway.get("/sites/1001/alerts").body["since"]
    gateway.alert("told")
    with gateway.socket(f"/ws/ai-alerts/1001?since={since}") as socket:
        assert gateway.heard(socket) == {"type": "ready", "since": since, "complete": True}
        assert gateway.heard(socket)["message"] == "told"
