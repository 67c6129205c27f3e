"""The answer of each simulated app: a function of (seed, app, prompt) alone.

Here: which app answers what, as Python values and as text, and how many tokens that is. Not here: the
sentences (`finance_replies`, `member_replies`), how answers are spoiled (`spoil`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

from ai_assets.simulator import finance_replies, member_replies
from ai_assets.simulator.chance import Dice
from ai_assets.simulator.reading import Reading, read

MODEL: Final = "qwen-plus"
TOKENS_PER_CHARACTER: Final = 0.7

Answer = dict[str, object]

_REPLIES: Final[Mapping[str, Callable[[Reading, Dice], Answer]]] = {
    "app2": finance_replies.insights,
    "app2a": finance_replies.insights,
    "app3": member_replies.clues,
    "app4": member_replies.task,
    "app5": member_replies.tactics,
    "app6": member_replies.note,
    "app7": member_replies.customer,
    "app8": member_replies.consolidation,
}
APPS: Final = tuple(_REPLIES)
"""The DashScope app ids that the simulator knows; any other is answered with 404."""


def answer(seed: int, app: str, prompt: str) -> Answer:
    """What `app` (one of APPS) answers to `prompt`; fits the app's schema."""
    return _REPLIES[app](read(prompt), Dice(seed, app, prompt))


def as_text(value: Answer) -> str:
    """The answer as an agent would write it: JSON, Chinese unescaped."""
    return json.dumps(value, ensure_ascii=False)


def tokens(text: str) -> int:
    """Tokens of `text`, in proportion to its characters; at least 1."""
    return max(1, math.ceil(len(text) * TOKENS_PER_CHARACTER))
