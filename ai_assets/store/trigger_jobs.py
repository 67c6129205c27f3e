"""A trigger job, one row of the inbox, as a value. Not here: statements (`inbox`, `claims`, `leases`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ai_assets.privacy.text import redact_text
from ai_assets.store.payloads import readable, readable_date
from ai_assets.store.texts import storable

MANUAL = "manual"
"""The event type of work that a person queued (`ai_assets.store.manual_jobs`); no event has it."""
ERROR_LIMIT = 500
RETRY_BASE_S = 2.0
"""Seconds before a lost attempt is made again. Short: the lease has run out, so the event is a minute late."""
RETRY_LONGEST_S = 600.0
"""It waits four times as long with each attempt, 2, 8, 32, … up to this, and up to twice that by chance."""
JOB_COLUMNS = """id, event_type, site_id, member_id, payload::text as payload, is_forced, app_chain, status,
        duplicate_of,
        case when business_date between date '0001-01-01' and date '9999-12-31'
            then to_char(business_date::timestamp, 'YYYY-MM-DD') end as business_date,
        attempts, greatest(launches, attempts) as launches, run_alone, background, step_results, error_message,
        created_at, started_at, finished_at, run_id, repeat_of"""
"""What `trigger_job` reads. Text where Postgres holds more than the driver can read: one row would fail its batch."""


@dataclass(frozen=True)
class TriggerJob:
    """One row of the inbox."""

    id: int
    event_type: str
    site_id: int | None
    member_id: int | None
    payload: dict[str, Any]
    is_forced: bool
    app_chain: str | None
    status: str
    duplicate_of: int | None
    business_date: date | None
    attempts: int
    launches: int
    """Runs or workers that began or were to begin on it; unlike `attempts` never counted back."""
    run_alone: bool
    """It lost attempts beside others, and runs only in a worker that runs nothing else meanwhile."""
    background: bool
    """Live events go before it."""
    step_results: list[dict[str, Any]]
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_id: str | None
    repeat_of: int | None
    """The partial job whose event this is again: what that one gave is taken over."""


def trigger_job(row: Mapping[Any, Any]) -> TriggerJob:
    """A row of JOB_COLUMNS as a value. Never raises for what a sender put in."""
    fields = {name: row[name] for name in TriggerJob.__dataclass_fields__}
    fields["payload"] = readable(row["payload"])
    fields["business_date"] = readable_date(row["business_date"])
    return TriggerJob(**fields)


def short_error(error: str | None) -> str | None:
    """An error's text as inbox and run log can hold it: redacted, and cut to 500 characters."""
    return (storable(redact_text(error)) or "")[:ERROR_LIMIT] if error else None
