"""All that a chain may ask of the warehouse about one member (and one assistant): each part is read once.

Here: when what is read. Not here: SQL (`people`, `consumption`), prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from ai_assets.errors import InputError, WarehouseError
from ai_assets.warehouse.consumption import Consumption, consumption
from ai_assets.warehouse.contract import ASSISTANT_TASKS, MEMBER_NOTES, MEMBERS, SETTLEMENT
from ai_assets.warehouse.local_time import zone_of
from ai_assets.warehouse.people import (
    Assistant,
    Member,
    Note,
    Task,
    find_assistant,
    find_member,
    newest_note,
    open_tasks,
    recent_notes,
)
from ai_assets.warehouse.settlements import Settlement, read_settlements

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.warehouse.sites import Batch, Site

Connect = Callable[[], AbstractContextManager["Connection"]]


class MemberData:
    """One member of a site as of a date. A part is read when it is first asked for; not thread-safe.

    `batch`: the site's newest ETL batch when this was begun, for `_references`; None: there was none.

    Times are aware, in the site's zone. Parts raise MissingSubjectError (no such member or assistant),
    WarehouseError (the contract's tables), PromptError (a settlement that must not be counted).
    """

    def __init__(
        self,
        connect: Connect,
        site: Site,
        as_of: date,
        member_id: int,
        assistant_id: int | None = None,
        *,
        batch: Batch | None = None,
    ) -> None:
        self.site = site
        self.as_of = as_of
        self.batch = batch
        self.member_id = member_id
        self.assistant_id = assistant_id
        self._connect = connect

    @cached_property
    def member(self) -> Member:
        """The member's profile."""
        with self._connect() as connection:
            member = find_member(connection, self.site.site_id, self.member_id)
        with self._in_range(MEMBERS):
            return replace(member, registered_at=self._local(member.registered_at))

    @cached_property
    def assistant(self) -> Assistant:
        """The assistant of the pair."""
        with self._connect() as connection:
            return find_assistant(connection, self.site.site_id, self._pair())

    @cached_property
    def consumption(self) -> Consumption:
        """The member's settlements of the last 180 days to the as-of date, computed."""
        with self._in_range(SETTLEMENT):
            return consumption(self._settlements, self.as_of, zone_of(self.site))

    @cached_property
    def together(self) -> Consumption:
        """The same, of the settlements that this assistant was part of."""
        with self._in_range(SETTLEMENT):
            return consumption(self._settlements, self.as_of, zone_of(self.site), assistant_id=self._pair())

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """The member's notes to the end of the as-of date, newest first, at most 10."""
        with self._connect() as connection:
            notes = recent_notes(connection, self.site, self.member_id, self.as_of)
        with self._in_range(MEMBER_NOTES):
            return tuple(replace(note, noted_at=self._local(note.noted_at)) for note in notes)

    @cached_property
    def newest_note(self) -> Note | None:
        """The member's newest note at all, or None."""
        with self._connect() as connection:
            note = newest_note(connection, self.site.site_id, self.member_id)
        with self._in_range(MEMBER_NOTES):
            return note and replace(note, noted_at=self._local(note.noted_at))

    @cached_property
    def open_tasks(self) -> tuple[Task, ...]:
        """The pair's tasks that are open, newest first, at most 10."""
        with self._connect() as connection:
            tasks = open_tasks(connection, self.site, self._pair(), self.member_id, self.as_of)
        zone = zone_of(self.site)
        with self._in_range(ASSISTANT_TASKS):
            return tuple(replace(task, created_at=task.created_at.astimezone(zone)) for task in tasks)

    @cached_property
    def _settlements(self) -> tuple[Settlement, ...]:
        with self._connect() as connection:
            return read_settlements(connection, self.site, self.member_id, self.as_of)

    def _pair(self) -> int:
        if self.assistant_id is None:
            raise InputError(f"member {self.member_id}: no assistant was named, and a pair is asked for")
        return self.assistant_id

    @contextmanager
    def _in_range(self, table: str) -> Iterator[None]:
        """A time such as infinity, which a source can hold, has no local time."""
        try:
            yield
        except OverflowError as error:
            raise WarehouseError(
                f"cannot read {table}: a time in the rows of member {self.member_id} of site {self.site.site_id} "
                "is out of range"
            ) from error

    def _local(self, at: datetime | None) -> datetime | None:
        return at and at.astimezone(zone_of(self.site))
