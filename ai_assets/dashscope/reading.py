"""Reading an app's answer: the JSON object in a text, held against the app's schema.

Strict JSON first, then the object as it stands between fences or prose, then mended (`repair`); the schema is
asked after each, and the result says which it was. Bounded in time and memory for any text.

Here: the order of these and what is refused. Not here: the schemas (`ai_assets.apps`), whether what the
answer says is true. The raw text belongs in the run log whatever comes of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pydantic

from ai_assets.dashscope.clean import Cleaner
from ai_assets.dashscope.failure import one_line
from ai_assets.dashscope.repair import UnrepairableJsonError, repair
from ai_assets.dashscope.spans import DEEPEST, MOST_SPANS, Span, nests_deeper, object_spans
from ai_assets.errors import PermanentError

MOST_BYTES = 1_000_000
_MOST_TRIES = 20
_MOST_REPAIRS = 2
_LONGEST_NUMBER = 400

How = Literal["strict", "fenced", "repaired"]
Fault = tuple[str, str]


class UnreadableAnswerError(PermanentError):
    """The answer cannot be read; the message says what and where, in one line.

    It quotes nothing of the answer: it goes to alerts, and an answer may hold anything. The run log has the whole.
    `faults`: (place in the answer such as "clues.0.summary", "" for all of it; kind), for telling the app.
    """

    reason = "unreadable_answer"

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (("", self.reason),)


class NotJsonError(UnreadableAnswerError):
    """The answer holds no JSON object that can be read."""

    reason = "not_json"


class SchemaMismatchError(UnreadableAnswerError):
    """The answer is a JSON object, but not the one its app must give."""

    reason = "schema"


class TruncatedAnswerError(UnreadableAnswerError):
    """The app stopped at its model's length limit before the answer was complete (`finish_reason` "length")."""

    reason = "truncated"


class RepairedAnswerError(UnreadableAnswerError):
    """The answer could only be read mended, and of this app that is not good enough (AI_REPAIRED_ANSWERS)."""

    reason = "repaired"


UNREADABLE_REASONS = frozenset(
    error.reason for error in (NotJsonError, SchemaMismatchError, TruncatedAnswerError, RepairedAnswerError)
)
"""Reasons of a failed step that are the answer's own."""


@dataclass(frozen=True)
class Reading:
    """An answer that fits its schema, as JSON values; `how` it was read; what was `mended`, for people."""

    answer: dict[str, Any]
    how: How
    mended: tuple[str, ...]


def read_answer(text: str, schema: type[pydantic.BaseModel]) -> Reading:
    """The object in `text` that fits `schema`, with the schema's defaults filled in.

    Keys that the schema does not name are kept where it is configured with `extra="allow"`. Control
    characters (but line feed and tab) and lone surrogates are taken out of every string, and noted. Raises
    NotJsonError (reason "not_json") or SchemaMismatchError (reason "schema").
    """
    size = len(text) if len(text) > MOST_BYTES else len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise NotJsonError(
            f"the answer is too long: {size:,} bytes, at most {MOST_BYTES:,} are read",
            (("", "too_long_answer"),),
        )
    body = text.strip().removeprefix("\ufeff").strip()
    whole = _parse(body)
    if isinstance(whole, dict):
        return _fit(whole, schema, "strict", ())
    spans = object_spans(body)
    if not spans:
        raise NotJsonError(f"the answer is not JSON: it holds no object in its {len(body):,} characters")
    if len(spans) > MOST_SPANS:
        raise NotJsonError(f"the answer holds more than {MOST_SPANS:,} objects")
    if any(body[one.end : other.start].strip() == "," for one, other in pairwise(spans)):
        raise NotJsonError("the answer is a list of several objects, and not one object")
    return _read_spans(body, spans, schema)


def _read_spans(body: str, spans: list[Span], schema: type[pydantic.BaseModel]) -> Reading:
    """The longest object that fits; those that parse go before those to be mended."""
    longest_first = sorted(spans, key=lambda span: span.start - span.end)[:_MOST_TRIES]
    problem: UnreadableAnswerError | None = None
    broken: list[Span] = []
    for span in longest_first:
        value = _parse(body[span.start : span.end]) if span.closed else None
        if not isinstance(value, dict):
            broken.append(span)
            continue
        fitted = _try(value, schema, "fenced", _surroundings(body, span))
        if isinstance(fitted, Reading):
            return fitted
        problem = problem or fitted
    for span in broken[:_MOST_REPAIRS]:
        try:
            value, notes = repair(body[span.start : span.end], span)
        except UnrepairableJsonError as exc:
            problem = problem or NotJsonError(f"the answer is not JSON: {exc}")
            continue
        fitted = _try(value, schema, "repaired", notes)
        if isinstance(fitted, Reading):
            return fitted
        problem = problem or fitted
    raise problem or NotJsonError("the answer is not JSON")


def _surroundings(body: str, span: Span) -> tuple[str, ...]:
    if body[: span.start].rstrip().lower().endswith(("```", "```json")):
        return ("taken out of a code fence",)
    return ("taken out of the text around it",)


def _try(
    value: dict[str, Any], schema: type[pydantic.BaseModel], how: How, notes: tuple[str, ...]
) -> Reading | UnreadableAnswerError:
    try:
        return _fit(value, schema, how, notes)
    except UnreadableAnswerError as exc:
        return exc


def _fit(
    value: dict[str, Any], schema: type[pydantic.BaseModel], how: How, notes: tuple[str, ...]
) -> Reading:
    if nests_deeper(value, DEEPEST):
        raise NotJsonError(f"the answer nests deeper than {DEEPEST} levels")
    cleaner = Cleaner()
    cleaned = cleaner.clean(value)
    problem = ""
    faults: tuple[Fault, ...] = ()
    try:
        answer = schema.model_validate(cleaned).model_dump(mode="json")
        json.dumps(answer, allow_nan=False)
    except pydantic.ValidationError as exc:
        problem, faults = _what_and_where(exc)
    except ValueError as exc:  # a field's own type may make NaN of a string
        problem = str(exc)
    if problem:
        raise SchemaMismatchError(one_line(f"the answer breaks its schema: {problem}", 300), faults)
    return Reading(answer, how, notes + cleaner.notes())


def _what_and_where(error: pydantic.ValidationError) -> tuple[str, tuple[Fault, ...]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = [".".join(map(str, item["loc"])) for item in found]
    lines = [f"{place or 'answer'}: {item['msg']}" for place, item in zip(places, found[:3], strict=False)]
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    faults = tuple((place, item["type"]) for place, item in zip(places, found, strict=True))
    return "; ".join(lines) + more, faults


def _parse(text: str) -> Any:
    """Strict JSON; None for anything else (null itself is no answer either)."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):  # ValueError: also a number of more digits than Python reads
        return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits) if len(digits) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(number):
        raise ValueError(digits[:40])
    return number
