"""A loaded sample's history as events: its settlements, notes and tasks in the order in which they happened.

Here: reading them in pieces, and the event that each becomes (docs/behaviour.md, Events and chains). Not here:
sending them (`replay`).

Read by key and not by an open cursor: a replay in real time lasts for hours, and a transaction as long would
keep Postgres from cleaning up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Engine, TextClause, text

from ai_assets.errors import InputError
from ai_assets.store.engine import reachable
from ai_assets.warehouse.contract import ASSISTANT_TASKS, MEMBER_NOTES, SETTLEMENT, SITES, reading
from ai_assets.warehouse.sites import find_site

PIECE = 20_000
"""Rows read at once: each reading sorts what is left, so pieces are large."""

# a visit, then what was written about it, then what came of it: the order within one instant
_EVENTS = """
    select settled_at as at, 0 as kind, settlement_id as id, site_id, member_id, assistant_id,
           null as content, null as author
    from dws.settlement where member_id is not null
    union all
    select created_at, 1, note_id, site_id, member_id, null, content, noted_by_name from biz.member_notes
    union all
    select created_at, 2, task_id, site_id, member_id, assistant_id, null, null from biz.assistant_tasks
"""
_OF_SITES = "(:every_site or e.site_id = any(:sites))"
_SPAN = text(
    f"""
    select newest.at, newest.kind, newest.id, count(*) over () as events
    from (select e.at, e.kind, e.id from ({_EVENTS}) as e where {_OF_SITES}
          order by e.at desc, e.kind desc, e.id desc limit :limit) as newest
    order by newest.at, newest.kind, newest.id limit 1
    """  # noqa: S608  # made of the constants above
)
_PAGE = f"""
    select e.* from ({_EVENTS}) as e where {_OF_SITES} and (e.at, e.kind, e.id) {{after}} (:at, :kind, :id)
    order by e.at, e.kind, e.id limit :piece
    """  # noqa: S608  # made of the constants above
_FIRST_PAGE, _NEXT_PAGE = text(_PAGE.format(after=">=")), text(_PAGE.format(after=">"))
_ZONES = text(
    "select site_id, coalesce(nullif(btrim(timezone), ''), 'Asia/Shanghai') as timezone from biz.sites"
)
_KINDS = text(
    """
    select t.name, c.relkind from unnest(cast(:names as text[])) as t(name)
    left join pg_class c on c.oid = to_regclass(t.name) order by 1
    """
)
_TABLES = (SETTLEMENT, MEMBER_NOTES, ASSISTANT_TASKS)


class HistoryRow(NamedTuple):
    """A settlement (kind 0), note (1) or task (2) of a member. `at` is aware."""

    at: datetime
    kind: int
    id: int
    site_id: int
    member_id: int
    assistant_id: int | None
    content: str | None
    author: str | None


@dataclass(frozen=True)
class Event:
    """An event as `store.inbox.fire` takes it, and when it happened (aware, in the site's own zone)."""

    at: datetime
    event_type: str
    site_id: int
    member_id: int
    payload: Mapping[str, Any]


def event_of(row: HistoryRow, zone: ZoneInfo) -> Event:
    """The event that the backend would have sent when this row came to be."""
    at = row.at.astimezone(zone)
    payload: dict[str, Any]
    match row.kind:
        case 0:
            event_type = "consumption"
            payload = {"settlement_id": row.id, "has_assistant": row.assistant_id is not None}
            if row.assistant_id is not None:
                payload["assistant_id"] = row.assistant_id
        case 1:
            event_type = "note_created"
            payload = {
                "note_id": row.id,
                "note_content": row.content,
                "noted_by_name": row.author,
                "noted_by_created_at": at.isoformat(),
            }
        case _:
            event_type = "task_assigned"
            payload = {"task_id": row.id, "assistant_id": row.assistant_id}
    return Event(at, event_type, row.site_id, row.member_id, {**payload, "occurred_at": at.isoformat()})


class History:
    """The events of some sites, or of all; the newest `limit` of them, or all.

    Raises InputError for an unknown site, where there is nothing to send, or where the tables are a real
    warehouse's; WarehouseError where they are not as the contract says; DatabaseUnavailableError.
    """

    def __init__(
        self, engine: Engine, *, sites: Sequence[int] = (), limit: int | None = None, piece: int = PIECE
    ) -> None:
        self._engine = engine
        self._piece = piece
        self._of_sites = {"every_site": not sites, "sites": list(sites)}
        with reachable("reading the sample"), engine.connect() as connection:
            _require_sample(connection)
            for site in sites:
                find_site(connection, site)
            with reading(connection, SITES):
                self._zones = {row.site_id: _zone(row.timezone) for row in connection.execute(_ZONES)}
            with reading(connection, *_TABLES):
                first = connection.execute(_SPAN, {**self._of_sites, "limit": limit}).one_or_none()
        if first is None:
            raise _nothing(sites)
        self.count: int = first.events
        """How many events there are."""
        self._first = (first.at, first.kind, first.id)

    def events(self) -> Iterator[Event]:
        """The events, oldest first; at most `count`, though rows may be added meanwhile."""
        key, page, left = self._first, _FIRST_PAGE, self.count
        while left:
            rows = self._read(page, key, min(left, self._piece))
            if not rows:
                return
            for row in rows:
                yield event_of(row, self._zones.get(row.site_id, ZoneInfo("UTC")))
            key, page, left = (rows[-1].at, rows[-1].kind, rows[-1].id), _NEXT_PAGE, left - len(rows)

    def _read(self, page: TextClause, key: tuple[datetime, int, int], piece: int) -> list[HistoryRow]:
        at, kind, number = key
        parameters = {**self._of_sites, "at": at, "kind": kind, "id": number, "piece": piece}
        with reachable("reading the sample"), self._engine.connect() as connection:
            return [HistoryRow(*row) for row in connection.execute(page, parameters)]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        # the event is sent all the same: the inbox records what is wrong with its site
        return ZoneInfo("UTC")


def _require_sample(connection: Connection) -> None:
    for name, kind in connection.execute(_KINDS, {"names": [SITES, *_TABLES]}):
        if kind is None:
            raise _nothing(())
        if kind not in {"r", "p"}:
            # a whole history sent to the apps by mistake would cost a fortune
            raise InputError(
                f"{name} is a view or a foreign table, so it belongs to a real warehouse: only a sample is replayed"
            )


def _nothing(sites: Sequence[int]) -> InputError:
    where = f" of site {', '.join(map(str, sites))}" if sites else ""
    return InputError(
        f"there are no settlements, notes or tasks{where} to replay: "
        "load a sample with `ai-assets sample load venue`"
    )
