"""What a manual run takes beside its subject: one model for each app, for `run-app --payload` and for the gateway.

A key that the app does not take is an error: a misspelt key would otherwise be ignored without a word. Event payloads
are not read here and keep their unknown keys. Error messages name keys and never quote a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from ai_assets.apps.answers import AnalysisAnswer
from ai_assets.apps.member_subject import LARGEST_ID
from ai_assets.apps.people_text import inert
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.errors import InputError

INK = r"[^\s\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
"""Something that can be seen, said without what regular expressions of two languages disagree on."""
CLUE_SOURCES = ("ai_consumption", "ai_note")

_PROCESS_NAME = r"^[a-z]+[0-9]{0,2}(_[a-z]+[0-9]{0,2})*$"
_EMPTY = frozenset({"string_pattern_mismatch", "string_too_short"})


def _whole(value: object) -> object:
    # JSON does not tell 5.0 from 5, and some languages write only the former
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.strip().upper())
    except ValueError:
        raise ValueError("is no time such as 2026-01-31T19:00:00+08:00") from None


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_WORDS = {"type": "string", "minLength": 1, "pattern": INK}
Id = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_whole)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Words = Annotated[str, Field(min_length=1, pattern=INK)]
Suggestions = Annotated[
    list[Words],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "array", "items": _WORDS}, _WORDS]}),
]


def _show_other_names(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the second name of a field into its model's JSON schema; a request has one of the two names."""
    for field in model.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            name, other = (str(choice) for choice in field.validation_alias.choices)
            schema["properties"][other] = {
                **schema["properties"][name],
                "title": other,
                "description": f"The same as {name}",
            }
            required = schema.get("required", [])
            if name in required:
                required.remove(name)
                rule: dict[str, Any] = {"oneOf": [{"required": [name]}, {"required": [other]}]}
            else:
                rule = {"not": {"required": [name, other]}}
            schema.setdefault("allOf", []).append(rule)
    if issubclass(model, NotePayload):
        without = {"noted_by_name": {"type": "null"}, "noted_by_created_at": {"type": "null"}}
        with_note = {"required": ["note_content"], "properties": {"note_content": {"type": "string"}}}
        schema.setdefault("allOf", []).append({"anyOf": [with_note, {"properties": without}]})


class ManualPayload(BaseModel):
    """What every app takes."""

    model_config = ConfigDict(
        strict=True, extra="forbid", hide_input_in_errors=True, json_schema_extra=_show_other_names
    )

    triggered_by: Annotated[
        str,
        Field(
            max_length=40,
            pattern=_PROCESS_NAME,
            description="Kept as `triggered_by` of the answer: the name of a process, never of a person",
        ),
    ] = "admin_manual"


class NotePayload(ManualPayload):
    """App6: a note, and who wrote it when. Without one, App6 takes the member's newest note."""

    note_content: Annotated[
        Annotated[str, Field(min_length=1, max_length=20_000, pattern=INK)] | None,
        Field(description="None: the newest note"),
    ] = None
    noted_by_name: Annotated[str, Field(max_length=200)] | None = None
    noted_by_created_at: Annotated[
        Moment | None, Field(description="A time without an offset is in the site's time zone")
    ] = None
    note_id: Id | None = None

    @field_validator("noted_by_name", "noted_by_created_at")
    @classmethod
    def _of_this_note(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("note_content", "") is None:
            raise ValueError("belongs to a note: give note_content too")
        return value


class CluePayload(ManualPayload):
    """App8, and the retention clues alone: the source under which the clues are stored."""

    source: Literal["ai_consumption", "ai_note"] = "ai_consumption"


class Analysis(BaseModel):
    """An answer of App4. Other keys of it, such as `_references`, are not used."""

    model_config = ConfigDict(strict=True, extra="allow", hide_input_in_errors=True)

    task_description: Words
    action_suggestions: Suggestions
    one_line_summary: Words


class TacticsPayload(ManualPayload):
    """App5: App4's answer to use. Without one, App5 takes the newest in the cache."""

    app4_analysis: Annotated[
        Analysis | None, Field(validation_alias=AliasChoices("app4_analysis", "app4_result"))
    ] = None


PAYLOADS: Mapping[str, type[ManualPayload]] = {
    "app5_tactics": TacticsPayload,
    "app6_note": NotePayload,
    "app8_consolidation": CluePayload,
    RETENTION_CLUE: CluePayload,
}
"""Of the apps that take more than every app does."""


def read_payload(app_name: str, given: Mapping[str, Any]) -> ManualPayload:
    """Validate a payload. App5 also takes App4's answer itself, as `run-app app4_analysis` prints it.

    Raises InputError naming the app and each wrong key.
    """
    model = PAYLOADS.get(app_name, ManualPayload)
    if model is TacticsPayload and given.keys() & AnalysisAnswer.model_fields.keys():
        given = _wrapped(given)
    try:
        payload = model.model_validate(dict(given))
    except ValidationError as error:
        faults = "; ".join(_fault(model, one["loc"], one["type"], one["msg"]) for one in error.errors())
        raise InputError(f"{app_name}: {faults}") from None
    # control characters alone are no note
    if isinstance(payload, NotePayload) and payload.note_content and not inert(payload.note_content).strip():
        raise InputError(f"{app_name}: payload.note_content is empty")
    return payload


def safe_key(key: str) -> str:
    """A key that somebody sent, where it looks like one: else it may be anything, also a person's data."""
    return key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,40}", key) else "(a key)"


def _wrapped(given: Mapping[str, Any]) -> Mapping[str, Any]:
    if given.keys() & {"app4_analysis", "app4_result"}:
        return given
    own = {key: value for key, value in given.items() if key in TacticsPayload.model_fields}
    return {**own, "app4_analysis": {key: value for key, value in given.items() if key not in own}}


def _fault(model: type[ManualPayload], at: tuple[str | int, ...], kind: str, message: str) -> str:
    where = ".".join(("payload", *(safe_key(part) if isinstance(part, str) else str(part) for part in at)))
    if kind == "extra_forbidden":
        return f"{where} is not taken: use {', '.join(_keys(model))}"
    if at == ("triggered_by",):
        return f"{where} must be at most 40 lower-case letters and _, such as admin_manual"
    if kind in _EMPTY:
        return f"{where} is empty"
    return f"{where}: {message.removeprefix('Value error, ')}"


def _keys(model: type[ManualPayload]) -> list[str]:
    names: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names += [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]
    # triggered_by last: the app's own keys are what was meant
    return names[1:] + names[:1]
