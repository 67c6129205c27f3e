"""The `usage` of a reply: tokens by model, believed only where they can be true.

Not here: what an unknown usage is charged (`ai_assets.guard`), prices (`prices`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ai_assets.dashscope.failure import one_line

MOST_TOKENS = 10_000_000
"""More than this in one call is not believed."""

UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True)
class Usage:
    """(model id, tokens in, tokens out) in the order the reply first named them; empty when not known."""

    by_model: tuple[tuple[str, int, int], ...] = ()

    @property
    def known(self) -> bool:
        """Whether the reply told a usage that can be true."""
        return bool(self.by_model)

    @property
    def tokens_in(self) -> int:
        """Input tokens over all models; 0 when not known."""
        return sum(entry[1] for entry in self.by_model)

    @property
    def tokens_out(self) -> int:
        """Output tokens over all models; 0 when not known."""
        return sum(entry[2] for entry in self.by_model)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models that answered."""
        return tuple(entry[0] for entry in self.by_model)

    @property
    def tokens(self) -> tuple[int, int] | None:
        """(in, out), or None when not known."""
        return (self.tokens_in, self.tokens_out) if self.known else None


def read_usage(raw: object) -> Usage:
    """The usage of a reply's `usage` value; entries of one model are summed.

    One entry that is missing, negative, not a whole number or absurd makes the whole usage unknown, and so
    does a sum of nothing at all: a wrong zero would be a call for free.
    """
    models = raw.get("models") if isinstance(raw, dict) else None
    if not isinstance(models, list):
        return Usage()
    sums: dict[str, tuple[int, int]] = {}
    for entry in models:
        if not isinstance(entry, dict):
            return Usage()
        tokens_in, tokens_out = _tokens(entry.get("input_tokens")), _tokens(entry.get("output_tokens"))
        if tokens_in is None or tokens_out is None:
            return Usage()
        name = entry.get("model_id")
        model_id = (one_line(name, 100) if isinstance(name, str) else "") or UNKNOWN_MODEL
        before = sums.get(model_id, (0, 0))
        sums[model_id] = (before[0] + tokens_in, before[1] + tokens_out)
    usage = Usage(tuple((model_id, *tokens) for model_id, tokens in sums.items()))
    total = usage.tokens_in + usage.tokens_out
    return usage if 0 < total <= MOST_TOKENS else Usage()


def _tokens(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_TOKENS else None
