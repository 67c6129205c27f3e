"""Defects in messages and in Python's log: what failed and where, without what an error quotes of its data.

The message of an unexpected error holds whatever a row or an answer held: `ValueError: invalid literal: '…'`, a key, a
line of pydantic. So only errors that say that they quote nothing (`quotes_nothing`) are shown with their message; of
others the class and the line of code remain. Not here: which errors are defects.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from ai_assets.privacy.text import redact_text

_PACKAGE = "ai_assets"
_MOST_ERRORS = 20


def describe(error: BaseException) -> str:
    """One line for messages: the error's own where it quotes nothing, else its class and the line of code."""
    if getattr(error, "quotes_nothing", False):
        return redact_text((str(error).strip().splitlines() or [type(error).__name__])[0])
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _PACKAGE in Path(frame.filename).parts] or frames
    where = f" in {Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""
    return f"unexpected {type(error).__name__}{where}"


def log_defect(logger: logging.Logger, error: BaseException, message: str, *arguments: object) -> None:
    """Log `message % arguments` as an error, with the tracebacks of `error` and of what it came from."""
    logger.error("%s\n%s", redact_text(message % arguments), "\n".join(reversed(_tracebacks(error))))


def _tracebacks(error: BaseException) -> list[str]:
    """From `error` to the first error of its chain."""
    found: list[str] = []
    at: BaseException | None = error
    while at is not None and len(found) < _MOST_ERRORS:
        lines = "".join(traceback.format_tb(at.__traceback__))
        said = f": {describe(at)}" if getattr(at, "quotes_nothing", False) else ""
        found.append(f"Traceback (most recent call last):\n{lines}{type(at).__qualname__}{said}")
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return found
