"""The real Dagster web server behind its guard: other sites' pages are refused, the UI's own requests work."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ai_assets.settings import CHECKOUT

LAUNCH = "mutation{setNuxSeen}"
VERSION = "{ version }"
JSON = "application/json"


@pytest.fixture
def port(serve, ai_assets, venue_environment, waiting, home) -> int:
    free = waiting.free_port()
    home.mkdir(exist_ok=True)
    environment = {
        **venue_environment,
        "DAGSTER_HOME": str(CHECKOUT),
        "AI_DAGSTER_ARTIFACTS": str(home / "dagster"),
    }
    service = serve("ui", "--port", str(free), environment=environment)
    waiting.wait_for("the web server", lambda: answers(free), service)
    return free


def answers(port: int) -> bool:
    try:
        return ask(port, "/server_info")[0] == 200
    except OSError:
        return False


def ask(
    port: int, path: str, *, body: bytes | None = None, method: str | None = None, **headers: str
) -> tuple[int, str]:
    """Status and text. Header names with `_` for `-`."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=body,
        method=method,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def query(text: str) -> bytes:
    return json.dumps({"query": text}).encode()


def test_another_sites_page_can_neither_ask_nor_change_anything_and_the_ui_can(port: int) -> None:
    ours, foreign = f"http://127.0.0.1:{port}", "https://evil.example"
    # what a link, an image or a form of another page can do
    assert ask(port, f"/graphql?query={LAUNCH}")[0] == 405
    assert ask(port, "/graphql?query=%7Bversion%7D", Accept="text/html")[0] == 405
    assert ask(port, "/graphql?query=%7Bversion%7D", body=b"", Content_Type="text/plain")[0] == 415
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert ask(port, "/graphql?query=%7Bversion%7D", body=b"query=x", **form)[0] == 415
    # what its scripts can do
    assert ask(port, "/graphql", body=query(VERSION), Content_Type=JSON, Origin=foreign)[0] == 403
    assert ask(port, "/report_asset_materialization/dws/finance", body=b"{}", Origin=foreign)[0] == 403
    assert ask(port, "/graphql", method="OPTIONS", Origin=foreign)[0] == 405
    # by a name that resolves to this machine
    assert ask(port, "/graphql", body=query(VERSION), Content_Type=JSON, Host="evil.example")[0] == 403
    assert ask(port, "/server_info", Host=f"evil.example:{port}")[0] == 403
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{port}/graphql", origin=foreign, subprotocols=["graphql-ws"])
    assert refused.value.response.status_code == 403

    # the UI: its pages, its queries, its subscriptions
    status, page = ask(port, "/assets", Accept="text/html")
    assert (status, "<html" in page) == (200, True)
    status, text = ask(port, "/graphql", body=query(VERSION), Content_Type=JSON, Origin=ours)
    assert (status, "version" in json.loads(text)["data"]) == (200, True)
    # a program without a browser
    assert ask(port, "/graphql", body=query(VERSION), Content_Type=JSON)[0] == 200
    with connect(f"ws://127.0.0.1:{port}/graphql", origin=ours, subprotocols=["graphql-ws"]) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(60))["type"] == "connection_ack"
        subscription = 'subscription { pipelineRunLogs(runId: "none") { __typename } }'
        socket.send(json.dumps({"type": "start", "id": "1", "payload": {"query": subscription}}))
        answer = json.loads(socket.recv(60))
        assert (answer["type"], answer["id"]) == ("data", "1")
