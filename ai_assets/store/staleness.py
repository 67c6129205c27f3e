"""The newest cached texts of a site with what each was made from, for telling which are out of date.

Here: SQL that only reads, by index. Not here: what makes one stale (`ai_assets.chains.stale_rules`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

# taken apart here: a site's texts are some MB, what they were made from some kB. An answer's words alone are hashed:
# two texts that say the same are one to whoever builds on them.
_NEWEST = text(
    """
    select c.id, c.cache_type, c.target_id, c.created_at, c.prompt_hash,
        c.result_json #>> '{_references,app,version}' as app_version,
        c.result_json #>> '{_references,as_of}' as as_of,
        c.result_json #> '{_references,batch}' as batch,
        c.result_json #> '{_references,sources}' as sources,
        c.result_json #> '{_references,answers}' as answers,
        md5((c.result_json - '_references')::text) as answer_hash
    from unnest(cast(:types as text[])) t (cache_type)
    cross join lateral (
        select l.* from biz.ai_cache_latest l where l.cache_type = t.cache_type and l.site_id = :site) c
    order by c.cache_type, c.target_id
    """
)
_HASHES = text(
    """
    select c.id, md5((c.result_json - '_references')::text) as answer_hash
    from biz.ai_cache c where c.id = any(cast(:ids as bigint[]))
    """
)


@dataclass(frozen=True)
class NewestText:
    """The newest text of one target, and what its `_references` say; None or empty where they say nothing."""

    id: int
    cache_type: str
    target_id: str
    created_at: datetime
    prompt_hash: str
    answer_hash: str
    app_version: str | None
    as_of: str | None
    """YYYY-MM-DD."""
    batch: Mapping[str, Any] = field(default_factory=dict)
    """batch_id, biz_date, finished_at, as texts."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """How many rows of a table it rests on, by table; of finance texts, of the window and its comparison."""
    built_on: Mapping[str, int | None] = field(default_factory=dict)
    """By app: the cache id of the answer that it was given; None: there was none. One that came with the event, and
    is in no cache, is left out."""


def newest_texts(connection: Connection, site_id: int, cache_types: Iterable[str]) -> list[NewestText]:
    """The newest text of every target of a site that has any of these types."""
    rows = connection.execute(_NEWEST, {"site": site_id, "types": list(cache_types)}).mappings()
    return [_text(row) for row in rows]


def answer_hashes(connection: Connection, cache_ids: Sequence[int]) -> dict[int, str]:
    """Hashes of these texts' words, by cache id; one that is gone has none."""
    if not cache_ids:
        return {}
    rows = connection.execute(_HASHES, {"ids": list(cache_ids)})
    return {row.id: row.answer_hash for row in rows}


def _text(row: Mapping[Any, Any]) -> NewestText:
    batch, sources, answers = row["batch"], row["sources"], row["answers"]
    rows: dict[str, int] = {}
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, Mapping) and isinstance(source.get("rows"), int):
            name = str(source.get("table"))
            rows[name] = rows.get(name, 0) + source["rows"]
    return NewestText(
        id=row["id"],
        cache_type=row["cache_type"],
        target_id=row["target_id"],
        created_at=row["created_at"],
        prompt_hash=row["prompt_hash"],
        answer_hash=row["answer_hash"],
        app_version=row["app_version"],
        as_of=row["as_of"],
        batch=batch if isinstance(batch, Mapping) else {},
        rows=rows,
        built_on=_built_on(answers),
    )


def _built_on(answers: object) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name, given in answers.items() if isinstance(answers, Mapping) else ():
        cache_id = given.get("cache_id") if isinstance(given, Mapping) else None
        if given is None or isinstance(cache_id, int):
            found[str(name)] = cache_id
    return found
