"""Holding a trigger job while its chain runs: a heartbeat thread that says when the hold was lost."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from ai_assets.store import site_jobs

if TYPE_CHECKING:
    from sqlalchemy import Engine

logger = logging.getLogger(__name__)


class Hold:
    """Beats every third of the lease. Where Postgres says that the job is another's or was cancelled, sets `lost`.

    `lost` is the cancellation of whatever works on the job: two must never work on one.
    """

    def __init__(
        self, engine: Engine, job_id: int, *, owner: str, lease_s: float, lost: threading.Event
    ) -> None:
        self._engine = engine
        self._job_id = job_id
        self._owner = owner
        self._lease_s = lease_s
        self._lost = lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_s / 3):
            try:
                with self._engine.begin() as connection:
                    held = site_jobs.heartbeat(
                        connection, self._job_id, owner=self._owner, lease_s=self._lease_s
                    )
            except SQLAlchemyError:
                # Postgres may be back before the lease ends; if not, whoever claims next tells us
                logger.warning("no heartbeat for trigger job %s: Postgres cannot be reached", self._job_id)
                continue
            if not held:
                logger.error("trigger job %s was taken over or cancelled: this run stops", self._job_id)
                self._lost.set()
                return
