"""What a successful call gives its caller. Not here: the JSON inside the text (`reading`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.dashscope.usage import ModelUsage


@dataclass(frozen=True)
class Reply:
    """One answered call.

    `text` as it came. Tokens are 0 and `usage_by_model` empty where `usage_known` is false: charge an
    estimate then. `usage_by_model` has each model once. `latency_ms` is of the whole
    call with its retries and waits; `attempts` counts the HTTP requests it took, of which
    `unsettled_attempts` failed and may have been billed without telling. `truncated`: the text stopped at a
    length limit (`finish_reason` "length"); it is no answer, even where it happens to be complete JSON.
    """

    text: str
    session_id: str
    request_id: str
    tokens_in: int
    tokens_out: int
    usage_known: bool
    model_ids: tuple[str, ...]
    usage_by_model: tuple[ModelUsage, ...]
    latency_ms: int
    attempts: int
    finish_reason: str
    truncated: bool
    unsettled_attempts: int = 0
    tokens_cached: int | None = None
