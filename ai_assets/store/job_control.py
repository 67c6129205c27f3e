"""What an operator does to one trigger job: replay it, cancel it. The rules are SQL, `0006_operations.sql`.

Not here: which jobs (`store.job_filter`, `store.job_list`), pace and words (`ai_assets.chains.replaying`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text

from ai_assets.privacy.text import redact_text
from ai_assets.store.texts import storable

WHY_LIMIT = 300

_REPLAY = text("select outcome, replay from biz.ai_replay_job(:id, :forced)")
_CANCEL = text("select biz.ai_cancel_job(:id, :why)")
_UNLOCKED = text("select id from biz.ai_trigger_jobs where id = :id for no key update skip locked")
_ASKED_TO_STOP = text(
    """
    select id, attempts from biz.ai_trigger_jobs
    where lease_owner = :owner and status = 'running' and cancel_asked_at is not null
    """
)


class Replayed(StrEnum):
    """What came of a replay; see `biz.ai_replay_job`."""

    REPLAYED = "replayed"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    IGNORED = "ignored"
    REPLAYED_BEFORE = "replayed_before"
    PAYLOAD_LOST = "payload_lost"
    PENDING = "pending"
    RUNNING = "running"
    MISSING = "missing"


@dataclass(frozen=True)
class Replay:
    """What came of the replay of one job; `replay`: the job that it became, or was before."""

    job_id: int
    outcome: Replayed
    replay: int | None


def replay_job(connection: Connection, job_id: int, *, forced: bool) -> Replay:
    """Send an ended job's event again, as a new job. Twice for one job changes nothing: it has one replay."""
    row = connection.execute(_REPLAY, {"id": job_id, "forced": forced}).one()
    return Replay(job_id, Replayed(row.outcome), row.replay)


def cancel_job(connection: Connection, job_id: int, *, why: str) -> str | None:
    """`cancelled` one that waited; `asked` one that runs: it ends when its holder hears of it, within seconds.

    Else the state in which it ended, or None: there is no such job. `why` says who and why.
    """
    said = (storable(redact_text(why)) or "")[:WHY_LIMIT]
    status: str | None = connection.execute(_CANCEL, {"id": job_id, "why": said}).scalar_one()
    return status


def cancel_unlocked_job(connection: Connection, job_id: int, *, why: str) -> str | None:
    """As `cancel_job`, but None and no change where somebody has locked the job's row: it waits for no lock."""
    if connection.execute(_UNLOCKED, {"id": job_id}).first() is None:
        return None
    return cancel_job(connection, job_id, why=why)


def asked_to_stop(connection: Connection, *, owner: str) -> set[tuple[int, int]]:
    """(trigger job, attempt) of what this owner runs and somebody wants stopped."""
    return {(row.id, row.attempts) for row in connection.execute(_ASKED_TO_STOP, {"owner": owner})}
