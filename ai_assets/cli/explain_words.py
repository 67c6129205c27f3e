"""A trace as lines on a terminal. Pure. Not here: what may be shown (`explain_values`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

AROUND = 10
"""Versions shown before and after the one asked for; --json has all."""


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The lines of `explain_values.as_plain`'s values, one thing a line; at last the prompt, if it was asked for."""
    for line in _lines(told):
        # ids and messages come from others: nothing in them may steer a terminal
        yield "".join(sign if sign.isprintable() else "?" for sign in line)
    if "text" in told["prompt"]:
        yield ""
        yield told["prompt"]["text"] or "(the run log has no prompt)"


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    cache = told["cache"]
    newest = "the newest" if cache["newest"] else "not the newest"
    yield (
        f"cached text {cache['id']}: {cache['cache_type']} of site {cache['site_id']}, target {cache['target_id']}, "
        f"made {_at(cache['created_at'])} by {cache['triggered_by']}, {newest}"
    )
    yield from _event(told["event"], cache["triggered_by"])
    yield from _prompt(told["prompt"])
    yield from _built_from(told["built_from"])
    yield from _built_on(told["built_on"])
    yield from _call(told["call"])
    yield from _checks(told["checks"])
    yield from _clues(told["retention_clues"])
    yield from _used_again(told["used_again"])
    yield from _versions(told["versions"])


def _event(event: Mapping[str, Any] | None, triggered_by: str) -> Iterator[str]:
    if event is None:
        yield f"event: none ({triggered_by})"
        return
    forced = ", forced" if event["forced"] else ""
    yield (
        f"event: trigger job {event['trigger_job_id']}, {event['event_type']}, {event['status']}{forced}; "
        f"occurred {event['occurred'] or 'when it came'}, came {_at(event['created_at'])}, "
        f"finished {_at(event['finished_at'])}"
    )
    if event["chain"]:
        yield f"  chain {event['chain']}, attempt {event['attempts']}, Dagster run {event['run_id'] or 'none'}"
    if event["error"]:
        yield f"  error: {event['error']}"
    if event["payload"]:
        yield f"  payload: {json.dumps(event['payload'], ensure_ascii=False, default=str)}"


def _prompt(prompt: Mapping[str, Any]) -> Iterator[str]:
    app = prompt["app"] or {}
    yield (
        f"prompt: {prompt['characters']:,} characters of {app.get('name', 'an unknown app')} "
        f"version {app.get('version', '?')}, hash {prompt['hash']}"
    )


def _built_from(built: Mapping[str, Any]) -> Iterator[str]:
    batch = built["batch"]
    named = (
        "no DWS batch"
        if not isinstance(batch, Mapping)
        else f"DWS batch {batch.get('batch_id')} of {batch.get('biz_date')}, finished {batch.get('finished_at')}"
    )
    yield f"data: as of {built['as_of']}, {named}"
    window, area, note = built["window"], built["area"], built["note"]
    if isinstance(window, Mapping):
        name = area.get("name") if isinstance(area, Mapping) else "all"
        yield (
            f"  area {name}, {window.get('name')}: {window.get('start')} to {window.get('end')}, compared with "
            f"{window.get('comparison_start')} to {window.get('comparison_end')}"
        )
    if note is not None:
        yield f"  note {note['note_id'] or 'of the event'}, written {note['noted_at']}"
    for row in built["rows"]:
        used_for = f" ({row['used_for']})" if row.get("used_for") else ""
        dates = f", {row['first_date']} to {row['last_date']}" if row.get("first_date") else ""
        yield f"  {row.get('rows')} rows of {row.get('table')}{used_for}{dates}"


def _built_on(built_on: list[Mapping[str, Any]]) -> Iterator[str]:
    for one in built_on:
        yield (
            f"{'  ' * (one['depth'] - 1)}built on {one['app']}: cached text {one['cache_id']} ({one['target_id']}), "
            f"made {_at(one['created_at'])} by {one['triggered_by']}"
        )


def _call(call: Mapping[str, Any] | None) -> Iterator[str]:
    if call is None:
        yield "call: its run log is gone"
        return
    latency = "" if call["latency_ms"] is None else f" in {call['latency_ms'] / 1000:.1f} s"
    attempts = f", {call['attempts']} attempts" if call.get("attempts") else ""
    reason = f" ({call['reason']})" if call["reason"] else ""
    yield (
        f"call: run log {call['run_log_id']}, {call['trigger_type']}, {call['status']}{reason}{latency}{attempts}; "
        f"request {call['request_id'] or 'unknown'}, session {call['session_id'] or 'unknown'}"
    )
    if call["error_message"]:
        yield f"  error: {call['error_message']}"
    estimated = ", estimated" if call["tokens_estimated"] else ""
    yield (
        f"  tokens {call['tokens_in'] or 0:,} in, {call['tokens_out'] or 0:,} out, "
        f"{call['tokens_used'] or 0:,} charged{estimated}; cost CNY {call['cost_cny'] or 'unknown'}"
    )


def _checks(checks: Mapping[str, Any] | None) -> Iterator[str]:
    if checks is None:
        yield "checks: none kept"
        return
    for name, check in checks.items():
        found = (
            "could not be made"
            if check is None
            else ", ".join(f"{key} {value}" for key, value in check.items())
        )
        yield f"check {name}: {found}"


def _clues(standing: list[Mapping[str, Any]] | None) -> Iterator[str]:
    if standing is None:
        return
    if not standing:
        yield "retention clues: the member has none now"
    for of in standing:
        yield (
            f"retention clues of source {of['source']}: {of['of_this_text']} of the {of['clues']} that stand are "
            f"this text's, set {_at(of['set_at'])}"
        )


def _used_again(again: Mapping[str, Any]) -> Iterator[str]:
    for one in again["events"]:
        yield (
            f"used again, without a call, by trigger job {one['trigger_job_id']} ({one['event_type']}), "
            f"came {_at(one['created_at'])}"
        )
    if not again["all_events_looked_at"]:
        yield "  (only the first events after it were looked at)"


def _versions(versions: list[Mapping[str, Any]]) -> Iterator[str]:
    here = next((n for n, version in enumerate(versions) if version["place"] == "this"), 0)
    first, last = max(0, here - AROUND), here + AROUND + 1
    yield f"versions: {len(versions)}, oldest first"
    if first:
        yield f"  … {first} earlier"
    for version in versions[first:last]:
        mark = {"this": ">", "earlier": " ", "later": " "}[version["place"]]
        newest = ", newest" if version["newest"] else ""
        answer = {"first": "first answer", "same": "same answer", "changed": "answer changed"}[
            version["answer"]
        ]
        yield (
            f"{mark} {version['cache_id']} {_at(version['created_at'])} by {version['triggered_by']}, "
            f"batch {version['batch_id'] or 'none'}, as of {version['as_of']}, {answer}{newest}"
        )
    if len(versions) > last:
        yield f"  … {len(versions) - last} later"


def _at(moment: Any) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return "never" if moment is None else str(moment)
