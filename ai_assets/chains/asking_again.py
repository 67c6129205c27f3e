"""An app whose answer could not be read is asked once more, and told why: where the step's time and the guard allow.

The second call is a call like any other: admitted by breaker, rate and budget, charged, a row of its own in the run
log. Its memo key is the first prompt's: who asks the same again is answered from the cache.
Source: issue on trust, "one retry with the error told to the app". Not here: the words (`ai_assets.apps.correction`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ai_assets.apps.correction import corrected
from ai_assets.chains.alerting import alert
from ai_assets.chains.checking import AskedAgain
from ai_assets.chains.runtime import LEASE_MARGIN_S
from ai_assets.errors import AiAssetsError
from ai_assets.guard.admission import GuardRefusalError, Reuse

if TYPE_CHECKING:
    import threading

    from ai_assets.chains.calling import AdmittedCall
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime
    from ai_assets.dashscope.reading import UnreadableAnswerError
    from ai_assets.guard.admission import Admission, Call

Next = Callable[["Call", "Admission", AskedAgain], "AdmittedCall"]


def ask_again(
    runtime: Runtime,
    call: Call,
    failed: StepResult,
    error: UnreadableAnswerError,
    app_id: str,
    *,
    began: float,
    cancelled: threading.Event,
    prepare: Next,
    reuse: Callable[[Reuse], StepResult],
) -> StepResult:
    """What came of asking again; `failed` with the reason added where that was not possible. Never raises.

    `began`: monotonic seconds when the first call began; the step's time counts from there. The result's tokens, cost
    and attempts are those of both calls.
    """
    ends = began + runtime.step_timeout_s
    took_s = time.monotonic() - began
    left_s = ends - time.monotonic()
    if cancelled.is_set():
        return _given_up(runtime, failed, "the run was cancelled")
    if left_s < took_s:
        # it would hardly end sooner than the first
        return _given_up(
            runtime, failed, f"{left_s:.0f} s are left of its time, and the first call took {took_s:.0f}"
        )
    second = replace(call, prompt=corrected(call.prompt, error.faults), lease_s=left_s + LEASE_MARGIN_S)
    try:
        admitted = runtime.guard.admit(second, cancelled, patience_s=left_s - took_s)
        if isinstance(admitted, Reuse):
            return _with(reuse(admitted), failed)
    except GuardRefusalError as refusal:
        return _given_up(runtime, failed, refusal.refusal)
    except AiAssetsError as problem:
        return _given_up(runtime, failed, str(problem) or problem.reason)
    told = AskedAgain(error.reason, failed.run_log_id or 0)
    made = prepare(second, admitted, told).make(app_id, max(1.0, ends - time.monotonic()))
    return _with(made, failed)


def _given_up(runtime: Runtime, failed: StepResult, why: str) -> StepResult:
    message = f"{failed.message}; not asked again: {why}"
    alert(runtime, failed, "failed:answer", failed.run_log_id)
    return replace(failed, message=message)


def _with(made: StepResult, first: StepResult) -> StepResult:
    return replace(
        made,
        tokens_in=made.tokens_in + first.tokens_in,
        tokens_out=made.tokens_out + first.tokens_out,
        tokens_used=made.tokens_used + first.tokens_used,
        tokens_estimated=made.tokens_estimated or first.tokens_estimated,
        cost_cny=made.cost_cny + first.cost_cny,
        attempts=made.attempts + first.attempts,
    )
