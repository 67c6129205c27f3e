"""What is sent to the gateway and what it answers, as the types that OpenAPI is written from.

Strict: text is no number, and an unknown key is an error rather than a typing mistake that nobody hears of.
Not here: what an event must carry (`biz.fire_ai_event` judges that, for every language), problems (`problems`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ai_assets.chains.manual_payload import INK, Id
from ai_assets.store.clues import DEFAULT_CATEGORY

MOST_EVENTS = 500
"""Events of one request."""


def _iso_date(value: object) -> object:
    if not isinstance(value, str) or len(value) != 10:
        raise ValueError("not a date such as 2026-01-31")
    return date.fromisoformat(value)


IsoDate = Annotated[
    date, BeforeValidator(_iso_date), Field(json_schema_extra={"type": "string", "format": "date"})
]


class Sent(BaseModel):
    """Something that a client sends."""

    model_config = ConfigDict(strict=True, extra="forbid")


class SentEvent(Sent):
    """An event, as in docs/events.md."""

    event_type: Annotated[str, Field(min_length=1, max_length=200, examples=["consumption"])]
    site_id: Annotated[
        Id | None,
        Field(
            description="Default: payload.site_id. None: an event of no single site, such as ai_dws_prewarm",
            examples=[1001],
        ),
    ] = None
    member_id: Annotated[Id | None, Field(description="Default: payload.member_id", examples=[555])] = None
    payload: Annotated[
        dict[str, Any],
        Field(description="At most 256 kB", examples=[{"has_assistant": True, "assistant_id": 7}]),
    ] = {}
    is_forced: Annotated[bool, Field(description="Run it though it is a duplicate, and make new answers")] = (
        False
    )
    connector_type: Annotated[str, Field(max_length=200)] = "feiqiu"


class TakenIn(BaseModel):
    """What an event became. `failed`: it was recorded and cannot run; `error` says why.

    `ignored`: a consumption without a member, which has no chain.
    """

    id: int = Field(description="The trigger job's id")
    status: Literal["pending", "running", "completed", "partial", "failed", "dead", "duplicate", "ignored"]
    duplicate_of: int | None
    error: str | None


class TakenInAll(BaseModel):
    """What the events became, in the order in which they were sent."""

    events: list[TakenIn]


class StepOutcome(BaseModel):
    """What came of a step."""

    model_config = ConfigDict(extra="allow")


class Job(BaseModel):
    """A trigger job. Its payload is not told: who sent it knows it."""

    id: int
    event_type: str
    site_id: int | None
    member_id: int | None
    is_forced: bool
    app_chain: str | None
    status: str
    duplicate_of: int | None
    business_date: date | None
    attempts: int
    step_results: list[StepOutcome]
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class AppRunAnswer(BaseModel):
    """A run of one app. `running` until it is one of the others; `lost`: the process that ran it is gone."""

    id: int
    app: str
    site_id: int
    status: Literal["running", "success", "reused", "failed", "timeout", "refused", "lost"]
    reason: str | None
    message: str | None
    target_id: str | None
    run_log_id: int | None
    cache_id: int | None
    clues_set: int | None
    result: dict[str, Any] | None = Field(description="The answer, where there is one")
    created_at: datetime
    finished_at: datetime | None


class CacheVersion(BaseModel):
    """One version of a result: the app's answer, what it was made from, what was checked of it."""

    id: int
    cache_type: str
    site_id: int
    target_id: str
    result: dict[str, Any]
    references: dict[str, Any] | None
    checks: dict[str, Any] | None
    score: int | None
    triggered_by: str
    trigger_job_id: int | None
    run_log_id: int
    created_at: datetime
    age_s: float


class CacheAnswer(CacheVersion):
    """The newest version, and with `?history=` those before it, newest first."""

    history: list[CacheVersion] | None = None


def _without_default(schema: dict[str, Any]) -> None:
    # one that is not sent stays as it is
    schema.pop("default", None)


class ChangedClue(Sent):
    """What is to change of a clue that somebody wrote; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    category: Annotated[
        str, Field(min_length=1, max_length=50, pattern=INK, json_schema_extra=_without_default)
    ] = DEFAULT_CATEGORY
    summary: Annotated[
        str, Field(min_length=1, max_length=1000, pattern=INK, json_schema_extra=_without_default)
    ] = ""
    detail: Annotated[str, Field(max_length=4000, json_schema_extra=_without_default)] = ""
    recorded_by_name: Annotated[str, Field(max_length=100, json_schema_extra=_without_default)] = ""
    recorded_by_assistant_id: Annotated[Id | None, Field(json_schema_extra=_without_default)] = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change")
        return self


class SentClue(Sent):
    """A retention clue that somebody wrote."""

    category: Annotated[str, Field(min_length=1, max_length=50, pattern=INK)] = DEFAULT_CATEGORY
    summary: Annotated[str, Field(min_length=1, max_length=1000, pattern=INK, examples=["喜欢靠窗的台子"])]
    detail: Annotated[str, Field(max_length=4000)] = ""
    recorded_by_name: Annotated[str, Field(max_length=100)] = ""
    recorded_by_assistant_id: Id | None = None


class Clue(BaseModel):
    """A retention clue."""

    id: int
    category: str
    category_given: str | None = Field(description="The app's own word; None: people wrote it")
    summary: str
    detail: str | None
    source: str
    recorded_by_name: str | None
    recorded_by_assistant_id: int | None
    created_at: datetime


class Clues(BaseModel):
    """A member's retention clues of every source, newest first; at most 500."""

    clues: list[Clue]


class Alert(BaseModel):
    """An alert; the same one within a while is one that counts."""

    id: int
    site_id: int | None = Field(description="None: it concerns every site")
    app_type: str | None
    alert_type: str
    message: str
    log_id: int | None
    count: int
    created_at: datetime
    last_at: datetime
    last_log_id: int | None


class Alerts(BaseModel):
    """Alerts, newest first. `since`: open the WebSocket with it, and nothing is missed and nothing comes twice."""

    alerts: list[Alert]
    since: int
