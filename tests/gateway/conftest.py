"""A gateway as it is served, on loopback, and clients that use it. Each test has a database of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from fastapi import FastAPI
from sqlalchemy import Engine, text
from websockets.sync.client import ClientConnection, connect

from ai_assets.catalog import CATALOG
from ai_assets.chains.runtime import Runtime, runtime_from
from ai_assets.gateway.app import build_app
from ai_assets.gateway.parts import Parts
from ai_assets.gateway.server import listening_socket, server
from ai_assets.settings import Settings
from ai_assets.store import tokens
from ai_assets.store.engine import make_engine
from tests.alert_row import add_alert

LONG_S = 30
"""How long a test waits for what must come: reached only where it does not."""


@dataclass
class Answer:
    """A response that was read."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def kind(self) -> str:
        """The end of a problem's type; the answer must be one."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["status"] == self.status
        return self.body["type"].removeprefix("urn:ai-assets:problem:")


@dataclass
class Gateway:
    """A running gateway, and tokens for it."""

    url: str
    app: FastAPI
    engine: Engine
    _stop: Callable[[], None]
    _tokens: dict[Any, str] = field(default_factory=dict)

    @property
    def parts(self) -> Parts:
        return self.app.state.parts

    def token(self, role: str = "operate", sites: tuple[int, ...] | None = None, **how: Any) -> str:
        """A token's text; the same one for the same role and sites."""
        asked = (role, sites, *how.items())
        if asked not in self._tokens:
            with self.engine.begin() as connection:
                self._tokens[asked] = tokens.create(
                    connection, name="test", role=role, site_ids=sites, **how
                )[1]
        return self._tokens[asked]

    def ask(
        self, method: str, path: str, *, token: str | None = "", headers: Any = None, **how: Any
    ) -> Answer:
        """Ask with a token that may everything, unless told; None: with none."""
        given = {} if token is None else {"Authorization": f"Bearer {token or self.token()}"}
        response = requests.request(
            method, self.url + path, headers={**given, **(headers or {})}, timeout=LONG_S, **how
        )
        content = response.content
        is_json = "json" in response.headers.get("content-type", "")
        return Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            json.loads(content) if is_json else content,
        )

    def get(self, path: str, **how: Any) -> Answer:
        return self.ask("GET", path, **how)

    def post(self, path: str, body: Any, **how: Any) -> Answer:
        return self.ask("POST", path, json=body, **how)

    def socket(self, path: str, *, token: str | None = "", **how: Any) -> ClientConnection:
        """An open WebSocket."""
        given = {} if token is None else {"Authorization": f"Bearer {token or self.token()}"}
        return connect(
            self.url.replace("http", "ws", 1) + path,
            additional_headers=given,
            open_timeout=LONG_S,
            close_timeout=1,
            proxy=None,
            **how,
        )

    @staticmethod
    def heard(socket: ClientConnection, seconds: float = LONG_S) -> dict[str, Any]:
        """The next message of a socket."""
        return json.loads(socket.recv(timeout=seconds))

    def alert(self, message: str = "x", site: int | None = 1001, app: str = "app3_clue") -> None:
        """Commit an alert of its own row."""
        add_alert(self.engine, message, site=site, app=app)

    def cached(self, target: str = "555", site: int = 1001, run_log: int = 1, result: Any = None) -> int:
        """Commit a version of App3's result; returns its id."""
        with self.engine.begin() as connection:
            return connection.execute(
                text(
                    "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id,"
                    " prompt_hash) values ('app3_clue', :site, :target, cast(:result as jsonb), 'consumption',"
                    " :run_log, 'h') returning id"
                ),
                {
                    "site": site,
                    "target": target,
                    "run_log": run_log,
                    "result": json.dumps(result or {"clues": []}),
                },
            ).scalar_one()

    def value(self, sql: str, **parameters: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(text(sql), parameters).scalar()

    def stop(self) -> None:
        self._stop()


Start = Callable[..., Gateway]


@pytest.fixture
def start_gateway() -> Iterator[Start]:
    """Start a gateway on a database; keyword arguments are settings by environment name, or as named here."""
    running: list[Gateway] = []

    def start(
        database_url: str,
        *,
        make_runtime: Callable[[], Runtime] | None = None,
        report: Any = None,
        tokens_url: str | None = None,
        **settings: Any,
    ) -> Gateway:
        made = Settings(**{"AI_GATEWAY_RATE_PER_S": 100_000, **settings})
        app = build_app(
            made,
            database_url,
            make_runtime or (lambda: runtime_from(made, database_url=database_url, concurrency=4)),
            report,
        )
        ready = threading.Event()
        serving = server(app, ready.set)
        sock = listening_socket("127.0.0.1", 0)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        assert ready.wait(LONG_S)

        def stop() -> None:
            serving.should_exit = True
            thread.join(LONG_S)
            assert not thread.is_alive()
            sock.close()

        engine = make_engine(tokens_url or database_url)
        gateway = Gateway(f"http://127.0.0.1:{sock.getsockname()[1]}", app, engine, stop)
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        gateway.stop()
        gateway.engine.dispose()


@pytest.fixture
def gateway(database_url: str, start_gateway: Start) -> Gateway:
    """A gateway on an empty database with sites 1001 and 1002."""
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into biz.sites (site_id, name, timezone, is_active) values "
                "(1001, '一店', 'Asia/Shanghai', true), (1002, '二店', 'Asia/Shanghai', true)"
            )
        )
    engine.dispose()
    return start_gateway(database_url)


@pytest.fixture
def app_settings() -> dict[str, str]:
    """What runs need, beside the simulator's address."""
    return {
        "DASHSCOPE_API_KEY": "simulator",
        "AI_RATE_PER_MINUTE": "100000",
        **{entry.env: entry.alias for entry in CATALOG.values()},
    }
