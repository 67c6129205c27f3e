"""The labelled set: what is caught and what is falsely listed, on the half that the judge was not tuned on.

The bounds are a little looser than what was measured (see tests/data/grounding/README.md), so that a change
of a few answers is seen in the bench and not here. They may be raised, and not lowered without a word why.
Lowered once, from 96 and 97 caught to 95: the third held-out set, by another author, is harder than the second.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import grounding as measured

DATA = Path(__file__).parent.parent / "data" / "grounding"


@pytest.fixture(scope="module")
def held_out() -> list[measured.Judged]:
    return measured.judged(measured.HELD_OUT)


@pytest.fixture(scope="module")
def by_a_model() -> list[measured.Judged]:
    return measured.judged(measured.HELD_OUT, measured.BY_A_MODEL)


def answers() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_false_figures_are_caught_on_the_held_out_half(held_out: list[measured.Judged]) -> None:
    assert measured.catch_rate(held_out) >= 95
    assert measured.answers_caught(held_out) >= 95


def test_true_figures_are_seldom_listed_on_the_held_out_half(held_out: list[measured.Judged]) -> None:
    assert measured.figure_alarm_rate(held_out) <= 2.5
    # the hardest reading: answers of several figures of which not one may be listed. Its target of 3 is not met
    assert measured.false_alarm_rate(held_out) <= 5


def test_answers_that_a_model_wrote_are_judged_as_well_as_the_documents_say(
    by_a_model: list[measured.Judged],
) -> None:
    """No targets, which are far: what was measured, so that it does not get worse unseen."""
    assert measured.answers_caught(by_a_model) >= 91
    assert measured.catch_rate(by_a_model) >= 80
    assert measured.figure_alarm_rate(by_a_model) <= 9


def test_the_answers_of_a_model_are_of_every_app_and_share_no_prompt_across_the_halves() -> None:
    prompts, held_out = measured.labelled(measured.HELD_OUT, measured.BY_A_MODEL)
    _, tune = measured.labelled("tune", measured.BY_A_MODEL)
    assert {row["app"] for row in held_out} == {"app2", "app2a", *(f"app{n}" for n in range(3, 9))}
    assert not {row["prompt"] for row in held_out} & {row["prompt"] for row in tune}
    assert {row["prompt"] for row in held_out + tune} == prompts.keys()


def test_the_measure_can_fail() -> None:
    """An answer with a wrong label counts as a miss and as an alarm: the figures are not made of nothing."""
    prompts, rows = measured.labelled(measured.HELD_OUT)
    row = next(row for row in rows if row["sort"] == "false" and len(row["false"]) == 1)
    honest = measured.judge(prompts[row["prompt"]], row)
    unlabelled = measured.judge(prompts[row["prompt"]], row | {"false": []})
    assert len(unlabelled.alarms) == len(honest.alarms) + honest.caught
    blind = measured.judge("{}", row | {"false": []})
    assert len(blind.alarms) > len(honest.alarms)


def test_the_set_covers_every_app_both_samples_and_every_sort_in_both_halves() -> None:
    samples = {
        row["id"]: row["sample"]
        for row in map(json.loads, (DATA / "prompts.jsonl").read_text(encoding="utf-8").splitlines())
    }
    rows = answers()
    assert len(rows) >= 300
    for half in ("tune", "held_out"):
        of_half = [row for row in rows if row["half"] == half]
        assert {row["app"] for row in of_half} == {"app2", "app2a", *(f"app{n}" for n in range(3, 9))}
        assert {samples[row["prompt"]] for row in of_half} == {"venue", "completejourney"}
        assert min(Counter(row["sort"] for row in of_half).values()) >= 30


def test_the_halves_share_no_prompt() -> None:
    halves: dict[str, set[str]] = {}
    for row in answers():
        halves.setdefault(row["prompt"], set()).add(row["half"])
    assert all(len(found) == 1 for found in halves.values())


def test_every_false_mark_is_a_place_in_its_answer() -> None:
    for row in [*answers(), *measured.labelled("tune", measured.BY_A_MODEL)[1]]:
        assert bool(row["false"]) == (row["sort"] == "false")
        for mark in row["false"]:
            value: Any = row["answer"]
            for key in mark["path"].split("."):
                value = value[int(key)] if isinstance(value, list) else value[key]
            assert 0 <= mark["start"] < mark["end"] <= len(value)
