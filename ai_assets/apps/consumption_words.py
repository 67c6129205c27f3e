"""A member's consumption in Chinese words, as a piece of a prompt.

Here: what stands where, under which name. Not here: computing (`ai_assets.warehouse.consumption`), any app.
Amounts are yuan; a name with % is a percentage; null: there is nothing to tell.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ai_assets.apps.finance_words import MEASURES, WEEKDAYS
from ai_assets.apps.member_texts import LONGEST_NAME, cut
from ai_assets.warehouse.areas import AREA_LABELS
from ai_assets.warehouse.numbers import Compared, yuan

if TYPE_CHECKING:
    from ai_assets.warehouse.consumption import Consumption
    from ai_assets.warehouse.consumption_parts import Change, Month, Spend
    from ai_assets.warehouse.settlements import Settlement

_SHOWN_AREAS = 10
_UNTOLD_AREA = "未注明"
_BANDS = {0: "凌晨0-6点", 6: "上午6-12点", 12: "下午12-18点", 18: "晚上18-21点", 21: "深夜21-24点"}


def consumption_part(consumption: Consumption) -> dict[str, Any]:
    """The whole consumption, or of one without any visit the words that there is none."""
    c = consumption
    if not c.visits:
        return {"说明": _none(c)}
    return {
        "统计区间": {"开始": c.start, "结束": c.as_of, "天数": c.days},
        "概况": _overview(c),
        "费用构成": {
            MEASURES[name]: {"金额": fee.amount, "占比%": fee.share} for name, fee in c.fees.items()
        },
        "优惠使用": {
            "优惠订单数": c.discounts.orders,
            "优惠订单占比%": c.discounts.share,
            "优惠金额": c.discounts.amount,
            "优惠率%": c.discounts.rate,
        },
        "区域分布": [
            {"区域": area_name(area), **_spend(part)} for area, part in list(c.areas.items())[:_SHOWN_AREAS]
        ],
        "结账时段分布": [{"时段": _BANDS[begin], **_spend(part)} for begin, part in c.hours.items()],
        "到店节奏": {
            "平均间隔天数": c.mean_gap,
            "间隔天数中位数": c.median_gap,
            "星期分布": {f"周{day}": count for day, count in zip(WEEKDAYS, c.weekdays, strict=True)},
            "各月": [_month(month) for month in c.months],
        },
        "近30天变化": _change(c.change),
        **({} if c.assistant_id is not None else {"常约助教": _favourites(c)}),
        "最近一单": None if c.newest is None else _settlement(c.newest),
    }


def area_name(area: str | None) -> str:
    """The label of a known area; another name as the source has it."""
    if area is None:
        return _UNTOLD_AREA
    return AREA_LABELS.get(area) or cut(area, LONGEST_NAME) or _UNTOLD_AREA


def _none(c: Consumption) -> str:
    who = "该会员" if c.assistant_id is None else "该助教与该会员"
    refunds = f"，只有{c.refunds}笔退款，合计{c.paid}元" if c.refunds else ""
    return f"{who}近{c.days}天没有消费记录{refunds}"


def _overview(c: Consumption) -> dict[str, Any]:
    overview = {
        "到店天数": c.visits,
        "订单数": c.orders,
        "实付合计": c.paid,
        "每次到店实付": c.paid_per_visit,
        "每单实付": c.paid_per_order,
        "消费时长（分钟）": c.play_minutes,
        "每单时长（分钟）": c.minutes_per_order,
        "首次到店": c.first,
        "最近到店": c.last,
        "距最近到店天数": c.days_since_last,
    }
    return overview | {"退款笔数": c.refunds} if c.refunds else overview


def _spend(part: Spend) -> dict[str, Any]:
    return {"订单数": part.orders, "实付": part.paid, "占比%": part.share}


def _month(month: Month) -> dict[str, Any]:
    return {
        "开始": month.first,
        "结束": month.last,
        "到店天数": month.visits,
        "订单数": month.orders,
        "实付": month.paid,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "开始": change.start,
        "对比前30天": {
            "到店天数": _compared(change.visits),
            "订单数": _compared(change.orders),
            "实付": _compared(change.paid),
            "每次到店实付": _compared(change.paid_per_visit),
        },
        "对比前90天的30天平均": {
            "到店天数": _compared(change.usual_visits),
            "实付": _compared(change.usual_paid),
        },
    }


def _compared(figure: Compared) -> dict[str, Any]:
    row: dict[str, Any] = {"近30天": figure.now, "对比": figure.before}
    if figure.change is not None:
        row["变化"] = figure.change
    if figure.change_percent is not None:
        row["变化%"] = figure.change_percent
    return row


def _favourites(c: Consumption) -> list[dict[str, Any]]:
    return [
        {
            "编号": one.assistant_id,
            "姓名": cut(one.name or str(one.assistant_id), LONGEST_NAME),
            "订单数": one.orders,
            "助教费": one.fee,
            "最近日期": one.last,
        }
        for one in c.favourites
    ]


def _settlement(row: Settlement) -> dict[str, Any]:
    assistant = None
    if row.assistant_id is not None:
        assistant = {
            "编号": row.assistant_id,
            "姓名": cut(row.assistant_name or str(row.assistant_id), LONGEST_NAME),
        }
    return {
        "日期": row.biz_date,
        "结账时间": None if row.settled_at is None else f"{row.settled_at:%Y-%m-%d %H:%M}",
        "区域": area_name(row.area),
        "助教": assistant,
        "台费": _amount(row.table_fee),
        "助教费": _amount(row.assistant_fee),
        "商品": _amount(row.goods_fee),
        "优惠金额": _amount(row.discount),
        "实付": _amount(row.paid),
        "消费时长（分钟）": int(row.play_minutes or 0),
    }


def _amount(amount: Decimal | None) -> Decimal:
    return yuan(0) if amount is None else amount
