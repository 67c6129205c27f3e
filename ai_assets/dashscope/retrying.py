"""When a failed attempt is made again within one call: a pure decision.

Here: backoff, jitter, Retry-After, what fits into the time left. Not here: the waiting itself (`client`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ai_assets.dashscope.errors import ConnectionFailedError, DashScopeError, Resend

LEAST_ATTEMPT_S = 0.25
"""An attempt with less time than this is not worth a wait: the error is raised instead."""


@dataclass(frozen=True)
class Backoff:
    """Waits between attempts, in seconds: `first_s` doubling up to `cap_s`, of which half is jitter."""

    first_s: float = 0.5
    cap_s: float = 20.0

    def wait_s(self, failures: int, rng: random.Random) -> float:
        """The wait after the `failures`-th failure (from 1)."""
        full = min(self.first_s * 2.0 ** min(failures - 1, 30), self.cap_s)
        return full * rng.uniform(0.5, 1.0)


class RetryPlan:
    """The attempts of one call. Not thread-safe: one call, one plan."""

    def __init__(self, *, max_attempts: int, backoff: Backoff, rng: random.Random) -> None:
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._rng = rng
        self._failures = 0
        self._once_spent = False
        self._resent = False

    def next_wait(self, error: DashScopeError, remaining_s: float) -> float | None:
        """Seconds to wait before the next attempt; None: there is none, raise `error`.

        A stale pooled connection is resent at once, once a call, and does not count as an attempt.
        """
        if isinstance(error, ConnectionFailedError) and error.stale and not self._resent:
            self._resent = True
            return 0.0 if remaining_s >= LEAST_ATTEMPT_S else None
        self._failures += 1
        if error.resend is Resend.NEVER or self._failures >= self._max_attempts:
            return None
        if error.resend is Resend.ONCE:
            if self._once_spent:
                return None
            self._once_spent = True
        wait = self._backoff.wait_s(self._failures, self._rng)
        if error.retry_after_s is not None:
            # Jitter on top: callers that were refused together must not come back together.
            wait = max(wait, error.retry_after_s * self._rng.uniform(1.0, 1.1))
        return wait if wait + LEAST_ATTEMPT_S <= remaining_s else None
