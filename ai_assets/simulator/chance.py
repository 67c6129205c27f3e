"""Seeded chance: the same words in give the same draw out, on every machine and Python version.

Here: draws as pure functions of what they are asked about. Not here: what is decided by them.

`random.Random` is not used: its draws may change between Python versions, and it carries state, so that two
requests side by side would change each other's answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def digest(*parts: object) -> str:
    """32 hex digits that stand for `parts` in this order; lone surrogates are allowed in them."""
    words = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        words.update(len(data).to_bytes(8, "big"))
        words.update(data)
    return words.hexdigest()


def unit(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` only."""
    return int(digest(*parts)[:13], 16) / 16**13


class Dice:
    """A sequence of draws that depends on `parts` and on how many were drawn before."""

    def __init__(self, *parts: object) -> None:
        self._seed = digest(*parts)
        self._drawn = 0

    def below(self, limit: int) -> int:
        """An integer from 0 to `limit` - 1; `limit` is at least 1."""
        self._drawn += 1
        return int(unit(self._seed, self._drawn) * limit)

    def pick(self, choices: Sequence[T]) -> T:
        """One of `choices`, which is not empty."""
        return choices[self.below(len(choices))]

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """At most `count` different ones of `choices`, in the order they stand there."""
        left = list(range(len(choices)))
        taken = [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
        return [choices[place] for place in sorted(taken)]
