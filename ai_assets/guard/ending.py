"""How an admitted call ends, in one round trip: its answer, its row in the run log, the guard settled.

Here: the values, and the Python side of `biz.ai_end_call`. Not here: what a call is charged (`chains.charging`), what
its end means for the breaker (`dashscope.errors`), trying again where Postgres is away (`chains.settling`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from ai_assets.store.texts import storable, storable_json

if TYPE_CHECKING:
    from ai_assets.guard.limits import GuardLimits
    from ai_assets.store.run_log import CallRecord

_END = text(
    """
    select * from biz.ai_end_call(:lease, :status, :reason, :error_message, :response_text, :tokens_in, :tokens_out,
        :tokens_cached, :tokens, :tokens_estimated, :cost_cny, :latency_ms, :session_id, :request_id,
        cast(:checks as jsonb),
        :cache_type, cast(:result as jsonb), :score, :triggered_by,
        :effect, :cooldown_s, cast(:apps as text[]), cast(:limits as jsonb))
    """
)


@dataclass(frozen=True)
class Answer:
    """What goes into the cache. Its site, target, prompt hash and trigger job stand in the run log."""

    cache_type: str
    result: Mapping[str, Any]
    triggered_by: str
    score: int | None = None


@dataclass(frozen=True)
class Ending:
    """How a call ended: its row in the run log, its answer if it gave one, and what that means for the guard.

    `effect`: passed, counts, neutral, opens, hard_stop or cooldown (`cooldown_s` seconds). Charged is
    `record.tokens_used`.
    """

    record: CallRecord
    effect: str
    cooldown_s: float | None = None
    answer: Answer | None = None


@dataclass(frozen=True)
class Settlement:
    """What ending a call came to. `settled` false: its lease was taken over, and nothing was written."""

    settled: bool
    charged_tokens: int = 0
    opened: tuple[str, ...] = ()
    """Apps whose breaker this outcome opened."""
    cache_id: int | None = None


def end_call(
    connection: Connection, lease_id: int, ending: Ending, *, apps: Sequence[str], limits: GuardLimits
) -> Settlement:
    """Write how the call of this lease ended, all or nothing; last in a transaction that writes more.

    `apps`: those that a hard stop opens.
    """
    record, answer = ending.record, ending.answer
    row = (
        connection.execute(
            _END,
            {
                "lease": lease_id,
                "status": record.status,
                "reason": storable(record.reason),
                "error_message": record.error_message,
                "response_text": storable(record.response_text),
                "tokens_in": record.tokens_in,
                "tokens_out": record.tokens_out,
                "tokens_cached": record.tokens_cached,
                "tokens": record.tokens_used,
                "tokens_estimated": record.tokens_estimated,
                "cost_cny": record.cost_cny,
                "latency_ms": record.latency_ms,
                "session_id": storable(record.session_id),
                "request_id": storable(record.request_id),
                "checks": None if record.checks is None else storable_json(record.checks),
                "cache_type": answer and answer.cache_type,
                "result": None if answer is None else storable_json(answer.result),
                "score": answer and answer.score,
                "triggered_by": answer and answer.triggered_by,
                "effect": ending.effect,
                "cooldown_s": ending.cooldown_s,
                "apps": list(apps),
                "limits": json.dumps(limits.as_json()),
            },
        )
        .mappings()
        .one()
    )
    return Settlement(row["settled"], row["charged"] or 0, tuple(row["opened"] or ()), row["cache_id"])
