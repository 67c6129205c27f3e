"""Who may come in: tokens missing, wrong, revoked, expired, of another site, of too small a role."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text
from websockets.exceptions import InvalidStatus

from ai_assets.store import tokens

EVENT = {"event_type": "consumption", "site_id": 1001, "member_id": 5}
RUN = {"site_id": 1001, "member_id": 5}
OPEN = {"/healthz", "/readyz", "/metrics"}

READS = (
    "/sites/1001/alerts",
    "/sites/1001/clues/5",
    "/sites/1001/cache/app3_clue/555",
)


def filled(path: str) -> str:
    values = {"job_id": "1", "run_id": "1", "site_id": "1001", "member_id": "5", "cache_type": "app3_clue"}
    for name, value in {**values, "target_id": "555"}.items():
        path = path.replace("{" + name + "}", value)
    return path


def test_every_address_but_the_health_ones_needs_a_token(gateway):
    asked = 0
    for path, methods in gateway.get("/openapi.json", token=None).body["paths"].items():
        for method in methods:
            if path not in OPEN:
                answer = gateway.ask(method.upper(), filled(path), token=None, json={})
                assert (path, answer.status, answer.kind) == (path, 401, "wrong-token")
                assert answer.headers["www-authenticate"] == "Bearer"
                asked += 1
    assert asked == 18


def test_an_address_that_is_not_there_needs_one_too(gateway):
    assert gateway.get("/nothing", token=None).status == 401
    assert gateway.get("/nothing").kind == "not-found"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "aia_1_",
        "aia_0_" + "a" * 43,
        "aia_1_" + "a" * 43,
        "aia_99999999999999999999_" + "a" * 43,
        "aia_1_" + "a" * 44,
        "AIA_1_" + "a" * 43,
        "字",
    ],
)
def test_a_wrong_token_is_401_and_not_said_why(gateway, wrong):
    gateway.token()
    answer = gateway.get(READS[0], token=None, headers={"Authorization": f"Bearer {wrong}".encode()})
    assert (answer.status, answer.kind) == (401, "wrong-token")


def test_another_tokens_secret_does_not_fit(gateway):
    first, second = gateway.token("read"), gateway.token("send")
    swapped = "_".join([*first.split("_", 2)[:2], second.split("_", 2)[2]])
    assert gateway.get(READS[0], token=first).status == 200
    assert gateway.get(READS[0], token=swapped).status == 401


def test_other_schemes_are_no_token(gateway):
    for scheme in ("Basic", "Token", ""):
        answer = gateway.get(
            READS[0], token=None, headers={"Authorization": f"{scheme} {gateway.token()}".strip()}
        )
        assert answer.status == 401
    assert (
        gateway.get(READS[0], token=None, headers={"Authorization": f"bearer {gateway.token()}"}).status
        == 200
    )


def test_a_token_that_was_just_made_works_at_once(gateway):
    assert gateway.get(READS[0]).status == 200
    # known tokens are held in memory: an unknown one has them read again
    assert gateway.get(READS[0], token=gateway.token("read", days=1)).status == 200


def test_a_revoked_token_opens_nothing_after_three_seconds(gateway):
    token = gateway.token("read")
    assert gateway.get(READS[0], token=token).status == 200
    with gateway.engine.begin() as connection:
        assert tokens.revoke(connection, tokens.id_in(token))
    ends = time.monotonic() + 3.5
    while gateway.get(READS[0], token=token).status == 200:
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert gateway.get(READS[0], token=token).kind == "wrong-token"


def test_an_expired_token_opens_nothing(gateway):
    token = gateway.token("read", days=1)
    with gateway.engine.begin() as connection:
        connection.execute(text("update biz.ai_tokens set expires_at = clock_timestamp() - interval '1 s'"))
    assert gateway.get(READS[0], token=token).status == 401


@pytest.mark.parametrize(
    ("role", "may_send", "may_run"), [("read", False, False), ("send", True, False), ("operate", True, True)]
)
def test_a_role_may_what_those_before_it_may(gateway, role, may_send, may_run):
    token = gateway.token(role)
    for path in READS[:2]:
        assert gateway.get(path, token=token).status == 200
    sent = gateway.post("/events", EVENT, token=token)
    ran = gateway.post("/apps/app3_clue/run", RUN, token=token)
    assert (sent.status, ran.status != 403) == (202 if may_send else 403, may_run)
    if not may_send:
        assert sent.kind == "wrong-role"
        assert gateway.value("select count(*) from biz.ai_trigger_jobs") == 0
    if not may_run:
        assert ran.kind == "wrong-role"


def test_one_sites_token_never_sees_or_writes_anothers(gateway):
    gateway.cached()
    job = gateway.post("/events", EVENT).body["id"]
    token = gateway.token("operate", (1002, 1003))
    for path in READS:
        assert gateway.get(path, token=token).kind == "wrong-site"
        assert gateway.get(path, token=gateway.token("read", (1001,))).status == 200
    # whether there is such an event is nobody's to know
    assert gateway.get(f"/events/{job}", token=token).body == {
        **gateway.get("/events/999", token=token).body,
        "detail": f"there is no event {job} that this token may see",
    }
    assert gateway.get(f"/events/{job}", token=gateway.token("read", (1001,))).status == 200
    assert gateway.post("/events", EVENT, token=token).kind == "wrong-site"
    assert gateway.post("/events", [{**EVENT, "site_id": 1002}, EVENT], token=token).kind == "wrong-site"
    assert gateway.post("/apps/app3_clue/run", RUN, token=token).kind == "wrong-site"
    for path in ("/ws/ai-alerts/1001", "/ws/ai-cache/1001"):
        with pytest.raises(InvalidStatus) as refused:
            gateway.socket(path, token=token)
        assert refused.value.response.status_code == 403
    # of the two in one batch none was taken in
    assert gateway.value("select count(*) from biz.ai_trigger_jobs") == 1


def test_an_event_of_no_single_site_needs_a_token_for_all(gateway):
    event = {"event_type": "ai_dws_prewarm"}
    assert gateway.post("/events", event, token=gateway.token("send", (1001, 1002))).kind == "wrong-site"
    job = gateway.post("/events", event).body
    assert job["status"] == "completed"
    assert gateway.get(f"/events/{job['id']}", token=gateway.token("send", (1001,))).status == 404
    assert gateway.get(f"/events/{job['id']}").body["site_id"] is None


def test_of_a_token_nothing_is_kept_but_a_hash(gateway):
    secret = gateway.token("read").split("_", 2)[2]
    row = gateway.value("select to_jsonb(t)::text || encode(hash, 'escape') from biz.ai_tokens t")
    assert secret not in row
    assert gateway.value("select octet_length(hash) from biz.ai_tokens") == 32


def test_tokens_are_compared_in_constant_time_also_where_there_is_none(monkeypatch):
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(tokens.hmac, "compare_digest", compare)
    assert not tokens.fits("aia_1_" + "a" * 43, None)
    assert not tokens.fits("nonsense", None)
    assert compared == [(32, 32), (32, 32)]


def test_a_browsers_socket_brings_its_token_as_a_subprotocol(gateway):
    named = ["ai-assets", f"bearer.{gateway.token('read', (1001,))}"]
    with gateway.socket("/ws/ai-alerts/1001", token=None, subprotocols=named) as socket:
        # the token itself is not sent back
        assert socket.subprotocol == "ai-assets"
        assert gateway.heard(socket)["type"] == "ready"
    with pytest.raises(InvalidStatus) as refused:
        gateway.socket("/ws/ai-alerts/1002", token=None, subprotocols=named)
    assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        gateway.socket("/ws/ai-alerts/1001", token=None, subprotocols=["ai-assets", "bearer.aia_1_x"])
    assert refused.value.response.status_code == 401


def test_the_answer_to_a_wrong_token_does_not_quote_it(gateway):
    wrong = "aia_1_" + "q" * 43
    assert "q" * 43 not in str(gateway.get(READS[0], token=wrong).body)
