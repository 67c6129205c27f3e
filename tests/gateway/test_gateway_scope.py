"""What a token for some sites, or without the role `operate`, cannot do by any spelling, batch or second request."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ai_assets.store import inbox

PREWARM = "ai_dws_prewarm"
BLANKS = " \t\n\x0b\f\r\x1c\x85\xa0\u1680\u2003\u200b\u2028\u2060\u3000\ufeff"
SPELLINGS = [
    PREWARM,
    PREWARM.upper(),
    "Ai_Dws_PreWarm",
    *(f"{blank}{PREWARM}" for blank in BLANKS),
    *(f"{PREWARM}{blank * 2}" for blank in BLANKS),
    f"  {PREWARM.upper()}\t",
]
OTHERS = ["consumption", " ai_note_created ", "task_assigned", "dws_completed", "ai_dws_completed", "", " "]
EVENT = {"event_type": "consumption", "site_id": 1001, "member_id": 5}


def jobs(gateway) -> int:
    return gateway.value("select count(*) from biz.ai_trigger_jobs")


def test_whatever_sql_sends_to_every_site_is_known_to_reach_every_site(gateway):
    """Two rules, held together: what `fire_ai_event` does, and what the gateway asks before it sends."""
    asked = [*SPELLINGS, *OTHERS, "ai_dws_prewarm\x00", "x" + PREWARM]
    for sent in asked:
        with gateway.engine.connect() as connection:
            before = connection.execute(text("select count(*) from biz.ai_trigger_jobs")).scalar_one()
            inbox.fire(connection, sent, site_id=1001)
            made = connection.execute(text("select count(*) from biz.ai_trigger_jobs")).scalar_one() - before
            known = inbox.reaches_all_sites(connection, [sent])[sent]
            connection.rollback()
        assert known or made == 1, sent
        assert not known or sent not in OTHERS, sent


def test_an_event_for_every_site_needs_a_token_for_all_whatever_its_spelling_and_site(gateway):
    token = gateway.token("operate", (1001,))
    for sent in SPELLINGS:
        for event in ({"event_type": sent}, {"event_type": sent, "site_id": 1001}):
            for body in (event, [event], [EVENT, event]):
                assert (gateway.post("/events", body, token=token).kind, sent) == ("wrong-site", sent)
    assert jobs(gateway) == 0


def test_a_token_for_all_sites_may_send_it_and_one_for_a_site_may_send_that_sites(gateway):
    sent = gateway.post("/events", {"event_type": PREWARM}, token=gateway.token("send"))
    assert sent.body["status"] == "completed"
    own = {"event_type": " ai_dws_completed", "site_id": 1002}
    assert gateway.post("/events", own, token=gateway.token("send", (1002,))).status == 202


@pytest.mark.parametrize("number", [1002, 1002.0, "1002", " 01002.0 "])
def test_a_site_in_the_payload_is_judged_as_the_site_that_the_event_becomes(gateway, number):
    event = {"event_type": "consumption", "payload": {"site_id": number, "member_id": 5}}
    other, own = gateway.token("operate", (1001,)), gateway.token("send", (1002,))
    for body in (event, [event], [EVENT, event]):
        assert gateway.post("/events", body, token=other).kind == "wrong-site"
    assert jobs(gateway) == 0
    sent = gateway.post("/events", event, token=own)
    assert sent.body["status"] == "pending"
    assert gateway.get(f"/events/{sent.body['id']}").body["site_id"] == 1002


@pytest.mark.parametrize(
    "number", ["abc", 7.5, 0, -1, True, None, [1001], 2**63, "１００１", 9007199254740993.0]
)
def test_a_payload_without_a_usable_site_needs_a_token_for_all_sites(gateway, number):
    event = {"event_type": "consumption", "payload": {"site_id": number, "member_id": 5}}
    assert gateway.post("/events", event, token=gateway.token("operate", (1001,))).kind == "wrong-site"
    assert gateway.post("/events", event, token=gateway.token("send")).body["status"] == "failed"


def test_the_site_that_was_checked_goes_before_the_payloads(gateway):
    event = {**EVENT, "payload": {"site_id": 1002}}
    sent = gateway.post("/events", event, token=gateway.token("send", (1001,)))
    assert gateway.get(f"/events/{sent.body['id']}").body["site_id"] == 1001


def test_a_consumption_without_a_member_is_answered_as_ignored(gateway):
    sent = gateway.post("/events", {"event_type": "consumption", "site_id": 1001})
    assert (sent.status, sent.body["status"], sent.body["error"]) == (202, "ignored", None)


@pytest.mark.parametrize("sites", [None, (1001, 1002)])
def test_a_forced_event_needs_the_role_operate_alone_or_in_a_batch(gateway, sites):
    forced = {**EVENT, "is_forced": True}
    for body in (
        forced,
        [EVENT, forced],
        {"event_type": "dws_completed", "site_id": 1001, "is_forced": True},
    ):
        assert gateway.post("/events", body, token=gateway.token("send", sites)).kind == "wrong-role"
    assert jobs(gateway) == 0
    assert gateway.post("/events", forced, token=gateway.token("operate", sites)).status == 202


def test_the_word_forced_within_a_payload_forces_nothing(gateway):
    token = gateway.token("send")
    for key in ("is_forced", "forced"):
        sent = gateway.post("/events", {**EVENT, "payload": {key: True}}, token=token)
        assert gateway.get(f"/events/{sent.body['id']}").body["is_forced"] is False


def test_an_idempotency_key_opens_no_way_round_the_checks(gateway):
    key = {"Idempotency-Key": "k"}
    event = {"event_type": PREWARM, "site_id": 1001}
    all_sites, one_site = gateway.token("operate"), gateway.token("operate", (1001,))
    first = gateway.post("/events", event, token=all_sites, headers=key)
    assert first.status == 202
    assert gateway.post("/events", event, token=one_site, headers=key).kind == "wrong-site"
    # the refusal has taken no key: it is free for what this token may send
    assert gateway.post("/events", EVENT, token=one_site, headers=key).status == 202


@pytest.mark.parametrize("site", [None, 1001])
def test_what_a_prewarm_became_is_shown_to_a_token_for_all_sites_alone(gateway, site):
    with gateway.engine.begin() as connection:
        job = inbox.fire(connection, PREWARM, site_id=site)
    shown = gateway.get(f"/events/{job}", token=gateway.token("read"))
    assert {step["site_id"] for step in shown.body["step_results"]} == {1001, 1002}
    hidden = gateway.get(f"/events/{job}", token=gateway.token("operate", (1001,)))
    assert hidden.kind == "not-found"
    # its own site's event it may follow, as before
    own = next(step["trigger_job_id"] for step in shown.body["step_results"] if step["site_id"] == 1001)
    assert gateway.get(f"/events/{own}", token=gateway.token("read", (1001,))).status == 200


def test_a_refusal_does_not_tell_whether_a_site_exists(gateway):
    token = gateway.token("operate", (1001,))
    there, not_there = (
        gateway.post("/events", {**EVENT, "site_id": site}, token=token).body for site in (1002, 999)
    )
    assert there == {**not_there, "detail": not_there["detail"].replace("999", "1002")}
