"""Housekeeping: the guard's upkeep and all retention, as one list of what went and what stayed.

Here: the order, and that one part's trouble stops no other; for the nightly job and the command alike. Not here: what
is old and in use (`ai_assets.store.retention`, `ai_assets.dagster_retention`), the guard's state (`store.upkeep`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ai_assets.errors import AiAssetsError
from ai_assets.privacy.logs import describe, log_defect

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

    from ai_assets.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """What became of one kind of row. `old`: older than its setting says; `in_use`: those of them that stay.

    `removed` is what went, in a dry run what would. `note`: what else must be known.
    """

    what: str
    setting: str
    days: int
    old: int
    in_use: int
    removed: int
    seconds: float
    note: str = ""


@dataclass
class Report:
    """One night's housekeeping. `swept`: the guard's state, by kind; `errors`: what failed, by part."""

    dry_run: bool
    parts: list[Part] = field(default_factory=list)
    swept: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """As values of JSON."""
        return {
            "dry_run": self.dry_run,
            "parts": [
                {name: getattr(part, name) for name in Part.__dataclass_fields__} for part in self.parts
            ],
            "swept": self.swept,
            "errors": self.errors,
        }


def keep_house(
    engine: Engine,
    instance: DagsterInstance,
    settings: Settings,
    *,
    dry_run: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[str], object] = lambda _line: None,
) -> Report:
    """Do all of it, or say what would be done. Never raises for what goes wrong in a part: the report says it.

    `tell` hears a line as each part ends. Once `stopped` says so, what is begun ends and the rest is left.
    """
    house = _House(engine, instance, settings, Report(dry_run), stopped, tell)
    for what, do in (
        ("guard state", house.sweep),
        ("ledger", house.ledger),
        ("member partitions", house.members),
        ("Dagster runs", house.runs),
        ("asset check results", house.checks),
    ):
        if stopped():
            house.report.errors[what] = "not begun: it was asked to stop"
            continue
        try:
            do()
        except AiAssetsError as error:
            house.report.errors[what] = str(error)
        except Exception as error:  # noqa: BLE001
            log_defect(logger, error, "housekeeping: %s", what)
            house.report.errors[what] = describe(error)
        if what in house.report.errors:
            tell(f"{what}: {house.report.errors[what]}")
    return house.report


@dataclass(frozen=True)
class _House:
    engine: Engine
    instance: DagsterInstance
    settings: Settings
    report: Report
    stopped: Callable[[], bool]
    tell: Callable[[str], object]

    def sweep(self) -> None:
        from ai_assets.store import upkeep
        from ai_assets.store.engine import reachable

        if self.report.dry_run:
            return
        with reachable("sweeping"):
            self.report.swept = upkeep.sweep(self.engine)
        self.tell("guard state: " + ", ".join(f"{n} {what}" for what, n in self.report.swept.items()))

    def ledger(self) -> None:
        from ai_assets.store import retention

        keep = retention.KeepDays(
            texts=self.settings.cache_retention_days,
            calls=self.settings.run_log_retention_days,
            jobs=self.settings.inbox_retention_days,
        )
        for going in retention.plan(self.engine, keep):
            began = time.monotonic()
            removed = len(going.ids)
            if not self.report.dry_run:
                removed = retention.remove(self.engine, going, stopped=self.stopped)
            self._add(
                going.what,
                going.setting,
                going.days,
                old=going.old,
                in_use=going.kept,
                removed=removed,
                began=began,
            )

    def members(self) -> None:
        from ai_assets import dagster_retention
        from ai_assets.store.engine import reachable
        from ai_assets.store.member_use import members_in_use

        began, before = time.monotonic(), _ago(self.settings.member_retention_days)
        with reachable("looking for members in use"), self.engine.connect() as connection:
            seen = members_in_use(connection, before)
        old = dagster_retention.plan_members(self.instance, before, seen=seen)
        going = sum(map(len, old.going.values()))
        removed = going
        if not self.report.dry_run:
            removed = dagster_retention.remove_members(self.instance, old, stopped=self.stopped)
        self._add(
            "member partitions", "AI_MEMBER_RETENTION_DAYS", self.settings.member_retention_days,
            old=old.unseen, in_use=old.unseen - going, removed=removed, began=began,
            note=f"left for another night: {old.held_up}" if old.held_up else f"of {old.there} there are",
        )  # fmt: skip

    def runs(self) -> None:
        from ai_assets import dagster_retention

        began = time.monotonic()
        old = dagster_retention.plan_runs(self.instance, _ago(self.settings.dagster_retention_days))
        removed, thinned = len(old.whole), len(old.thin)
        if not self.report.dry_run:
            removed, thinned = dagster_retention.remove_runs(self.instance, old, stopped=self.stopped)
        self._add(
            "Dagster runs", "AI_DAGSTER_RETENTION_DAYS", self.settings.dagster_retention_days,
            old=old.old, in_use=old.in_use, removed=removed, began=began,
            note=f"{thinned} more keep only what partitions rest on" if thinned else "",
        )  # fmt: skip

    def checks(self) -> None:
        from ai_assets import dagster_check_retention

        began = time.monotonic()
        old = dagster_check_retention.plan_checks(self.instance, _ago(self.settings.dagster_retention_days))
        removed = len(old.going)
        if not self.report.dry_run:
            removed = dagster_check_retention.remove_checks(self.instance, old, stopped=self.stopped)
        self._add(
            "asset check results", "AI_DAGSTER_RETENTION_DAYS", self.settings.dagster_retention_days,
            old=old.old, in_use=old.in_use, removed=removed, began=began,
        )  # fmt: skip

    def _add(
        self,
        what: str,
        setting: str,
        days: int,
        *,
        old: int,
        in_use: int,
        removed: int,
        began: float,
        note: str = "",
    ) -> None:
        part = Part(what, setting, days, old, in_use, removed, round(time.monotonic() - began, 3), note)
        self.report.parts.append(part)
        verb = "would go" if self.report.dry_run else "gone"
        self.tell(
            f"{what}: {removed} {verb} of {old} older than {days} days, {in_use} in use"
            + (f"; {note}" if note else "")
        )


def _ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
