"""A member's retention clues: what App8's answer says of it, filed under a source, beside what people wrote.

Source: docs/behaviour.md, "Retention clues". Not here: App8, who asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ai_assets.errors import InputError
from ai_assets.store import cache
from ai_assets.store.texts import storable

MANUAL = "manual"
"""The source of what people wrote: never touched."""
DEFAULT_CATEGORY = "客户基础"

CACHE_TYPE = "app8_clue_consolidated"
"""The cache type of the answers that clues are set from."""

# two that replace at once: the second's delete would not see the first's rows, and both sets would stay
_LOCK = text(
    "select pg_advisory_xact_lock(hashtextextended('ai_assets.clues:' || :site || ':' || :member, 0))"
)
_DELETE = text(
    "delete from biz.member_retention_clue where site_id = :site and member_id = :member and source = :source"
)
_INSERT = text(
    """
    insert into biz.member_retention_clue (site_id, member_id, category, category_given, summary, detail, source,
        recorded_by_name)
    values (:site, :member, :category, :category_given, :summary, :detail, :source, :recorded_by)
    """
)
_COLUMNS = (
    "id, category, category_given, summary, detail, source, recorded_by_name, recorded_by_assistant_id, "
    "created_at"
)
_OF_MEMBER = text(
    f"select {_COLUMNS} from biz.member_retention_clue"  # noqa: S608  # constants
    " where site_id = :site and member_id = :member order by id desc limit :limit"
)
_ONE_MANUAL = "id = :id and site_id = :site and member_id = :member and source = :source"
_ADD_MANUAL = text(
    f"""
    insert into biz.member_retention_clue (site_id, member_id, source, category, summary, detail, recorded_by_name,
        recorded_by_assistant_id)
    values (:site, :member, :source, :category, :summary, :detail, :recorded_by_name, :recorded_by_assistant_id)
    returning {_COLUMNS}
    """  # noqa: S608
)
_REMOVE_MANUAL = text(f"delete from biz.member_retention_clue where {_ONE_MANUAL} returning id")  # noqa: S608
_STANDING = text(
    """
    select source, category, summary, coalesce(detail, '') as detail,
        coalesce(recorded_by_name, '') as recorded_by, created_at
    from biz.member_retention_clue where site_id = :site and member_id = :member order by source, id
    """
)


MANUAL_COLUMNS = ("category", "summary", "detail", "recorded_by_name", "recorded_by_assistant_id")
"""What somebody writes of a clue."""


@dataclass(frozen=True)
class Standing:
    """A member's clues of one source as they stand: how many, how many of them are an answer's, when set last."""

    source: str
    clues: int
    of_answer: int
    set_at: datetime


def replace(
    connection: Connection,
    site_id: int,
    member_id: int,
    *,
    source: str,
    clues: Sequence[Mapping[str, Any]],
) -> int | None:
    """Put these clues in the place of the member's of the same source; returns how many, None: no clues, no change.

    Inside the caller's transaction: if it rolls back, everything stays as it was. Raises InputError for the source
    of what people wrote.
    """
    if source == MANUAL:
        raise InputError(f"clues of source {MANUAL!r} are people's own: they cannot be replaced")
    if not clues:
        return None
    _hold(connection, site_id, member_id)
    about = {"site": site_id, "member": member_id, "source": source}
    connection.execute(_DELETE, about)
    connection.execute(_INSERT, [{**about, **_row(clue)} for clue in clues])
    return len(clues)


def set_from_newest(
    connection: Connection, site_id: int, member_id: int, *, source: str
) -> tuple[int, int | None] | None:
    """Replace the clues by those of the newest App8 answer; returns its cache id and what `replace` gave.

    None where App8 never answered for this member. Raises InputError as `replace` does.
    """
    # before reading: an answer that is being written now holds the lock, and is then the newest
    _hold(connection, site_id, member_id)
    newest = cache.latest(connection, CACHE_TYPE, site_id, str(member_id))
    if newest is None:
        return None
    clues = newest.result_json.get("clues") or ()
    return newest.id, replace(connection, site_id, member_id, source=source, clues=clues)


def standing(
    connection: Connection, site_id: int, member_id: int, given: Sequence[Any]
) -> tuple[Standing, ...]:
    """The member's clues by source, and how many of each are, word for word, among these of an answer."""
    rows: dict[str, list[Any]] = {}
    for row in connection.execute(_STANDING, {"site": site_id, "member": member_id}):
        rows.setdefault(row.source, []).append(row)
    words = [_words(_row(clue)) for clue in given if isinstance(clue, Mapping)]
    return tuple(
        Standing(
            source,
            len(of_source),
            sum(_words(row._mapping) in words for row in of_source),
            max(row.created_at for row in of_source),
        )
        for source, of_source in rows.items()
    )


def of_member(connection: Connection, site_id: int, member_id: int, limit: int) -> list[dict[str, Any]]:
    """The member's clues of every source as rows, newest first, at most `limit`."""
    about = {"site": site_id, "member": member_id, "limit": limit}
    return [dict(row) for row in connection.execute(_OF_MEMBER, about).mappings()]


def add_manual(
    connection: Connection, site_id: int, member_id: int, written: Mapping[str, Any]
) -> dict[str, Any]:
    """Add a clue that somebody wrote, with all MANUAL_COLUMNS; returns its row."""
    values = {"site": site_id, "member": member_id, "source": MANUAL, **_storable(written)}
    return dict(connection.execute(_ADD_MANUAL, values).mappings().one())


def change_manual(
    connection: Connection, site_id: int, member_id: int, clue_id: int, changed: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Change MANUAL_COLUMNS of a clue that somebody wrote; returns its row, None: the member has no such clue."""
    values = _storable(changed)
    setting = ", ".join(f"{name} = :{name}" for name in values)
    statement = f"update biz.member_retention_clue set {setting} where {_ONE_MANUAL} returning {_COLUMNS}"  # noqa: S608
    about = {"site": site_id, "member": member_id, "id": clue_id, "source": MANUAL}
    row = connection.execute(text(statement), {**about, **values}).mappings().one_or_none()
    return dict(row) if row is not None else None


def remove_manual(connection: Connection, site_id: int, member_id: int, clue_id: int) -> bool:
    """Delete a clue that somebody wrote; False: the member has no such clue."""
    values = {"site": site_id, "member": member_id, "id": clue_id, "source": MANUAL}
    return connection.execute(_REMOVE_MANUAL, values).first() is not None


def _storable(written: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: storable(value) if isinstance(value, str) else value
        for name, value in written.items()
        if name in MANUAL_COLUMNS
    }


def _words(clue: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(clue[name] for name in ("category", "summary", "detail", "recorded_by"))


def _hold(connection: Connection, site_id: int, member_id: int) -> None:
    connection.execute(_LOCK, {"site": str(site_id), "member": str(member_id)})


def _row(clue: Mapping[str, Any]) -> dict[str, str | None]:
    summary = _text(clue.get("summary"))
    emoji = _text(clue.get("emoji"))
    category = _text(clue.get("category"))
    return {
        "category": category or DEFAULT_CATEGORY,
        "category_given": _text(clue.get("category_given")) or category or None,
        "summary": f"{emoji} {summary}" if emoji else summary,
        "detail": _text(clue.get("detail")),
        "recorded_by": _text(clue.get("providers")),
    }


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        value = "、".join(str(part) for part in value)
    return (storable(str(value)) or "").strip() if value is not None else ""
