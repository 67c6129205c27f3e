"""How many requests a token may make: a bucket that fills up again. Pure: the clock is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Bucket:
    """Holds `size` places, of which `per_s` come back each second. `left` and `at` are its state."""

    per_s: float
    size: float
    left: float
    at: float

    @classmethod
    def full(cls, per_s: float, size: float, now: float) -> Bucket:
        """A bucket with all its places free; `now` is monotonic seconds."""
        return cls(per_s, size, size, now)

    def take(self, now: float) -> float:
        """Take a place; 0.0, or the seconds until there is one, and then none is taken."""
        self.left = min(self.size, self.left + max(0.0, now - self.at) * self.per_s)
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) / self.per_s


def whole_seconds(seconds: float) -> int:
    """For Retry-After: never less than what is left."""
    return max(1, math.ceil(seconds))
