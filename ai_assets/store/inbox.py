"""The inbox of events: taking one in, looking at its trigger job, ending it.

Not here: the duplicate rule (in `biz.fire_ai_event`, the one door for every language), claims (`store.claims`), leases
(`store.leases`), chains, Dagster runs.
A job goes pending → running → completed | partial | failed; a lost attempt goes back to pending, or dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.event_values import event_values
from ai_assets.store.payloads import payload_id
from ai_assets.store.texts import storable, storable_json
from ai_assets.store.trigger_jobs import JOB_COLUMNS, TriggerJob, short_error, trigger_job

PREWARM = "ai_dws_prewarm"
"""The type of the event that becomes an event of each active site."""

_FIRE = text(
    """
    select biz.fire_ai_event(:event_type, :site_id, :member_id, cast(:payload as jsonb), :is_forced,
        :connector_type)
    """
)
_FIRE_ALL = text(
    """
    select e.n, biz.fire_ai_event(e.event_type, e.site_id, e.member_id, cast(e.payload as jsonb), e.is_forced,
        e.connector_type) as id
    from unnest(cast(:event_types as text[]), cast(:site_ids as bigint[]), cast(:member_ids as bigint[]),
        cast(:payloads as text[]), cast(:forced as boolean[]), cast(:connectors as text[]))
        with ordinality as e(event_type, site_id, member_id, payload, is_forced, connector_type, n)
    """
)
_BECAME = text(
    "select id, status, duplicate_of, error_message from biz.ai_trigger_jobs where id = any(cast(:ids as bigint[]))"
)
_REACH_ALL = text(
    "select t.sent, biz.ai_reaches_all_sites(t.sent) as all_sites from unnest(cast(:types as text[])) as t(sent)"
)
_JOB = text(f"select {JOB_COLUMNS} from biz.ai_trigger_jobs where id = :id")  # noqa: S608  # a constant
_FINISH = text(
    """
    update biz.ai_trigger_jobs
    set status = :status, step_results = cast(:step_results as jsonb), error_message = :error,
        finished_at = clock_timestamp(), lease_owner = null, lease_until = null
    where id = :id and lease_owner = :owner and status = 'running'
      and (cast(:attempts as integer) is null or attempts = :attempts)
    """
)


@dataclass(frozen=True)
class Event:
    """An event as it is sent; see `fire`."""

    event_type: str
    site_id: int | None
    member_id: int | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    is_forced: bool = False
    connector_type: str = "feiqiu"


@dataclass(frozen=True)
class Fired:
    """What an event became: pending, duplicate, ignored or failed, and why."""

    id: int
    status: str
    duplicate_of: int | None
    error: str | None


def fire(
    connection: Connection,
    event_type: str,
    *,
    site_id: int | None,
    member_id: int | None = None,
    payload: Mapping[str, Any] | None = None,
    is_forced: bool = False,
    connector_type: str = "feiqiu",
) -> int:
    """Take an event in; returns its trigger job's id. Bad input is recorded, never raised."""
    event = Event(event_type, site_id, member_id, payload or {}, is_forced, connector_type)
    return int(connection.execute(_FIRE, _values(event)).scalar_one())


def fire_all(connection: Connection, events: Sequence[Event]) -> list[Fired]:
    """Take many in with one statement, a member's in their order; returns what each became, in the order given.

    Two that do this at once take sites and members in the same order, so that they seldom wait in a circle; where they
    do, Postgres ends one of them (DatabaseUnavailableError in `reachable`: send it again).
    """
    if not events:
        return []
    values = [_values(event) for event in events]
    # stable: what one member sent first is first
    order = sorted(range(len(values)), key=lambda n: _subject(events[n]))
    columns = {
        plural: [values[n][name] for n in order]
        for plural, name in (
            ("event_types", "event_type"),
            ("site_ids", "site_id"),
            ("member_ids", "member_id"),
            ("payloads", "payload"),
            ("forced", "is_forced"),
            ("connectors", "connector_type"),
        )
    }
    ids = {order[row.n - 1]: row.id for row in connection.execute(_FIRE_ALL, columns)}
    became = {row.id: row for row in connection.execute(_BECAME, {"ids": list(ids.values())})}
    return [
        Fired(job_id, row.status, row.duplicate_of, row.error_message)
        for job_id, row in ((ids[n], became[ids[n]]) for n in range(len(events)))
    ]


def reaches_all_sites(connection: Connection, event_types: Iterable[str]) -> dict[str, bool]:
    """Which of these types, as they would be sent, make an event of each site, whatever site they name."""
    stored = {sent: storable(sent) for sent in event_types}
    found = {
        row.sent: row.all_sites for row in connection.execute(_REACH_ALL, {"types": list(stored.values())})
    }
    return {sent: found[kept] for sent, kept in stored.items()}


def scope(job: TriggerJob) -> int | None:
    """The site that a job belongs to; None: all sites. A prewarm lists jobs of each, whatever site it names."""
    return None if job.event_type == PREWARM else job.site_id


def _values(event: Event) -> dict[str, Any]:
    return event_values(
        event.event_type,
        event.site_id,
        event.member_id,
        event.payload,
        event.is_forced,
        event.connector_type,
    )


def _subject(event: Event) -> tuple[int, int]:
    """The site and member that intake will read; 0 for none."""

    def found(argument: int | None, key: str) -> int:
        return argument or payload_id(event.payload.get(key)) or 0

    return found(event.site_id, "site_id"), found(event.member_id, "member_id")


def job(connection: Connection, job_id: int) -> TriggerJob | None:
    """One trigger job, or None."""
    row = connection.execute(_JOB, {"id": job_id}).mappings().one_or_none()
    return trigger_job(row) if row else None


def finish(
    connection: Connection,
    job_id: int,
    *,
    owner: str,
    status: str,
    step_results: Iterable[Mapping[str, Any]],
    error: str | None,
    attempts: int | None = None,
) -> bool:
    """End a job that this owner runs; False where it was taken over, and nothing is changed.

    `attempts`: only where the job is still at this one.
    """
    parameters = {
        "id": job_id,
        "owner": owner,
        "status": status,
        "step_results": storable_json(list(step_results)),
        "error": short_error(error),
        "attempts": attempts,
    }
    return connection.execute(_FINISH, parameters).rowcount == 1
