"""Steps without a venue: prompts of a few characters, a client in no hurry to wait, and a look at the books after.

Here: making runtimes and steps, what must hold when all has ended. Not here: any fault; each test brings its own.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, text

from ai_assets.apps.base import Prompt, Subject
from ai_assets.apps.registry import APPS
from ai_assets.catalog import CATALOG
from ai_assets.chains.outcome import StepRequest, StepResult, Trigger
from ai_assets.chains.runtime import Runtime, runtime_from
from ai_assets.dashscope.client import Backoff, DashScopeClient
from ai_assets.guard.admission import Guard
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import Settings
from ai_assets.store.engine import make_engine

SITE = 1001
APP = "app3_clue"


class StepBench:
    """Steps of members of site 1001 on one database; `look` is an engine of the test's own."""

    def __init__(self, url: str, base_url: str) -> None:
        self.url = url
        self.base_url = base_url
        self.look = make_engine(url)
        self._made: list[Runtime] = []

    def runtime(
        self,
        *,
        step_timeout_s: float = 20.0,
        base_url: str | None = None,
        engine: Engine | None = None,
        app_ids: dict[str, str] | None = None,
        ask_again: bool = False,
        **limits: Any,
    ) -> Runtime:
        """A runtime whose client hardly waits between attempts, and that makes one call a step; keyword arguments are
        limits.
        """
        base_url = base_url or self.base_url
        settings = Settings(
            DASHSCOPE_API_KEY="sk-marked-secret",
            DASHSCOPE_BASE_URL=base_url,
            AI_RATE_PER_MINUTE=100_000,
            AI_STEP_TIMEOUT_S=step_timeout_s,
            **{entry.env: entry.alias for entry in CATALOG.values()},
        )
        made = runtime_from(settings, database_url=self.url, concurrency=16)
        made.client.close()
        engine = engine or made.engine
        client = DashScopeClient(
            api_key=SecretStr("sk-marked-secret"),
            base_url=base_url,
            backoff=Backoff(first_s=0.01, cap_s=0.02),
            rng=random.Random(7),
        )
        guard = Guard(engine, replace(GuardLimits.from_settings(settings), **limits), apps=tuple(CATALOG))
        made = replace(
            made,
            engine=engine,
            client=client,
            guard=guard,
            app_ids=app_ids or dict(made.app_ids),
            ask_again=ask_again,
        )
        self._made.append(made)
        return made

    def step(
        self,
        runtime: Runtime,
        member: int = 555,
        *,
        app: str = APP,
        cancelled: threading.Event | None = None,
        also_write: Callable[..., int | None] | None = None,
        **trigger: Any,
    ) -> StepResult:
        """One whole step about a member; its prompt is the member's own."""
        from ai_assets.chains.step import run_step

        request = StepRequest(
            APPS[app],
            Subject(site_id=SITE, member_id=member),
            lambda: Prompt(f"会员 {member} 的消费", {"member": member}),
            Trigger(**trigger),
            also_write=also_write,
        )
        return run_step(runtime, request, cancelled or threading.Event())

    def side_by_side(self, runtime: Runtime, members: range, **how: Any) -> list[StepResult]:
        """A step for each member, all at once."""
        with ThreadPoolExecutor(len(members)) as pool:
            return list(pool.map(lambda member: self.step(runtime, member, **how), members))

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        with self.look.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), parameters).mappings()]

    def one(self, sql: str, **parameters: Any) -> dict[str, Any]:
        (row,) = self.rows(sql, **parameters)
        return row

    def run(self, sql: str, **parameters: Any) -> None:
        with self.look.begin() as connection:
            connection.execute(text(sql), parameters)

    def alerts(self) -> list[str]:
        return [row["alert_type"] for row in self.rows("select alert_type from biz.ai_alerts order by id")]

    def outcomes_counted(self) -> tuple[int, int]:
        """(passed, failed) that the breakers' windows hold."""
        row = self.one(
            "select coalesce(sum(passed), 0) as passed, coalesce(sum(failed), 0) as failed "
            "from biz.ai_breaker_outcomes"
        )
        return int(row["passed"]), int(row["failed"])

    def assert_the_books_agree(self) -> int:
        """No lease, nothing reserved, no call unended, and every budget's use is the run log's sum: returned."""
        assert self.rows("select * from biz.ai_leases") == []
        assert self.rows("select * from biz.ai_run_logs where status in ('pending', 'running')") == []
        spent = int(self.one("select coalesce(sum(tokens_used), 0) as n from biz.ai_run_logs")["n"])
        budgets = self.rows("select scope, period, used, reserved from biz.ai_budgets")
        assert {(row["used"], row["reserved"]) for row in budgets} <= {(spent, 0)}
        return spent

    def close(self) -> None:
        for runtime in self._made:
            runtime.close()
        self.look.dispose()
