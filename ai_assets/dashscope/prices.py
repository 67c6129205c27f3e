"""What calls cost, in CNY: the prices of models, and the cost of a call's usage.

Not here: reading the price file (`ai_assets.dashscope.price_file`), budgets (`ai_assets.guard`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ai_assets.dashscope.usage import ModelUsage

logger = logging.getLogger(__name__)

# the names under which DashScope serves a model's newest version and its dated snapshots
_VERSION = re.compile(r"-(?:latest|\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class Price:
    """CNY per 1,000 tokens. It is valid for a call of at most `up_to_input_tokens`; None: of any size."""

    tokens_in: Decimal
    tokens_out: Decimal
    tokens_cached: Decimal
    """Of input tokens that came from DashScope's cache; they are part of the input tokens."""
    up_to_input_tokens: int | None = None


@dataclass(frozen=True)
class Prices:
    """The prices of models: by model id, each with its tiers, the smallest first.

    A model that is not listed, and a call above its model's last tier, cost the dearest known price of each
    direction, and a warning is logged once for each model. Without any price everything costs 0.
    """

    by_model: Mapping[str, Sequence[Price]]
    source: str = ""
    date: str = ""
    _warned: set[str] = field(default_factory=set, compare=False, repr=False)

    def cost_cny(self, usage: Iterable[ModelUsage]) -> Decimal:
        """The exact cost of a call's usage. An entry of model id "" is an estimate: it costs the dearest price."""
        total = Decimal(0)
        for used in usage:
            price = self._price(used)
            cached = min(used.tokens_cached or 0, used.tokens_in)
            total += price.tokens_in * (used.tokens_in - cached)
            total += price.tokens_cached * cached + price.tokens_out * used.tokens_out
        return total / 1000

    @property
    def dearest(self) -> Price:
        """The dearest known price of each direction."""
        every = [price for tiers in self.by_model.values() for price in tiers]
        dearest_in = max((price.tokens_in for price in every), default=Decimal(0))
        dearest_out = max((price.tokens_out for price in every), default=Decimal(0))
        return Price(dearest_in, dearest_out, tokens_cached=dearest_in)

    def without_price(self, usage: Iterable[ModelUsage]) -> tuple[str, ...]:
        """The ids of the models whose calls cost the dearest price because they, or calls of their size, have none."""
        return tuple(used.model_id for used in usage if self._is_missing(used))

    def _price(self, used: ModelUsage) -> Price:
        price = self._listed(used)
        if price is not None:
            return price
        if self._is_missing(used) and used.model_id not in self._warned:
            self._warned.add(used.model_id)
            logger.warning(
                "no price is known for model %s with %s input tokens: it is charged the dearest known price; "
                "add it to the file of AI_PRICES_FILE",
                used.model_id,
                used.tokens_in,
            )
        return self.dearest

    def _is_missing(self, used: ModelUsage) -> bool:
        return bool(used.model_id and self.by_model) and self._listed(used) is None

    def _listed(self, used: ModelUsage) -> Price | None:
        for price in self._tiers(used.model_id):
            if price.up_to_input_tokens is None or used.tokens_in <= price.up_to_input_tokens:
                return price
        return None

    def _tiers(self, model_id: str) -> Sequence[Price]:
        """The tiers of exactly this model, or of the model whose newest version or dated snapshot it is."""
        wanted = model_id.casefold()
        for name, tiers in self.by_model.items():
            known = name.casefold()
            if wanted == known or (
                wanted.startswith(known) and _VERSION.fullmatch(wanted.removeprefix(known))
            ):
                return tiers
        return ()
