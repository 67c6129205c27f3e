"""Writing what came of a call as soon as Postgres is there. Not here: what is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ai_assets.errors import DatabaseUnavailableError

T = TypeVar("T")

SETTLE_RETRY_S = 0.5


def until_written(deadline: float, cancelled: threading.Event, write: Callable[[], T]) -> T:
    """Try `write` until it goes through, as long as the call's lease lasts (`deadline`, monotonic seconds).

    Raises DatabaseUnavailableError after it, or at once where the run was cancelled: then the lease ends by itself, and
    the next comer settles it at its estimate.
    """
    while True:
        try:
            return write()
        except DatabaseUnavailableError:
            if cancelled.is_set() or time.monotonic() + SETTLE_RETRY_S > deadline:
                raise
            cancelled.wait(SETTLE_RETRY_S)
