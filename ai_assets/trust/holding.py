"""The one door between an answer that could be read and the cache: made plain, then refused or let through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ai_assets.trust.leaks import leak
from ai_assets.trust.limits import Limits
from ai_assets.trust.plain_answers import Held, held
from ai_assets.trust.refusal import AnswerRefusedError

__all__ = ["AnswerRefusedError", "Held", "hold"]


def hold(prompt: str, answer: dict[str, Any], limits: Limits, others: Iterable[str] = ()) -> Held:
    """The answer as it may be kept, and what was done to it. Raises AnswerRefusedError (reason `answer_refused`).

    `answer` fits its app's schema, and what comes out fits it too. `others`: as for `leaks.leak`.
    """
    made = held(answer, limits)
    why = leak(prompt, made.answer, limits, others)
    if why is not None:
        raise AnswerRefusedError(why)
    return made
