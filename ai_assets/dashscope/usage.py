"""The `usage` of a reply: tokens by model, believed only where they can be true.

Not here: what an unknown usage is charged (`ai_assets.guard`), prices (`prices`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ai_assets.dashscope.failure import one_line

MOST_TOKENS = 1_000_000
"""More than this in one call is not believed: it is the largest context of the models that apps use."""

UNKNOWN_MODEL = "unknown"


class ModelUsage(NamedTuple):
    """The tokens that one model used in a call."""

    model_id: str
    tokens_in: int
    tokens_out: int
    tokens_cached: int | None = None
    """Of `tokens_in`, those that came from DashScope's context cache; None: the reply does not say."""


@dataclass(frozen=True)
class Usage:
    """A call's usage by model, in the order in which the reply first named them; empty when not known."""

    by_model: tuple[ModelUsage, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the reply told a usage that can be true."""
        return bool(self.by_model)

    @property
    def tokens_in(self) -> int:
        """Input tokens over all models; 0 when not known."""
        return sum(entry.tokens_in for entry in self.by_model)

    @property
    def tokens_out(self) -> int:
        """Output tokens over all models; 0 when not known."""
        return sum(entry.tokens_out for entry in self.by_model)

    @property
    def tokens_cached(self) -> int | None:
        """Input tokens that came from DashScope's cache, over all models; None: the reply does not say."""
        return _sum_known(entry.tokens_cached for entry in self.by_model)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models that answered."""
        return tuple(entry.model_id for entry in self.by_model)

    @property
    def tokens(self) -> tuple[int, int] | None:
        """(in, out), or None when not known."""
        return (self.tokens_in, self.tokens_out) if self.known else None


def read_usage(raw: object) -> Usage:
    """The usage of a reply's `usage` value; entries of one model are summed.

    One entry that is missing, negative, not a whole number or absurd makes the whole usage unknown, and so
    does a sum of nothing at all: a wrong zero would be a call for free. Cached tokens that cannot be true count as
    not reported: then the call costs more, not less.
    """
    models = raw.get("models") if isinstance(raw, dict) else None
    if not isinstance(models, list):
        return Usage()
    by_model: dict[str, ModelUsage] = {}
    for entry in models:
        if not isinstance(entry, dict):
            return Usage()
        tokens_in, tokens_out = _tokens(entry.get("input_tokens")), _tokens(entry.get("output_tokens"))
        if tokens_in is None or tokens_out is None:
            return Usage()
        name = entry.get("model_id")
        model_id = (one_line(name, 100) if isinstance(name, str) else "") or UNKNOWN_MODEL
        before = by_model.get(model_id, ModelUsage(model_id, 0, 0))
        by_model[model_id] = ModelUsage(
            model_id,
            before.tokens_in + tokens_in,
            before.tokens_out + tokens_out,
            _sum_known((before.tokens_cached, _cached(entry, tokens_in))),
        )
    usage = Usage(tuple(by_model.values()))
    total = usage.tokens_in + usage.tokens_out
    return usage if 0 < total <= MOST_TOKENS else Usage()


def _cached(entry: Mapping[str, object], tokens_in: int) -> int | None:
    """Cached input tokens of an entry: `prompt_tokens_details.cached_tokens`, where DashScope reports them.

    The entries of an app's reply may name their fields as the entry does (`input_tokens`), so that form is read too.
    """
    for details in (entry.get("prompt_tokens_details"), entry.get("input_tokens_details"), entry):
        if isinstance(details, Mapping) and "cached_tokens" in details:
            cached = _tokens(details["cached_tokens"])
            return cached if cached is not None and cached <= tokens_in else None
    return None


def _sum_known(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _tokens(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_TOKENS else None
