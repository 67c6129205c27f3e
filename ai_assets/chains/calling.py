"""An admitted call: send it, read its answer, write how it ended. Whatever happens, its lease is settled or ends.

Source: docs/behaviour.md, "A step", 4 to 8. Not here: what is before admission (`chains.step`), the second call where
the first one's answer could not be read (`chains.asking_again`), the transaction's own troubles (`chains.settling`),
what a call is charged (`chains.charging`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from ai_assets.apps.names import restore
from ai_assets.apps.redaction import redact
from ai_assets.chains.alerting import alert, failure_kind
from ai_assets.chains.charging import account
from ai_assets.chains.checking import AskedAgain, checks_of
from ai_assets.chains.outcome import Outcome, StepRequest, StepResult
from ai_assets.chains.settling import Written, write_ending
from ai_assets.dashscope.errors import CallTimeoutError, DashScopeError
from ai_assets.dashscope.reading import (
    Reading,
    RepairedAnswerError,
    TruncatedAnswerError,
    UnreadableAnswerError,
    read_answer,
)
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.guard.ending import Answer, Ending
from ai_assets.privacy.logs import describe, log_defect
from ai_assets.trust.holding import hold

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.chains.runtime import Runtime
    from ai_assets.dashscope.client import Reply
    from ai_assets.guard.admission import Admission, Call
    from ai_assets.store.run_log import CallRecord

logger = logging.getLogger(__name__)

T = TypeVar("T")


class AdmittedCall:
    """One call that the guard admitted; `make` once.

    `blank` is what its result begins with, `put_back` its prompt's. `may_ask_again`: an answer that cannot be read is
    left in `unreadable`, and raises no alert yet. Times inside are monotonic seconds: the worker's clock decides
    nothing else.
    """

    def __init__(
        self,
        runtime: Runtime,
        request: StepRequest,
        call: Call,
        admission: Admission,
        blank: StepResult,
        cancelled: threading.Event,
        *,
        put_back: Mapping[str, str] | None = None,
        may_ask_again: bool = False,
        asked_again: AskedAgain | None = None,
    ) -> None:
        self._put_back = put_back or {}
        self._runtime = runtime
        self._request = request
        self._call = call
        self._admission = admission
        self._blank = replace(blank, run_log_id=admission.run_log_id)
        self._cancelled = cancelled
        self._may_ask_again = may_ask_again
        self._asked_again = asked_again
        self._began = time.monotonic()
        self.unreadable: UnreadableAnswerError | None = None

    def make(self, app_id: str, deadline_s: float) -> StepResult:
        """Call, read, write; never raises for what went wrong in it."""
        reply: Reply | None = None
        try:
            reply = self._runtime.client.call(
                app_id,
                self._call.prompt,
                deadline_s=deadline_s,
                before_attempt=lambda _attempt, remaining: self._runtime.guard.take_place(
                    self._call, remaining, self._cancelled
                ),
                cancelled=self._cancelled,
            )
            return self._succeeded(reply, self._read(reply))
        except AiAssetsError as error:
            return self._failed(error, reply)
        except Exception as error:  # noqa: BLE001
            # a defect must cost this step only, and be seen
            log_defect(
                logger, error, "%s %s: unexpected error in a call", self._call.app, self._call.target_id
            )
            return self._failed(AiAssetsError(describe(error)), reply)

    def _read(self, reply: Reply) -> Reading:
        """The answer as it may be kept."""
        app = self._request.app
        if reply.truncated:
            raise TruncatedAnswerError(
                f"{app.name} stopped at its model's length limit: raise the limit in the console or shorten the task"
            )
        reading = read_answer(reply.text, app.answer)
        if reading.how == "repaired" and app.entry.alias not in self._runtime.repaired_accepted:
            raise RepairedAnswerError(
                f"the answer had to be mended, and of {app.name} that is not good enough (AI_REPAIRED_ANSWERS)"
            )
        held = hold(self._call.prompt, reading.answer, app.limits)
        return replace(reading, answer=held.answer, mended=(*reading.mended, *held.notes))

    def _succeeded(self, reply: Reply, reading: Reading) -> StepResult:
        # an app may answer with what it was never told, and what it was told by another name
        reading = replace(reading, answer=restore(redact(reading.answer), self._put_back))
        checks = checks_of(self._call.prompt, reading, self._asked_again)
        result = {**reading.answer, "_references": {**self._blank.references, "checks": checks}}
        answer = Answer(
            self._call.cache_type,
            result,
            self._request.trigger.triggered_by,
            # a column of App6's own; another app may add any key to its answer
            reading.answer["score"] if "score" in self._request.app.answer.model_fields else None,
        )
        record = replace(self._account(reply, None, Outcome.SUCCESS), checks=checks)
        also_write = self._request.also_write
        also = None if also_write is None else lambda connection: also_write(connection, result)
        try:
            written: Written[int | None] | None = self._write(Ending(record, "passed", answer=answer), also)
        except DatabaseUnavailableError as error:
            return self._unwritten(record, error)
        if written is None:
            return self._lost("the answer")
        return replace(
            self._charged(record, reply.attempts),
            outcome=Outcome.SUCCESS,
            models_without_price=self._runtime.prices.without_price(reply.usage_by_model),
            cache_id=written.settlement.cache_id,
            result=result,
            reading=reading.how,
            clues_set=written.also,
        )

    def _failed(self, error: AiAssetsError, reply: Reply | None) -> StepResult:
        outcome = Outcome.TIMEOUT if isinstance(error, CallTimeoutError) else Outcome.FAILED
        record = self._account(reply, error, outcome)
        effect = _effect(error)
        try:
            written: Written[None] | None = self._write(
                Ending(record, effect, getattr(error, "retry_after_s", None)), None
            )
        except DatabaseUnavailableError as unwritten:
            return self._unwritten(record, unwritten)
        if written is None:
            return self._lost(f"the end of the call ({error})")
        if self._may_ask_again and isinstance(error, UnreadableAnswerError):
            self.unreadable = error
        elif error.reason != "cancelled":
            self._alert("timeout" if outcome is Outcome.TIMEOUT else failure_kind(error))
        for app in written.settlement.opened:
            blocked = effect in {"opens", "hard_stop"}
            self._alert("app_blocked" if blocked else "circuit_open", app=app)
        attempts = reply.attempts if reply is not None else getattr(error, "attempts", 0)
        return replace(
            self._charged(record, attempts), outcome=outcome, reason=error.reason, message=str(error)
        )

    def _lost(self, what: str) -> StepResult:
        message = f"{what} came after its lease was taken over"
        self._alert("failed")
        return replace(self._blank, reason="lease_lost", message=message)

    def _unwritten(self, record: CallRecord, error: DatabaseUnavailableError) -> StepResult:
        # no alert: there is nothing to write it to
        left_s = max(0.0, self._began + self._call.lease_s - time.monotonic())
        why = "before the run was cancelled" if self._cancelled.is_set() else "within its lease"
        message = (
            f"the call ended ({record.reason or record.status}), but that could not be written {why}: {error}; "
            f"its lease ends by itself in {left_s:.0f} s, charged at its estimate"
        )
        logger.error("%s %s: %s", self._call.app, self._call.target_id, message)
        return replace(self._blank, reason=error.reason, message=message)

    def _account(self, reply: Reply | None, error: AiAssetsError | None, outcome: Outcome) -> CallRecord:
        return account(
            reply,
            error,
            status=outcome.value,
            estimate=self._admission.reserved_tokens,
            prices=self._runtime.prices,
            latency_ms=round((time.monotonic() - self._began) * 1000),
        )

    def _charged(self, record: CallRecord, attempts: int) -> StepResult:
        return replace(
            self._blank,
            tokens_in=record.tokens_in or 0,
            tokens_out=record.tokens_out or 0,
            tokens_used=record.tokens_used,
            tokens_estimated=record.tokens_estimated,
            cost_cny=record.cost_cny or Decimal(0),
            latency_ms=record.latency_ms or 0,
            attempts=attempts,
        )

    def _write(self, ending: Ending, also: Callable[[Connection], T] | None) -> Written[T] | None:
        return write_ending(
            self._runtime.engine,
            self._runtime.guard,
            self._admission,
            ending,
            also,
            deadline=self._began + self._call.lease_s,
            cancelled=self._cancelled,
        )

    def _alert(self, kind: str, *, app: str | None = None) -> None:
        alert(self._runtime, self._blank, kind, self._admission.run_log_id, app=app)


def _effect(error: AiAssetsError) -> str:
    """What a failure means for the guard."""
    if isinstance(error, DashScopeError):
        return error.effect.value
    # an app that does not answer in its form is an app that fails; all else says nothing of it
    return "counts" if isinstance(error, UnreadableAnswerError) else "neutral"
