"""Grounding: what it catches, what it takes for false though it is true, and how long an answer takes.

On the halves of the labelled sets that the judge was not tuned on (tests/data/grounding/README.md): sentences put
together from templates, and answers that a language model wrote.
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
TEMPLATES, BY_A_MODEL = "answers.jsonl", "by_a_model.jsonl"


@dataclass(frozen=True)
class Judged:
    """One labelled answer: its false figures, how many of them were listed, and how many others were."""

    row: dict[str, Any]
    false: int
    caught: int
    alarms: tuple[grounding.Ungrounded, ...]
    figures: int
    ms: float


def labelled(half: str, of: str = TEMPLATES) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The prompts by id, and the answers of one half of a set."""
    prompts = {row["id"]: row["prompt"] for row in _rows("prompts.jsonl")}
    return prompts, [row for row in _rows(of) if row["half"] == half]


def judged(half: str, of: str = TEMPLATES) -> list[Judged]:
    """Every answer of a half of a set, each with its prompt read anew."""
    prompts, rows = labelled(half, of)
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
    """The two mistakes on both held-out halves, and the time of one answer with a prompt not seen before."""
    found = judged(HELD_OUT)
    written = judged(HELD_OUT, BY_A_MODEL)
    times: Sequence[float] = [one.ms for one in found]
    name = "grounding"
    return [
        *_mistakes("", found, targets=True),
        *_mistakes("by a model: ", written, targets=False),
        figures.at_most(name, "one answer, p50", figures.percentile(times, 0.5), MS, " ms"),
        figures.at_most(name, "one answer, p95", figures.percentile(times, 0.95), MS, " ms"),
        figures.told(
            name,
            f"by a model: one answer of {sum(one.figures for one in written) / len(written):.0f} figures, p95",
            f"{figures.percentile([one.ms for one in written], 0.95):.1f} ms",
        ),
    ]


def _mistakes(of: str, found: Sequence[Judged], *, targets: bool) -> list[figures.Figure]:
    name = "grounding"
    number = f"{len(found)} ({sum(one.false > 0 for one in found)})"
    rows = [figures.told(name, f"{of}answers (of them with a false figure)", number)]
    for what, rate, hold, target in (
        ("false figures caught", catch_rate, figures.at_least, CATCH),
        ("false answers caught", answers_caught, figures.at_least, CATCH),
        ("true answers with a false alarm", false_alarm_rate, figures.at_most, FALSE_ALARMS),
        ("true figures taken for false", figure_alarm_rate, figures.at_most, FALSE_ALARMS),
    ):
        rows.append(
            hold(name, of + what, rate(found), target, " %")
            if targets
            else figures.told(name, of + what, f"{rate(found):.1f} %")
        )
    return rows


def _is(one: grounding.Ungrounded, mark: dict[str, Any]) -> bool:
    return one.path == mark["path"] and one.start < mark["end"] and mark["start"] < one.end


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
