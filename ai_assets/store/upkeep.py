"""Nightly upkeep of the guard's state and the gateway's. Not here: retention of the ledger."""

from __future__ import annotations

from sqlalchemy import Engine, text

_REAP = text("select biz.ai_reap_expired()")
_SWEEPS = {
    "abandoned waits": text(
        # longer than any admission may wait: whoever waited is gone
        "delete from biz.ai_run_logs where status = 'pending' and created_at < clock_timestamp() - interval '1 day'"
    ),
    "old breaker outcomes": text(
        "delete from biz.ai_breaker_outcomes where bucket < clock_timestamp() - interval '2 days'"
    ),
    "old rate places": text(
        # those that an admission is deleting at this moment are its own: waiting could deadlock
        """
        delete from biz.ai_rate_places p using (
            select o.site_id, o.place from biz.ai_rate_places o
            where o.taken_at < clock_timestamp() - interval '10 minutes'
            for update skip locked) old
        where p.site_id = old.site_id and p.place = old.place
        """
    ),
    "old breaker changes": text(
        "delete from biz.ai_breaker_changes where created_at < clock_timestamp() - interval '400 days'"
    ),
    "old budget rows": text(
        "delete from biz.ai_budgets where updated_at < clock_timestamp() - interval '400 days'"
    ),
    "abandoned turns": text(
        "delete from biz.ai_rate_queue where looks_at < clock_timestamp() - interval '1 day'"
    ),
    "old news": text(
        # the newest stays: a listener's position is told from it
        """
        delete from biz.ai_news where told_at < clock_timestamp() - interval '14 days'
            and id < (select max(id) from biz.ai_news)
        """
    ),
    "old idempotency keys": text(
        "delete from biz.ai_idempotency_keys where created_at < clock_timestamp() - interval '2 days'"
    ),
    "old runs by hand": text(
        "delete from biz.ai_app_runs where created_at < clock_timestamp() - interval '30 days'"
    ),
    "gone workers": text(
        "delete from biz.ai_workers where heartbeat_at < clock_timestamp() - interval '1 day'"
    ),
}


def sweep(engine: Engine) -> dict[str, int]:
    """Settle dead leases, then delete what no longer matters; returns how many of each."""
    swept = {"dead leases": 0}
    while True:
        with engine.begin() as connection:
            reaped = connection.execute(_REAP).scalar_one()
        if not reaped:
            break
        swept["dead leases"] += reaped
    for what, statement in _SWEEPS.items():
        with engine.begin() as connection:
            swept[what] = connection.execute(statement).rowcount
    return swept
