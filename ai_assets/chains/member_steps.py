"""Steps about one member (and one assistant), one after the other: each sees what the earlier ones gave.

Here: what a step is given of the others (docs/behaviour.md, "Inputs from other apps"). Not here: which steps an event
starts (`chains.member_chain`), one step (`chains.step`), Dagster.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.apps.base import Subject
from ai_assets.apps.member_source import Given, MemberSource
from ai_assets.apps.registry import APPS, PAIR_APPS
from ai_assets.chains.alerting import alert, failure_kind
from ai_assets.chains.member_reads import MemberReads
from ai_assets.chains.outcome import Outcome, StepRequest, StepResult, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.step import run_step
from ai_assets.errors import AiAssetsError, DatabaseUnavailableError, MissingSubjectError
from ai_assets.store import clues
from ai_assets.store.engine import first_line, reachable
from ai_assets.warehouse.local_time import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.warehouse.member_data import MemberData
    from ai_assets.warehouse.people import Note

RETENTION_CLUE = "member_retention_clue"


@dataclass(frozen=True)
class About:
    """Whom the steps are about, and what comes with the event or from the person who asked.

    `as_of` None: that of the site's newest batch. `note`: App6's; None: the member's newest in the warehouse.
    `analysis`: an App4 answer to use instead of the cache's. `clue_source`: what App8's clues are filed under.
    """

    site_id: int
    member_id: int
    assistant_id: int | None = None
    as_of: date | None = None
    note: Note | None = None
    analysis: Mapping[str, Any] | None = None
    clue_source: str = "ai_consumption"


class MemberSteps:
    """Not thread-safe: one chain, one thread. The warehouse is read once, when a step first needs it."""

    def __init__(
        self, runtime: Runtime, about: About, trigger: Trigger, cancelled: threading.Event | None = None
    ) -> None:
        self.about = about
        self._runtime = runtime
        self._trigger = trigger
        self._cancelled = cancelled or threading.Event()
        self._ran: dict[str, StepResult] = {}
        self._reads = MemberReads(
            runtime.engine, about.site_id, about.member_id, about.assistant_id, about.as_of
        )

    def check(self) -> None:
        """Raise MissingSubjectError where site, member or assistant are not there; WarehouseError."""
        with self._reads.one_snapshot():
            data = self._reads.data()
            _ = data.member
            if self.about.assistant_id is not None:
                _ = data.assistant

    def unable(self, app_names: Sequence[str]) -> dict[str, AiAssetsError]:
        """Those of these apps whose step cannot run, and why: the assistant of the pair cannot be used.

        Raises as `check` does where none of them can run.
        """
        pairs = [name for name in app_names if name in PAIR_APPS]
        with self._reads.one_snapshot():
            data = self._reads.data()
            _ = data.member
            try:
                if pairs and self.about.assistant_id is None:
                    raise MissingSubjectError(
                        "payload.assistant_id is not a positive whole number up to 9223372036854775807"
                    )
                if pairs:
                    _ = data.assistant
            except DatabaseUnavailableError:
                raise
            except AiAssetsError as error:
                if len(pairs) == len(app_names):
                    raise
                return dict.fromkeys(pairs, error)
        return {}

    def has_note(self) -> bool:
        """Whether there is a note for App6: one that was given, or any of the member's."""
        return self.about.note is not None or self._reads.data().newest_note is not None

    def may_have_note(self) -> bool:
        """As `has_note`; true where it cannot be read, so that App6 runs and its result says why."""
        try:
            return self.has_note()
        except AiAssetsError:
            return True

    def subject(self, app_name: str) -> Subject:
        """Whom an app's step is about: the member, or the pair."""
        assistant = self.about.assistant_id if app_name in PAIR_APPS else None
        return Subject(self.about.site_id, member_id=self.about.member_id, assistant_id=assistant)

    def target_id(self, app_name: str) -> str:
        """The target of an app's step; of a pair whose assistant is not known, the member's id."""
        subject = self.subject(app_name)
        if app_name in PAIR_APPS and subject.assistant_id is None:
            return str(subject.member_id)
        return APPS[app_name].target_id(subject)

    def fail(self, app_name: str, error: AiAssetsError) -> StepResult:
        """The failed step of an app that cannot run, with its alert."""
        result = StepResult(
            app_name,
            self.subject(app_name),
            self.target_id(app_name),
            Outcome.FAILED,
            reason=error.reason,
            message=str(error),
        )
        alert(self._runtime, result, failure_kind(error))
        return self.adopt(result)

    def run(self, app_name: str) -> StepResult:
        """Run one app's step; never raises for what went wrong in it. App8 also replaces the retention clues."""
        app = APPS[app_name]
        subject = self.subject(app_name)
        consolidates = app_name == "app8_consolidation"
        request = StepRequest(
            app,
            subject,
            lambda: self._reads.prompt(lambda data: app.build(self._source(app_name, data), subject)),
            self._trigger,
            also_write=self._replace_clues if consolidates else None,
            after_reuse=self._clues_of_reused if consolidates else None,
        )
        return self.adopt(run_step(self._runtime, request, self._cancelled))

    def without_note(self) -> StepResult:
        """The result of App6 where it has nothing to do. Later steps still read its earlier answer in the cache."""
        subject = self.subject("app6_note")
        return StepResult("app6_note", subject, APPS["app6_note"].target_id(subject), Outcome.NO_NOTE)

    def adopt(self, result: StepResult) -> StepResult:
        """Take a result of an earlier attempt of this chain as this one's own."""
        self._ran[result.app] = result
        return result

    def set_clues(self) -> StepResult:
        """`member_retention_clue` alone: set again from the newest App8 answer (`app` is RETENTION_CLUE).

        Failed with reason `no_answer` where App8 never answered for this member.
        """
        subject = self.subject(RETENTION_CLUE)
        blank = StepResult(RETENTION_CLUE, subject, str(subject.member_id), Outcome.FAILED)
        try:
            self.check()
            with reachable("setting the clues"), self._runtime.engine.begin() as connection:
                found = clues.set_from_newest(
                    connection, subject.site_id, self.about.member_id, source=self.about.clue_source
                )
        except AiAssetsError as error:
            return replace(blank, reason=error.reason, message=str(error))
        except SQLAlchemyError as error:
            return replace(blank, reason="clues_failed", message=_clues_failed(error))
        if found is None:
            return replace(
                blank,
                reason="no_answer",
                message=f"member {subject.member_id} of site {subject.site_id} has no answer of App8: "
                "run app8_consolidation",
            )
        cache_id, count = found
        return replace(blank, outcome=Outcome.SUCCESS, cache_id=cache_id, clues_set=count)

    def _replace_clues(self, connection: Connection, result: Mapping[str, Any]) -> int | None:
        return clues.replace(
            connection,
            self.about.site_id,
            self.about.member_id,
            source=self.about.clue_source,
            clues=result["clues"],
        )

    def _clues_of_reused(self, result: StepResult) -> StepResult:
        """A reused answer sets the clues too; the newest one, should there be a newer by now."""
        try:
            with reachable("setting the clues"), self._runtime.engine.begin() as connection:
                found = clues.set_from_newest(
                    connection, self.about.site_id, self.about.member_id, source=self.about.clue_source
                )
        except (AiAssetsError, SQLAlchemyError) as error:
            reason = error.reason if isinstance(error, AiAssetsError) else "clues_failed"
            message = _clues_failed(error)
            alert(self._runtime, result, "failed", result.run_log_id)
            return replace(result, outcome=Outcome.FAILED, reason=reason, message=message)
        return replace(result, clues_set=found[1] if found else None)

    def _source(self, app_name: str, data: MemberData) -> MemberSource:
        note = (self.about.note or data.newest_note) if app_name == "app6_note" else None
        if note is not None and note.noted_at is not None and note.noted_at.tzinfo is None:
            # a time without an offset is meant in the site's own zone, as `occurred_at` is
            note = replace(note, noted_at=note.noted_at.replace(tzinfo=zone_of(data.site)))
        return MemberSource(data, note, self._given(app_name), self._runtime.member_names)

    def _given(self, app_name: str) -> dict[str, Given]:
        given: dict[str, Given] = {}
        app = APPS[app_name]
        wanted = [*app.from_cache]
        for name in app.handed_on:
            if name in self._ran:
                made = self._ran[name]
                if made.outcome.has_result:
                    # just now: an answer that was reused is what the app would say now
                    given[name] = Given(made.result, None, made.cache_id, made.run_log_id)
            elif name == "app4_analysis" and self.about.analysis is not None:
                given[name] = Given(self.about.analysis)
            else:
                wanted.append(name)
        return given | self._reads.cached({name: APPS[name].target_id(self.subject(name)) for name in wanted})


def _clues_failed(error: Exception) -> str:
    return f"the retention clues could not be set: {first_line(error)}"
