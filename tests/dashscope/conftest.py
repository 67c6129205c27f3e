"""Fixtures for DashScope's client: the raw server, time that only tests move, a client on both."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

from ai_assets.dashscope.client import DashScopeClient

KEY = "sk-0123456789abcdef-very-secret"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"dashscope_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


raw_server = _load("raw_server")


class FakeTime:
    """A clock that moves only by being slept on (or by hand)."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def raw() -> ModuleType:
    """The module `raw_server`."""
    return raw_server


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """`serve(handler, tls=None)` → a running RawServer, closed after the test."""
    servers: list[Any] = []

    def start(handler: Any, tls: Any = None) -> Any:
        servers.append(raw_server.RawServer(handler, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client_of() -> Iterator[Callable[..., DashScopeClient]]:
    """`client_of(server_or_url, **settings)` → a client, closed after the test; real time unless given."""
    clients: list[DashScopeClient] = []

    def make(target: Any, **settings: Any) -> DashScopeClient:
        url = target if isinstance(target, str) else target.base_url
        client = DashScopeClient(api_key=SecretStr(KEY), base_url=url, rng=random.Random(7), **settings)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def key() -> str:
    return KEY
