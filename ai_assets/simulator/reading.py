"""What the simulator understands of a prompt: its figures, its clues, whether it says that there is no data.

Here: one pass over the prompt. Not here: what is answered to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ai_assets.simulator.figures import Figure, figures_in, leaves, parsed

MOST_CLUES: Final = 30
LONGEST_TEXT: Final = 120

# 「若没有数据，请说明」 is an instruction, not a statement: such a sentence says nothing of the data.
_SAYS_NONE: Final = re.compile(
    r"(?:无|没有|暂无|尚无|缺少|缺乏)(?:任何|可用|相关|经营|历史|消费|到店|业务|有效|的)*"
    r"(?:数据|记录|历史|消费|线索|往来)|数据为空"
)
_CONDITION: Final = re.compile(r"若|如果|如无|如没有|倘|假如|请|要求|必须|应当|时，|表示|不要")
_INSTRUCTION_KEY: Final = re.compile(r"任务|要求|格式|指令|规则|单位|更正")
_SENTENCES: Final = re.compile(r"[。；;！!\n]")
_NO_FINDING: Final = re.compile(r"对比|上期|同期|变化|天数")
_HAS_DATA_KEY: Final = re.compile(r"^(?:是否)?有(?:无)?数据$|^has_data$")
_NO_DATA_KEY: Final = re.compile(r"^(?:是否)?无数据$|^no_data$")
# What can be ruled out by one look at the text costs no walk through it; "\\u" may hide any letter.
_MAY_SAY_NONE: Final = re.compile(r"无|没有|缺少|缺乏|为空|有数据|has_data|no_data|\\u")
_MAY_HOLD_CLUES: Final = re.compile(r"category|类别|分类|\\u")

_CATEGORY_KEYS: Final = ("category", "类别", "分类")
_SUMMARY_KEYS: Final = ("summary", "摘要", "概要", "线索", "内容")
_DETAIL_KEYS: Final = ("detail", "详情", "说明", "明细")
_EMOJI_KEYS: Final = ("emoji", "表情")
_NOTE_KEY: Final = "备注"
_NOTE_WORDS_KEY: Final = "内容"
_PROVIDER_KEYS: Final = ("providers", "提供者", "提供人", "记录人", "来源")


@dataclass(frozen=True)
class GivenClue:
    """A clue that stands in the prompt (App8 merges them). `provider` may be empty."""

    category: str
    summary: str
    detail: str
    emoji: str
    provider: str


@dataclass(frozen=True)
class Reading:
    """A prompt as the simulator understands it."""

    figures: tuple[Figure, ...]
    says_no_data: bool
    clues: tuple[GivenClue, ...]
    note: str
    """The words of the one note that the prompt is about (App6 scores it); the whole prompt where none is."""
    text: str

    @property
    def empty(self) -> bool:
        """Whether the prompt says that there is no data, and holds no figure but zeros and comparisons."""
        return self.says_no_data and not any(
            figure.sign for figure in self.figures if not _NO_FINDING.search(figure.label)
        )


def read(prompt: str) -> Reading:
    """Understand `prompt`, any text at all; canonical JSON with Chinese keys is understood best."""
    data = parsed(prompt)
    structured = isinstance(data, dict | list)
    return Reading(
        figures=figures_in(prompt, data),
        says_no_data=_json_says_no_data(prompt, data) if structured else _text_says_no_data(prompt),
        clues=tuple(_clues_in(data)) if structured and _MAY_HOLD_CLUES.search(prompt) else (),
        note=_note_in(data) or prompt,
        text=prompt,
    )


def _note_in(data: object) -> str:
    note = data.get(_NOTE_KEY) if isinstance(data, dict) else None
    words = note.get(_NOTE_WORDS_KEY) if isinstance(note, dict) else None
    return words if isinstance(words, str) else ""


def _text_says_no_data(text: str) -> bool:
    return _SAYS_NONE.search(text) is not None and any(
        _SAYS_NONE.search(sentence) and not _CONDITION.search(sentence) for sentence in _SENTENCES.split(text)
    )


def _json_says_no_data(prompt: str, data: object) -> bool:
    if not _MAY_SAY_NONE.search(prompt):
        return False
    return any(_leaf_says_no_data(path, value) for path, value in leaves(data))


def _leaf_says_no_data(path: tuple[str, ...], value: object) -> bool:
    if isinstance(value, bool):
        return bool(path) and (_NO_DATA_KEY if value else _HAS_DATA_KEY).search(path[-1]) is not None
    if not isinstance(value, str) or not _text_says_no_data(value):
        return False
    return not (path and _INSTRUCTION_KEY.search(path[0]))


def _clues_in(data: object) -> Iterator[GivenClue]:
    """Objects of `data` that have a category and a summary, the same summary once."""
    seen: set[str] = set()
    stack: list[tuple[str, object]] = [("", data)]
    while stack and len(seen) < MOST_CLUES:
        provider, value = stack.pop()
        if isinstance(value, list):
            stack.extend((provider, item) for item in reversed(value))
        elif isinstance(value, dict):
            provider = _text(value, _PROVIDER_KEYS) or provider
            category, summary = _text(value, _CATEGORY_KEYS), _text(value, _SUMMARY_KEYS)
            if category and summary and summary not in seen:
                seen.add(summary)
                detail, emoji = _text(value, _DETAIL_KEYS), _text(value, _EMOJI_KEYS)
                yield GivenClue(category, summary, detail, emoji[:4], provider)
            stack.extend((provider, inner) for inner in reversed(value.values()))


def _text(item: dict[str, object], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = item.get(key)
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = "、".join(part for part in value if isinstance(part, str))
        if isinstance(value, str) and value.strip():
            plain = "".join(letter if letter.isprintable() else " " for letter in value)
            # Cutting a long text must not cut a number in two.
            return re.sub(r"[0-9.,%\-]+$", "", plain[:LONGEST_TEXT]) if len(plain) > LONGEST_TEXT else plain
    return ""
