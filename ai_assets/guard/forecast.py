"""What calls will come to at today's limits: tokens, cost, minutes, and how many of them the budgets let through.

Pure: values in, values out. Not here: which calls there are (`ai_assets.chains.forecast`), reading the past and the
budgets (`ai_assets.store.usage`), the guard's own decisions (SQL).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING

from ai_assets.dashscope.usage import ModelUsage
from ai_assets.guard.limits import MODEL_MAX_TOKENS

if TYPE_CHECKING:
    from ai_assets.dashscope.prices import Prices
    from ai_assets.guard.limits import GuardLimits
    from ai_assets.store.usage import Budget, PastCalls

RECENT = 20
"""How many of an app's newest successes its estimate looks at."""

FIRST_TOKENS = 1500
"""What the first call of an app is reckoned at beside its prompt's characters (design.md, The guard)."""


@dataclass(frozen=True)
class Terms:
    """What a batch is held to beside budgets."""

    calls_per_minute: int
    """A batch's share of a site's rate."""
    concurrency: int
    """Calls side by side in one run."""
    cost_per_token: Decimal
    """CNY, of an app that was never called: the dearest."""
    model_max_tokens: int = MODEL_MAX_TOKENS
    """What a call can use beside its prompt's characters."""

    @classmethod
    def of(cls, limits: GuardLimits, prices: Prices, concurrency: int) -> Terms:
        """The terms that these limits give, rounded as the guard does."""
        # by way of its text: the guard reckons with the decimal, and 0.29 x 100 is 29 there
        share = limits.rate_per_minute * Decimal(str(limits.batch_rate_share))
        return cls(
            calls_per_minute=max(1, math.floor(share)),
            concurrency=concurrency,
            cost_per_token=prices.cost_cny((ModelUsage("", 1, 0),)),
            model_max_tokens=limits.model_max_tokens,
        )


@dataclass(frozen=True)
class PlannedCall:
    """A call that a batch would make."""

    site_id: int
    app: str
    prompt_chars: int


@dataclass(frozen=True)
class Expected:
    """What one call is expected to come to."""

    tokens: int
    reserved_tokens: int
    """What the guard would reserve for it; never less than `tokens`."""
    cost_cny: Decimal
    latency_ms: float | None
    """None: the app was never called."""


@dataclass(frozen=True)
class CallsForecast:
    """What calls are expected to come to together."""

    calls: int = 0
    tokens: int = 0
    reserved_tokens: int = 0
    """The most that they may come to, as far as the guard's estimates hold."""
    cost_cny: Decimal = Decimal(0)
    minutes: float = 0.0


@dataclass(frozen=True)
class BudgetForecast:
    """How far a budget reaches. `calls`, `tokens`: of those it is asked for; `fitting`: before the first refusal."""

    budget: Budget
    calls: int
    tokens: int
    fitting: int

    @property
    def fits(self) -> bool:
        """Whether it refuses none."""
        return self.fitting == self.calls


def estimate(recent: Sequence[int], prompt_chars: int, model_max_tokens: int) -> int:
    """The tokens that `biz.ai_estimate` reserves: see there. `recent`: of the newest successes, RECENT at most."""
    first = prompt_chars + FIRST_TOKENS
    filled = [*recent, *[min(first, max(recent, default=first))] * (RECENT - len(recent))]
    return min(max(1, sorted(filled)[-3]), prompt_chars + model_max_tokens)


def expected(call: PlannedCall, past: PastCalls | None, terms: Terms) -> Expected:
    """The median of the app's newest calls, and what the guard would reserve; before the first, by its prompt."""
    known = past.tokens if past is not None else ()
    tokens = math.ceil(median(known)) if known else call.prompt_chars + FIRST_TOKENS
    reserved = max(tokens, estimate(known, call.prompt_chars, terms.model_max_tokens))
    per_token = past.cost_per_token if past is not None else None
    return Expected(
        tokens=tokens,
        reserved_tokens=reserved,
        cost_cny=tokens * (terms.cost_per_token if per_token is None else per_token),
        latency_ms=median(past.latency_ms) if past is not None and past.latency_ms else None,
    )


def site_forecast(calls: Sequence[Expected], terms: Terms) -> CallsForecast:
    """What the calls of one site come to in one run.

    `minutes`: the greater of what the rate asks for and of what the calls take, so many of them side by side.
    """
    if not calls:
        return CallsForecast()
    by_rate = len(calls) / terms.calls_per_minute
    side_by_side = min(terms.concurrency, len(calls))
    by_latency = sum(call.latency_ms or 0.0 for call in calls) / 60_000 / side_by_side
    return CallsForecast(
        calls=len(calls),
        tokens=sum(call.tokens for call in calls),
        reserved_tokens=sum(call.reserved_tokens for call in calls),
        cost_cny=sum((call.cost_cny for call in calls), Decimal(0)),
        minutes=max(by_rate, by_latency),
    )


def together(sites: Iterable[CallsForecast]) -> CallsForecast:
    """All sites, one after the other: `minutes` is their sum."""
    sites = list(sites)
    return CallsForecast(
        calls=sum(site.calls for site in sites),
        tokens=sum(site.tokens for site in sites),
        reserved_tokens=sum(site.reserved_tokens for site in sites),
        cost_cny=sum((site.cost_cny for site in sites), Decimal(0)),
        minutes=sum(site.minutes for site in sites),
    )


def budget_forecast(
    budget: Budget, calls: Sequence[tuple[PlannedCall, Expected]], terms: Terms
) -> BudgetForecast:
    """How many of the calls, in this order, the budget lets through before it refuses one.

    As the guard does: a call is let through where what is used, what calls in flight reserve and what it reserves
    itself stay within the limit. At worst those in flight are the ones that reserve most beyond what they will use.
    """
    mine = [each for call, each in calls if budget.site_id in (None, call.site_id)]
    left = budget.left
    fitting = len(mine) if left is None else _fitting(mine, left, terms.concurrency, empty=budget.empty)
    return BudgetForecast(budget, calls=len(mine), tokens=sum(each.tokens for each in mine), fitting=fitting)


def _fitting(calls: Sequence[Expected], left: int, concurrency: int, *, empty: bool) -> int:
    used = surplus = 0
    in_flight: list[int] = []
    for count, call in enumerate(calls):
        # an empty budget admits one call whatever its estimate
        if used + surplus + call.reserved_tokens > left and not (empty and count == 0):
            return count
        used += call.tokens
        # beside the next call, so many others may be in flight
        more = call.reserved_tokens - call.tokens
        if len(in_flight) < concurrency - 1:
            heapq.heappush(in_flight, more)
            surplus += more
        elif in_flight:
            surplus += more - heapq.heappushpop(in_flight, more)
    return len(calls)
