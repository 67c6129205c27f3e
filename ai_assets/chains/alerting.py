"""The alert of a step. Not here: the table and its grouping (`ai_assets.store.alerts`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_assets.store.alerts import raise_alert

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime


def alert(
    runtime: Runtime, result: StepResult, alert_type: str, message: str, log_id: int | None = None
) -> None:
    """Raise an alert about the step that `result` tells of. Trouble with it is logged, and never fails the step."""
    raise_alert(
        runtime.engine,
        alert_type,
        f"{result.target_id}: {message}",
        site_id=result.subject.site_id,
        app_type=result.app,
        log_id=log_id,
        window_s=runtime.guard.limits.alert_window_s,
    )
