"""A budget that is not empty: an empty one admits a call whatever its limit is."""

from __future__ import annotations

from sqlalchemy import Engine, text

_USE = text(
    """
    insert into biz.ai_budgets as b (scope, period, used)
    select 'all', 'day:' || to_char(clock_timestamp() at time zone biz.ai_timezone(), 'YYYY-MM-DD'), 1
    on conflict (scope, period) do update set used = b.used + 1
    """
)


def use_a_token(engine: Engine) -> None:
    """Charge one token to today's budget of all sites."""
    with engine.begin() as connection:
        connection.execute(_USE)
