"""What is checked of an answer before it is kept: how it was read, and whether its figures stand in the prompt.

Here: putting the checks together. Not here: the checks themselves (`ai_assets.dashscope.reading`, `ai_assets.trust`),
where they are shown.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ai_assets.privacy.logs import log_defect
from ai_assets.trust.grounding import ground

if TYPE_CHECKING:
    from ai_assets.dashscope.reading import Reading

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AskedAgain:
    """Why an app was asked a second time, and the call whose answer could not be read."""

    reason: str
    run_log_id: int


def checks_of(prompt: str, reading: Reading, asked_again: AskedAgain | None = None) -> dict[str, Any]:
    """JSON values for the run log and `_references`: `reading` (how, mended) and `numbers` (see Grounding.as_json).

    An answer to a prompt that was asked again has `reading.asked_again` (reason, run_log_id of the first call).
    `numbers` is null where the check itself failed: a defect of it must cost no answer.
    """
    numbers: dict[str, Any] | None = None
    try:
        numbers = ground(prompt, reading.answer).as_json()
    except Exception as error:  # noqa: BLE001
        log_defect(logger, error, "the figures of an answer could not be checked")
    read: dict[str, Any] = {"how": reading.how, "mended": list(reading.mended)}
    if asked_again is not None:
        read["asked_again"] = {"reason": asked_again.reason, "run_log_id": asked_again.run_log_id}
    return {"reading": read, "numbers": numbers}
