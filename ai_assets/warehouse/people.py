"""Members, assistants, notes and tasks of a site: reads of the contract's `biz` tables.

Not here: what a member bought (`ai_assets.warehouse.consumption`), what of it a prompt may hold (apps).
A member's phone number is not read at all: no prompt may hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from ai_assets.errors import MissingSubjectError
from ai_assets.warehouse.contract import ASSISTANT_TASKS, ASSISTANTS, MEMBER_NOTES, MEMBERS, fitted, reading
from ai_assets.warehouse.local_time import end_of

if TYPE_CHECKING:
    from ai_assets.warehouse.sites import Site

# casts, because a view may give other types; of a view's repeated rows one is taken, always the same
_MEMBER = text(
    """
    select name::text, nickname::text, gender::text, level::text,
           round(balance::numeric, 2), registered_at::timestamptz
    from biz.members where site_id = :site_id and member_id = :member_id
    order by registered_at desc nulls last, name limit 1
    """
)

_ASSISTANT = text(
    """
    select name::text, level::text
    from biz.assistants where site_id = :site_id and assistant_id = :assistant_id
    order by name, level limit 1
    """
)

# no end given: the newest at all
_NOTES = text(
    r"""
    select content::text, nullif(trim(noted_by_name::text), ''), created_at::timestamptz, note_id::bigint
    from biz.member_notes as note
    where site_id = :site_id and member_id = :member_id and content ~ '\S'
      and (cast(:until as timestamptz) is null or created_at < :until)
    order by note.created_at desc, note.note_id desc limit :limit
    """
)

_OPEN_TASKS = text(
    """
    select task_id::bigint, nullif(trim(task_type::text), ''), nullif(trim(status::text), ''),
           created_at::timestamptz
    from biz.assistant_tasks as task
    where site_id = :site_id and assistant_id = :assistant_id and member_id = :member_id
      and created_at < :until and not lower(trim(coalesce(status::text, ''))) = any(:closed)
    order by task.created_at desc, task.task_id desc limit :limit
    """
)

CLOSED_STATUSES: tuple[str, ...] = (
    "done",
    "completed",
    "complete",
    "finished",
    "closed",
    "resolved",
    "expired",
    "cancelled",
    "canceled",
    "abandoned",
    "rejected",
    "deleted",
    "已完成",
    "完成",
    "已结束",
    "已关闭",
    "已过期",
    "过期",
    "已失效",
    "已取消",
    "取消",
    "已放弃",
    "已拒绝",
    "已删除",
)
"""A task with another status, or none, is open: to leave out a task that is to be done is the worse error.

Compared trimmed and in lower case. Documented in docs/data-contract.md.
"""


@dataclass(frozen=True)
class Member:
    """A row of `biz.members`; only the ids and the name are sure to be filled. `balance` in yuan.

    Phone and birthday are not read: what is not here cannot leave.
    """

    site_id: int
    member_id: int
    name: str
    nickname: str | None = None
    gender: str | None = None
    level: str | None = None
    balance: Decimal | None = None
    registered_at: datetime | None = None


@dataclass(frozen=True)
class Assistant:
    """A row of `biz.assistants`."""

    site_id: int
    assistant_id: int
    name: str
    level: str | None = None


@dataclass(frozen=True)
class Note:
    """What somebody wrote of a member: a row of `biz.member_notes`, or an event's own words.

    `note_id` None: only the event holds it. `noted_at` is aware.
    """

    content: str
    noted_by_name: str | None = None
    noted_at: datetime | None = None
    note_id: int | None = None


@dataclass(frozen=True)
class Task:
    """A row of `biz.assistant_tasks`; `created_at` is aware."""

    task_id: int
    task_type: str | None
    status: str | None
    created_at: datetime


def find_member(connection: Connection, site_id: int, member_id: int) -> Member:
    """The member, named by their id where the source has no name.

    Raises MissingSubjectError where there is none, WarehouseError where the table breaks the contract.
    """
    with reading(connection, MEMBERS):
        row = connection.execute(
            fitted(connection, _MEMBER, MEMBERS), {"site_id": site_id, "member_id": member_id}
        ).one_or_none()
    if row is None:
        raise MissingSubjectError(
            f"member {member_id} of site {site_id} is not in {MEMBERS}: check both ids, or load the member"
        )
    name, nickname, gender, level, *others = row
    return Member(
        site_id,
        member_id,
        _told(name) or str(member_id),
        _told(nickname),
        _told(gender),
        _told(level),
        *others,
    )


def find_assistant(connection: Connection, site_id: int, assistant_id: int) -> Assistant:
    """The assistant, named by their id where the source has no name.

    Raises MissingSubjectError where there is none, WarehouseError where the table breaks the contract.
    """
    with reading(connection, ASSISTANTS):
        row = connection.execute(
            fitted(connection, _ASSISTANT, ASSISTANTS), {"site_id": site_id, "assistant_id": assistant_id}
        ).one_or_none()
    if row is None:
        raise MissingSubjectError(
            f"assistant {assistant_id} of site {site_id} is not in {ASSISTANTS}: check both ids, "
            "or load the assistant"
        )
    return Assistant(site_id, assistant_id, _told(row.name) or str(assistant_id), _told(row.level))


def recent_notes(
    connection: Connection, site: Site, member_id: int, as_of: date, limit: int = 10
) -> tuple[Note, ...]:
    """The member's notes written to the end of the as-of date in the site's zone, newest first.

    Blank ones are none. Raises WarehouseError where the table or the site's zone is not as the contract says.
    """
    with reading(connection, MEMBER_NOTES):
        rows = connection.execute(
            fitted(connection, _NOTES, MEMBER_NOTES),
            {
                "site_id": site.site_id,
                "member_id": member_id,
                "until": end_of(site, as_of),
                "limit": limit,
            },
        )
        return tuple(Note(*row) for row in rows)


def newest_note(connection: Connection, site_id: int, member_id: int) -> Note | None:
    """The member's newest note that is not blank, or None. Raises WarehouseError."""
    with reading(connection, MEMBER_NOTES):
        row = connection.execute(
            fitted(connection, _NOTES, MEMBER_NOTES),
            {"site_id": site_id, "member_id": member_id, "until": None, "limit": 1},
        ).one_or_none()
    return None if row is None else Note(*row)


def open_tasks(
    connection: Connection, site: Site, assistant_id: int, member_id: int, as_of: date, limit: int = 10
) -> tuple[Task, ...]:
    """The pair's tasks given to the end of the as-of date whose status is no closing word, newest first.

    Raises WarehouseError where the table or the site's zone is not as the contract says.
    """
    with reading(connection, ASSISTANT_TASKS):
        rows = connection.execute(
            fitted(connection, _OPEN_TASKS, ASSISTANT_TASKS),
            {
                "site_id": site.site_id,
                "assistant_id": assistant_id,
                "member_id": member_id,
                "until": end_of(site, as_of),
                "closed": list(CLOSED_STATUSES),
                "limit": limit,
            },
        )
        return tuple(Task(*row) for row in rows)


def _told(words: str | None) -> str | None:
    """Trimmed of any white space; None for a blank."""
    return (words or "").strip() or None
