"""How long the texts of an answer may be, in characters; lists and categories are the schemas' matter.

Here: what a limit is, and those of a whole answer. Not here: cutting (`plain_answers`), each text's limit: it stands
at its field (`ai_assets.apps.answers`).
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
    """`most` characters. `needed`: nothing is left of the answer's sense where this text is empty.

    `whole`: a text that is longer is left out instead of cut, since a part of it would be something else.
    """

    most: int
    needed: bool = True
    whole: bool = False


OTHER: Final = Limit(500, needed=False)
"""A text under a key that no schema names."""


@dataclass(frozen=True)
class Limits:
    """The limits of one app's answer. A path is the keys that lead there, such as `clues.summary`, without the places
    in lists. `keys`: those that the schema names; any other was made up by the app.
    """

    by_path: Mapping[str, Limit]
    keys: frozenset[str] = frozenset()

    def of(self, path: str) -> Limit:
        """The limit of the text there."""
        return self.by_path.get(path, OTHER)

    def needs(self, path: str) -> bool:
        """Whether the answer needs the text there."""
        return self.of(path).needed

    def told(self, path: str) -> str:
        """A path for people: the keys that the schema names, "…" for one that the app made up."""
        return ".".join(part if part in self.keys else "…" for part in path.split("."))
