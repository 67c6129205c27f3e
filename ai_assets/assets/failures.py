"""What an operator reads of steps that gave no result: a sentence for the Failure, a table for its metadata. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ai_assets.assets.answer_text import plain

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.summary import StepsSummary

FAILURES_SHOWN = 20


def what_happened(summary: StepsSummary) -> list[str]:
    """Counts with reasons, and the failure that came most often in its own words."""
    messages = Counter(result.message for result in summary.failures if result.message)
    return [summary.sentence(), *(message for message, _ in messages.most_common(1))]


def failures_table(failures: Sequence[StepResult], refused: Sequence[str]) -> str:
    """The first failures, and the lines about keys that are none, as a Markdown table."""
    rows = [
        f"| {r.subject.site_id} | {plain(r.app)} | {plain(r.target_id)} | {plain(r.reason)} | {plain(r.message)} |"
        for r in failures[:FAILURES_SHOWN]
    ]
    rows += [f"| | | | bad\\_input | {plain(message)} |" for message in refused[: FAILURES_SHOWN - len(rows)]]
    left = len(failures) + len(refused) - len(rows)
    if left:
        rows.append(f"| … | and {left} more | | | |")
    head = ["| site | app | target | reason | what happened |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])
