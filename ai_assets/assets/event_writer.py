"""Writes the events of one run: keys first, then many at once, one by one where that fails.

Trouble is logged and counted, never raised: events only show what was done. Not here: threads (`run_events`).
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dagster import AssetCheckEvaluation, DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

from ai_assets.assets.pending_events import Checked, Due, Made, Planned
from ai_assets.errors import InputError
from ai_assets.member_partitions import partitions_of
from ai_assets.privacy.logs import log_defect

if TYPE_CHECKING:
    from ai_assets.assets.event_log import PooledEventLog

logger = logging.getLogger(__name__)

KNOWN_KEYS = 20_000
"""Keys that are remembered as added; of one that was forgotten the addition is repeated and changes nothing."""
GIVEN_UP_AFTER = 2
"""Events that fail one by one, one after the other, before the rest of their batch is given up."""


class EventWriter:
    """For one thread. `lost` counts events that could not be written; `close` it."""

    def __init__(self, instance: DagsterInstance, *, run_id: str, job_name: str, step_key: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self._job_name = job_name
        self._step_key = step_key
        self._log: PooledEventLog | None = _pooled(instance)
        self._known: OrderedDict[str, None] = OrderedDict()
        self.lost = 0

    def write(self, due: Due) -> None:
        """Write what is due, in its order."""
        self._add_keys(
            [made.materialization.partition or "" for batch in due.made for made in batch]
            + [checked.evaluation.partition or "" for checks in due.checked for checked in checks]
            + [planned.partition for planned in due.planned]
        )
        store = self._log.store_made if self._log else None
        for batch in due.made:
            self._write_batch([self._made(made) for made in batch], store)
        for checks in due.checked:
            store = self._log.store_checked if self._log else None
            self._write_batch([self._checked(checked) for checked in checks], store)
        if due.planned:
            store = self._log.store_planned if self._log else None
            self._write_batch([self._planned(planned) for planned in due.planned], store)

    def close(self) -> None:
        """Close the connections."""
        if self._log is not None:
            self._log.close()

    def _add_keys(self, partitions: Iterable[str]) -> None:
        # before the events: a materialization of a key that is not there is of no partition that shows
        unseen: dict[str, list[str]] = {}
        for key in dict.fromkeys(partitions):
            if key in self._known:
                self._known.move_to_end(key)
                continue
            try:
                unseen.setdefault(partitions_of(key), []).append(key)
            except InputError as error:
                logger.error("a materialization will not show: %s", error)
        for name, keys in unseen.items():
            try:
                (self._log or self._instance).add_dynamic_partitions(name, keys)
            except Exception as error:  # noqa: BLE001
                # the events are written all the same: they show as soon as somebody adds the key
                log_defect(
                    logger, error, "%d keys of %s could not be added, such as %s", len(keys), name, keys[0]
                )
                continue
            self._known.update(dict.fromkeys(keys))
        while len(self._known) > KNOWN_KEYS:
            self._known.popitem(last=False)

    def _write_batch(
        self, entries: Sequence[EventLogEntry], store: Callable[[Sequence[EventLogEntry]], None] | None
    ) -> None:
        if store is not None:
            try:
                store(entries)
            except Exception as error:  # noqa: BLE001
                log_defect(logger, error, "%d events could not be written at once: one by one", len(entries))
            else:
                return
        failed_in_a_row = 0
        for number, entry in enumerate(entries):
            try:
                self._instance.handle_new_event(entry)
            except Exception as error:  # noqa: BLE001
                # Dagster's engine shows parameters in its errors, and an event holds whole answers
                log_defect(logger, error, "an event of run %s could not be written", self._run_id)
                self.lost += 1
                failed_in_a_row += 1
            else:
                failed_in_a_row = 0
            if failed_in_a_row == GIVEN_UP_AFTER and number + 1 < len(entries):
                # each failure takes Dagster's own retries of seconds, and a worker must be able to end
                given_up = len(entries) - number - 1
                logger.error("%d more events of run %s are given up", given_up, self._run_id)
                self.lost += given_up
                return

    def _made(self, made: Made) -> EventLogEntry:
        return self._entry(
            DagsterEvent(
                event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
                job_name=self._job_name,
                step_key=self._step_key,
                event_specific_data=StepMaterializationData(made.materialization),
                message=made.materialization.description or "Materialized value.",
                pid=os.getpid(),
            ),
            made.timestamp,
        )

    def _checked(self, checked: Checked) -> EventLogEntry:
        return self._entry(
            check_event(checked.evaluation, job_name=self._job_name, step_key=self._step_key),
            checked.timestamp,
        )

    def _planned(self, planned: Planned) -> EventLogEntry:
        data = AssetMaterializationPlannedData(planned.asset_key, partition=planned.partition)
        return self._entry(
            DagsterEvent.build_asset_materialization_planned_event(self._job_name, self._step_key, data),
            planned.timestamp,
        )

    def _entry(self, event: DagsterEvent, timestamp: float) -> EventLogEntry:
        return _log_entry(event, self._run_id, timestamp)


def _log_entry(event: DagsterEvent, run_id: str, timestamp: float | None = None) -> EventLogEntry:
    return EventLogEntry(  # type: ignore[no-untyped-call]  # Dagster's own constructor has no types
        error_info=None,
        level=logging.INFO,
        user_message="",
        run_id=run_id,
        timestamp=time.time() if timestamp is None else timestamp,
        step_key=event.step_key,
        job_name=event.job_name,
        dagster_event=event,
    )


def check_event(evaluation: AssetCheckEvaluation, *, job_name: str, step_key: str | None) -> DagsterEvent:
    """What a check found, as Dagster's event."""
    return DagsterEvent(
        event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=job_name,
        step_key=step_key,
        event_specific_data=evaluation,
        message=evaluation.description or "",
        pid=os.getpid(),
    )


def report_checks(instance: DagsterInstance, found: Sequence[AssetCheckEvaluation]) -> None:
    """Report what checks found outside of any run.

    On Postgres past Dagster's public way, which refuses the second report of a check of a partition.
    """
    log = _pooled(instance)
    if log is None:
        for evaluation in found:
            instance.report_runless_asset_event(evaluation)
        return
    try:
        log.store_checked(
            [
                _log_entry(check_event(evaluation, job_name=RUNLESS_JOB_NAME, step_key=None), RUNLESS_RUN_ID)
                for evaluation in found
            ]
        )
    finally:
        log.close()


def _pooled(instance: DagsterInstance) -> PooledEventLog | None:
    storage = instance.event_log_storage
    if not hasattr(storage, "postgres_url"):
        return None
    try:
        from ai_assets.assets.event_log import pooled

        return pooled(storage)
    except Exception as error:  # noqa: BLE001
        log_defect(logger, error, "Dagster's events cannot be written in batches: one by one")
        return None
