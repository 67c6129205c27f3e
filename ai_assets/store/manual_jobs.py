"""Trigger jobs of type `manual`: work that a person queued. Here: their form, and queueing many at once.

No event makes one: `biz.fire_ai_event` refuses the type. Not here: which jobs (`ai_assets.chains.filling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store.texts import storable_json

CONNECTOR = "dagster"
"""Who sent it, as `connector_type` says for events."""

# two fills that run concurrently would not see each other's rows, and would queue the same work twice
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('ai_assets.manual_jobs', 0))")

# the pending jobs of the sites are read once, by their own index: statistics of a queue are always old, and a look-up
# for each job by the wrong index took a minute for 100,000 jobs
_QUEUE = text(
    """
    with wanted as (
        select w.n, w.site_id, w.member_id, w.app_chain, cast(w.payload as jsonb) as payload
        from unnest(cast(:sites as bigint[]), cast(:members as bigint[]), cast(:chains as text[]),
            cast(:payloads as text[])) with ordinality as w(site_id, member_id, app_chain, payload, n)),
    waiting as materialized (
        select j.site_id, coalesce(j.member_id, 0) as member_id, j.payload,
            string_to_array(j.app_chain, '→') as apps
        from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.event_type = 'manual' and j.site_id = any(:distinct_sites)
          and (j.is_forced or not :forced))
    insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced, app_chain,
        background)
    select 'manual', w.site_id, w.member_id, :connector, w.payload, :forced, w.app_chain, true
    from wanted w
    where not exists (
        select from waiting p
        where p.site_id = w.site_id and p.member_id = coalesce(w.member_id, 0)
          and p.payload ->> 'assistant_id' is not distinct from w.payload ->> 'assistant_id'
          and coalesce(p.payload -> 'areas', '[]') @> coalesce(w.payload -> 'areas', '[]')
          and coalesce(p.payload -> 'windows', '[]') @> coalesce(w.payload -> 'windows', '[]')
          and string_to_array(w.app_chain, '→') <@ p.apps)
    order by w.n
    returning id
    """
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
    parameters = {
        "sites": [job.site_id for job in jobs],
        "distinct_sites": sorted({job.site_id for job in jobs}),
        "members": [job.member_id for job in jobs],
        "chains": [job.app_chain for job in jobs],
        "payloads": [storable_json({**job.payload, "queued_by": queued_by}) for job in jobs],
        "forced": forced,
        "connector": CONNECTOR,
    }
    return list(connection.execute(_QUEUE, parameters).scalars())
