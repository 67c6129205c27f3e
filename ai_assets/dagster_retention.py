"""Retention in Dagster's storage: runs with their event logs, and partitions of members who do not come any more.

Here: what is in use, and taking away what is not. Not here: the ledger (`ai_assets.store.retention`).
A run is in use while the state of a partition rests on it: its newest materialization, or a newer plan that came to
nothing (red). Of such a run only those events stay. Dagster has no public way to ask which run holds a partition's
newest event: the two statements below read and thin its event log by its own table definitions; a test notices an
upgrade that changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster import DagsterRunStatus, RunsFilter

from ai_assets.member_partitions import ASSISTANT_MEMBERS, MEMBERS

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
THINNED_TAG = "ai/thinned"
"""On a run of which only what partitions rest on is left."""
PAGE = 1000
MEMBER_JOBS = frozenset({"member_insights", "assistant_insights"})

_MADE, _PLANNED = "ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION_PLANNED"
_CHECKED = "ASSET_CHECK_EVALUATION"
_PARTITION_TAG, _RANGE_TAG, _BACKFILL_TAG = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/backfill",
)


@dataclass(frozen=True)
class Newest:
    """The newest event of one kind of one partition of an asset; `at`: naive UTC, as Dagster keeps it."""

    id: int
    run_id: str
    asset_key: str
    partition: str | None
    kind: str
    at: datetime


@dataclass(frozen=True)
class OldRuns:
    """Ended runs from before a time: those that go whole, those that are thinned, and how many there are in all."""

    old: int
    whole: list[str]
    thin: dict[str, list[int]] = field(default_factory=dict)
    """Event ids to keep, by run."""

    @property
    def in_use(self) -> int:
        """How many stay."""
        return self.old - len(self.whole)


@dataclass(frozen=True)
class OldMembers:
    """Partitions of members and pairs: how many there are, those not seen for long, and why none may go now."""

    there: int
    going: dict[str, list[str]]
    """Keys by the name of their partitions."""
    unseen: int = 0
    """Keys not seen since, those in use now too."""
    held_up: str = ""


def newest_events(instance: DagsterInstance) -> list[Newest]:
    """The newest materialization and the newest plan of every partition of every asset."""
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
    from sqlalchemy import func, select

    logs = SqlEventLogStorageTable.c
    newest = (
        select(func.max(logs.id))
        .where(logs.dagster_event_type.in_([_MADE, _PLANNED]), logs.asset_key.is_not(None))
        .group_by(logs.asset_key, logs.partition, logs.dagster_event_type)
    )
    rows = select(
        logs.id, logs.run_id, logs.asset_key, logs.partition, logs.dagster_event_type, logs.timestamp
    ).where(logs.id.in_(newest))
    with _storage(instance).index_connection() as connection:
        return [Newest(*row) for row in connection.execute(rows)]


def in_use(newest: Iterable[Newest], keys: frozenset[str]) -> list[Newest]:
    """Those that the state of a partition rests on. Pure. `keys`: the members' and pairs' that there are."""
    events = list(newest)
    made = {(one.asset_key, one.partition): one.id for one in events if one.kind == _MADE}
    return [
        one
        for one in events
        if has_partition(one.partition, keys)
        and (one.kind == _MADE or one.id > made.get((one.asset_key, one.partition), 0))
    ]


def has_partition(partition: str | None, keys: frozenset[str]) -> bool:
    """Whether there is such a partition still: none, a cell of the sites' (`1001:all|this_month`), or one of `keys`."""
    return partition is None or "|" in partition or partition in keys


def member_keys(instance: DagsterInstance) -> frozenset[str]:
    """The partition keys of all members, and of assistants with them."""
    return frozenset(
        key for name in (MEMBERS, ASSISTANT_MEMBERS) for key in instance.get_dynamic_partitions(name)
    )


def plan_runs(instance: DagsterInstance, before: datetime) -> OldRuns:
    """Which ended runs from before (aware) go whole, and which are thinned; those thinned before are not named."""
    old = list(_run_ids(instance, RunsFilter(statuses=ENDED, created_before=before)))
    if not old:
        return OldRuns(0, [])
    thinned = set(_run_ids(instance, RunsFilter(tags={THINNED_TAG: "true"}, created_before=before)))
    keys = member_keys(instance)
    kept: dict[str, list[int]] = {}
    for one in in_use(newest_events(instance), keys):
        kept.setdefault(one.run_id, []).append(one.id)
    return OldRuns(
        old=len(old),
        whole=[run_id for run_id in old if run_id not in kept],
        thin={run_id: kept[run_id] for run_id in old if run_id in kept and run_id not in thinned},
    )


def remove_runs(
    instance: DagsterInstance, going: OldRuns, *, stopped: Callable[[], bool] = lambda: False
) -> tuple[int, int]:
    """Remove runs with their event and compute logs, thin the others; how many of each. Asks `stopped` between two."""
    removed = thinned = 0
    for run_id in going.whole:
        if stopped():
            break
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
        removed += 1
    for run_id, kept in going.thin.items():
        if stopped():
            break
        _thin(instance, run_id, kept)
        thinned += 1
    return removed, thinned


def plan_members(instance: DagsterInstance, before: datetime, *, seen: frozenset[str]) -> OldMembers:
    """Which members' and pairs' partitions go: none of their events is from since `before` (aware).

    `seen`: members that the ledger says are in use, as `1001:555`. While a run or backfill that covers a range of
    members is under way, none goes.
    """
    keys = {name: list(instance.get_dynamic_partitions(name)) for name in (MEMBERS, ASSISTANT_MEMBERS)}
    there = sum(map(len, keys.values()))
    if not there:
        return OldMembers(0, {})
    recent, held_up, running = _recent(instance, before), _held_up(instance), _running_keys(instance)
    unseen = {name: [key for key in of if key not in recent] for name, of in keys.items()}
    going = {
        name: [key for key in of if key not in running and member_of(key) not in seen]
        for name, of in unseen.items()
    }
    return OldMembers(
        there=there,
        unseen=sum(map(len, unseen.values())),
        going={name: [] if held_up else of for name, of in going.items()},
        held_up=held_up,
    )


def remove_members(
    instance: DagsterInstance, going: OldMembers, *, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Take the keys away; returns how many. Their texts stay in the cache; a member who comes again has a key again."""
    removed = 0
    for name, keys in going.going.items():
        for key in keys:
            if stopped():
                return removed
            instance.delete_dynamic_partition(name, key)
            removed += 1
    return removed


def member_of(key: str) -> str:
    """`1001:555` of a member's key, and of a pair's (`1001:7_555`)."""
    site, _, rest = key.partition(":")
    return f"{site}:{rest.rpartition('_')[2]}"


def _recent(instance: DagsterInstance, before: datetime) -> set[str]:
    """Partitions with an event of theirs since, or that were added since."""
    from dagster._core.storage.event_log.schema import DynamicPartitionsTable
    from sqlalchemy import select

    added = DynamicPartitionsTable.c
    since = before.astimezone(UTC).replace(tzinfo=None)
    made = {one.partition for one in newest_events(instance) if one.partition and one.at >= since}
    with _storage(instance).index_connection() as connection:
        return made | set(
            connection.execute(select(added.partition).where(added.create_timestamp >= since)).scalars()
        )


def _unfinished(instance: DagsterInstance) -> Iterator[DagsterRun]:
    statuses = [status for status in DagsterRunStatus if status not in ENDED]
    for record in instance.get_run_records(RunsFilter(statuses=statuses)):
        yield record.dagster_run


def _running_keys(instance: DagsterInstance) -> set[str]:
    return {run.tags.get(_PARTITION_TAG, "") for run in _unfinished(instance)}


def _held_up(instance: DagsterInstance) -> str:
    """Why no key may go now, or nothing: a range is cut from the keys as they stand."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    for run in _unfinished(instance):
        of_members = run.job_name in MEMBER_JOBS or "|" not in run.tags.get(_RANGE_TAG, "|")
        if of_members and (_RANGE_TAG in run.tags or _BACKFILL_TAG in run.tags):
            return f"run {run.run_id} works on a range of members"
    backfills = instance.get_backfills(
        filters=BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING])
    )
    return f"backfill {backfills[0].backfill_id} is under way" if backfills else ""


def _run_ids(instance: DagsterInstance, filters: RunsFilter) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = instance.get_run_ids(filters, cursor=cursor, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        cursor = page[-1]


def _thin(instance: DagsterInstance, run_id: str, kept: list[int]) -> None:
    from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
    from sqlalchemy import delete, or_, select

    logs = SqlEventLogStorageTable.c
    going = (
        logs.run_id == run_id,
        logs.id.not_in(kept),
        or_(logs.dagster_event_type.is_(None), logs.dagster_event_type != _CHECKED),
    )
    with _storage(instance).index_connection() as connection:
        tagged = select(logs.id).where(*going, logs.dagster_event_type == _MADE)
        connection.execute(delete(AssetEventTagsTable).where(AssetEventTagsTable.c.event_id.in_(tagged)))
        connection.execute(delete(SqlEventLogStorageTable).where(*going))
    instance.add_run_tags(run_id, {THINNED_TAG: "true"})


def _storage(instance: DagsterInstance) -> Any:
    return instance.event_log_storage
