"""What one window and area come to: figures against their comparison, series, best and worst days, shares.

Here: pure computations over `SiteFinance`, in numbers and dates. Not here: SQL, wording of the prompt.
Amounts are yuan with two decimals; shares and changes are percent with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ai_assets.warehouse.areas import ALL, LEAF_AREAS
from ai_assets.warehouse.finance import SiteFinance
from ai_assets.warehouse.finance_frames import AREA_TABLE, OTHER, SITE_TABLE, DailySums, Table
from ai_assets.warehouse.numbers import Compared, Number, compare, compare_rates, per, percent, yuan, yuan_per
from ai_assets.warehouse.spans import Point, Totals, days_of, missing_days, ranked, totals, weeks_of
from ai_assets.warehouse.windows import Window

FEES = ("table_fee", "assistant_fee", "goods_fee", "other_fee")
DAILY_UP_TO_DAYS = 31


@dataclass(frozen=True)
class Part:
    """A part of a whole: its amounts, and its share of the whole now in percent (None without a whole)."""

    amount: Compared
    share: Decimal | None


@dataclass(frozen=True)
class Cell:
    """Everything that a finance prompt holds for one window and area.

    `areas` (each leaf area with records, and `other`), `site_now`, `site_before` and `site_figures` are of
    area `all` alone, else empty. `weekly`: the series' points are weeks, not days. `missing_days`: the days
    without any row of the whole site. `other_areas`: names in the source that are none of the leaf areas.
    """

    window: Window
    area: str
    now: Totals
    before: Totals
    figures: dict[str, Compared]
    fees: dict[str, Part]
    areas: dict[str, Part]
    site_now: Totals | None
    site_before: Totals | None
    site_figures: dict[str, Compared]
    weekly: bool
    series: tuple[Point, ...]
    best_days: tuple[Point, ...]
    worst_days: tuple[Point, ...]
    missing_days: tuple[date, ...]
    missing_comparison_days: tuple[date, ...]
    other_areas: tuple[str, ...]


def cell(finance: SiteFinance, window: Window, area: str) -> Cell:
    """Compute one cell. Raises PromptError naming the row if it would count a bad one."""
    finance.refuse_faults(area, window)
    daily, site = finance.areas[area], finance.areas[ALL]
    now, before = _both(daily, AREA_TABLE, window)
    site_now, site_before = _both(finance.site_days, SITE_TABLE, window) if area == ALL else (None, None)
    weekly = window.days > DAILY_UP_TO_DAYS
    days = days_of(daily, window.start, window.end)
    best_days, worst_days = ranked(days)
    return Cell(
        window=window,
        area=area,
        now=now,
        before=before,
        figures=_figures(now, before),
        fees=_fees(now, before),
        areas=_areas(finance, window) if area == ALL else {},
        site_now=site_now,
        site_before=site_before,
        site_figures=_site_figures(site_now, site_before) if site_now and site_before else {},
        weekly=weekly,
        series=weeks_of(daily, window.start, window.end) if weekly else days,
        best_days=best_days,
        worst_days=worst_days,
        missing_days=missing_days(site, window.start, window.end),
        missing_comparison_days=missing_days(site, window.comparison_start, window.comparison_end),
        other_areas=_other_areas(finance, window) if area == ALL else (),
    )


def _both(daily: DailySums, table: Table, window: Window) -> tuple[Totals, Totals]:
    return (
        totals(daily, table, window.start, window.end),
        totals(daily, table, window.comparison_start, window.comparison_end),
    )


def _gross(span: Totals) -> int | None:
    return sum(span.sums[fee] for fee in FEES) if span.rows else None


def _yuan(cents: int | None) -> Decimal | None:
    return None if cents is None else yuan(cents)


def _figures(now: Totals, before: Totals) -> dict[str, Compared]:
    figures_before = _area_figures(before)
    return {
        name: (compare_rates if name == "discount_rate" else compare)(figure, figures_before[name])
        for name, figure in _area_figures(now).items()
    }


def _area_figures(span: Totals) -> dict[str, Number | None]:
    gross, net, orders, guests = _gross(span), span.get("net_revenue"), span.get("orders"), span.get("guests")
    minutes = span.get("play_minutes")
    return {
        "gross": _yuan(gross),
        "discount": _yuan(span.get("discount")),
        "net_revenue": _yuan(net),
        "discount_rate": percent(span.get("discount"), gross),
        "orders": orders,
        "guests": guests,
        "play_minutes": minutes,
        "net_per_order": yuan_per(net, orders),
        "net_per_guest": yuan_per(net, guests),
        "minutes_per_order": per(minutes, orders, places=1),
        "business_days": span.business_days if span.rows else None,
        "net_per_business_day": yuan_per(net, span.business_days),
    }


def _site_figures(now: Totals, before: Totals) -> dict[str, Compared]:
    figures_before = _members_figures(before)
    return {name: compare(figure, figures_before[name]) for name, figure in _members_figures(now).items()}


def _members_figures(span: Totals) -> dict[str, Number | None]:
    recharged, times = span.get("recharge_amount"), span.get("recharge_count")
    return {
        "recharge_amount": _yuan(recharged),
        "recharge_count": times,
        "amount_per_recharge": yuan_per(recharged, times),
        "balance_spent": _yuan(span.get("balance_spent")),
        "new_members": span.get("new_members"),
        "active_members": span.get("active_members"),
    }


def _fees(now: Totals, before: Totals) -> dict[str, Part]:
    gross = _gross(now)
    return {
        fee: Part(compare(_yuan(now.get(fee)), _yuan(before.get(fee))), percent(now.get(fee), gross))
        for fee in FEES
    }


def _areas(finance: SiteFinance, window: Window) -> dict[str, Part]:
    whole = _both(finance.areas[ALL], AREA_TABLE, window)[0].get("net_revenue")
    parts: dict[str, Part] = {}
    for area in (*LEAF_AREAS, OTHER):
        now, before = _both(finance.areas[area], AREA_TABLE, window)
        if now.rows or before.rows:
            amount = compare(_yuan(now.get("net_revenue")), _yuan(before.get("net_revenue")))
            parts[area] = Part(amount, percent(now.get("net_revenue"), whole))
    return parts


def _other_areas(finance: SiteFinance, window: Window) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                name
                for day, name in finance.others
                if window.start <= day <= window.end
                or window.comparison_start <= day <= window.comparison_end
            }
        )
    )
