"""Which trigger jobs a person means: read from words, checked once, for the command line and for Dagster alike.

Pure. Not here: looking them up (`ai_assets.store.job_list`), what is done with them (`ai_assets.chains.replaying`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ai_assets.errors import InputError

LARGEST_ID = 2**63 - 1

STATES = ("pending", "running", "completed", "partial", "failed", "dead", "duplicate", "ignored")
ENDED_BADLY = ("failed", "dead", "partial")
"""What is looked for when something went wrong."""
EVENT_TYPES = ("consumption", "note_created", "task_assigned", "dws_completed", "ai_dws_prewarm", "manual")

_OLDER_NAMES = {
    "ai_consumption_settled": "consumption",
    "ai_note_created": "note_created",
    "ai_task_assigned": "task_assigned",
    "ai_dws_completed": "dws_completed",
}
_AGO = re.compile(r"(\d{1,6})\s*([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class JobFilter:
    """Trigger jobs of which all of this is true; what is empty or None says nothing. Times are aware.

    `since` and `until` are of when the event came: from, and before. `error` is a piece of its error's text.
    """

    ids: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    sites: tuple[int, ...] = ()
    event_types: tuple[str, ...] = ()
    member_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: every job."""
        return self == JobFilter()


def job_filter(
    *,
    now: datetime,
    zone: ZoneInfo,
    ids: Sequence[int] = (),
    states: Sequence[str] = (),
    sites: Sequence[int] = (),
    event_types: Sequence[str] = (),
    member_id: int | None = None,
    since: str | None = None,
    until: str | None = None,
    error: str | None = None,
) -> JobFilter:
    """A filter from what a person wrote. `now` is aware; dates and times without an offset are meant in `zone`.

    Raises InputError naming what is wrong and what there is.
    """
    begins = _moment("since", since, now, zone)
    ends = _moment("until", until, now, zone)
    if begins is not None and ends is not None and begins >= ends:
        raise InputError(f"since ({begins.isoformat()}) is not before until ({ends.isoformat()})")
    return JobFilter(
        ids=_ids("trigger job id", ids),
        states=_known("state", states, STATES),
        sites=_ids("site id", sites),
        event_types=_known("event type", [_OLDER_NAMES.get(name, name) for name in event_types], EVENT_TYPES),
        member_id=None if member_id is None else _ids("member id", (member_id,))[0],
        since=begins,
        until=ends,
        error=(error or "").strip() or None,
    )


def _ids(what: str, numbers: Sequence[int]) -> tuple[int, ...]:
    for number in numbers:
        if not 1 <= number <= LARGEST_ID:
            raise InputError(f"{what} {number} is not a whole number from 1 to {LARGEST_ID}")
    return tuple(dict.fromkeys(numbers))


def _known(what: str, named: Sequence[str], there_are: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in named if name not in there_are]:
        raise InputError(f"there is no {what} {', '.join(unknown)}; there are {', '.join(there_are)}")
    return tuple(dict.fromkeys(named))


def _moment(what: str, written: str | None, now: datetime, zone: ZoneInfo) -> datetime | None:
    """`2h` (ago), `2026-01-31` (its first instant) or `2026-01-31T18:30`, with an offset or in the zone."""
    value = (written or "").strip()
    if not value:
        return None
    try:
        if ago := _AGO.fullmatch(value):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if _DATE.fullmatch(value):
            return datetime.combine(date.fromisoformat(value), time(), zone)
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        raise InputError(
            f"{what} {value!r} is no time: give 30m, 2h or 7d (ago), 2026-01-31, or 2026-01-31T18:30"
        ) from None
