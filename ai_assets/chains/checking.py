"""What is checked of an answer before it is kept: how it was read, and whether its figures stand in the prompt.

Here: putting the checks together. Not here: the checks themselves (`ai_assets.dashscope.reading`, `ai_assets.trust`),
where they are shown.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ai_assets.trust.grounding import ground

if TYPE_CHECKING:
    from ai_assets.dashscope.reading import Reading

logger = logging.getLogger(__name__)


def checks_of(prompt: str, reading: Reading) -> dict[str, Any]:
    """JSON values for the run log and `_references`: `reading` (how, mended) and `numbers` (see Grounding.as_json).

    `numbers` is null where the check itself failed: a defect of it must cost no answer.
    """
    numbers: dict[str, Any] | None = None
    try:
        numbers = ground(prompt, reading.answer).as_json()
    except Exception:
        logger.exception("the figures of an answer could not be checked")
    return {"reading": {"how": reading.how, "mended": list(reading.mended)}, "numbers": numbers}
