"""Clues that people write, over HTTP."""

from __future__ import annotations

import pytest

from ai_assets.store import clues

CLUES = "/sites/1001/clues/5"
WRITTEN = {"summary": "喜欢靠窗的台子", "recorded_by_name": "小李", "recorded_by_assistant_id": 7}


def read(gateway) -> list[dict]:
    return gateway.get(CLUES).body["clues"]


def test_a_clue_is_added_changed_and_deleted_by_who_may_send(gateway):
    token = gateway.token("send", (1001,))
    added = gateway.post(CLUES, WRITTEN, token=token)
    assert added.status == 201
    assert read(gateway) == [added.body]
    assert added.body == {
        **WRITTEN,
        "id": added.body["id"],
        "source": "manual",
        "category": "客户基础",
        "category_given": None,
        "detail": "",
        "created_at": added.body["created_at"],
    }
    one = f"{CLUES}/{added.body['id']}"
    changed = gateway.ask(
        "PATCH", one, json={"detail": "二楼", "recorded_by_assistant_id": None}, token=token
    )
    assert (changed.status, changed.body) == (
        200,
        {**added.body, "detail": "二楼", "recorded_by_assistant_id": None},
    )
    assert gateway.ask("DELETE", one, token=token).status == 204
    assert read(gateway) == []
    assert gateway.ask("DELETE", one, token=token).kind == "not-found"
    assert gateway.ask("PATCH", one, json={"detail": "x"}, token=token).kind == "not-found"


def test_the_clues_of_apps_and_of_other_members_are_not_found(gateway):
    with gateway.engine.begin() as connection:
        clues.replace(connection, 1001, 5, source="ai_note", clues=[{"summary": "app"}])
    of_app = read(gateway)[0]["id"]
    of_other = gateway.post("/sites/1001/clues/6", WRITTEN).body["id"]
    for clue_id in (of_app, of_other, 999):
        assert gateway.ask("PATCH", f"{CLUES}/{clue_id}", json={"summary": "x"}).kind == "not-found"
        assert gateway.ask("DELETE", f"{CLUES}/{clue_id}").kind == "not-found"
    assert gateway.value("select count(*) from biz.member_retention_clue") == 2


@pytest.mark.parametrize(
    ("role", "sites", "kind"), [("read", None, "wrong-role"), ("operate", (1002,), "wrong-site")]
)
def test_writing_needs_the_role_and_the_site(gateway, role, sites, kind):
    token = gateway.token(role, sites)
    one = f"{CLUES}/{gateway.post(CLUES, WRITTEN).body['id']}"
    assert gateway.post(CLUES, WRITTEN, token=token).kind == kind
    assert gateway.ask("PATCH", one, json={"summary": "x"}, token=token).kind == kind
    assert gateway.ask("DELETE", one, token=token).kind == kind
    assert len(read(gateway)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"summary": ""},
        {"summary": " "},
        {"summary": 5},
        {"summary": "x" * 1001},
        {"summary": "x", "source": "ai_note"},
        {"summary": "x", "category": None},
        {"summary": "x", "recorded_by_assistant_id": "7"},
        [],
        None,
    ],
)
def test_a_body_of_another_form_is_refused_for_both(gateway, body):
    one = f"{CLUES}/{gateway.post(CLUES, WRITTEN).body['id']}"
    assert gateway.post(CLUES, body).kind == "bad-input"
    assert gateway.ask("PATCH", one, json=body).kind == "bad-input"


def test_a_clue_that_is_sent_twice_with_one_key_is_one_clue(gateway):
    key = {"Idempotency-Key": "k"}
    first, again = (gateway.post(CLUES, WRITTEN, headers=key) for _ in range(2))
    assert (again.status, again.body) == (first.status, first.body)
    assert len(read(gateway)) == 1
    assert gateway.post(CLUES, {"summary": "x"}, headers=key).kind == "idempotency-key-reused"
