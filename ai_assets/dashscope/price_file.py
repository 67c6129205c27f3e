"""Reads the price file, TOML. Not here: what a call costs (`ai_assets.dashscope.prices`).

`prices.toml` beside this module is the default, and the example of the format.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from ai_assets.dashscope.prices import Price, Prices
from ai_assets.errors import ConfigurationError

SHIPPED = Path(__file__).with_name("prices.toml")

_FILE_KEYS = {"source", "date", "price"}
_PRICE_KEYS = {"model", "in", "out", "cached_in", "up_to_input_tokens"}
_MOST_CNY = 1000
_MOST_TOKENS = 1_000_000_000


def read_prices(path: Path | None = None) -> Prices:
    """The prices of the file that AI_PRICES_FILE names; None: those that are shipped.

    Raises ConfigurationError with one line for each fault.
    """
    where = path or SHIPPED
    try:
        document = tomllib.loads(where.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"AI_PRICES_FILE {where} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"AI_PRICES_FILE {where} is not TOML: {error}") from None
    faults: list[str] = []
    prices = _prices(document, faults)
    if faults:
        raise ConfigurationError("\n".join(f"AI_PRICES_FILE {where}: {fault}" for fault in faults))
    return prices


def _prices(document: Mapping[str, Any], faults: list[str]) -> Prices:
    faults += [f"unknown key {key}" for key in sorted(document.keys() - _FILE_KEYS)]
    source, day = document.get("source"), document.get("date")
    if not isinstance(source, str) or not source.strip():
        faults.append("source is missing: say where the prices are published")
    if not isinstance(day, date):
        faults.append("date is missing: say when they were published, such as date = 2026-04-01")
    entries = document.get("price")
    if not isinstance(entries, list) or not entries or not all(isinstance(one, dict) for one in entries):
        faults.append("it has no [[price]]")
        entries = []
    by_model: dict[str, list[Price]] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("model")
        if not isinstance(name, str) or not name.strip():
            faults.append(f"price {number}: model is missing")
            continue
        price = _price(entry, f"price {number} ({name})", faults)
        by_model.setdefault(name.strip().casefold(), []).append(price)
    for name, tiers in by_model.items():
        limits = [tier.up_to_input_tokens or _MOST_TOKENS + 1 for tier in tiers]
        if any(later <= earlier for earlier, later in pairwise(limits)):
            faults.append(
                f"model {name}: give its tiers in the order of up_to_input_tokens, each once, "
                "only the last one without a limit"
            )
    return Prices(by_model, source=str(source), date=str(day))


def _price(entry: Mapping[str, Any], where: str, faults: list[str]) -> Price:
    faults += [f"{where}: unknown key {key}" for key in sorted(entry.keys() - _PRICE_KEYS)]
    tokens_in = _cny(entry, "in", where, faults)
    limit = entry.get("up_to_input_tokens")
    if "up_to_input_tokens" in entry and (
        not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= _MOST_TOKENS
    ):
        faults.append(f"{where}: up_to_input_tokens is not a whole number from 1 to {_MOST_TOKENS:,}")
        limit = None
    return Price(
        tokens_in=tokens_in,
        tokens_out=_cny(entry, "out", where, faults),
        # without a price of their own, cached tokens cost as much as others
        tokens_cached=_cny(entry, "cached_in", where, faults) if "cached_in" in entry else tokens_in,
        up_to_input_tokens=limit,
    )


def _cny(entry: Mapping[str, Any], key: str, where: str, faults: list[str]) -> Decimal:
    value = entry.get(key)
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        amount = Decimal(value)
        if amount.is_finite() and 0 <= amount <= _MOST_CNY:
            return amount
    faults.append(f"{where}: {key} is not a number from 0 to {_MOST_CNY} (CNY per 1,000 tokens)")
    return Decimal(0)
