"""Grounding: what it catches, what it takes for false though it is true, and how long an answer takes.

On the half of the labelled set that the judge was not tuned on (tests/data/grounding/README.md).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_assets.trust import grounding
from bench import figures

DATA = Path(__file__).parent.parent / "tests" / "data" / "grounding"
CATCH, FALSE_ALARMS, MS = 95.0, 3.0, 5.0
HELD_OUT = "held_out"


@dataclass(frozen=True)
class Judged:
    """One labelled answer: its false figures, how many of them were listed, and how many others were."""

    row: dict[str, Any]
    false: int
    caught: int
    alarms: tuple[grounding.Ungrounded, ...]
    figures: int
    ms: float


def labelled(half: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The prompts by id, and the answers of one half."""
    prompts = {row["id"]: row["prompt"] for row in _rows("prompts.jsonl")}
    return prompts, [row for row in _rows("answers.jsonl") if row["half"] == half]


def judged(half: str) -> list[Judged]:
    """Every answer of a half, each with its prompt read anew."""
    prompts, rows = labelled(half)
    return [judge(prompts[row["prompt"]], row) for row in rows]


def judge(prompt: str, row: dict[str, Any]) -> Judged:
    """Hold one labelled answer against its prompt."""
    grounding.forget()
    began = time.perf_counter()
    found = grounding.ground(prompt, row["answer"])
    ms = (time.perf_counter() - began) * 1000
    marks = row["false"]
    caught = sum(any(_is(one, mark) for one in found.ungrounded) for mark in marks)
    alarms = tuple(one for one in found.ungrounded if not any(_is(one, mark) for mark in marks))
    return Judged(row, len(marks), caught, alarms, found.figures, ms)


def catch_rate(all_of_them: Iterable[Judged]) -> float:
    """Percent of the false figures that were listed."""
    told = [(one.caught, one.false) for one in all_of_them]
    return 100 * sum(caught for caught, _ in told) / sum(false for _, false in told)


def answers_caught(all_of_them: Iterable[Judged]) -> float:
    """Percent of the answers with a false figure of which one at least was listed."""
    told = [one.caught > 0 for one in all_of_them if one.false]
    return 100 * sum(told) / len(told)


def false_alarm_rate(all_of_them: Iterable[Judged]) -> float:
    """Percent of the answers without a false figure of which any figure was listed: the hardest reading."""
    told = [bool(one.alarms) for one in all_of_them if not one.false]
    return 100 * sum(told) / len(told)


def figure_alarm_rate(all_of_them: Iterable[Judged]) -> float:
    """Percent of the true figures, in any answer, that were listed."""
    told = [(len(one.alarms), one.figures - one.caught) for one in all_of_them]
    return 100 * sum(alarms for alarms, _ in told) / sum(true for _, true in told)


def measure() -> list[figures.Figure]:
    """The two mistakes on the held-out half, and the time of one answer with a prompt not seen before."""
    found = judged(HELD_OUT)
    times: Sequence[float] = [one.ms for one in found]
    name = "grounding"
    return [
        figures.told(
            name,
            "answers (of them with a false figure)",
            f"{len(found)} ({sum(one.false > 0 for one in found)})",
        ),
        figures.at_least(name, "false figures caught", catch_rate(found), CATCH, " %"),
        figures.at_least(name, "false answers caught", answers_caught(found), CATCH, " %"),
        figures.at_most(name, "true answers with a false alarm", false_alarm_rate(found), FALSE_ALARMS, " %"),
        figures.at_most(name, "true figures taken for false", figure_alarm_rate(found), FALSE_ALARMS, " %"),
        figures.at_most(name, "one answer, p50", figures.percentile(times, 0.5), MS, " ms"),
        figures.at_most(name, "one answer, p95", figures.percentile(times, 0.95), MS, " ms"),
    ]


def _is(one: grounding.Ungrounded, mark: dict[str, Any]) -> bool:
    return one.path == mark["path"] and one.start < mark["end"] and mark["start"] < one.end


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
