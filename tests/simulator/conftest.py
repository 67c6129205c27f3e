"""A running simulator, and ways to speak to it: raw HTTP and the official SDK."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ai_assets.simulator.server import Simulator

READ_TIMEOUT_S = 20


@dataclass(frozen=True)
class Answer:
    """One HTTP response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return str(self.json["output"]["text"])

    @property
    def frames(self) -> list[dict[str, str]]:
        """The fields of every server-sent event; the comment line is under ""."""
        events = [event.split("\n") for event in self.body.decode().split("\n\n") if event]
        return [{line.partition(":")[0]: line.partition(":")[2] for line in lines} for lines in events]


Ask = Callable[..., Answer]


def connect(simulator: Simulator) -> http.client.HTTPConnection:
    host, _, port = simulator.root_url.removeprefix("http://").partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=READ_TIMEOUT_S)


def send(
    connection: http.client.HTTPConnection,
    app: str = "app2",
    prompt: str = "净收入 10 元",
    *,
    stream: bool = False,
    incremental: bool = False,
    session_id: str | None = None,
) -> None:
    headers = {"Authorization": "Bearer any-key", "Content-Type": "application/json"}
    if stream:
        headers |= {"Accept": "text/event-stream", "X-DashScope-SSE": "enable"}
    given: dict[str, object] = {"prompt": prompt}
    if session_id is not None:
        given["session_id"] = session_id
    body = json.dumps({"input": given, "parameters": {"incremental_output": incremental}})
    connection.request("POST", f"/api/v1/apps/{app}/completion", body.encode(), headers)


def receive(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    body = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=7, keep_prompts=20) as running:
        yield running


@pytest.fixture
def connection(simulator: Simulator) -> Iterator[http.client.HTTPConnection]:
    """A keep-alive connection to the simulator."""
    opened = connect(simulator)
    yield opened
    opened.close()


@pytest.fixture
def more_connections(simulator: Simulator) -> Iterator[Callable[[], http.client.HTTPConnection]]:
    """Opens further connections, and closes them after the test."""
    opened: list[http.client.HTTPConnection] = []

    def open_one() -> http.client.HTTPConnection:
        opened.append(connect(simulator))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def ask(connection: http.client.HTTPConnection) -> Ask:
    """One completion call over the keep-alive connection: `ask(app, prompt, stream=…, …)`."""

    def call(*args: Any, **options: Any) -> Answer:
        send(connection, *args, **options)
        return receive(connection)

    return call


@pytest.fixture
def send_call() -> Callable[..., None]:
    """Send a completion call on a connection, without its answer: `send_call(connection, app, prompt, …)`."""
    return send


@pytest.fixture
def connect_to() -> Callable[[Simulator], http.client.HTTPConnection]:
    """A connection to any running simulator; the test closes it."""
    return connect


@pytest.fixture
def start_call(connection: http.client.HTTPConnection) -> Callable[..., http.client.HTTPConnection]:
    """Send a completion call without waiting for its answer; gives the connection."""

    def call(*args: Any, **options: Any) -> http.client.HTTPConnection:
        send(connection, *args, **options)
        return connection

    return call


@pytest.fixture
def request_raw(connection: http.client.HTTPConnection) -> Callable[..., Answer]:
    """Any request: `request_raw(method, path, body, headers)`."""

    def call(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection.request(method, path, body, headers or {})
        return receive(connection)

    return call


@pytest.fixture
def sdk(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The official SDK's Application.call, pointed at the simulator."""
    import dashscope
    from dashscope.api_entities.http_request import close_shared_sync_session

    monkeypatch.setattr(dashscope, "base_http_api_url", simulator.base_url)

    def call(app_id: str, prompt: str = "净收入 10 元", **options: Any) -> Any:
        return dashscope.Application.call(
            app_id=app_id, api_key="any-key", prompt=prompt, request_timeout=READ_TIMEOUT_S, **options
        )

    yield call
    close_shared_sync_session()
