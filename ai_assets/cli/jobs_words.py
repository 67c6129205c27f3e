"""Trigger jobs as lines and as plain values. Pure. Not here: reading them, the commands (`jobs`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ai_assets.cli.explain_values import payload_summary

if TYPE_CHECKING:
    from ai_assets.store.job_list import JobDetails, ListedJob


def lines(found: Sequence[ListedJob]) -> Iterator[str]:
    """One line a job, in the order given: its columns beneath each other, its error last and whole.

    No table with borders: it would break ids and times apart on a narrow terminal, and a line can be searched.
    """
    rows = [_columns(one) for one in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for one, row in zip(found, rows, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield printable(f"{cells}  {one.job.error_message or ''}".rstrip())


def as_plain(one: ListedJob) -> dict[str, Any]:
    """One job in the values of JSON; without its payload."""
    job = one.job
    return {
        "id": job.id,
        "state": job.status,
        "event_type": job.event_type,
        "site_id": job.site_id,
        "member_id": job.member_id,
        "connector_type": one.connector_type,
        "forced": job.is_forced,
        "chain": job.app_chain,
        "business_date": job.business_date,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "attempts": job.attempts,
        "error": job.error_message,
        "duplicate_of": job.duplicate_of,
        "repeat_of": job.repeat_of,
        "replay_of": one.replay_of,
        "replayed_as": one.replayed_as,
        "cancel_asked_at": one.cancel_asked_at,
        "cancel_why": one.cancel_why,
        "lease_owner": one.lease_owner,
        "lease_until": one.lease_until,
        "not_before": one.not_before,
        "run_id": job.run_id,
    }


def details_as_plain(found: JobDetails, *, with_payload: bool) -> dict[str, Any]:
    """One job with all that belongs to it; of the payload, unless it is asked for, only what is nobody's words."""
    job = found.listed.job
    return {
        **as_plain(found.listed),
        "payload": job.payload if with_payload else payload_summary(job.payload),
        "step_results": job.step_results,
        "calls": [{name: getattr(call, name) for name in call.__dataclass_fields__} for call in found.calls],
        "duplicates": found.duplicates,
    }


def detail_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """`details_as_plain`'s values for a terminal; nothing in a line steers it."""
    for line in _detail_lines(told):
        yield printable(line)


def cancelled_line(job_id: int, answer: str | None, ended: str | None) -> str:
    """What became of a cancel; `ended` is the state in which one that ran was last seen."""
    job = f"trigger job {job_id}"
    if answer is None:
        return f"{job} is not there"
    if answer == "cancelled":
        return f"{job} is cancelled: it had not begun, nothing was called"
    if answer != "asked":
        return f"{job} had ended already: {answer}"
    if ended == "running":
        return f"{job} still runs: asked to stop; it ends when its worker hears of it, or when its lease ends"
    if ended == "completed":
        return f"{job} came to its end before it could be stopped: completed"
    return f"{job} was stopped: {ended}; what its finished steps gave stays"


def is_stopped(answer: str | None, ended: str | None) -> bool:
    """Whether a cancel did what it should: the job had not ended by itself, and runs no more."""
    return answer == "cancelled" or (answer == "asked" and ended not in ("running", "completed"))


def printable(line: str) -> str:
    """The text without anything that steers a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _detail_lines(told: Mapping[str, Any]) -> Iterator[str]:
    forced = ", forced" if told["forced"] else ""
    yield (
        f"trigger job {told['id']}: {told['event_type']} of site {told['site_id']}, member {told['member_id'] or '-'}, "
        f"{told['state']}{forced}"
    )
    yield (
        f"  came {_at(told['created_at'])} (business date {told['business_date']}), began {_at(told['started_at'])}, "
        f"ended {_at(told['finished_at'])}, attempts {told['attempts']}, chain {told['chain'] or 'none'}"
    )
    if told["error"]:
        yield f"  error: {told['error']}"
    if told["cancel_asked_at"]:
        yield f"  {told['cancel_why']}, {_at(told['cancel_asked_at'])}"
    if told["state"] == "running":
        yield f"  held by {told['lease_owner'] or 'nobody'} until {_at(told['lease_until'])}"
    if told["state"] == "pending" and told["not_before"]:
        yield f"  waits until {_at(told['not_before'])}"
    for name, words in (
        ("duplicate_of", "the same as"),
        ("repeat_of", "repeats"),
        ("replay_of", "replay of"),
        ("replayed_as", "replayed as"),
    ):
        if told[name]:
            yield f"  {words} trigger job {told[name]}"
    if told["duplicates"]:
        yield f"  {told['duplicates']} later events were taken for the same"
    if told["run_id"]:
        yield f"  Dagster run {told['run_id']}"
    if told["payload"]:
        yield f"  payload: {json.dumps(told['payload'], ensure_ascii=False, default=str)}"
    for step in told["step_results"]:
        yield "  " + _step(step)
    for call in told["calls"]:
        yield "  " + _call(call)


def _step(step: Any) -> str:
    if not isinstance(step, Mapping):
        return f"step: {step}"
    if "trigger_job_id" in step:
        return f"became trigger job {step['trigger_job_id']} of site {step.get('site_id')}"
    why = (
        f": {step.get('message') or step.get('reason')}" if step.get("message") or step.get("reason") else ""
    )
    return f"step {step.get('app')} {step.get('target_id')}: {step.get('outcome')}{why}"


def _call(call: Mapping[str, Any]) -> str:
    latency = "" if call["latency_ms"] is None else f" in {call['latency_ms'] / 1000:.1f} s"
    reason = f" ({call['reason']})" if call["reason"] else ""
    cost = "" if call["cost_cny"] is None else f", CNY {call['cost_cny']}"
    text = f", cached text {call['cache_id']}" if call["cache_id"] else ""
    return (
        f"call {call['id']}: {call['app_type']} {call['target_id']}, {call['status']}{reason}{latency}, "
        f"{call['tokens_used'] or 0:,} tokens{cost}{text}"
        + (f": {call['error_message']}" if call["error_message"] else "")
    )


def _columns(one: ListedJob) -> list[str]:
    job = one.job
    return [
        str(job.id),
        _state(one),
        job.event_type + (" forced" if job.is_forced else ""),
        f"site {job.site_id or '-'}",
        f"member {job.member_id or '-'}",
        _at(job.created_at),
        _took(job.started_at, job.finished_at),
        f"tries {job.attempts}" if job.attempts > 1 else "",
    ]


def _state(one: ListedJob) -> str:
    if one.cancel_asked_at is not None:
        return f"{one.job.status} (cancelled)" if one.job.status != "running" else "running (asked to stop)"
    return one.job.status + (f" → {one.replayed_as}" if one.replayed_as else "")


def _took(began: datetime | None, ended: datetime | None) -> str:
    return "" if began is None or ended is None else f"{(ended - began).total_seconds():.1f} s"


def _at(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
