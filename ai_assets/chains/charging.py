"""What a call is charged: the run log's account of it, from the reply or the error that it ended in.

Pure. Here: tokens and cost. Not here: writing them (`ai_assets.store.run_log`), the budgets (`ai_assets.guard`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ai_assets.dashscope.usage import ModelUsage
from ai_assets.privacy.text import redact_text
from ai_assets.store.run_log import CallRecord
from ai_assets.store.trigger_jobs import short_error

if TYPE_CHECKING:
    from ai_assets.dashscope.prices import Prices
    from ai_assets.dashscope.reply import Reply
    from ai_assets.errors import AiAssetsError


def account(
    reply: Reply | None,
    error: AiAssetsError | None,
    *,
    status: str,
    estimate: int,
    prices: Prices,
    latency_ms: int,
) -> CallRecord:
    """The run log's row of a call that ended as `status`, with what it is charged (tokens, CNY). Texts are redacted.

    Usage as the app told it. An attempt that may have been billed and told nothing, or nothing that can be true, is
    charged `estimate` (tokens) at the dearest price, and the row is marked `tokens_estimated`. `latency_ms`: how long
    a call took that gave no reply.
    """
    used: tuple[int, int] | None
    if reply is not None:
        used = (reply.tokens_in, reply.tokens_out) if reply.usage_known else None
        by_model = reply.usage_by_model
        # the answer itself, where it told no usage, and the attempts before it
        untold = (used is None) + reply.unsettled_attempts
    else:
        used = getattr(error, "usage_tokens", None)
        by_model = (ModelUsage("", *used),) if used else ()
        untold = error.unsettled_attempts if error is not None else 0
    tokens_in, tokens_out = used or (None, None)
    told = prices.cost_cny(by_model) if used else Decimal(0)
    return CallRecord(
        status=status,
        reason=error.reason if error is not None else None,
        error_message=short_error(str(error)) if error is not None else None,
        response_text=redact_text(reply.text) if reply is not None else None,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_cached=reply.tokens_cached if reply is not None else None,
        tokens_used=sum(used or ()) + untold * estimate,
        tokens_estimated=untold > 0,
        cost_cny=told + untold * prices.cost_cny((ModelUsage("", estimate, 0),)),
        latency_ms=reply.latency_ms if reply is not None else latency_ms,
        session_id=reply.session_id if reply is not None else None,
        request_id=reply.request_id if reply is not None else getattr(error, "request_id", None) or None,
    )
