"""Grounding: every figure of an answer stands in its prompt or follows from it, or it is listed.

Here: the walk over an answer and the result. Not here: reading figures (`figures_in_text`), facts
(`prompt_facts`), the judgement of one figure (`judging`), what becomes of the result (the run log, the check).
Pure and bounded: of an answer with more than MOST_FIGURES figures the rest counts as one that is not grounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from ai_assets.trust.derived import derive
from ai_assets.trust.facts import Fact, Facts
from ai_assets.trust.judging import GROUNDED, UNGROUNDED, Judge
from ai_assets.trust.passage import Passage, passage
from ai_assets.trust.plain_text import PlainText, plain
from ai_assets.trust.prompt_facts import read_prompt
from ai_assets.trust.written import Written

MOST_FIGURES: Final = 1_000
LONGEST_TEXT: Final = 100_000
"""Characters of an answer that are read, over all its texts."""
DEEPEST: Final = 50
SHOWN: Final = 100
_NO_CLAIMS: Final = frozenset({"tone", "category", "category_given", "score", "emoji", "providers"})


@dataclass(frozen=True)
class Ungrounded:
    """A figure that neither stands in the prompt nor follows from it.

    `path`: where in the answer, `insights.0.body`. `start` to `end`: its place in that string, `text` as it is
    written there. `value`: what it was read as. `nearest`: the nearest figure of the prompt, for people.
    """

    path: str
    start: int
    end: int
    text: str
    value: str
    nearest: str | None


@dataclass(frozen=True)
class Grounding:
    """How many figures an answer claims, and which of them are not grounded, in the answer's order."""

    figures: int
    ungrounded: tuple[Ungrounded, ...]

    @property
    def share(self) -> float:
        """The share of figures that are grounded, 0 to 1; 1 where there is none."""
        return 1.0 if not self.figures else 1 - len(self.ungrounded) / self.figures

    def as_json(self) -> dict[str, Any]:
        """JSON values; of the list at most SHOWN, and how many are left out."""
        shown = [asdict(one) for one in self.ungrounded[:SHOWN]]
        return {
            "figures": self.figures,
            "share": round(self.share, 4),
            "ungrounded": shown,
            "left_out": len(self.ungrounded) - len(shown),
        }


def ground(prompt: str, answer: Mapping[str, Any]) -> Grounding:
    """Hold an answer (validated JSON values) against the prompt that it was given to.

    Keys that begin with "_" and those that hold no text for readers (tone, category …) are left out. Never
    raises for what stands in either.
    """
    facts = _facts(prompt)
    found: list[Ungrounded] = []
    figures = 0
    room, letters = MOST_FIGURES, LONGEST_TEXT
    earlier: Passage | None = None
    item = ""
    for path, value in _texts(answer):
        if path.rpartition(".")[0] != item:
            earlier, item = None, path.rpartition(".")[0]
        if value is None or letters <= 0 or room <= 0:
            figures += 1
            found.append(_too_much(path))
            break
        cut = len(value) > letters
        text = plain(value[:letters])
        letters -= len(value)
        said = passage(text.text, facts.names, earlier, room, facts.windows)
        earlier = said
        judge = Judge(facts, said)
        for figure in said.figures:
            verdict = judge.judge(figure)
            figures += verdict in (GROUNDED, UNGROUNDED)
            if verdict is UNGROUNDED:
                found.append(_ungrounded(path, value, text, figure, facts, judge))
        room -= len(said.figures)
        if said.overflow or cut:
            figures += 1
            found.append(_too_much(path))
            break
    return Grounding(figures, tuple(found))


@lru_cache(maxsize=8)
def _facts(prompt: str) -> Facts:
    """The prompt's facts; kept for the few prompts that are in hand (checked again, or with a second answer)."""
    facts = read_prompt(prompt)
    derive(facts)
    facts.index()
    return facts


def _texts(answer: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """The texts (and numbers) of an answer with their paths, in its order; None: too deep to be read."""
    stack: list[tuple[tuple[str, ...], Any]] = [((), answer)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, str):
            yield ".".join(path), value
        elif len(path) >= DEEPEST and isinstance(value, Mapping | list | tuple):
            yield ".".join(path), None
        elif isinstance(value, Mapping):
            stack.extend(
                ((*path, str(key)), inner)
                for key, inner in reversed(list(value.items()))
                if not str(key).startswith("_") and key not in _NO_CLAIMS
            )
        elif isinstance(value, list | tuple):
            stack.extend(((*path, str(place)), inner) for place, inner in reversed(list(enumerate(value))))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield ".".join(path), str(value)


def _too_much(path: str) -> Ungrounded:
    return Ungrounded(path, 0, 0, "", "more figures or text than are checked", None)


def _ungrounded(
    path: str, value: str, text: PlainText, figure: Written, facts: Facts, judge: Judge
) -> Ungrounded:
    start = text.original(figure.start)
    end = text.original(judge.end_of(figure) - 1) + 1
    nearest = None
    if figure.value is not None and figure.day is None:
        fact = facts.nearest(figure.kind, abs(float(figure.value)), judge.measures_near(figure))
        nearest = None if fact is None else _told(fact)
    return Ungrounded(path, start, end, value[start : min(end, start + 60)], figure.told, nearest)


def _told(fact: Fact) -> str:
    value = f"{fact.value:.4f}".rstrip("0").rstrip(".")
    return (
        f"{value} {fact.kind} ({fact.path}{'' if fact.aspect in ('level', 'text') else ': ' + fact.aspect})"
    )


def forget() -> None:
    """Forget the facts of earlier prompts: for measuring."""
    _facts.cache_clear()
