"""An answer made plain text, each text as long as its field allows.

Here: walking through an answer, cutting, what is refused for its size. Not here: one text's markup (`markup`), the
figures (`limits`), what a text says (`leaks`, `grounding`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_assets.trust.limits import (
    ABSURD,
    DEEPEST,
    LONGEST_KEY,
    LONGEST_NUMBER,
    MOST_CHARACTERS,
    MOST_VALUES,
    Limit,
    Limits,
)
from ai_assets.trust.markup import LINK_MARK, plain
from ai_assets.trust.refusal import AnswerRefusedError

_SENTENCE_END = re.compile(r"[。！？!?；;\n]|\.(?=\s)")


@dataclass(frozen=True)
class Held:
    """An answer that may go on, and what was done to it, for people; no note quotes it."""

    answer: dict[str, Any]
    notes: tuple[str, ...] = ()


def held(answer: Mapping[str, Any], limits: Limits) -> Held:
    """The answer (JSON values) with every text and key plain, within its limit; numbers that are none become null.

    Raises AnswerRefusedError where it is too deep, too large, or nothing is left of a text that the answer needs.
    Bounded: what is too large is refused before any text is looked at.
    """
    measure(answer)
    notes: Counter[str] = Counter()
    made = _object(answer, "", limits, notes)
    return Held(
        made, tuple(what if count == 1 else f"{what} ({count} times)" for what, count in notes.items())
    )


def measure(answer: Mapping[str, Any]) -> None:
    """Raises AnswerRefusedError for an answer deeper or larger than any app's; a loop, so that depth costs nothing."""
    level: list[Any] = [answer]
    values = characters = 0
    for _ in range(DEEPEST + 1):
        deeper: list[Any] = []
        for value in level:
            values += 1
            if isinstance(value, str):
                characters += len(value)
            elif isinstance(value, Mapping):
                values += len(value)
                characters += sum(len(key) for key in value)
                deeper.extend(value.values())
            elif isinstance(value, list):
                deeper.extend(value)
            if values > MOST_VALUES or values + len(deeper) > MOST_VALUES:
                raise AnswerRefusedError(f"the answer holds more than {MOST_VALUES:,} values")
            if characters > MOST_CHARACTERS:
                raise AnswerRefusedError(f"the answer holds more than {MOST_CHARACTERS:,} characters of text")
        if not deeper:
            return
        level = deeper
    raise AnswerRefusedError(f"the answer nests deeper than {DEEPEST} levels")


def _value(value: Any, path: str, limits: Limits, notes: Counter[str]) -> Any:
    if isinstance(value, str):
        return _text(value, path, limits, notes)
    if isinstance(value, Mapping):
        return _object(value, path, limits, notes)
    if isinstance(value, list):
        return [_value(item, path, limits, notes) for item in value]
    if isinstance(value, int | float) and not -LONGEST_NUMBER <= value <= LONGEST_NUMBER:
        notes[f"{limits.told(path)}: a number beyond any figure became null"] += 1
        return None
    return value


def _object(value: Mapping[str, Any], path: str, limits: Limits, notes: Counter[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        name = _key(key)
        if name != key:
            notes["a key was made plain"] += 1
        if not name or name in made or (name != key and name in value):
            notes["a key that is none, or stands there twice, was left out"] += 1
            continue
        made[name] = _value(item, f"{path}.{name}" if path else name, limits, notes)
    return made


def _key(key: str) -> str:
    # cut first: a key as long as a text costs as much as one; a dot is what paths are written with
    name = plain(re.sub(r"\s", " ", key[: LONGEST_KEY * 2]).replace(".", "·"))
    return "" if LINK_MARK in name else name[:LONGEST_KEY].strip()


def _text(text: str, path: str, limits: Limits, notes: Counter[str]) -> str:
    limit = limits.of(path)
    if len(text) > limit.most * ABSURD:
        raise AnswerRefusedError(
            f"{limits.told(path)} holds {len(text):,} characters, more than {ABSURD} times its limit of {limit.most}"
        )
    made = plain(text)
    if made != text.strip():
        notes[f"{limits.told(path)}: made plain text"] += 1
    if limit.needed and not _says_something(made):
        raise AnswerRefusedError(f"nothing is left of {limits.told(path)} but links and markup")
    if limit.whole and (len(made) > limit.most or LINK_MARK in made):
        notes[f"{limits.told(path)}: left out"] += 1
        return ""
    if len(made) > limit.most:
        notes[f"{limits.told(path)}: cut to {limit.most} characters"] += 1
        made = _cut(made, limit)
    return made


def _says_something(text: str) -> bool:
    return any(letter.isalnum() for letter in text.replace(LINK_MARK, ""))


def _cut(text: str, limit: Limit) -> str:
    """At the end of the last sentence that fits, if that keeps half of what fits; else mid-sentence, with a mark."""
    head = text[: limit.most]
    ends = [found.end() for found in _SENTENCE_END.finditer(head)]
    if ends and ends[-1] >= limit.most // 2:
        return head[: ends[-1]].rstrip()
    return head[: limit.most - 1].rstrip() + "…"
