"""The alert of a step, and which kind of alert an error is. Not here: the table (`ai_assets.store.alerts`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_assets.dashscope.reading import UnreadableAnswerError
from ai_assets.errors import MissingSubjectError, PromptError, WarehouseError
from ai_assets.store.alerts import raise_alert
from ai_assets.trust.refusal import AnswerRefusedError

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime


def alert(
    runtime: Runtime, result: StepResult, kind: str, log_id: int | None = None, *, app: str | None = None
) -> None:
    """Raise an alert about the step of `result`, or about `app` because of it. An error in it never fails the step."""
    raise_alert(
        runtime.engine,
        kind,
        site_id=result.subject.site_id,
        app_type=app or result.app,
        log_id=log_id,
        window_s=runtime.guard.limits.alert_window_s,
    )


def failure_kind(error: Exception) -> str:
    """The kind of alert for a step that failed with this error."""
    if isinstance(error, UnreadableAnswerError | AnswerRefusedError):
        return "failed:answer"
    if isinstance(error, MissingSubjectError | PromptError | WarehouseError):
        return "failed:data"
    return "failed"
