"""What a step is asked to do, and what came of it. Plain values; not here: doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ai_assets.privacy.text import redact_text
from ai_assets.store.trigger_jobs import MANUAL

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.apps.base import App, Prompt, Subject


class Outcome(StrEnum):
    """How a step ended."""

    SUCCESS = "success"
    REUSED = "reused"
    FAILED = "failed"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    NO_NOTE = "no note"
    """App6 in a batch, for a member without a note: nothing to do. No call, no cache entry, no run log."""

    @property
    def has_result(self) -> bool:
        """Whether the step gave a result, fresh or reused."""
        return self in {Outcome.SUCCESS, Outcome.REUSED}

    @property
    def is_failure(self) -> bool:
        """Whether the step should have given a result and did not."""
        return not (self.has_result or self is Outcome.NO_NOTE)


@dataclass(frozen=True)
class Trigger:
    """Why a step runs."""

    triggered_by: str = "admin_manual"
    """The event's type in chains, admin_manual by hand; goes to the cache."""
    trigger_type: str = "manual"
    """event, batch or manual; goes to the run log."""
    trigger_job_id: int | None = None
    forced: bool = False
    background: bool = False
    """Live events go before it: like a batch, it may use only its share of the rate."""

    @classmethod
    def of_job(cls, event_type: str, trigger_type: str, job_id: int, *, forced: bool) -> Trigger:
        """Of a trigger job; `trigger_type` is for events. What a person queued is manual, and background work."""
        if event_type == MANUAL:
            return cls(trigger_job_id=job_id, forced=forced, background=True)
        return cls(event_type, trigger_type, job_id, forced)


@dataclass(frozen=True)
class StepRequest:
    """One app for one subject. `build` makes the prompt; if it raises, the step fails."""

    app: App[Any]
    subject: Subject
    build: Callable[[], Prompt]
    trigger: Trigger
    also_write: Callable[[Connection, Mapping[str, Any]], int | None] | None = None
    """Called with the answer inside the transaction that writes it, for `clues_set`; if it raises, the step fails
    and nothing is written."""
    after_reuse: Callable[[StepResult], StepResult] | None = None
    """Called with the result of a reused answer before listeners hear of it; the step's result is what it returns."""


@dataclass(frozen=True)
class StepResult:
    """What came of a step. Tokens are counts, cost CNY, latency milliseconds of the call."""

    app: str
    subject: Subject
    target_id: str
    outcome: Outcome
    reason: str | None = None
    message: str | None = None
    run_log_id: int | None = None
    cache_id: int | None = None
    made_at: datetime | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = ""
    references: Mapping[str, Any] = field(default_factory=dict)
    reading: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_used: int = 0
    tokens_estimated: bool = False
    cost_cny: Decimal = Decimal(0)
    models_without_price: tuple[str, ...] = ()
    """Ids of the models that were charged the dearest known price, because the price file has none for them."""
    latency_ms: int = 0
    attempts: int = 0
    clues_set: int | None = None
    """App8 and `member_retention_clue`: how many retention clues it set; None: it set none, the old ones stand."""

    def __post_init__(self) -> None:
        """What an error said goes into the inbox, into Dagster and onto terminals: it is redacted here, once."""
        if self.message:
            object.__setattr__(self, "message", redact_text(self.message))

    def as_step_result(self) -> dict[str, Any]:
        """The form kept in a trigger job's `step_results`."""
        return {
            "app": self.app,
            "target_id": self.target_id,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "message": self.message,
            "run_log_id": self.run_log_id,
            "cache_id": self.cache_id,
        }
