"""What a prompt gave the app: its frame (our words), its data texts (other people's), its ids.

Here: taking one prompt apart. Not here: what an answer may do with the parts (`leaks` and what it asks). Which keys
make the frame is the prompts' contract (`ai_assets.apps.member_prompt.DATA_RULE` says so to the app); all else is data.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

FRAME_KEYS = ("任务", "回答格式", "资料规则", "单位", "更正")
_ID_KEYS = ("编号", "会员编号")


@dataclass(frozen=True)
class Given:
    """A prompt's text and parts; one that is not JSON is data as a whole."""

    text: str
    frame: tuple[str, ...]
    texts: tuple[str, ...]
    ids: frozenset[str]

    @cached_property
    def folded(self) -> str:
        """The whole text, folded."""
        return fold(self.text)

    @cached_property
    def folded_data(self) -> str:
        """The data's texts, folded, one a line."""
        return "\n".join(fold(text) for text in self.texts)


def given(prompt: str) -> Given:
    """Take a prompt apart."""
    try:
        content = json.loads(prompt)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return Given(prompt, (), (prompt,), frozenset())
    frame = tuple(content[key] for key in FRAME_KEYS if isinstance(content.get(key), str))
    data = {key: value for key, value in content.items() if key not in FRAME_KEYS}
    texts = tuple(value for _, _, value in leaves(data) if isinstance(value, str))
    ids = frozenset(str(value) for _, key, value in leaves(data) if key in _ID_KEYS)
    return Given(prompt, frame, texts, ids)


def leaves(value: Any, path: str = "", key: str = "") -> Iterator[tuple[str, str, Any]]:
    """(path, nearest key, value) of every value that holds no other; places in lists do not count.

    For values as deep as `limits.DEEPEST` at most.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}" if path else name, name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path, key)
    else:
        yield path, key, value


def fold(text: str) -> str:
    """One form for what reads the same: full-width, circled and styled letters and digits as plain ones, small."""
    return unicodedata.normalize("NFKC", text).casefold()
