"""An app's answer as people read it in Dagster: Markdown. Pure. Not here: the other metadata.

An answer is data: nothing in it may become markup on an operator's page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN_LIMIT = 20_000
"""Characters of a text that go into the event log; the whole of it is in the run log or the cache."""
TONES = {"good": "🟢", "bad": "🔴"}


def answer_markdown(result: Mapping[str, Any]) -> str:
    """An answer as a list of its findings, whichever app it is of; one of no known form as JSON."""
    lines = [*_lines(result)]
    if not lines:
        shown = {key: value for key, value in result.items() if not key.startswith("_")}
        return fenced(json.dumps(shown, ensure_ascii=False, indent=2))
    text = "\n".join(lines)
    return text if len(text) <= SHOWN_LIMIT else text[:SHOWN_LIMIT] + "\n\n… (the rest is in the cache)"


def fenced(text: str) -> str:
    """A text as a block that is shown as it is."""
    shown = text if len(text) <= SHOWN_LIMIT else text[:SHOWN_LIMIT] + "\n… (the rest is in the run log)"
    return "~~~~json\n" + shown.replace("~~~~", "~ ~ ~ ~") + "\n~~~~"


def plain(value: object) -> str:
    """A value as one line of text without markup; nothing for None."""
    escaped = str("" if value is None else value).replace("\\", "\\\\")
    escaped = " ".join(escaped.split())
    for character in "`*_[]<>#|~":
        escaped = escaped.replace(character, "\\" + character)
    return escaped


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The lines of whatever parts the answer has. A blank line stands between two parts."""
    if "score" in result:
        yield f"**Score: {plain(result['score'])} of 10**"
        yield ""
    for name in ("one_line_summary", "task_description"):
        if result.get(name):
            yield f"**{plain(result[name])}**" if name == "one_line_summary" else plain(result[name])
            yield ""
    if result.get("summary"):
        yield plain(result["summary"])
        yield ""
    yield from _numbered(result.get("insights"), "title", "body")
    yield from _numbered(result.get("strategies"), "title", "content")
    yield from _numbered(result.get("tactics"), "scenario", "script")
    for suggestion in _items(result.get("action_suggestions")):
        yield f"- {plain(suggestion)}"
    if "clues" in result:
        clues = [_clue(clue) for clue in _items(result["clues"]) if isinstance(clue, Mapping)]
        yield from clues or ["No clues."]


def _numbered(found: object, head: str, text: str) -> Iterator[str]:
    for number, item in enumerate(_items(found), 1):
        if isinstance(item, Mapping):
            mark = f"{TONES.get(str(item['tone']), '⚪')} " if "tone" in item else ""
            yield f"{number}. {mark}**{plain(item.get(head))}**  \n   {plain(item.get(text))}"


def _clue(clue: Mapping[str, Any]) -> str:
    """`- 🎱 **玩法偏好** 常打斯诺克 — 每周两次 (小李)`; parts that are not there are left out."""
    line = " ".join(
        part for part in (plain(clue.get("emoji")), f"**{plain(clue.get('category'))}**", plain(clue.get("summary")))
        if part
    )  # fmt: skip
    if clue.get("detail"):
        line += f" — {plain(clue['detail'])}"
    if clue.get("providers"):
        line += f" ({plain(clue['providers'])})"
    return f"- {line}"


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
