"""What a step needs to run: Postgres, the guard, DashScope, and how long and how dear a call may be.

Not here: reading the environment (`ai_assets.settings`), Dagster's resources, which build this too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ai_assets.catalog import ALIASES
from ai_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.apps.base import App
    from ai_assets.dashscope.client import DashScopeClient
    from ai_assets.dashscope.prices import Prices
    from ai_assets.guard.admission import Guard
    from ai_assets.settings import MemberNames, Settings

LEASE_MARGIN_S = 5.0
"""A lease outlives the step's own limit by this much, so that a call that ends in time can settle."""


@dataclass(frozen=True)
class Runtime:
    """The parts of one process, shared by all its steps. Close it, or use it as a context manager."""

    engine: Engine
    guard: Guard
    client: DashScopeClient
    app_ids: Mapping[str, str]
    """DashScope app id by app name; empty where it is not set."""
    step_timeout_s: float
    concurrency: int
    prices: Prices
    member_names: MemberNames = "surname"
    """What members are called in prompts."""
    repaired_accepted: frozenset[str] = ALIASES
    """The apps (short names) of which an answer that had to be mended is good enough."""
    ask_again: bool = True
    """Whether an app whose answer cannot be read is asked once more."""

    def app_id(self, app: App[Any]) -> str:
        """The DashScope app id to call. Raises ConfigurationError naming the setting that is missing."""
        app_id = self.app_ids.get(app.name, "")
        if not app_id:
            raise ConfigurationError(f"{app.env} is not set: give the DashScope app id of {app.name}")
        return app_id

    def close(self) -> None:
        """Close the client's and the database's connections."""
        self.client.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def statement_timeout_s(step_timeout_s: float) -> float:
    """How long one statement may take: a step's time, so that a locked table cannot hold a chain for ever."""
    return max(30.0, step_timeout_s)


def runtime_from(settings: Settings, *, database_url: str, concurrency: int | None = None) -> Runtime:
    """The runtime that the environment asks for. Opens no connection.

    Raises ConfigurationError where no key is set for a service that is not on loopback, or the price file is wrong.
    """
    from ai_assets.catalog import CATALOG
    from ai_assets.dashscope.client import client_from
    from ai_assets.dashscope.price_file import read_prices
    from ai_assets.guard.admission import Guard
    from ai_assets.guard.limits import GuardLimits
    from ai_assets.store.engine import make_engine

    width = concurrency or settings.concurrency
    prices = read_prices(settings.prices_file)
    client = client_from(settings, pool_size=width)
    engine = make_engine(
        database_url, pool_size=width + 4, statement_timeout_s=statement_timeout_s(settings.step_timeout_s)
    )
    return Runtime(
        engine=engine,
        guard=Guard(engine, GuardLimits.from_settings(settings), apps=tuple(CATALOG)),
        client=client,
        app_ids=settings.app_ids,
        step_timeout_s=settings.step_timeout_s,
        concurrency=width,
        prices=prices,
        member_names=settings.member_names,
        repaired_accepted=settings.repaired_accepted,
        ask_again=settings.ask_again,
    )
