"""From a cached text back to all that led to it: event, call, what it was built on; and on to what came of it.

Here: SQL that only reads, as values. Not here: words, and what of a payload or prompt may be shown (`cli.explain`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.store import cache, clues, inbox, run_log
from ai_assets.store.cache import CacheEntry
from ai_assets.store.clues import Standing
from ai_assets.store.trigger_jobs import TriggerJob

EVENTS_LOOKED_AT = 20_000
"""How many events after a text was made are looked at for those that used it again: a look of a few 10 ms."""
_DEEPEST = 6

# an answer's words alone: what it was built from changes with every batch
_VERSIONS = text(
    """
    select c.id, c.run_log_id, c.created_at, c.triggered_by, c.trigger_job_id, c.prompt_hash,
        md5((c.result_json - '_references')::text) as answer_hash,
        c.result_json #>> '{_references,batch,batch_id}' as batch_id,
        c.result_json #>> '{_references,as_of}' as as_of,
        c.result_json #>> '{_references,app,version}' as app_version
    from biz.ai_cache c
    where c.cache_type = :cache_type and c.site_id = :site and c.target_id = :target
    order by c.run_log_id
    """
)
_BUILT_ON = text(
    """
    select c.id, c.cache_type, c.target_id, c.created_at, c.triggered_by, c.trigger_job_id,
        c.result_json #> '{_references,answers}' as answers
    from biz.ai_cache c where c.id = any(cast(:ids as bigint[])) order by c.id
    """
)
# by the index on created_at, and bounded: a member's old events have no index of their own
_USED_AGAIN = text(
    """
    with since as materialized (
        select j.id, j.event_type, j.site_id, j.member_id, j.created_at, j.step_results from biz.ai_trigger_jobs j
        where j.created_at >= cast(:since as timestamptz) - interval '1 day'
        order by j.created_at limit :most)
    select s.id, s.event_type, s.created_at from since s
    where s.site_id = :site and s.step_results @> cast(:step as jsonb)
    order by s.id
    """
)
_LOOKED_AT = text(
    """
    select count(*) from (select from biz.ai_trigger_jobs j
        where j.created_at >= cast(:since as timestamptz) - interval '1 day' limit :most) j
    """
)


@dataclass(frozen=True)
class Version:
    """One version of a target, `answer_hash` over its words alone. Ids of batches and dates as the texts they are."""

    id: int
    run_log_id: int
    created_at: datetime
    triggered_by: str
    trigger_job_id: int | None
    prompt_hash: str
    answer_hash: str
    batch_id: str | None
    as_of: str | None
    app_version: str | None


@dataclass(frozen=True)
class BuiltOn:
    """A cached answer that this one was given, or that such a one was given. `depth` 1: this one's own."""

    id: int
    app: str
    cache_type: str
    target_id: str
    created_at: datetime
    triggered_by: str
    trigger_job_id: int | None
    depth: int


@dataclass(frozen=True)
class UsedAgain:
    """An event whose step took this text again instead of a call."""

    trigger_job_id: int
    event_type: str
    created_at: datetime


@dataclass(frozen=True)
class Trace:
    """All of it. `call` is the whole row of the run log, `versions` oldest first; None or empty: not there."""

    entry: CacheEntry
    job: TriggerJob | None
    call: Mapping[str, Any] | None
    built_on: tuple[BuiltOn, ...]
    versions: tuple[Version, ...]
    used_again: tuple[UsedAgain, ...]
    all_events_looked_at: bool
    """Whether `used_again` rests on every event since, and not on the first EVENTS_LOOKED_AT alone."""
    clues: tuple[Standing, ...] | None
    """App8: the member's retention clues by source, and how many of them are this text's; None: another app's."""

    @property
    def references(self) -> Mapping[str, Any]:
        """What the prompt was built from."""
        found = self.entry.result_json.get("_references")
        return found if isinstance(found, Mapping) else {}


def trace(connection: Connection, cache_id: int) -> Trace | None:
    """The trace of a cached text, or None where there is no such id. Reads by index only."""
    entry = cache.entry(connection, cache_id)
    if entry is None:
        return None
    job = None if entry.trigger_job_id is None else inbox.job(connection, entry.trigger_job_id)
    again, all_looked_at = _used_again(connection, entry)
    return Trace(
        entry=entry,
        job=job,
        call=run_log.run_log(connection, entry.run_log_id),
        built_on=_built_on(connection, entry),
        versions=_versions(connection, entry),
        used_again=again,
        all_events_looked_at=all_looked_at,
        clues=_clues(connection, entry),
    )


def _versions(connection: Connection, entry: CacheEntry) -> tuple[Version, ...]:
    of_target = {"cache_type": entry.cache_type, "site": entry.site_id, "target": entry.target_id}
    return tuple(Version(**row) for row in connection.execute(_VERSIONS, of_target).mappings())


def _built_on(connection: Connection, entry: CacheEntry) -> tuple[BuiltOn, ...]:
    references = entry.result_json.get("_references")
    answers = references.get("answers") if isinstance(references, Mapping) else None
    found: dict[int, BuiltOn] = {}
    names = _ids(answers)
    for depth in range(1, _DEEPEST + 1):
        wanted = {cache_id: app for cache_id, app in names.items() if cache_id not in found}
        if not wanted:
            break
        names = {}
        for row in connection.execute(_BUILT_ON, {"ids": list(wanted)}).mappings():
            found[row["id"]] = BuiltOn(
                id=row["id"],
                app=wanted[row["id"]],
                cache_type=row["cache_type"],
                target_id=row["target_id"],
                created_at=row["created_at"],
                triggered_by=row["triggered_by"],
                trigger_job_id=row["trigger_job_id"],
                depth=depth,
            )
            names |= _ids(row["answers"])
    return tuple(found.values())


def _ids(answers: object) -> dict[int, str]:
    """App name by cache id of what a prompt was given; one that came with the event itself has no id."""
    if not isinstance(answers, Mapping):
        return {}
    ids = {name: given.get("cache_id") for name, given in answers.items() if isinstance(given, Mapping)}
    return {cache_id: str(name) for name, cache_id in ids.items() if isinstance(cache_id, int)}


def _used_again(connection: Connection, entry: CacheEntry) -> tuple[tuple[UsedAgain, ...], bool]:
    parameters = {"since": entry.created_at, "most": EVENTS_LOOKED_AT}
    rows = connection.execute(
        _USED_AGAIN,
        {
            **parameters,
            "site": entry.site_id,
            "step": f'[{{"cache_id": {entry.id}, "outcome": "reused"}}]',
        },
    ).all()
    looked_at = connection.execute(_LOOKED_AT, parameters).scalar_one()
    return tuple(UsedAgain(row.id, row.event_type, row.created_at) for row in rows), (
        looked_at < EVENTS_LOOKED_AT
    )


def _clues(connection: Connection, entry: CacheEntry) -> tuple[Standing, ...] | None:
    given: Sequence[Any] | None = entry.result_json.get("clues")
    if entry.cache_type != clues.CACHE_TYPE or not entry.target_id.isdigit():
        return None
    return clues.standing(connection, entry.site_id, int(entry.target_id), given or ())
