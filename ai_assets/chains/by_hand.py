"""One app for one subject, without its chain: `run-app`, and "regenerate" in the admin web.

Source: docs/behaviour.md, "Manual runs". Missing or wrong input is an error before anything is spent.
Not here: the command line, Dagster's materialize button (the assets run the same steps).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from ai_assets.apps.answers import AnalysisAnswer
from ai_assets.apps.base import Subject
from ai_assets.apps.member_subject import LARGEST_ID, check_member
from ai_assets.apps.registry import FINANCE_APPS, PAIR_APPS
from ai_assets.apps.registry import app as find_app
from ai_assets.chains.manual_payload import CluePayload, NotePayload, TacticsPayload, read_payload
from ai_assets.chains.member_steps import RETENTION_CLUE, About, MemberSteps
from ai_assets.chains.outcome import StepRequest, StepResult, Trigger
from ai_assets.chains.site_figures import SiteFigures
from ai_assets.chains.step import run_step
from ai_assets.errors import InputError, MissingSubjectError
from ai_assets.warehouse.people import Note

if TYPE_CHECKING:
    from ai_assets.chains.manual_payload import ManualPayload
    from ai_assets.chains.runtime import Runtime


@dataclass(frozen=True)
class Asked:
    """What a person asks for. `payload` has the keys of the app's model in `ai_assets.chains.manual_payload`."""

    app_name: str
    subject: Subject
    payload: Mapping[str, Any] = field(default_factory=dict)
    as_of: date | None = None
    forced: bool = True


def check(asked: Asked) -> None:
    """Raise InputError for an unknown app, a wrong or missing part of the subject or a payload of no use."""
    if asked.app_name != RETENTION_CLUE:
        find_app(asked.app_name).check(asked.subject)
    else:
        check_member(RETENTION_CLUE, asked.subject)
    if asked.subject.site_id > LARGEST_ID:
        raise InputError(f"{asked.app_name}: site_id {asked.subject.site_id} is too large")
    _payload(asked)


def run_by_hand(runtime: Runtime, asked: Asked, cancelled: threading.Event | None = None) -> StepResult:
    """Run it; what goes wrong in the step itself is in the result.

    Raises InputError as `check` does, MissingSubjectError where site, member, assistant or note are not there,
    WarehouseError, ConfigurationError (no app id), DatabaseUnavailableError: all before anything is spent.
    """
    check(asked)
    payload = _payload(asked)
    trigger = Trigger(triggered_by=payload.triggered_by, forced=asked.forced)
    name = _name(asked)
    if name != RETENTION_CLUE:
        runtime.app_id(find_app(name))
        if name in FINANCE_APPS:
            return _finance(runtime, asked, trigger, cancelled or threading.Event())
    steps = MemberSteps(runtime, _about(asked, payload), trigger, cancelled)
    try:
        steps.check()
    except MissingSubjectError as error:
        raise MissingSubjectError(f"{name}: {error}") from None
    if name == RETENTION_CLUE:
        return steps.set_clues()
    if name == "app6_note" and not steps.has_note():
        raise MissingSubjectError(
            f"{name}: member {asked.subject.member_id} of site {asked.subject.site_id} has no note: give one in the "
            "payload as note_content"
        )
    return steps.run(name)


def _finance(runtime: Runtime, asked: Asked, trigger: Trigger, cancelled: threading.Event) -> StepResult:
    app, subject = find_app(asked.app_name), asked.subject
    figures = SiteFigures(runtime, asked.as_of)
    # now: what cannot be read is an error before anything is spent, and no failed step
    figures.of(subject.site_id)
    request = StepRequest(app, subject, lambda: figures.prompt(app, subject), trigger)
    return run_step(runtime, request, cancelled)


def _name(asked: Asked) -> str:
    return RETENTION_CLUE if asked.app_name == RETENTION_CLUE else find_app(asked.app_name).name


def _payload(asked: Asked) -> ManualPayload:
    return read_payload(_name(asked), asked.payload)


def _about(asked: Asked, payload: ManualPayload) -> About:
    subject = asked.subject
    about = About(
        site_id=subject.site_id,
        member_id=subject.member_id or 0,
        # an assistant who has no part in it is neither looked for nor read
        assistant_id=subject.assistant_id if _name(asked) in PAIR_APPS else None,
        as_of=asked.as_of,
    )
    match payload:
        case NotePayload(note_content=str(words)):
            noted_by = (payload.noted_by_name or "").strip() or None
            note = Note(words, noted_by, payload.noted_by_created_at, payload.note_id)
            return replace(about, note=note)
        case TacticsPayload(app4_analysis=given) if given is not None:
            # as an answer of App4 is kept: without blanks around its texts
            analysis = AnalysisAnswer.model_validate(given.model_dump()).model_dump()
            return replace(about, analysis=analysis)
        case CluePayload():
            return replace(about, clue_source=payload.source)
    return about
