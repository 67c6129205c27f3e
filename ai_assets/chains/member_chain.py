"""The chain of a member's event: which steps, in which order, and what its trigger job comes to.

Source: docs/behaviour.md, "Events and chains". Not here: claiming and holding the job (`chains.worker`), what
steps hand on (`chains.member_steps`), Dagster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ai_assets.apps.base import Subject
from ai_assets.apps.registry import PAIR_APPS
from ai_assets.catalog import find_entry
from ai_assets.chains.member_steps import About, MemberSteps
from ai_assets.chains.outcome import Outcome, StepResult, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError, InputError
from ai_assets.store import claims
from ai_assets.store.engine import reachable
from ai_assets.store.payloads import payload_id
from ai_assets.store.trigger_jobs import MANUAL
from ai_assets.warehouse.people import Note

if TYPE_CHECKING:
    from ai_assets.store.claims import EarlierStep
    from ai_assets.store.trigger_jobs import TriggerJob

STEPS_OF_TIME = 5
"""A member's chain may take so many steps' time (docs/behaviour.md, Time limits)."""

CLUE_SOURCES = {"note_created": "ai_note"}
"""What App8's clues are filed under after an event; `ai_consumption` after any other."""

# how an attempt ended that says nothing of the app: the step is made again
_NOT_THE_APP = frozenset({"cancelled", "lease_lost", "outcome_unknown", "database_unavailable"})

_TAKEN_OVER = {
    "success": "made by an earlier attempt of this chain",
    "reused": "taken over from the job that this one repeats",
}


@dataclass
class ChainResult:
    """What a chain came to. `status` is the trigger job's: completed, partial or failed."""

    steps: list[StepResult] = field(default_factory=list)
    error: str | None = None
    timed_out: bool = False

    @property
    def status(self) -> str:
        """As docs/behaviour.md says: failed if no step gave a result or the time ran out; partial if one did not."""
        has_result = any(step.outcome.has_result for step in self.steps)
        # App6 without a note has no result and did not fail
        if self.timed_out or self.error is not None or (not has_result and (self.failures or not self.steps)):
            return "failed"
        return "partial" if self.failures else "completed"

    @property
    def failures(self) -> list[StepResult]:
        """Steps that should have given a result and did not."""
        return [step for step in self.steps if step.outcome.is_failure]

    @property
    def message(self) -> str | None:
        """What the job's error_message says."""
        if self.error is not None:
            return self.error
        if self.timed_out:
            return "the chain ran out of time; " + "; ".join(_said(step) for step in self.failures)
        return "; ".join(_said(step) for step in self.failures) or None


class ChainStoppedError(AiAssetsError):
    """The chain was stopped before its end: another worker makes what is left."""


def apps_of(job: TriggerJob) -> tuple[str, ...]:
    """The app names of a job's chain, in order. Raises InputError for a chain that nobody knows."""
    try:
        return tuple(find_entry(name).name for name in (job.app_chain or "").split("→"))
    except InputError as error:
        raise InputError(f"trigger job {job.id} has a chain that is not known: {job.app_chain!r}") from error


def about_of(job: TriggerJob) -> About:
    """Whom a job's chain is about. Raises InputError where the job's row cannot be used."""
    if job.site_id is None or job.member_id is None:
        raise InputError(f"trigger job {job.id} has no site or no member")
    with_assistant = any(name in PAIR_APPS for name in apps_of(job))
    return About(
        site_id=job.site_id,
        member_id=job.member_id,
        assistant_id=payload_id(job.payload.get("assistant_id")) if with_assistant else None,
        as_of=job.business_date,
        note=note_of(job.payload) if job.event_type == "note_created" else None,
        clue_source=CLUE_SOURCES.get(job.event_type, "ai_consumption"),
    )


def run_chain(
    runtime: Runtime,
    job: TriggerJob,
    *,
    cancelled: threading.Event,
    out_of_time: Callable[[], bool],
    on_step: Callable[[StepResult], None],
    on_start: Callable[[Sequence[tuple[str, Subject]]], None] = lambda _steps: None,
) -> ChainResult:
    """Run a claimed job's chain to its end; a step that fails or cannot run never stops the later ones.

    `on_start` is called with the app name and subject of each step that can run, before the first; `on_step` after
    each step. Steps that an earlier attempt of the job made are taken over, with what they came to; so are the results
    of the job that this one repeats. A chain of which no step can run has no steps and an error. Raises
    ChainStoppedError when `cancelled` is set for another reason than time, DatabaseUnavailableError where
    Postgres went away: then the job is not at its end.
    """
    chain = ChainResult()
    try:
        steps = MemberSteps(
            runtime,
            about_of(job),
            Trigger.of_job(job.event_type, "event", job.id, forced=job.is_forced),
            cancelled,
        )
        apps = apps_of(job)
        unable = steps.unable(apps)
        on_start([(name, steps.subject(name)) for name in apps if name not in unable])
        # also in a first attempt: one that was handed back does not count
        earlier = _earlier(runtime, job)
        for name in apps:
            known = earlier.get((name, steps.target_id(name)))
            if name in unable:
                made = steps.fail(name, unable[name])
            elif known is not None:
                made = steps.adopt(_taken_over(known, steps.subject(name)))
            elif name == "app6_note" and job.event_type == MANUAL and not steps.may_have_note():
                # the note was there when the job was queued
                made = steps.without_note()
            else:
                made = steps.run(name)
            if made.reason == DatabaseUnavailableError.reason:
                raise DatabaseUnavailableError(made.message)
            if cancelled.is_set() and made.outcome.is_failure:
                if not out_of_time():
                    raise ChainStoppedError
                chain.timed_out = True
                made = replace(made, reason="chain_timeout", message="the chain ran out of time")
            chain.steps.append(made)
            on_step(made)
    except DatabaseUnavailableError:
        raise
    except ChainStoppedError:
        raise
    except AiAssetsError as error:
        # before any step: the event cannot be run
        chain.error = str(error)
    return chain


def _earlier(runtime: Runtime, job: TriggerJob) -> dict[tuple[str, str], EarlierStep]:
    """What is taken over, by app and target."""
    with reachable("reading the earlier attempt"), runtime.engine.connect() as connection:
        found = claims.earlier_steps(connection, job.id)
        # this job's own attempts after it: they are newer
        repeated = claims.results_of(connection, job.repeat_of) if job.repeat_of is not None else []
    return {(step.app, step.target_id): step for step in [*repeated, *found] if _stands(step)}


def _stands(step: EarlierStep) -> bool:
    if step.status in {"success", "reused"}:
        return step.cache_id is not None
    return step.status in {"failed", "timeout", "refused"} and step.reason not in _NOT_THE_APP


def _taken_over(step: EarlierStep, subject: Subject) -> StepResult:
    result: Mapping[str, Any] = step.result_json or {}
    return StepResult(
        app=step.app,
        subject=subject,
        target_id=step.target_id,
        outcome=Outcome(step.status),
        reason=step.reason,
        message=_TAKEN_OVER.get(step.status, step.reason),
        run_log_id=step.run_log_id,
        cache_id=step.cache_id,
        made_at=step.made_at,
        result=result,
        prompt=step.prompt or "",
        references=result.get("_references") or {},
        tokens_in=step.tokens_in or 0,
        tokens_out=step.tokens_out or 0,
        tokens_used=step.tokens_used or 0,
        cost_cny=step.cost_cny or Decimal(0),
        latency_ms=step.latency_ms or 0,
        clues_set=len(result.get("clues") or ()) or None if step.app == "app8_consolidation" else None,
    )


def _said(step: StepResult) -> str:
    return f"{step.app}: {step.message or step.reason or step.outcome.value}"


def note_of(payload: Mapping[str, Any]) -> Note:
    """The note that a payload holds; its time as it is written, without an offset too."""
    return Note(
        content=str(payload.get("note_content") or ""),
        noted_by_name=_text(payload.get("noted_by_name")),
        noted_at=_time(payload.get("noted_by_created_at")),
        note_id=payload_id(payload.get("note_id")),
    )


def _text(value: object) -> str | None:
    return str(value).strip() or None if value is not None else None


def _time(value: object) -> datetime | None:
    """A payload's time, or None where it is none: a note without its time is still a note."""
    try:
        return datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
