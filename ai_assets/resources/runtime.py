"""The three resources put together: what the core's steps run on. Not here: the resources themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ai_assets.settings import accepted_apps, load_settings

if TYPE_CHECKING:
    from ai_assets.chains.runtime import Runtime
    from ai_assets.resources.dashscope import DashScopeResource
    from ai_assets.resources.database import DatabaseResource
    from ai_assets.resources.guard import GuardResource


@contextmanager
def runtime(
    database: DatabaseResource, dashscope: DashScopeResource, guard: GuardResource, *, concurrency: int | None
) -> Iterator[Runtime]:
    """A runtime for one run, closed at its end. Raises what connecting raises."""
    from ai_assets.chains.runtime import Runtime, statement_timeout_s
    from ai_assets.dashscope.price_file import read_prices

    width = concurrency or dashscope.concurrency
    # first what opens nothing: where the prices, the key or the URL cannot be used, no connection is left behind
    prices = read_prices(load_settings().prices_file)
    client = dashscope.client(pool_size=width)
    try:
        engine = database.engine(width + 4, statement_timeout_s(dashscope.step_timeout_s))
    except BaseException:
        client.close()
        raise
    with Runtime(
        engine=engine,
        guard=guard.guard(engine),
        client=client,
        app_ids=dashscope.app_ids(),
        step_timeout_s=dashscope.step_timeout_s,
        concurrency=width,
        member_names=dashscope.member_names,
        repaired_accepted=accepted_apps(dashscope.repaired_answers),
        ask_again=dashscope.ask_again,
        prices=prices,
    ) as made:
        yield made
