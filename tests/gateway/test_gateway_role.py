"""A gateway with the rights of the role `ai_gateway` and no others."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from ai_assets.gateway.runs import BODIES
from ai_assets.store.roles import GATEWAY, grant_roles

ABOUT = {
    "member_id": 555,
    "assistant_id": 7,
    "time": "this_month",
    "area": "hallA",
    "note_content": "喜欢靠窗的台子",
}


def test_the_role_of_the_gateway_is_enough_for_all_that_it_serves(
    venue_url, simulator, start_gateway, app_settings, new_login
):
    admin = create_engine(venue_url)
    with admin.begin() as connection:
        grant_roles(connection)
    admin.dispose()
    url = new_login(venue_url, GATEWAY)
    settings = {"DASHSCOPE_BASE_URL": simulator.base_url, **app_settings}
    gateway = start_gateway(url, tokens_url=venue_url, **settings)
    try:
        while gateway.get("/readyz", token=None).status != 200:
            pass
        event = {"event_type": "consumption", "site_id": 1001, "member_id": 555}
        for key in ({}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}):
            assert (
                gateway.post("/events", [event, {"event_type": "ai_dws_prewarm"}], headers=key).status == 202
            )
        sent = gateway.post("/events", {**event, "is_forced": True})
        assert gateway.get(f"/events/{sent.body['id']}").body["status"] == "pending"
        with gateway.socket("/ws/ai-cache/1001") as news:
            assert gateway.heard(news)["type"] == "ready"
            for app, body in BODIES.items():
                about = {**ABOUT, "area": "all"} if app == "app2_finance" else ABOUT
                given = {name: value for name, value in about.items() if name in body.model_fields}
                ran = gateway.post(f"/apps/{app}/run?wait=60", {"site_id": 1001, **given})
                assert (app, ran.status, ran.body["status"], ran.body["reason"]) == (
                    app,
                    200,
                    "success",
                    None,
                )
            assert gateway.heard(news)["type"] == "cache_updated"
        # a call that is refused raises an alert, and a failure counts for the breaker
        simulator.configure(fail=1.0)
        ran = gateway.post("/apps/app3_clue/run?wait=60", {"site_id": 1001, "member_id": 555})
        assert ran.body["status"] == "failed"
        assert gateway.get("/sites/1001/alerts").body["alerts"]
        assert gateway.get("/sites/1001/cache/app3_clue/555?history=3").status == 200
        assert gateway.get("/sites/1001/clues/555").body["clues"]
        with gateway.engine.connect() as connection:
            users = connection.execute(
                text(
                    "select distinct usename from pg_stat_activity where datname = current_database()"
                    " and application_name in ('ai_assets gateway', 'ai_assets listen')"
                )
            ).scalars()
            assert all(user.startswith("login_") for user in users)
    finally:
        gateway.stop()
