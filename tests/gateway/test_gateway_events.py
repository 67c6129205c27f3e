"""Events over HTTP: one and many, once for each key, in one transaction, what became of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ai_assets.store import inbox

EVENT = {"event_type": "consumption", "site_id": 1001, "member_id": 5}


def jobs(gateway) -> int:
    return gateway.value("select count(*) from biz.ai_trigger_jobs")


def test_an_event_is_taken_in_as_the_functions_own(gateway):
    sent = gateway.post(
        "/events",
        {
            **EVENT,
            "payload": {"has_assistant": True, "assistant_id": 7, "字": "\x00"},
            "is_forced": True,
            "connector_type": "pos",
        },
    )
    assert (sent.status, sent.body) == (
        202,
        {"id": 1, "status": "pending", "duplicate_of": None, "error": None},
    )
    with gateway.engine.connect() as connection:
        job = inbox.job(connection, 1)
    assert (job.event_type, job.site_id, job.member_id, job.is_forced) == ("consumption", 1001, 5, True)
    assert job.app_chain == "app3→app8→app7→app4→app5"
    assert job.payload["字"] == "\N{REPLACEMENT CHARACTER}"
    assert gateway.value("select connector_type from biz.ai_trigger_jobs") == "pos"


def test_what_became_of_an_event_can_be_asked_for(gateway):
    job_id = gateway.post("/events", EVENT).body["id"]
    found = gateway.get(f"/events/{job_id}")
    assert found.status == 200
    assert found.body["status"] == "pending"
    assert found.body["created_at"].endswith("+00:00")
    assert "payload" not in found.body
    assert gateway.get("/events/999").kind == "not-found"


def test_a_repetition_is_a_duplicate_and_what_cannot_run_says_why(gateway):
    first = gateway.post("/events", EVENT).body["id"]
    assert gateway.post("/events", EVENT).body == {
        "id": first + 1,
        "status": "duplicate",
        "duplicate_of": first,
        "error": None,
    }
    for wrong, said in (
        ({**EVENT, "event_type": "nonsense"}, "unknown event type"),
        ({"event_type": "note_created", "site_id": 1001}, "without a member"),
        ({**EVENT, "site_id": 77}, "not in biz.sites"),
        ({**EVENT, "payload": {"occurred_at": "2999-01-01"}}, "a day ahead"),
    ):
        became = gateway.post("/events", wrong)
        assert (became.status, became.body["status"]) == (202, "failed")
        assert said in became.body["error"]


def test_a_batch_becomes_what_its_events_become_in_their_order(gateway):
    batch = [
        {**EVENT, "member_id": 9},
        {**EVENT, "site_id": 1002},
        {"event_type": "nonsense", "site_id": 1001},
        EVENT,
        {**EVENT, "member_id": 9},
    ]
    answered = gateway.post("/events", batch)
    assert answered.status == 202
    became = answered.body["events"]
    assert [one["status"] for one in became] == ["pending", "pending", "failed", "pending", "duplicate"]
    assert became[4]["duplicate_of"] == became[0]["id"]
    for one, sent in zip(became, batch, strict=True):
        job = gateway.get(f"/events/{one['id']}").body
        assert (job["site_id"], job["member_id"]) == (sent["site_id"], sent.get("member_id"))


def test_one_members_events_of_a_batch_keep_their_order(gateway):
    notes = [
        {"event_type": "note_created", "site_id": 1001, "member_id": 5, "payload": {"note_content": str(n)}}
        for n in range(50)
    ]
    ids = [one["id"] for one in gateway.post("/events", notes).body["events"]]
    assert ids == sorted(ids)


def test_the_same_key_with_the_same_body_gives_the_same_ids(gateway):
    for body in (EVENT, [EVENT, {**EVENT, "member_id": 6}]):
        key = {"Idempotency-Key": f"order-{type(body).__name__}"}
        first = gateway.post("/events", body, headers=key)
        before = jobs(gateway)
        # the order of an object's keys is no difference
        again = [dict(reversed(one.items())) for one in body] if isinstance(body, list) else body
        second = gateway.post("/events", again, headers=key)
        assert first.status == second.status == 202
        assert first.body == second.body
        assert jobs(gateway) == before


def test_the_same_key_with_another_body_is_409_and_sends_nothing(gateway):
    key = {"Idempotency-Key": "k"}
    gateway.post("/events", EVENT, headers=key)
    for other in ({**EVENT, "member_id": 6}, [EVENT], {**EVENT, "is_forced": True}):
        answer = gateway.post("/events", other, headers=key)
        assert (answer.status, answer.kind) == (409, "idempotency-key-reused")
    assert jobs(gateway) == 1
    # another token's keys are its own
    assert (
        gateway.post("/events", EVENT, headers=key, token=gateway.token("send")).body["status"] == "duplicate"
    )


def test_a_key_that_is_sent_many_times_at_once_is_taken_in_once(gateway):
    forced = {**EVENT, "is_forced": True}
    token = gateway.token()
    key = {"Idempotency-Key": "k"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: gateway.post("/events", forced, token=token, headers=key), range(24))
        )
    assert {answer.status for answer in answers} == {202}
    assert {answer.body["id"] for answer in answers} == {1}
    assert jobs(gateway) == 1


def test_a_key_whose_events_were_rolled_back_is_free_again(gateway):
    with gateway.engine.begin() as connection:
        connection.execute(text("alter table biz.ai_trigger_jobs rename to away"))
    key = {"Idempotency-Key": "k"}
    assert gateway.post("/events", EVENT, headers=key).status == 500
    with gateway.engine.begin() as connection:
        connection.execute(text("alter table biz.away rename to ai_trigger_jobs"))
    assert gateway.post("/events", EVENT, headers=key).body["status"] == "pending"


def test_an_event_that_must_wait_for_anothers_transaction_holds_up_none_that_came_with_it(gateway):
    token = gateway.token()
    with gateway.engine.begin() as connection, ThreadPoolExecutor(12) as pool:
        # a backend in the middle of its own transaction has sent the event of member 5
        inbox.fire(connection, "consumption", site_id=1001, member_id=5)
        blocked = pool.submit(gateway.post, "/events", EVENT, token=token)
        others = [
            pool.submit(gateway.post, "/events", {**EVENT, "member_id": n}, token=token) for n in range(6, 16)
        ]
        assert [other.result(5).body["status"] for other in others] == ["pending"] * 10
        assert not blocked.done()
        connection.commit()
        assert blocked.result(10).body["status"] == "duplicate"


def test_single_events_that_come_at_once_become_what_they_would_alone(gateway):
    token = gateway.token()
    members = [1 + n % 20 for n in range(60)]
    with ThreadPoolExecutor(30) as pool:
        became = list(
            pool.map(
                lambda member: gateway.post("/events", {**EVENT, "member_id": member}, token=token), members
            )
        )
    assert {answer.status for answer in became} == {202}
    pending = {m: a.body["id"] for m, a in zip(members, became, strict=True) if a.body["status"] == "pending"}
    assert sorted(pending) == list(range(1, 21))
    for member, answer in zip(members, became, strict=True):
        assert gateway.get(f"/events/{answer.body['id']}", token=token).body["member_id"] == member
        assert answer.body["duplicate_of"] in (None, pending[member])


def test_batches_that_wait_for_each_other_are_all_taken_in(gateway):
    # the same events in opposite orders of type: the order of sites and members does not tell them apart
    task = {"event_type": "task_assigned", "payload": {"assistant_id": 7}}
    one = [{**EVENT, "member_id": n // 2 + 1, **(task if n % 2 else {})} for n in range(60)]
    other = [{**EVENT, "member_id": n // 2 + 1, **({} if n % 2 else task)} for n in range(60)]
    token = gateway.token()
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: gateway.post("/events", other if n % 2 else one, token=token), range(12))
        )
    assert {answer.status for answer in answers} == {202}
    assert gateway.value("select count(*) from biz.ai_trigger_jobs where status = 'pending'") == 60
    assert jobs(gateway) == 720


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"event_type": "consumption", "site_id": "1001"}, "body.site_id"),
        ({"event_type": "consumption", "site_id": 1001.5}, "body.site_id"),
        ({"event_type": "consumption", "site_id": 1e300}, "body.site_id"),
        ({"event_type": "consumption", "site_id": True}, "body.site_id"),
        ({"event_type": "consumption", "site_id": 2**63}, "body.site_id"),
        ({"event_type": "consumption", "site_id": 0}, "body.site_id"),
        ({"site_id": 1001}, "body.event_type"),
        ({"event_type": ""}, "body.event_type"),
        ({**EVENT, "payload": []}, "body.payload"),
        ({**EVENT, "is_forced": "no"}, "body.is_forced"),
        ({**EVENT, "memberid": 5}, "body.memberid"),
        ([EVENT, {**EVENT, "member_id": -1}], "body.1.member_id"),
        ([], "body"),
        ([EVENT] * 501, "body"),
        ("text", "body"),
        (None, "body"),
        (7, "body"),
    ],
)
def test_a_body_of_another_form_is_422_says_where_and_sends_nothing(gateway, body, where):
    answer = gateway.post("/events", body)
    assert (answer.status, answer.kind) == (422, "bad-input")
    assert answer.body["faults"][0]["where"] == where
    assert jobs(gateway) == 0


@pytest.mark.parametrize("key", ["", "a b", "字".encode(), "k" * 256])
def test_a_key_of_another_form_is_422(gateway, key):
    assert gateway.post("/events", EVENT, headers={"Idempotency-Key": key}).kind == "bad-input"
    assert jobs(gateway) == 0
