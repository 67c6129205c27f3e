"""One step: prompt → memo → guard → the call.

Source of the order and rules: docs/behaviour.md, "A step". Not here: an admitted call (`chains.calling`), chains,
SQL, Dagster.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ai_assets.apps.prompt import prompt_hash
from ai_assets.chains.alerting import alert, failure_kind
from ai_assets.chains.asking_again import ask_again
from ai_assets.chains.calling import AdmittedCall
from ai_assets.chains.outcome import Outcome, StepRequest, StepResult
from ai_assets.chains.runtime import LEASE_MARGIN_S, Runtime
from ai_assets.errors import AiAssetsError
from ai_assets.guard.admission import Admission, AdmissionCancelledError, Call, GuardRefusalError, Reuse
from ai_assets.privacy.logs import describe, log_defect
from ai_assets.store import cache
from ai_assets.store.engine import reachable
from ai_assets.store.news import report_reused

if TYPE_CHECKING:
    from ai_assets.apps.base import Prompt

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
        alert(runtime, blank, failure_kind(error))
        return replace(blank, reason=error.reason, message=str(error))
    except Exception as error:  # noqa: BLE001
        # a defect must cost this step only, and be seen
        log_defect(logger, error, "%s %s: unexpected error", blank.app, blank.target_id)
        alert(runtime, blank, failure_kind(error))
        return replace(blank, reason="internal_error", message=describe(error))


class _Step:
    """The parts of one step that share its request and prompt."""

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
            background=trigger.background,
            lease_s=runtime.step_timeout_s + LEASE_MARGIN_S,
        )

    def run(self) -> StepResult:
        """Memo, guard, call."""
        reused = None if self.request.trigger.forced else self._reusable()
        if reused is not None:
            return reused
        app_id = self.runtime.app_id(self.request.app)
        if self.cancelled.is_set():
            return replace(self.blank, reason="cancelled", message="the run was cancelled before the call")
        try:
            admitted = self.runtime.guard.admit(self.call, self.cancelled)
        except GuardRefusalError as refusal:
            if not refusal.refusal.startswith("budget_exceeded"):
                # a budget raises its own alert, one a period and site and not one a call
                kind = "circuit_open:until_closed" if refusal.until_closed else refusal.refusal
                alert(self.runtime, self.blank, kind, refusal.run_log_id)
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
            return self._reuse(admitted)
        return self._call(app_id, admitted)

    def _call(self, app_id: str, admission: Admission) -> StepResult:
        began = time.monotonic()
        first = self._admitted(self.call, admission, may_ask_again=self.runtime.ask_again)
        made = first.make(app_id, self.runtime.step_timeout_s)
        if first.unreadable is None:
            return made
        return ask_again(
            self.runtime,
            self.call,
            made,
            first.unreadable,
            app_id,
            began=began,
            cancelled=self.cancelled,
            prepare=lambda call, admission, told: self._admitted(call, admission, asked_again=told),
            reuse=self._reuse,
        )

    def _admitted(self, call: Call, admission: Admission, **more: Any) -> AdmittedCall:
        return AdmittedCall(
            self.runtime,
            self.request,
            call,
            admission,
            self.blank,
            self.cancelled,
            put_back=self.prompt.put_back,
            **more,
        )

    def _reuse(self, admitted: Reuse) -> StepResult:
        with reachable("reading the cache"), self.runtime.engine.connect() as connection:
            return self._reused(cache.entry(connection, admitted.cache_id))

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
        result = replace(
            self.blank,
            outcome=Outcome.REUSED,
            run_log_id=found.run_log_id,
            cache_id=found.id,
            made_at=found.created_at,
            result=found.result_json,
        )
        if self.request.after_reuse is not None:
            result = self.request.after_reuse(result)
        if result.outcome is Outcome.REUSED:
            # whoever waits for this answer is released, though no row of the cache is written
            report_reused(self.runtime.engine, found.id, self.request.trigger.triggered_by)
        return result
