"""A trace as values to print: what of it is for everyone's eyes. Pure.

Texts of people (a note, a name, the prompt, the answer) are left out, or come only when they are asked for. Not here:
reading it (`ai_assets.store.tracing`), lines (`explain_words`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_assets.store.tracing import Trace

SAFE_KEYS = frozenset(
    {
        "app_chain",
        "as_of",
        "assistant_id",
        "batch_id",
        "biz_date",
        "has_assistant",
        "member_id",
        "note_id",
        "noted_by_created_at",
        "occurred_at",
        "settlement_id",
        "source",
        "task_id",
    }
)
"""Keys of a payload whose value says nothing of a person: ids, dates, flags."""
_SAFE_TEXT = re.compile(r"[\w:+.\-]{1,40}", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
MOST_KEYS = 20


def as_plain(found: Trace, *, with_prompt: bool = False, with_payload: bool = False) -> dict[str, Any]:
    """The trace in values that JSON and the terminal show; times aware, cost as a decimal text in CNY."""
    entry, references = found.entry, found.references
    return {
        "cache": {
            "id": entry.id,
            "cache_type": entry.cache_type,
            "site_id": entry.site_id,
            "target_id": entry.target_id,
            "created_at": entry.created_at,
            "triggered_by": entry.triggered_by,
            "score": entry.score,
            "newest": bool(found.versions) and found.versions[-1].id == entry.id,
        },
        "event": _event(found, with_payload),
        "prompt": {
            "hash": entry.prompt_hash,
            "characters": len((found.call or {}).get("request_prompt") or ""),
            "app": _object(references.get("app")),
            **({"text": (found.call or {}).get("request_prompt")} if with_prompt else {}),
        },
        "built_from": _built_from(references),
        "built_on": [
            {
                "depth": one.depth,
                "app": one.app,
                "cache_id": one.id,
                "target_id": one.target_id,
                "created_at": one.created_at,
                "triggered_by": one.triggered_by,
                "trigger_job_id": one.trigger_job_id,
            }
            for one in found.built_on
        ],
        "call": _call(found.call),
        "checks": _checks(found),
        "retention_clues": None
        if found.clues is None
        else [
            {"source": of.source, "clues": of.clues, "of_this_text": of.of_answer, "set_at": of.set_at}
            for of in found.clues
        ],
        "used_again": {
            "events": [
                {
                    "trigger_job_id": one.trigger_job_id,
                    "event_type": one.event_type,
                    "created_at": one.created_at,
                }
                for one in found.used_again
            ],
            "all_events_looked_at": found.all_events_looked_at,
        },
        "versions": _versions(found),
    }


def _event(found: Trace, with_payload: bool) -> dict[str, Any] | None:
    job = found.job
    if job is None:
        return None
    return {
        "trigger_job_id": job.id,
        "event_type": job.event_type,
        "site_id": job.site_id,
        "member_id": job.member_id,
        "status": job.status,
        "error": job.error_message,
        "chain": job.app_chain,
        "forced": job.is_forced,
        "attempts": job.attempts,
        "occurred": job.payload.get("occurred_at") if _is_safe(job.payload.get("occurred_at")) else None,
        "business_date": job.business_date,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "run_id": job.run_id,
        "payload": job.payload if with_payload else payload_summary(job.payload),
    }


def payload_summary(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload without anybody's words: ids, dates and flags as they are, of all else its kind and size."""
    summary: dict[str, Any] = {}
    for key, value in list(payload.items())[:MOST_KEYS]:
        # a key is the sender's text too
        name = key if _KEY.fullmatch(key) else f"(key of {len(key)} characters)"
        summary[name] = value if key in SAFE_KEYS and _is_safe(value) else _kind(value)
    if len(payload) > MOST_KEYS:
        summary["(more keys)"] = len(payload) - MOST_KEYS
    return summary


def _is_safe(value: object) -> bool:
    return (
        value is None
        or isinstance(value, bool | int)
        or bool(isinstance(value, str) and _SAFE_TEXT.fullmatch(value))
    )


def _kind(value: object) -> str:
    if isinstance(value, str):
        return f"(text of {len(value)} characters)"
    if isinstance(value, Mapping):
        return f"(object of {len(value)} keys)"
    if isinstance(value, list):
        return f"(list of {len(value)})"
    return f"({type(value).__name__})"


def _built_from(references: Mapping[str, Any]) -> dict[str, Any]:
    note, rows = references.get("note"), references.get("sources")
    return {
        "as_of": references.get("as_of"),
        "batch": _object(references.get("batch")),
        "window": _object(references.get("window")),
        "area": _object(references.get("area")),
        "note": None
        if not isinstance(note, Mapping)
        else {"note_id": note.get("note_id"), "noted_at": note.get("noted_at")},
        "rows": [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else [],
    }


def _object(value: object) -> Mapping[str, Any] | None:
    """None for what another version of the code may have kept there."""
    return value if isinstance(value, Mapping) else None


def _call(call: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if call is None:
        return None
    shown = {
        name: call.get(name)
        for name in (
            "trigger_type",
            "status",
            "reason",
            "error_message",
            "created_at",
            "finished_at",
            "latency_ms",
            "request_id",
            "session_id",
            "tokens_in",
            "tokens_out",
            "tokens_used",
            "tokens_estimated",
        )
    }
    cost = call.get("cost_cny")
    return {
        "run_log_id": call["id"],
        **shown,
        "cost_cny": None if cost is None else f"{cost:.6f}",
        # not every version of the run log has it
        **({"attempts": call["attempts"]} if call.get("attempts") is not None else {}),
    }


def _checks(found: Trace) -> dict[str, Any] | None:
    """The verdicts and their counts; what was found wrong quotes the answer, and stands in the run log."""
    kept = (found.call or {}).get("checks") or found.references.get("checks")
    if not isinstance(kept, Mapping):
        return None
    told: dict[str, Any] = {}
    for name, check in kept.items():
        if not isinstance(check, Mapping):
            told[str(name)] = None
            continue
        told[str(name)] = {
            str(key): len(value) if isinstance(value, list | Mapping) else value
            for key, value in check.items()
        }
    return told


def _versions(found: Trace) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    before: str | None = None
    place = "earlier"
    for version in found.versions:
        this = version.id == found.entry.id
        told.append(
            {
                "cache_id": version.id,
                "place": "this" if this else place,
                "newest": version is found.versions[-1],
                "created_at": version.created_at,
                "triggered_by": version.triggered_by,
                "trigger_job_id": version.trigger_job_id,
                "run_log_id": version.run_log_id,
                "batch_id": version.batch_id,
                "as_of": version.as_of,
                "app_version": version.app_version,
                "answer": "first"
                if before is None
                else "same"
                if before == version.answer_hash
                else "changed",
                "same_prompt": version.prompt_hash == found.entry.prompt_hash,
            }
        )
        before = version.answer_hash
        place = "later" if this else place
    return told
