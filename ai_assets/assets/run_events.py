"""Dagster's events of one run, handed in by many threads and written by a thread of its own.

Here: the queue, its bound, and the thread. Not here: what is written when (`pending_events`), how
(`event_writer`). Whoever hands in an event never waits for the database, unless a thousand events wait already.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ai_assets.assets.event_writer import EventWriter
from ai_assets.assets.pending_events import Checked, Made, PendingEvents, Planned
from ai_assets.privacy.logs import log_defect

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation, AssetKey, AssetMaterialization, DagsterInstance

logger = logging.getLogger(__name__)

FLUSH_S = 0.3
BATCH = 100
QUEUED = 1000
"""Events that may wait for the thread: it bounds the memory, for a materialization holds a whole prompt."""
PATIENCE_S = 3.0
"""How long one that hands in an event waits for room; after that events are dropped until there is room."""
CLOSE_S = 30.0


class RunEvents:
    """The events of one run. Thread-safe. Use it as a context manager, or `close` it.

    Partition keys are added to the dynamic partitions that their form belongs to, before their first event.
    A plan whose materialization follows within FLUSH_S is not written. Trouble is logged and counted in `lost`.
    """

    def __init__(
        self,
        instance: DagsterInstance,
        *,
        run_id: str,
        job_name: str,
        step_key: str,
        flush_s: float = FLUSH_S,
        queued: int = QUEUED,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._pending = PendingEvents(wait_s=flush_s, batch=BATCH)
        self._flush_s = flush_s
        self._patience_s = patience_s
        # None tells the thread to end
        self._queue: queue.Queue[Made | Checked | Planned | None] = queue.Queue(queued)
        self._lock = threading.Lock()
        self._dropped = 0
        self._is_full = False
        self._closed = False
        self._writer = EventWriter(instance, run_id=run_id, job_name=job_name, step_key=step_key)
        self._thread = threading.Thread(target=self._work, name=f"run-events-{run_id[:8]}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Events that were dropped or could not be written."""
        return self._dropped + self._writer.lost

    def plan(self, asset_key: AssetKey, partition: str) -> None:
        """This cell is worked on: shown as in progress, and as failed if the run ends in failure without it."""
        self._put(Planned(asset_key, partition, time.time()))

    def materialize(self, materialization: AssetMaterialization) -> None:
        """This cell is made: shown as green. `partition` must be set."""
        self._put(Made(materialization, time.time()))

    def check(self, evaluation: AssetCheckEvaluation) -> None:
        """This was found of a cell. `partition` must be set."""
        self._put(Checked(evaluation, time.time()))

    def close(self) -> None:
        """Write what waits, and end the thread; at most CLOSE_S. What comes after this is dropped."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        ends = time.monotonic() + CLOSE_S
        try:
            self._queue.put(None, timeout=CLOSE_S)
        except queue.Full:
            logger.error("Dagster's events cannot be written: %d wait, and are given up", self._queue.qsize())
            return
        self._thread.join(max(0.0, ends - time.monotonic()))
        if self._thread.is_alive():
            logger.error("Dagster's events are not written after %.0f s: what is left is given up", CLOSE_S)
        if self.lost:
            logger.error("%d of Dagster's events of this run were lost", self.lost)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, event: Made | Checked | Planned) -> None:
        if self._closed:
            self._drop("the run's events are closed")
            return
        try:
            # once somebody waited in vain, nobody waits: chains must not stand still for what only shows them
            self._queue.put(event, block=not self._is_full, timeout=self._patience_s)
        except queue.Full:
            self._is_full = True
            self._drop("too many wait to be written")
        else:
            self._is_full = False

    def _drop(self, why: str) -> None:
        with self._lock:
            self._dropped += 1
            first_or_round = self._dropped == 1 or self._dropped % 1000 == 0
        if first_or_round:
            logger.error("an event for Dagster is dropped: %s (%d so far)", why, self._dropped)

    def _work(self) -> None:
        try:
            while self._take_in():
                self._write(everything=False)
            self._write(everything=True)
        finally:
            self._writer.close()

    def _take_in(self) -> bool:
        """Take what waits, or wait for it until something is due; False when told to end."""
        due_at = self._pending.due_at()
        wait = None if due_at is None else max(0.0, due_at - time.monotonic())
        try:
            event = self._queue.get(block=wait != 0.0, timeout=wait)
        except queue.Empty:
            return True
        if event is None:
            return False
        now = time.monotonic()
        if isinstance(event, Made):
            self._pending.make(event, now)
        elif isinstance(event, Checked):
            self._pending.check(event, now)
        else:
            self._pending.plan(event, now)
        return True

    def _write(self, *, everything: bool) -> None:
        due = self._pending.take(time.monotonic(), everything=everything)
        if not (due.made or due.checked or due.planned):
            return
        try:
            self._writer.write(due)
        except Exception as error:  # noqa: BLE001
            # a defect here must not end the thread: the next events are still worth showing
            log_defect(logger, error, "Dagster's events could not be written")
