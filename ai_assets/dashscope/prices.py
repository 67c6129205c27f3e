"""What a call cost, in CNY. The prices themselves are a setting. Not here: budgets (`ai_assets.guard`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

Price = tuple[Decimal, Decimal]
"""CNY per 1,000 tokens: (in, out)."""


def cost_cny(usage_by_model: Iterable[tuple[str, int, int]], prices: Mapping[str, Price]) -> Decimal:
    """The exact cost of (model id, tokens in, tokens out) entries.

    A model is priced by the longest prefix in `prices` that its id starts with (`qwen-plus` serves
    `qwen-plus-latest`), whatever its case. An unknown model costs as much as the dearest known price of each
    direction, so that the sum never under-reports; so a usage that is only estimated can be passed with the
    model id "". Without any price everything costs 0.
    """
    total = Decimal(0)
    for model_id, tokens_in, tokens_out in usage_by_model:
        price_in, price_out = price_of(model_id, prices)
        total += price_in * tokens_in + price_out * tokens_out
    return total / 1000


def price_of(model_id: str, prices: Mapping[str, Price]) -> Price:
    """The price of one model by the rule of `cost_cny`."""
    wanted = model_id.casefold()
    known = [prefix for prefix in prices if prefix and wanted.startswith(prefix.casefold())]
    if known:
        return prices[max(known, key=len)]
    zero = Decimal(0)
    dearest_in = max((price[0] for price in prices.values()), default=zero)
    dearest_out = max((price[1] for price in prices.values()), default=zero)
    return dearest_in, dearest_out
