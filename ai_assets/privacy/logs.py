"""Defects in Python's log: the traceback as text without what may not be kept. Not here: which errors are defects.

`logger.exception` would write the messages of all errors in the chain, and with them whatever a row or an answer held.
"""

from __future__ import annotations

import logging
import traceback

from ai_assets.privacy.text import redact_text


def log_defect(logger: logging.Logger, error: BaseException, message: str, *arguments: object) -> None:
    """Log `message % arguments` as an error, with the traceback of `error`, all of it redacted."""
    trace = "".join(traceback.format_exception(error)).rstrip()
    logger.error("%s\n%s", redact_text(message % arguments), redact_text(trace))
