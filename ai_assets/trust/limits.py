"""How long each text of an answer may be, by where it stands. Characters; lists and categories are the schemas' matter.

Here: figures. Not here: cutting (`plain_answers`), the schemas (`ai_assets.apps.answers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST_VALUES: Final = 3_000
"""Values in an answer, keys among them: the largest of a schema, 30 clues of 6 keys, has under 400."""

MOST_CHARACTERS: Final = 100_000
"""Characters of all texts of an answer together."""

DEEPEST: Final = 100
"""Levels of nesting; as the reader has it (`ai_assets.dashscope.spans`)."""

ABSURD: Final = 10
"""A text that is longer than so many times its limit is no text of its field: it is refused, not cut."""

LONGEST_KEY: Final = 60
LONGEST_NUMBER: Final = 10**15
"""A number beyond it, either way, is no figure of a venue; past 2**53 readers in JavaScript get another one."""


@dataclass(frozen=True)
class Limit:
    """`most` characters. `needed`: nothing is left of the answer's sense where this text is empty."""

    most: int
    needed: bool = True


LIMITS: Final[Mapping[str, Limit]] = {
    "insights.title": Limit(60),
    "insights.body": Limit(800),
    "insights.tone": Limit(20, needed=False),
    "clues.category": Limit(20, needed=False),
    "clues.category_given": Limit(40, needed=False),
    "clues.emoji": Limit(12, needed=False),
    "clues.summary": Limit(200),
    "clues.detail": Limit(600, needed=False),
    "clues.providers": Limit(200, needed=False),
    "task_description": Limit(1_000),
    "action_suggestions": Limit(300),
    "one_line_summary": Limit(200),
    "tactics.scenario": Limit(150),
    "tactics.script": Limit(800),
    "summary": Limit(1_200),
    "strategies.title": Limit(60),
    "strategies.content": Limit(800),
}
"""By the keys that lead there; places in lists do not count."""

OTHER: Final = Limit(500, needed=False)
"""A text under a key that no schema names."""
