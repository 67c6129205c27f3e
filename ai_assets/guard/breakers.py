"""What operators do to the guard: open, close or reset breakers, reset estimates, read the history of changes.

Here: the Python side of `biz.ai_set_breaker`, `biz.ai_reset_estimate` and `biz.ai_breaker_changes`. Not here: the
state machine (SQL, see `docs/guard.md`), what calls do to it (`ai_assets.guard.admission`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, text

from ai_assets.store.engine import reachable

_SET = text(
    """
    select app_type as app, state, reason, case when isfinite(open_until) then open_until end as open_until,
        relapses, changed_at, changed_by
    from biz.ai_set_breaker(:app, :action, :by, :reason, :seconds)
    """
)
_RESET_ESTIMATE = text("select biz.ai_reset_estimate(:app, :by, :reason)")
_CHANGES = text(
    """
    select app_type as app, created_at as at, state_before, state_after, relapses, reason, changed_by,
        case when isfinite(open_until) then open_until end as open_until
    from biz.ai_breaker_changes
    where app_type = any(cast(:apps as text[]))
    order by id desc
    limit :limit
    """
)


class Action(StrEnum):
    """What an operator can do to a breaker."""

    OPEN = "open"
    """Refuse the app's calls, for a time or until it is closed."""
    CLOSE = "close"
    """Let calls through; if it opens again, it stays open as long as its relapses say."""
    RESET = "reset"
    """As if the app had never failed; ends a cooldown too."""


@dataclass(frozen=True)
class Breaker:
    """An app's breaker as it stands. `open_until` None on an open one: until it is closed by hand."""

    app: str
    state: str
    reason: str | None
    open_until: datetime | None
    relapses: int
    changed_at: datetime
    changed_by: str


def set_breakers(
    engine: Engine, apps: Sequence[str], action: Action, *, by: str, reason: str, seconds: float | None = None
) -> list[Breaker]:
    """Do `action` to these apps' breakers, all or none, and record who did it and why.

    `seconds`: how long an opened one stays open before probes are let through; None: until it is closed.
    """
    asked = {"action": action.value, "by": by, "reason": reason, "seconds": seconds}
    with reachable("changing a breaker"), engine.begin() as connection:
        # in one order, as everywhere: two operators must not wait for each other
        return [
            Breaker(**connection.execute(_SET, {"app": app, **asked}).mappings().one())
            for app in sorted(set(apps))
        ]


def reset_estimates(engine: Engine, apps: Sequence[str], *, by: str, reason: str | None) -> None:
    """Estimate the next calls of these apps as if they had never been called; recorded in the history."""
    with reachable("resetting an estimate"), engine.begin() as connection:
        for app in sorted(set(apps)):
            connection.execute(_RESET_ESTIMATE, {"app": app, "by": by, "reason": reason})


def changes(connection: Connection, apps: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """The newest changes of these apps' breakers, newest first: when, from what to what, why, by whom."""
    return [
        dict(row) for row in connection.execute(_CHANGES, {"apps": list(apps), "limit": limit}).mappings()
    ]
