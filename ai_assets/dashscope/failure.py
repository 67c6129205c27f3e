"""What every DashScope error has: its meaning for the guard and for another attempt, its one line.

Not here: the errors themselves and their table (`errors`).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar

from ai_assets.errors import AiAssetsError
from ai_assets.privacy.text import redact_text

_MESSAGE_LIMIT = 300
_QUOTING = re.compile(r"[^\x00-\x7f]|[\"`{]|(?<![A-Za-z])'")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/-]*")
_ID_LIMIT = 100
_LONGEST_NUMBER = 100  # characters of one that is written in parts


class Effect(StrEnum):
    """What a failure means for the guard."""

    COUNTS = "counts"  # a failure in the breaker's window
    NEUTRAL = "neutral"  # says nothing about the app's health
    OPENS = "opens"  # open this app's breaker at once
    HARD_STOP = "hard_stop"  # open every app's breaker: the account cannot pay
    COOLDOWN = "cooldown"  # the limiter waits `retry_after_s`


class Resend(StrEnum):
    """Whether another attempt within the same call makes sense."""

    NEVER = "never"
    ONCE = "once"  # at most once in a call: the failed attempt may have been billed
    BACKOFF = "backoff"


class DashScopeError(AiAssetsError):
    """A call to DashScope gave no usable answer.

    `message` is one line and never holds the key. `retry_after_s` is what the server asked for, in seconds.
    `may_be_billed`: the call may have cost tokens. `usage_tokens` is (in, out) where the failed answer told
    them; `unsettled_attempts` counts the attempts that may have cost some and told nothing.
    """

    reason = "dashscope"
    effect: ClassVar[Effect] = Effect.COUNTS
    resend: ClassVar[Resend] = Resend.NEVER
    advice: ClassVar[str] = ""
    billed_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after_s: float | None = None,
        may_be_billed: bool | None = None,
        usage_tokens: tuple[int, int] | None = None,
    ) -> None:
        self.message = one_line(message or (type(self).__doc__ or "").split("\n", 1)[0], _MESSAGE_LIMIT)
        super().__init__(self.message)
        self.status = status
        self.code = _identifier(code)
        self.request_id = _identifier(request_id)
        self.retry_after_s = retry_after_s
        self.may_be_billed = self.billed_by_default if may_be_billed is None else may_be_billed
        self.usage_tokens = usage_tokens
        self.app_id = ""
        self.attempts = 0
        self.unsettled_attempts = 0

    def __str__(self) -> str:
        where = f"DashScope app {self.app_id}" if self.app_id else "DashScope"
        said = " ".join(part for part in (f"HTTP {self.status}" if self.status else "", self.code) if part)
        line = f"{where}: {said}: {self.message}" if said else f"{where}: {self.message}"
        if self.attempts > 1:
            line += f" (attempt {self.attempts})"
        if self.request_id:
            line += f" [request {self.request_id}]"
        return f"{line}; {self.advice}" if self.advice else line


def service_words(message: str) -> str:
    """A service's own words in its message: up to where it may begin to quote the prompt or the answer.

    DashScope's messages are English. A quote, a brace or a character outside ASCII begins what it was sent.
    """
    own = _QUOTING.split(message, maxsplit=1)[0]
    return message if own == message else f"{own.rstrip()}…"


def _identifier(text: str) -> str:
    """A code or a request id as it came, "" where it is more than that."""
    text = text.strip()
    usable = len(text) <= _ID_LIMIT and _IDENTIFIER.fullmatch(text) and redact_text(text) == text
    return text if usable else ""


def one_line(text: str, limit: int) -> str:
    """`text` on one line: control characters and runs of white space become one blank, cut at `limit`.

    Redacted: a service's message may echo the prompt, and its answer anything.
    """
    # before the cut: half a phone number would not be known as one
    head = redact_text(text[: limit * 4 + _LONGEST_NUMBER])
    head = "".join(char if char.isprintable() else " " for char in head[: limit * 4])
    line = " ".join(head.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
