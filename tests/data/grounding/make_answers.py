"""Writes answers.jsonl: labelled answers to the prompts of prompts.jsonl, true and subtly false.

`python tests/data/grounding/make_answers.py`, after `make_prompts`. Here: putting sentences together and what
is false in them. Not here: claims (`claims`), sentences (`wordings_*`), forms (`writing`). The same prompts
give the same file.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import wordings_third  # noqa: E402
import wordings_tune  # noqa: E402
import wordings_tune_second  # noqa: E402
import wordings_tune_third  # noqa: E402
from claims import Slots, finance_claims, member_claims, quoted_claims  # noqa: E402
from writing import V, Way, falsify, write  # noqa: E402

PER_PROMPT = 6
WORDINGS = {
    "tune": (wordings_tune, wordings_tune_second, wordings_tune_third),
    "held_out": (wordings_third,),
}
LONGEST = 5


def half_of(prompt_id: str) -> str:
    """The half that a prompt's answers belong to: fixed by its name."""
    return "tune" if sha256(prompt_id.encode()).digest()[0] % 2 else "held_out"


def main() -> None:
    """Write every answer, and tell how many of which sort there are."""
    rows = []
    for line in (HERE / "prompts.jsonl").read_text(encoding="utf-8").splitlines():
        prompt = json.loads(line)
        half = half_of(prompt["id"])
        rng = Random(prompt["id"])
        for number in range(PER_PROMPT * len(WORDINGS[half])):
            words = WORDINGS[half][number // PER_PROMPT]
            made = _answer(rng, words, prompt, number % PER_PROMPT)
            if made is not None:
                rows.append({"id": f"{prompt['id']}#{number}", "prompt": prompt["id"], "half": half, **made})
    told = [json.dumps(row, ensure_ascii=False) for row in rows]
    (HERE / "answers.jsonl").write_text("\n".join(told) + "\n", encoding="utf-8")
    print(len(rows), Counter((row["half"], row["sort"]) for row in rows))


def _answer(rng: Random, words: ModuleType, prompt: dict[str, Any], number: int) -> dict[str, Any] | None:
    content = json.loads(prompt["prompt"])
    app = prompt["app"]
    if app in ("app2", "app2a"):
        claims = list(finance_claims(content))
    elif app in ("app3", "app4", "app7"):
        claims = list(member_claims(content))
    else:
        claims = list(quoted_claims(content))
    claims = [claim for claim in claims if words.SENTENCES.get(claim[0])]
    # of six: a true one with advice, two more true ones, two false ones, one without figures or false
    sort = ("true", "true", "true", "false", "false", "false")[number]
    if (number == 2 and rng.random() < 0.5) or not claims:
        texts = [rng.choice(words.NO_NUMBERS) for _ in range(3)]
        return {
            "app": app,
            "sort": "free",
            "false": [],
            "answer": _shaped(rng, words, app, texts, [[]] * 3)[0],
        }
    rng.shuffle(claims)
    chosen = claims[: rng.randint(2, LONGEST)]
    texts, marks = [], []
    lies = 0
    kinds: list[str] = []
    for place, (name, slots) in enumerate(chosen):
        lie = sort == "false" and (place == 0 or (lies < 2 and rng.random() < 0.2))
        text, wrong, kind = _sentence(rng, words, name, slots, lie=lie)
        lies += bool(wrong)
        if kind:
            kinds.append(f"{name}:{kind}")
        texts.append(text)
        marks.append(wrong)
    if sort == "false" and not lies:
        return None
    if rng.random() < 0.5:
        texts.append(rng.choice(words.ADVICE))
        marks.append([])
    if rng.random() < 0.5:
        texts.append(rng.choice(words.NO_NUMBERS))
        marks.append([])
    answer, false = _shaped(rng, words, app, texts, marks)
    return {"app": app, "sort": sort, "mistakes": kinds, "false": false, "answer": answer}


def _sentence(
    rng: Random, words: ModuleType, name: str, slots: Slots, *, lie: bool
) -> tuple[str, list[tuple[int, int]], str]:
    """The sentence, where its false figures are, and the kind of mistake."""
    template = rng.choice(words.SENTENCES[name])
    used = [slot for slot in re.findall(r"{(\w+)}", template) if isinstance(slots.get(slot), V)]
    falsified: dict[str, V] = {}
    kind = ""
    way = slots.get("way")
    turned = False
    if lie:
        directed = isinstance(way, Way) and ("{way}" in template or "{to}" in template)
        if directed and rng.random() < 0.3:
            turned, kind = True, "direction"
        else:
            for slot in rng.sample(used, len(used)):
                value = slots[slot]
                assert isinstance(value, V)
                made = falsify(rng, value)
                if made is not None and value.kind != "text":
                    kind, falsified[slot] = made
                    break
    sign = (-way.sign if turned else way.sign) if isinstance(way, Way) else 0
    place = rng.randrange(10_000)
    told, wrong = "", []
    for literal, slot in re.findall(r"([^{]*)(?:{(\w+)})?", template):
        told += literal
        if not slot:
            continue
        if slot == "ref":
            told += rng.choice(words.REFS)
        elif slot == "way":
            told += _nth(words.UP if sign > 0 else words.DOWN, place)
        elif slot == "to":
            told += _nth(words.UP_TO if sign > 0 else words.DOWN_TO, place)
        else:
            value = slots[slot]
            if isinstance(value, str):
                told += value
                continue
            assert isinstance(value, V)
            text = write(rng, falsified.get(slot, value))
            marked = turned and isinstance(way, Way) and slot in way.marks.split()
            if slot in falsified or marked:
                wrong.append((len(told), len(told) + len(text)))
            told += text
    if turned and wrong:
        # 由A升至B is one false claim, whichever of its figures is listed
        wrong = [(wrong[0][0], wrong[-1][1])]
    return told, wrong, kind


def _nth(words: tuple[str, ...], place: int) -> str:
    return words[place % len(words)]


def _shaped(
    rng: Random, words: ModuleType, app: str, texts: list[str], marks: list[list[tuple[int, int]]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The app's answer of these sentences, and its false figures: path, start, end."""
    groups: list[tuple[str, list[list[tuple[int, int]]]]] = []
    at = 0
    joins = getattr(words, "JOINS", ())
    while at < len(texts):
        size = rng.randint(1, 2)
        joined, moved = "", []
        for text, wrong in zip(texts[at : at + size], marks[at : at + size], strict=True):
            if joins and joined.endswith("。"):
                joined = joined.removesuffix("。") + rng.choice(joins)
            moved.append([(start + len(joined), end + len(joined)) for start, end in wrong])
            joined += text
        groups.append((joined, moved))
        at += size
    false: list[dict[str, Any]] = []

    def put(path: str, place: int) -> str:
        joined, moved = groups[place]
        false.extend({"path": path, "start": s, "end": e} for wrong in moved for s, e in wrong)
        return joined

    every = range(len(groups))
    if app in ("app2", "app2a"):
        return {
            "insights": [
                {"title": rng.choice(words.TITLES), "body": put(f"insights.{n}.body", n), "tone": "neutral"}
                for n in every
            ]
        }, false
    if app in ("app3", "app8", "app6"):
        clues = [
            {"category": "消费习惯", "emoji": "📅", "summary": put(f"clues.{n}.summary", n), "detail": ""}
            for n in every
        ]
        return ({"score": 6} if app == "app6" else {}) | {"clues": clues}, false
    if app == "app4":
        return {
            "task_description": put("task_description", 0),
            "action_suggestions": [put(f"action_suggestions.{n - 1}", n) for n in every if n] or ["保持联系"],
            "one_line_summary": "保持联系，做好接待。",
        }, false
    if app == "app5":
        return {
            "tactics": [{"scenario": "微信问候", "script": put(f"tactics.{n}.script", n)} for n in every]
        }, false
    return {
        "summary": put("summary", 0),
        "strategies": [
            {"title": "稳定到店", "content": put(f"strategies.{n - 1}.content", n)} for n in every if n
        ],
    }, false


if __name__ == "__main__":
    main()
