"""What the tokens of one process share: requests at once, bytes of bodies, runs, sockets. No token can use it up.

A token may hold three quarters of what the other tokens leave, and one place in any case: so however many tokens take
all they may, a part stays free for the next one. Pure, for one event loop. Not here: requests a second (`limits`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ai_assets.gateway.problems import busy


class Quota:
    """`size` places or bytes, `what` and `kind` for the problem that refuses. `most_of_one`: a token's limit, if any.

    A token is known by its id; None stands for all who have not shown one yet.
    """

    def __init__(
        self, size: int, what: str, *, kind: str = "busy", most_of_one: int | None = None, wait_s: int = 2
    ) -> None:
        self.size = size
        self._what = what
        self._kind = kind
        self._most_of_one = most_of_one
        self._wait_s = wait_s
        self._held: Counter[int | None] = Counter()
        self._used = 0

    @property
    def used(self) -> int:
        """How much is in use, by all tokens."""
        return self._used

    def take(self, token_id: int | None, amount: int = 1) -> None:
        """Take a place, or so many bytes. Raises Problem: 503 if all is in use, 429 if the token has its share."""
        if self._used + amount > self.size:
            raise busy(f"there are too many {self._what} here: try again", self._wait_s, kind=self._kind)
        held = self._held[token_id]
        if held + amount > self._share(held):
            detail = f"this token has too many {self._what}: wait until some have ended"
            raise busy(detail, self._wait_s, status=429, kind=self._kind)
        self._held[token_id] += amount
        self._used += amount

    def release(self, token_id: int | None, amount: int = 1) -> None:
        """Free what was taken."""
        self._used -= amount
        self._held[token_id] -= amount
        if not self._held[token_id]:
            del self._held[token_id]

    @contextmanager
    def place(self, token_id: int | None) -> Iterator[None]:
        """Hold one place. Raises Problem as `take` does."""
        self.take(token_id)
        try:
            yield
        finally:
            self.release(token_id)

    def _share(self, held: int) -> int:
        left_by_others = self.size - (self._used - held)
        share = max(1, left_by_others * 3 // 4)
        return share if self._most_of_one is None else min(share, self._most_of_one)
