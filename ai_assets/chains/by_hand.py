"""One app for one subject, without its chain: `run-app`, and "regenerate" in the admin web.

Source: behaviour.md, "Running one app by hand". Missing or wrong input is an error before anything is spent.
Not here: the command line, Dagster's materialize button (the assets run the same steps).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ai_assets.apps.answers import AnalysisAnswer
from ai_assets.apps.base import Subject
from ai_assets.apps.member_subject import LARGEST_ID, check_member
from ai_assets.apps.people_text import inert
from ai_assets.apps.registry import FINANCE_APPS, PAIR_APPS
from ai_assets.apps.registry import app as find_app
from ai_assets.chains.member_chain import note_of
from ai_assets.chains.member_steps import RETENTION_CLUE, About, MemberSteps
from ai_assets.chains.outcome import StepRequest, StepResult, Trigger
from ai_assets.chains.site_figures import SiteFigures
from ai_assets.chains.step import run_step
from ai_assets.errors import InputError, MissingSubjectError

if TYPE_CHECKING:
    from ai_assets.chains.runtime import Runtime
    from ai_assets.warehouse.people import Note

CLUE_SOURCES = ("ai_consumption", "ai_note")


@dataclass(frozen=True)
class Asked:
    """What a person asks for. `payload` is App5's App4 answer, App6's note or App8's clue source."""

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
        check_member(asked.subject)
    if asked.subject.site_id > LARGEST_ID:
        raise InputError(f"{asked.subject.site_id} is no id of a site: it is too large")
    _about(asked)


def run_by_hand(runtime: Runtime, asked: Asked, cancelled: threading.Event | None = None) -> StepResult:
    """Run it; what goes wrong in the step itself is in the result.

    Raises InputError as `check` does, MissingSubjectError where site, member, assistant or note are not there,
    WarehouseError, ConfigurationError (no app id), DatabaseUnavailableError: all before anything is spent.
    """
    check(asked)
    trigger = Trigger(forced=asked.forced)
    if asked.app_name != RETENTION_CLUE:
        name = find_app(asked.app_name).name
        runtime.app_id(find_app(name))
        if name in FINANCE_APPS:
            return _finance(runtime, asked, trigger, cancelled or threading.Event())
    steps = MemberSteps(runtime, _about(asked), trigger, cancelled)
    steps.check()
    if asked.app_name == RETENTION_CLUE:
        return steps.set_clues()
    if name == "app6_note" and not steps.has_note():
        raise MissingSubjectError(
            f"member {asked.subject.member_id} of site {asked.subject.site_id} has no note: give one in the "
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


def _about(asked: Asked) -> About:
    payload, subject = asked.payload, asked.subject
    source = payload.get("source", CLUE_SOURCES[0])
    if source not in CLUE_SOURCES:
        raise InputError(f"payload.source is unknown: use one of {', '.join(CLUE_SOURCES)}")
    # an assistant who has no part in it is neither looked for nor read
    of_pair = asked.app_name != RETENTION_CLUE and find_app(asked.app_name).name in PAIR_APPS
    return About(
        site_id=subject.site_id,
        member_id=subject.member_id or 0,
        assistant_id=subject.assistant_id if of_pair else None,
        as_of=asked.as_of,
        note=_note(payload),
        analysis=_analysis(payload),
        clue_source=source,
    )


def _note(payload: Mapping[str, Any]) -> Note | None:
    if "note_content" not in payload:
        return None
    words = payload["note_content"]
    if not isinstance(words, str):
        raise InputError(
            "payload.note_content is no text: give the note's text, or leave it out for the newest"
        )
    # as the prompt will have them: control characters alone are no note
    if not inert(words).strip():
        raise InputError(
            "payload.note_content is empty: give the note's text, or leave it out for the newest"
        )
    return note_of(payload)


def _analysis(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    # the answer itself, even where a part of it is missing: another one must not be taken in silence
    itself = payload if AnalysisAnswer.model_fields.keys() & payload.keys() else None
    given = payload.get("app4_analysis", itself)
    if given is None:
        return None
    try:
        return AnalysisAnswer.model_validate(given).model_dump()
    except ValidationError as error:
        faults = "; ".join(
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors()
        )
        raise InputError(f"payload.app4_analysis is no answer of App4: {faults}") from None
