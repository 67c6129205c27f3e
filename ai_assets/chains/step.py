"""One step: prompt → memo → guard → call → answer → one transaction that writes cache, run log and guard.

Source of the order and of each rule: behaviour.md, "A step". Not here: chains, SQL, Dagster.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from ai_assets.apps.prompt import prompt_hash
from ai_assets.chains.charging import account
from ai_assets.chains.outcome import Outcome, StepRequest, StepResult
from ai_assets.chains.runtime import LEASE_MARGIN_S, Runtime
from ai_assets.chains.settling import until_written
from ai_assets.dashscope.errors import CallTimeoutError, DashScopeError
from ai_assets.dashscope.reading import Reading, UnreadableAnswerError, read_answer
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.guard.admission import (
    Admission,
    AdmissionCancelledError,
    Call,
    GuardRefusalError,
    Reuse,
    Settlement,
)
from ai_assets.store import cache, run_log
from ai_assets.store.alerts import raise_alert
from ai_assets.store.engine import reachable
from ai_assets.store.run_log import CallRecord

if TYPE_CHECKING:
    from ai_assets.apps.base import Prompt
    from ai_assets.dashscope.client import Reply

logger = logging.getLogger(__name__)


def run_step(runtime: Runtime, request: StepRequest, cancelled: threading.Event) -> StepResult:
    """Run one step to its end; never raises for what went wrong in it: the result says so.

    Setting `cancelled` ends it soon: nothing is sent any more, and a call in flight is given up.
    """
    blank = StepResult(
        app=request.app.name,
        subject=request.subject,
        target_id=request.app.target_id(request.subject),
        outcome=Outcome.FAILED,
    )
    if cancelled.is_set():
        return replace(blank, reason="cancelled", message="the run was cancelled before this step began")
    try:
        prompt = request.build()
        blank = replace(blank, prompt=prompt.text, references=prompt.references)
        return _Step(runtime, request, prompt, blank, cancelled).run()
    except AiAssetsError as error:
        _alert(runtime, blank, "failed", str(error))
        return replace(blank, reason=error.reason, message=str(error))
    except Exception as error:
        # a defect must cost this step only, and be seen
        logger.exception("%s %s: unexpected error", blank.app, blank.target_id)
        message = f"unexpected {type(error).__name__}: {error}"
        _alert(runtime, blank, "failed", message)
        return replace(blank, reason="internal_error", message=message)


class _Step:
    """The parts of one step that share its request, prompt and lease."""

    def __init__(
        self,
        runtime: Runtime,
        request: StepRequest,
        prompt: Prompt,
        blank: StepResult,
        cancelled: threading.Event,
    ) -> None:
        self.runtime = runtime
        self.request = request
        self.prompt = prompt
        self.blank = blank
        self.cancelled = cancelled
        trigger = request.trigger
        self.call = Call(
            app=request.app.name,
            cache_type=request.app.cache_type,
            site_id=request.subject.site_id,
            target_id=blank.target_id,
            prompt=prompt.text,
            prompt_hash=prompt_hash(request.app.name, request.app.version, prompt.text),
            trigger_type=trigger.trigger_type,
            member_id=request.subject.member_id,
            trigger_job_id=trigger.trigger_job_id,
            forced=trigger.forced,
            lease_s=runtime.step_timeout_s + LEASE_MARGIN_S,
        )

    def run(self) -> StepResult:
        """Memo, guard, call, answer, write."""
        reused = None if self.request.trigger.forced else self._reusable()
        if reused is not None:
            return reused
        app_id = self.runtime.app_id(self.request.app)
        try:
            admitted = self.runtime.guard.admit(self.call, self.cancelled)
        except GuardRefusalError as refusal:
            if not refusal.refusal.startswith("budget_exceeded"):
                # a budget raises its own alert, one a period and not one a call
                _alert(self.runtime, self.blank, refusal.refusal, str(refusal), refusal.run_log_id)
            return replace(
                self.blank,
                outcome=Outcome.REFUSED,
                reason=refusal.refusal,
                message=str(refusal),
                run_log_id=refusal.run_log_id,
            )
        except AdmissionCancelledError as error:
            return replace(self.blank, reason=error.reason, message="the run was cancelled while it waited")
        if isinstance(admitted, Reuse):
            with reachable("reading the cache"), self.runtime.engine.connect() as connection:
                return self._reused(cache.entry(connection, admitted.cache_id))
        return self._admitted(app_id, admitted)

    def _reusable(self) -> StepResult | None:
        with reachable("reading the cache"), self.runtime.engine.connect() as connection:
            found = cache.reusable(
                connection,
                app=self.call.app,
                cache_type=self.call.cache_type,
                site_id=self.call.site_id,
                target_id=self.call.target_id,
                prompt_hash=self.call.prompt_hash,
            )
        return self._reused(found) if found else None

    def _reused(self, found: cache.CacheEntry | None) -> StepResult:
        if found is None:
            raise AiAssetsError(f"the cached result of {self.blank.target_id} went away while it was reused")
        return replace(
            self.blank,
            outcome=Outcome.REUSED,
            run_log_id=found.run_log_id,
            cache_id=found.id,
            made_at=found.created_at,
            result=found.result_json,
        )

    def _admitted(self, app_id: str, admission: Admission) -> StepResult:
        # whatever happens from here on, the lease is settled
        blank = replace(self.blank, run_log_id=admission.run_log_id)
        deadline = time.monotonic() + self.call.lease_s
        reply: Reply | None = None
        try:
            reply = self.runtime.client.call(
                app_id,
                self.prompt.text,
                deadline_s=self.runtime.step_timeout_s,
                before_attempt=lambda _attempt, remaining: self.runtime.guard.take_place(
                    self.call, remaining, self.cancelled
                ),
                cancelled=self.cancelled,
            )
            reading = read_answer(reply.text, self.request.app.answer)
            return self._succeeded(blank, admission, deadline, reply, reading)
        except DatabaseUnavailableError:
            # nothing can be settled now; the lease ends by itself, charged at its estimate
            raise
        except DashScopeError as error:
            return self._failed(blank, admission, deadline, error, effect=error.effect.value)
        except UnreadableAnswerError as error:
            # an app that does not answer in its form is an app that fails
            return self._failed(blank, admission, deadline, error, effect="counts", reply=reply)
        except AiAssetsError as error:
            return self._failed(blank, admission, deadline, error, effect="neutral", reply=reply)
        except Exception as error:
            logger.exception("%s %s: unexpected error in a call", blank.app, blank.target_id)
            wrapped = AiAssetsError(f"unexpected {type(error).__name__}: {error}")
            return self._failed(blank, admission, deadline, wrapped, effect="neutral", reply=reply)

    def _succeeded(
        self, blank: StepResult, admission: Admission, deadline: float, reply: Reply, reading: Reading
    ) -> StepResult:
        record = self._account(admission, reply, status="success")
        score = reading.answer.get("score")
        result = {**reading.answer, "_references": self.prompt.references}
        also_write = self.request.also_write

        def write() -> tuple[Settlement, int, int | None]:
            with reachable("writing a result"), self.runtime.engine.begin() as connection:
                if not self.runtime.guard.holds(connection, admission):
                    # somebody took the lease over: a late answer changes nothing
                    return Settlement(False, 0, ()), 0, None
                cache_id = cache.write(
                    connection,
                    cache_type=self.call.cache_type,
                    site_id=self.call.site_id,
                    target_id=self.call.target_id,
                    result=result,
                    score=score if isinstance(score, int) else None,
                    triggered_by=self.request.trigger.triggered_by,
                    trigger_job_id=self.call.trigger_job_id,
                    run_log_id=admission.run_log_id,
                    prompt_hash=self.call.prompt_hash,
                )
                clues_set = also_write(connection, result) if also_write is not None else None
                run_log.finish(connection, admission.run_log_id, record)
                settlement = self.runtime.guard.settle(
                    connection,
                    admission,
                    effect="passed",
                    tokens=record.tokens_used,
                )
                return settlement, cache_id, clues_set

        settlement, cache_id, clues_set = until_written(deadline, self.cancelled, write)
        if not settlement.settled and not self._already_written(admission):
            return replace(
                blank, reason="lease_lost", message="the answer came after its lease was taken over"
            )
        return replace(
            blank,
            outcome=Outcome.SUCCESS,
            cache_id=cache_id,
            result=result,
            reading=reading.how,
            tokens_in=record.tokens_in or 0,
            tokens_out=record.tokens_out or 0,
            tokens_used=record.tokens_used,
            tokens_estimated=record.tokens_estimated,
            cost_cny=record.cost_cny or Decimal(0),
            latency_ms=reply.latency_ms,
            attempts=reply.attempts,
            clues_set=clues_set,
        )

    def _failed(
        self,
        blank: StepResult,
        admission: Admission,
        deadline: float,
        error: AiAssetsError,
        *,
        effect: str,
        reply: Reply | None = None,
    ) -> StepResult:
        outcome = Outcome.TIMEOUT if isinstance(error, CallTimeoutError) else Outcome.FAILED
        reason = getattr(error, "reason", "error")
        record = self._account(admission, reply, status=outcome.value, error=error)

        def write() -> Settlement:
            with reachable("writing a failure"), self.runtime.engine.begin() as connection:
                if not self.runtime.guard.holds(connection, admission):
                    return Settlement(False, 0, ())
                run_log.finish(connection, admission.run_log_id, record)
                return self.runtime.guard.settle(
                    connection,
                    admission,
                    effect=effect,
                    reason=reason,
                    tokens=record.tokens_used,
                    cooldown_s=getattr(error, "retry_after_s", None),
                )

        settlement = until_written(deadline, self.cancelled, write)
        if reason != "cancelled":
            _alert(self.runtime, blank, outcome.value, str(error), admission.run_log_id)
        blocked = effect in {"opens", "hard_stop"}
        for app in settlement.opened:
            _alert(
                self.runtime,
                replace(blank, app=app),
                "app_blocked" if blocked else "circuit_open",
                f"{app} is not called for now: {error}",
                admission.run_log_id,
            )
        return replace(
            blank,
            outcome=outcome,
            reason=reason,
            message=str(error),
            tokens_used=record.tokens_used,
            tokens_estimated=record.tokens_estimated,
        )

    def _account(
        self, admission: Admission, reply: Reply | None, *, status: str, error: AiAssetsError | None = None
    ) -> CallRecord:
        return account(
            reply, error, status=status, estimate=admission.reserved_tokens, prices=self.runtime.prices
        )

    def _already_written(self, admission: Admission) -> bool:
        """True where our own commit went through and only its answer was lost."""
        with reachable("reading the run log"), self.runtime.engine.connect() as connection:
            row = run_log.run_log(connection, admission.run_log_id)
        return row is not None and row["status"] == "success"


def _alert(
    runtime: Runtime, result: StepResult, alert_type: str, message: str, log_id: int | None = None
) -> None:
    raise_alert(
        runtime.engine,
        alert_type,
        f"{result.target_id}: {message}",
        site_id=result.subject.site_id,
        app_type=result.app,
        log_id=log_id,
        window_s=runtime.guard.limits.alert_window_s,
    )
