"""Trigger jobs of type `manual`: work that a person queued. Here: their form, and queueing many at once.

No event makes one: `biz.fire_ai_event` refuses the type. Not here: which jobs (`ai_assets.chains.filling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.texts import storable_json
from ai_assets.store.trigger_jobs import MANUAL

CONNECTOR = "dagster"
"""Who sent it, as `connector_type` says for events."""

# two fills that run concurrently would not see each other's rows, and would queue the same work twice
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('ai_assets.manual_jobs', 0))")

_QUEUE = """
    with wanted as (
        select w.n, w.site_id, w.member_id, w.app_chain, cast(w.payload as jsonb) as payload
        from unnest(cast(:sites as bigint[]), cast(:members as bigint[]), cast(:chains as text[]),
            cast(:payloads as text[])) with ordinality as w(site_id, member_id, app_chain, payload, n))
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced, app_chain)
    select :event_type, w.site_id, w.member_id, :connector, w.payload, :forced, w.app_chain
    from wanted w
    where not exists (
        select from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.event_type = :event_type and j.site_id = w.site_id
          and {same_subject}
          and (j.is_forced or not :forced)
          and string_to_array(w.app_chain, '→') <@ string_to_array(j.app_chain, '→'))
    order by w.n
    returning id
"""
_QUEUE_MEMBERS = text(
    _QUEUE.format(
        same_subject="j.member_id = w.member_id "
        "and j.payload ->> 'assistant_id' is not distinct from w.payload ->> 'assistant_id'"
    )
)
_QUEUE_SITES = text(
    _QUEUE.format(
        same_subject="j.member_id is null and (j.payload -> 'areas') @> (w.payload -> 'areas') "
        "and (j.payload -> 'windows') @> (w.payload -> 'windows')"
    )
)


@dataclass(frozen=True, slots=True)
class ManualJob:
    """A job to queue: its subject, and the chain as in `app_chain`.

    `payload` has `assistant_id` for a pair, and for a site (`member_id` None) the box `areas` x `windows`.
    """

    site_id: int
    member_id: int | None
    app_chain: str
    payload: Mapping[str, Any]


def queue(connection: Connection, jobs: Sequence[ManualJob], *, forced: bool, queued_by: str) -> list[int]:
    """Queue the jobs in this order, with one statement; returns the ids of the new trigger jobs.

    A job is left out while a pending one covers it: same subject, all of its apps, and forced where it is forced.
    `queued_by` names the run that queued them. Commit soon: a second caller waits.
    """
    if not jobs:
        return []
    connection.execute(_LOCK)
    ids: list[int] = []
    for statement, chosen in (
        (_QUEUE_SITES, [job for job in jobs if job.member_id is None]),
        (_QUEUE_MEMBERS, [job for job in jobs if job.member_id is not None]),
    ):
        if not chosen:
            continue
        parameters = {
            "sites": [job.site_id for job in chosen],
            "members": [job.member_id for job in chosen],
            "chains": [job.app_chain for job in chosen],
            "payloads": [storable_json({**job.payload, "queued_by": queued_by}) for job in chosen],
            "forced": forced,
            "connector": CONNECTOR,
            "event_type": MANUAL,
        }
        ids += connection.execute(statement, parameters).scalars()
    return ids
