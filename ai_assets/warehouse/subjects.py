"""Who the answers of a site can be about: its members, members with a note, known assistant-member pairs.

Not here: what a prompt says about them (`ai_assets.warehouse.people`), what has an answer (`ai_assets.store`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from ai_assets.warehouse.contract import (
    ASSISTANT_TASKS,
    ASSISTANTS,
    MEMBER_NOTES,
    MEMBERS,
    SETTLEMENT,
    SITES,
    fitted,
    reading,
)

# casts, because a view may give other types; no member ids: all members
_CHOSEN = (
    "site_id = any(:sites) and (cardinality(cast(:members as bigint[])) = 0 or member_id = any(:members))"
)

_KNOWN_SITES = text("select distinct site_id::bigint from biz.sites where site_id = any(:sites)")
_MEMBERS = text(
    f"select distinct site_id::bigint, member_id::bigint from biz.members where {_CHOSEN} order by 1, 2"  # noqa: S608  # a constant
)
_ASSISTANTS = text(
    "select distinct site_id::bigint, assistant_id::bigint from biz.assistants where site_id = any(:sites)"
)
_WITH_NOTE = text(
    rf"""
    select distinct site_id::bigint, member_id::bigint from biz.member_notes
    where {_CHOSEN} and content ~ '\S'
    """  # noqa: S608  # a constant
)
_PAIRS = text(
    f"""
    select site_id::bigint, assistant_id::bigint, member_id::bigint from biz.assistant_tasks
    where {_CHOSEN} and assistant_id is not null and member_id is not null
    union
    select site_id::bigint, assistant_id::bigint, member_id::bigint from dws.settlement
    where {_CHOSEN} and assistant_id is not null and member_id is not null
    """  # noqa: S608  # a constant
)

Member = tuple[int, int]
"""Site id, member id."""
Pair = tuple[int, int, int]
"""Site id, assistant id, member id."""


def known_sites(connection: Connection, site_ids: Sequence[int]) -> set[int]:
    """Those of the sites that are in `biz.sites`, active or not. Raises WarehouseError."""
    with reading(connection, SITES):
        return set(connection.execute(_KNOWN_SITES, {"sites": list(site_ids)}).scalars())


def members_of(
    connection: Connection, site_ids: Sequence[int], member_ids: Sequence[int] = ()
) -> list[Member]:
    """The sites' members by site and id; with `member_ids` only those. Raises WarehouseError."""
    with reading(connection, MEMBERS):
        return [(row[0], row[1]) for row in connection.execute(_MEMBERS, _chosen(site_ids, member_ids))]


def members_with_note(
    connection: Connection, site_ids: Sequence[int], member_ids: Sequence[int] = ()
) -> set[Member]:
    """The sites' members with a note that is not blank. Raises WarehouseError."""
    with reading(connection, MEMBER_NOTES):
        return {(row[0], row[1]) for row in connection.execute(_WITH_NOTE, _chosen(site_ids, member_ids))}


def assistants_of(connection: Connection, site_ids: Sequence[int]) -> set[tuple[int, int]]:
    """(site id, assistant id) of the sites' assistants. Raises WarehouseError."""
    with reading(connection, ASSISTANTS):
        rows = connection.execute(_ASSISTANTS, {"sites": list(site_ids)})
        return {(row[0], row[1]) for row in rows}


def pairs_of(connection: Connection, site_ids: Sequence[int], member_ids: Sequence[int] = ()) -> set[Pair]:
    """Pairs of the sites that a task or a settlement names. Raises WarehouseError."""
    with reading(connection, ASSISTANT_TASKS, SETTLEMENT):
        rows = connection.execute(fitted(connection, _PAIRS, SETTLEMENT), _chosen(site_ids, member_ids))
        return {(row[0], row[1], row[2]) for row in rows}


def _chosen(site_ids: Sequence[int], member_ids: Sequence[int]) -> dict[str, list[int]]:
    return {"sites": list(site_ids), "members": list(member_ids)}
