"""The run log: one row for each call that asked to be admitted. Rows are begun by the guard's admission.

Not here: admission and refusals (`ai_assets.guard`), results (`ai_assets.store.cache`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.texts import storable

_FINISH = text(
    """
    update biz.ai_run_logs
    set status = :status, reason = :reason, response_text = :response_text, tokens_in = :tokens_in,
        tokens_out = :tokens_out, tokens_used = :tokens_used, tokens_estimated = :tokens_estimated,
        cost_cny = :cost_cny, latency_ms = :latency_ms, session_id = :session_id, request_id = :request_id,
        finished_at = clock_timestamp()
    where id = :id
    """
)
_ROW = text("select * from biz.ai_run_logs where id = :id")


@dataclass(frozen=True)
class CallRecord:
    """How a call ended: what goes into its row. Tokens are counts, cost is CNY, latency milliseconds."""

    status: str
    reason: str | None = None
    response_text: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_used: int = 0
    tokens_estimated: bool = False
    cost_cny: Decimal | None = None
    latency_ms: int | None = None
    session_id: str | None = None
    request_id: str | None = None


def finish(connection: Connection, run_log_id: int, record: CallRecord) -> None:
    """Write how the call of this row ended."""
    values = {
        name: storable(value) if isinstance(value, str) else value for name, value in record.__dict__.items()
    }
    connection.execute(_FINISH, {**values, "id": run_log_id})


def run_log(connection: Connection, run_log_id: int) -> dict[str, Any] | None:
    """One whole row, or None."""
    row = connection.execute(_ROW, {"id": run_log_id}).mappings().one_or_none()
    return dict(row) if row else None
