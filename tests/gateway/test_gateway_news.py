"""News on WebSockets: in the order of the commits, nothing missed, nothing twice, whatever happens in between."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ai_assets.gateway import hub, sockets
from ai_assets.gateway.hub import Ring, Told
from ai_assets.store import news, tokens
from ai_assets.store.listen import Listening

ALERTS = "/ws/ai-alerts/1001"


def test_an_alert_is_told_with_all_of_it(gateway):
    with gateway.socket(ALERTS) as socket:
        assert gateway.heard(socket) == {"type": "ready", "since": 0}
        gateway.alert("坏了")
        news = gateway.heard(socket)
    assert news == {
        "id": 1,
        "type": "alert_created",
        "alert_id": 1,
        "site_id": 1001,
        "app_type": "app3_clue",
        "alert_type": "failed",
        "message": "坏了",
        "log_id": 5,
        "created_at": news["created_at"],
    }


def test_cache_news_are_told_on_their_own_socket(gateway):
    with gateway.socket("/ws/ai-cache/1001") as socket:
        assert gateway.heard(socket)["type"] == "ready"
        gateway.alert("of no matter here")
        cache_id = gateway.cached("7_555")
        news = gateway.heard(socket)
    assert (news["type"], news["cache_id"], news["cache_type"], news["target_id"], news["triggered_by"]) == (
        "cache_updated",
        cache_id,
        "app3_clue",
        "7_555",
        "consumption",
    )


BOTH = f"{ALERTS}?types=alert_created,cache_updated"


def test_one_socket_sends_both_types_in_the_order_of_the_commits_when_asked(gateway):
    with gateway.socket(BOTH) as socket:
        gateway.heard(socket)
        gateway.alert("first")
        gateway.cached("555")
        gateway.alert("every", None)
        gateway.cached("556")
        heard = [gateway.heard(socket) for _ in range(4)]
    assert [(news["id"], news["type"]) for news in heard] == [
        (1, "alert_created"),
        (2, "cache_updated"),
        (3, "alert_created"),
        (4, "cache_updated"),
    ]


def test_since_gives_both_types_once_across_pages_and_a_socket_of_one_type_only_its_own(gateway, monkeypatch):
    monkeypatch.setattr(hub, "PAGE", 3)
    for number in range(8):
        gateway.alert(str(number), 1001 if number % 2 else None)
        gateway.cached("of another site", 1002, run_log=number)
        gateway.cached(run_log=number)
    with gateway.socket(f"{BOTH}&since=3") as socket, gateway.socket(f"{ALERTS}?since=3") as alerts:
        assert gateway.heard(socket) == gateway.heard(alerts)
        gateway.alert("live")
        heard = [gateway.heard(socket) for _ in range(15)]
        of_alerts = [gateway.heard(alerts) for _ in range(8)]
    assert [news["id"] for news in heard] == [number for number in range(4, 26) if number % 3 != 2]
    assert {news["type"] for news in of_alerts} == {"alert_created"}
    assert [news["id"] for news in of_alerts] == [*range(4, 25, 3), 25]


def test_in_the_envelope_each_message_is_type_site_and_payload(gateway, monkeypatch):
    monkeypatch.setattr(sockets, "ALIVE_S", 0.1)
    monkeypatch.setattr(sockets, "_LOOK_S", 0.1)
    with gateway.socket(f"{BOTH}&envelope=1") as socket, gateway.socket(BOTH) as flat:
        assert gateway.heard(socket) == {"type": "ready", "site_id": 1001, "payload": {"since": 0}}
        assert gateway.heard(flat)["type"] == "ready"
        for send in (gateway.alert, gateway.cached):
            send()
            # a slow machine may have had time for an `alive` in between
            while (told := gateway.heard(socket))["type"] == "alive":
                pass
            while (plain := gateway.heard(flat))["type"] == "alive":
                pass
            assert told == {"type": plain.pop("type"), "site_id": 1001, "payload": plain}
        while (alive := gateway.heard(socket))["type"] != "alive":
            pass
        assert alive == {"type": "alive", "site_id": 1001, "payload": {"since": 2}}


def test_in_the_envelope_what_concerns_every_site_names_the_sockets_site(gateway):
    with (
        gateway.socket(f"{ALERTS}?envelope=1") as socket,
        gateway.socket("/ws/ai-alerts/1002?envelope=1") as other,
    ):
        gateway.heard(socket), gateway.heard(other)
        gateway.alert("every", None)
        for one, site in ((socket, 1001), (other, 1002)):
            told = gateway.heard(one)
            assert (told["site_id"], told["payload"]["site_id"], told["payload"]["message"]) == (
                site,
                None,
                "every",
            )


def test_the_setting_makes_the_envelope_the_default_and_the_address_goes_before_it(
    database_url, start_gateway
):
    gateway = start_gateway(database_url, AI_GATEWAY_ENVELOPE=True)
    for query, ready in (("", {"site_id": 1001, "payload": {"since": 0}}), ("?envelope=0", {"since": 0})):
        with gateway.socket(f"{ALERTS}{query}") as socket:
            assert gateway.heard(socket) == {"type": "ready", **ready}


def test_a_reused_answer_is_a_cache_update_live_and_after_a_reconnect(gateway):
    cached = gateway.cached()
    with gateway.socket(f"{BOTH}&since=1") as socket:
        gateway.heard(socket)
        news.report_reused(gateway.engine, cached, "admin_manual")
        live = gateway.heard(socket)
    assert (live["id"], live["type"], live["cache_id"]) == (2, "cache_updated", cached)
    assert (live["triggered_by"], live["reused"]) == ("admin_manual", True)
    with gateway.socket("/ws/ai-cache/1001?since=0") as socket:
        gateway.heard(socket)
        made, reused = gateway.heard(socket), gateway.heard(socket)
    assert "reused" not in made
    assert reused == live
    assert made["created_at"] == reused["created_at"]


def test_a_site_is_told_of_itself_and_of_what_concerns_every_site(gateway):
    with gateway.socket(ALERTS) as socket, gateway.socket("/ws/ai-alerts/1002") as other:
        assert gateway.heard(socket) == gateway.heard(other)
        for message, site in (("first", 1002), ("every", None), ("last", 1001), ("last", 1002)):
            gateway.alert(message, site)
        assert [gateway.heard(socket)["message"] for _ in range(2)] == ["every", "last"]
        assert [gateway.heard(other)["message"] for _ in range(3)] == ["first", "every", "last"]


def test_without_since_only_what_comes_later_is_told(gateway):
    gateway.alert("before")
    while gateway.parts.hub.position != 1:
        time.sleep(0.01)
    with gateway.socket(ALERTS) as socket:
        assert gateway.heard(socket) == {"type": "ready", "since": 1}
        gateway.alert("after")
        assert gateway.heard(socket)["message"] == "after"


def test_since_gives_each_thing_above_it_once_across_pages(gateway, monkeypatch):
    monkeypatch.setattr(hub, "PAGE", 7)
    for number in range(40):
        gateway.alert(str(number), 1001 if number % 2 else None)
    with gateway.socket(f"{ALERTS}?since=10") as socket:
        assert gateway.heard(socket) == {"type": "ready", "since": 10, "complete": True}
        gateway.alert("live")
        told = [gateway.heard(socket) for _ in range(31)]
    assert [news["id"] for news in told] == list(range(11, 42))
    assert told[-1]["message"] == "live"


def test_what_is_committed_later_has_the_higher_id_though_it_was_inserted_first(gateway):
    insert = text(
        "insert into biz.ai_alerts (site_id, alert_type, message) values (1001, 'failed', :message) returning id"
    )
    with gateway.socket(ALERTS) as socket, gateway.engine.connect() as slow:
        gateway.heard(socket)
        first = slow.execute(insert, {"message": "inserted first"}).scalar_one()
        gateway.alert("committed first")
        news = gateway.heard(socket)
        assert (news["message"], news["alert_id"] > first) == ("committed first", True)
        # whoever comes again now, with the newest id there is, must not miss the older alert
        with gateway.socket(f"{ALERTS}?since={news['id']}") as again:
            gateway.heard(again)
            slow.commit()
            for one in (socket, again):
                late = gateway.heard(one)
                assert (late["message"], late["id"] > news["id"]) == ("inserted first", True)


def test_under_many_commits_at_once_a_socket_that_keeps_coming_back_hears_each_once(gateway):
    writers, each = 6, 40
    begin = threading.Barrier(writers)

    def write(number: int) -> None:
        with gateway.engine.connect() as connection:
            begin.wait(30)
            for turn in range(each):
                connection.execute(
                    text(
                        "insert into biz.ai_alerts (site_id, alert_type, message) values (1001, 'failed', :m)"
                    ),
                    {"m": f"{number}.{turn}"},
                )
                # ids are taken in one order and committed in another
                connection.execute(text("select pg_sleep(random() * 0.004)"))
                connection.commit()

    token = gateway.token()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    told: list[str] = []
    since = 0
    while len(told) < writers * each:
        with gateway.socket(f"{ALERTS}?since={since}", token=token) as socket:
            assert gateway.heard(socket)["complete"]
            for _ in range(min(17, writers * each - len(told))):
                news = gateway.heard(socket)
                assert news["id"] > since
                since = news["id"]
                told.append(news["message"])
    for thread in threads:
        thread.join(30)
    assert len(set(told)) == writers * each


def test_nothing_is_missed_or_twice_while_postgres_is_away(database_url, start_gateway):
    proxy = cutting_proxy(database_url)
    try:
        gateway = start_gateway(proxy.url, tokens_url=database_url)
        with gateway.socket(ALERTS) as socket:
            gateway.heard(socket)
            gateway.alert("before")
            assert gateway.heard(socket)["message"] == "before"
            proxy.take_down()
            # committed while the gateway hears and sees nothing
            for number in range(3):
                gateway.alert(f"meanwhile {number}")
            ends = time.monotonic() + 20
            while gateway.get("/readyz", token=None).status != 503:
                assert time.monotonic() < ends
                time.sleep(0.05)
            assert gateway.get("/healthz", token=None).status == 200
            proxy.bring_back()
            assert [gateway.heard(socket)["message"] for _ in range(3)] == [
                f"meanwhile {n}" for n in range(3)
            ]
            gateway.alert("after")
            assert gateway.heard(socket)["message"] == "after"
            ends = time.monotonic() + 20
            while gateway.get("/readyz", token=None).status != 200:
                assert time.monotonic() < ends
                time.sleep(0.05)
    finally:
        proxy.close()


def cutting_proxy(url: str):
    path = Path(__file__).parents[1] / "chains" / "cutting_proxy.py"
    spec = importlib.util.spec_from_file_location("cutting_proxy_of_gateway", path)
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.CuttingProxy(url)


def test_an_ended_listener_costs_no_news(gateway):
    with gateway.socket(ALERTS) as socket:
        gateway.heard(socket)
        for number in range(3):
            ended = gateway.value(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = current_database() and application_name = 'ai_assets listen'"
            )
            gateway.alert(str(number))
            assert gateway.heard(socket)["message"] == str(number)
    assert ended <= 1


def test_a_since_of_another_time_is_said_to_be_not_complete_and_goes_on_from_the_newest(gateway):
    gateway.alert()
    with gateway.socket(f"{ALERTS}?since=1000") as socket:
        assert gateway.heard(socket) == {"type": "ready", "since": 1, "complete": False}
        gateway.alert("next")
        assert gateway.heard(socket)["id"] == 2


def test_a_since_before_what_is_kept_is_said_to_be_not_complete(gateway):
    for _ in range(3):
        gateway.alert()
    with gateway.engine.begin() as connection:
        connection.execute(text("delete from biz.ai_news where id < 3"))
    for since, complete in ((0, False), (1, False), (2, True), (3, True)):
        with gateway.socket(f"{ALERTS}?since={since}") as socket:
            assert gateway.heard(socket) == {"type": "ready", "since": since, "complete": complete}


@pytest.mark.parametrize(
    "path",
    ["/ws/ai-alerts/0", "/ws/ai-alerts/x", f"{ALERTS}?since=-1", f"{ALERTS}?since=1e3"]
    + [
        f"{ALERTS}?{query}"
        for query in ("types=", "types=cache_updated,x", "types=all", "envelope=", "envelope=yes")
    ],
)
def test_a_part_of_the_address_of_another_form_is_422(gateway, path):
    with pytest.raises(InvalidStatus) as refused:
        gateway.socket(path)
    assert refused.value.response.status_code == 422
    assert refused.value.response.headers["content-type"] == "application/problem+json"


def test_a_socket_that_hears_nothing_is_told_its_position(gateway, monkeypatch):
    monkeypatch.setattr(sockets, "ALIVE_S", 0.1)
    monkeypatch.setattr(sockets, "_LOOK_S", 0.1)
    with gateway.socket(ALERTS) as socket:
        gateway.heard(socket)
        gateway.alert("of another site", 1002)
        while (word := gateway.heard(socket))["since"] == 0:
            pass
        assert word == {"type": "alive", "since": 1}


def test_the_socket_of_a_revoked_token_is_ended(gateway, monkeypatch):
    monkeypatch.setattr(sockets, "_LOOK_S", 0.2)
    token = gateway.token("read")
    with gateway.socket(ALERTS, token=token) as socket:
        gateway.heard(socket)
        with gateway.engine.begin() as connection:
            tokens.revoke(connection, tokens.id_in(token))
        with pytest.raises(ConnectionClosed) as ended:
            gateway.heard(socket, 10)
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "wrong-token")


def test_a_notification_that_never_comes_is_made_up_for_by_looking(gateway, monkeypatch):
    with gateway.socket(ALERTS) as socket:
        gateway.heard(socket)
        with gateway.engine.begin() as connection:
            connection.execute(text("alter table biz.ai_alerts disable trigger ai_alerts_tell"))
        gateway.alert("untold")
        assert gateway.heard(socket)["message"] == "untold"


def test_trouble_with_news_fails_nothing_of_what_they_are_of(gateway):
    with gateway.engine.begin() as connection:
        connection.execute(text("alter table biz.ai_news rename to elsewhere"))
    gateway.alert("kept all the same")
    assert gateway.value("select message from biz.ai_alerts") == "kept all the same"


def test_a_listener_that_ended_is_not_ready(gateway, monkeypatch):
    def ends(_url, stop, on_state):
        on_state(Listening(again=False))
        yield from ()

    hub_of_gateway = gateway.parts.hub
    while not hub_of_gateway.ready:
        time.sleep(0.01)
    monkeypatch.setattr(hub, "listen", ends)

    async def scene() -> None:
        hub_of_gateway._listen(asyncio.get_running_loop())

    asyncio.run(scene())
    assert not hub_of_gateway.ready
    assert gateway.get("/readyz", token=None).status == 503


def test_a_ring_forgets_its_oldest_and_says_who_is_further_behind(monkeypatch):
    monkeypatch.setattr(hub, "RING", 3)

    async def scene() -> None:
        ring = Ring(floor=10)
        assert ring.above(9) is None
        assert ring.above(10) == []
        for number in (11, 15, 16, 20):
            ring.add(Told(number, "ai_alert", "", ""))
        assert ring.above(10) is None
        assert [item.id for item in ring.above(11)] == [15, 16, 20]
        assert [item.id for item in ring.above(17)] == [20]
        assert ring.above(20) == []

    asyncio.run(scene())


def test_a_socket_that_has_caught_up_reads_the_table_no_more(gateway):
    # so that the newest is another site's, and this one's position has to be lifted to it
    gateway.alert("of another site", 1002)
    while gateway.parts.hub.position != 1:
        time.sleep(0.01)
    with gateway.socket(f"{ALERTS}?since=0") as socket:
        gateway.heard(socket)
        for number in range(5):
            gateway.alert(str(number))
            assert gateway.heard(socket)["message"] == str(number)
    page = gateway.get("/metrics", token=None).body.decode()
    assert "ai_gateway_news_behind_total 1\n" in page
