"""The run log: one row for each call that asked to be admitted. Rows are begun by the guard's admission.

Not here: writing them (`ai_assets.guard`: admission, ending), results (`ai_assets.store.cache`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

_ROW = text("select * from biz.ai_run_logs where id = :id")


@dataclass(frozen=True)
class CallRecord:
    """How a call ended: what goes into its row. Tokens are counts, cost is CNY, latency milliseconds."""

    status: str
    reason: str | None = None
    error_message: str | None = None
    """What went wrong, as `short_error` makes it; None: nothing did."""
    response_text: str | None = None
    """The answer, redacted, also one that could not be used; None: there was no reply."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    """Of `tokens_in`, those that came from DashScope's cache; None: not reported."""
    tokens_used: int = 0
    tokens_estimated: bool = False
    cost_cny: Decimal | None = None
    latency_ms: int | None = None
    session_id: str | None = None
    request_id: str | None = None
    checks: Mapping[str, Any] | None = None
    """What was checked of the answer; None: there was none."""


def run_log(connection: Connection, run_log_id: int) -> dict[str, Any] | None:
    """One whole row, or None."""
    row = connection.execute(_ROW, {"id": run_log_id}).mappings().one_or_none()
    return dict(row) if row else None
