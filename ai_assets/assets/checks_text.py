"""What was checked of an answer, as an operator reads it in Dagster. Pure. Not here: checking (`chains.checking`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import MetadataValue

from ai_assets.assets.answer_text import plain

SHOWN = 20
FIRST = 3


def checks_metadata(checks: object) -> dict[str, MetadataValue[Any]]:
    """Metadata from an answer's `_references.checks`; nothing where there is none (an answer of an older version)."""
    numbers = checks.get("numbers") if isinstance(checks, Mapping) else None
    if not isinstance(numbers, Mapping):
        return {}
    listed = [one for one in numbers.get("ungrounded") or () if isinstance(one, Mapping)]
    wrong = len(listed) + int(numbers.get("left_out") or 0)
    figures = int(numbers.get("figures") or 0)
    values: dict[str, MetadataValue[Any]] = {
        "figures": MetadataValue.int(figures),
        "share of figures grounded": MetadataValue.float(float(numbers.get("share", 1.0))),
    }
    if wrong:
        values["figures not grounded"] = MetadataValue.md(_table(listed, wrong))
    return values


def first_ungrounded(numbers: Mapping[str, Any]) -> str:
    """The first figures that are not grounded, in a line: `98 (insights.0.body, nearest 89), …`."""
    listed = [one for one in numbers.get("ungrounded") or () if isinstance(one, Mapping)]
    told = [
        f"{one.get('text')} ({one.get('path')}, nearest {one.get('nearest') or 'none'})"
        for one in listed[:FIRST]
    ]
    return ", ".join([*told, *(["…"] if len(listed) > FIRST else [])])


def _table(listed: list[Mapping[str, Any]], wrong: int) -> str:
    lines = [
        f"| {plain(one.get('text'))} | {plain(one.get('path'))} | {plain(one.get('nearest')) or 'none'} |"
        for one in listed[:SHOWN]
    ]
    more = wrong - len(lines)
    return "\n".join(
        [
            "| figure | where | nearest in the prompt |",
            "|---|---|---|",
            *lines,
            *([f"\n… and {more} more, in the run log"] if more > 0 else []),
        ]
    )
