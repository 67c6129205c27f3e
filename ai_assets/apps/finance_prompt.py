"""The finance prompt: one cell's figures in Chinese words, and what it was built from.

Here: what stands where. Not here: computing (`ai_assets.warehouse.figures`), the words (`finance_words`),
which subjects an app takes (`finance_subject`). Nothing in the text tells when it was made, and the as-of
date stands in it only where the window still runs: the same data gives the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from ai_assets.apps import finance_words as words
from ai_assets.apps.base import Prompt, Subject
from ai_assets.apps.finance_notes import data_notes
from ai_assets.apps.member_texts import LONGEST_NAME, cut
from ai_assets.apps.prompt import make_prompt
from ai_assets.errors import InputError
from ai_assets.warehouse.areas import ALL, AREA_LABELS, OTHER_LABEL, leaves
from ai_assets.warehouse.figures import Cell, Part, cell
from ai_assets.warehouse.finance import SiteFinance
from ai_assets.warehouse.finance_frames import OTHER
from ai_assets.warehouse.numbers import Compared
from ai_assets.warehouse.spans import Point, Totals
from ai_assets.warehouse.windows import WINDOW_LABELS, Window, window


def build_finance_prompt(app_name: str, version: str, finance: SiteFinance, subject: Subject) -> Prompt:
    """The prompt of a checked subject. Raises PromptError naming the row that must not be counted."""
    if subject.site_id != finance.site.site_id or subject.window is None:
        raise InputError(
            f"{app_name}: the subject is site {subject.site_id} and window {subject.window}, "
            f"the data is of site {finance.site.site_id}"
        )
    computed = cell(finance, window(subject.window, finance.as_of), subject.area or ALL)
    notes = data_notes(computed)
    return make_prompt(
        _content(finance, computed, notes), _references(app_name, version, finance, computed, notes)
    )


def _content(finance: SiteFinance, computed: Cell, notes: list[str]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "任务": words.TASK,
        "回答格式": words.ANSWER_FORM,
        "单位": words.UNITS,
        "站点": {"编号": finance.site.site_id, "名称": cut(finance.site.name, LONGEST_NAME)},
        "区域": {
            "代码": computed.area,
            "名称": AREA_LABELS[computed.area],
            "包含": [AREA_LABELS[leaf] for leaf in leaves(computed.area)],
        },
        **_dates(computed.window),
        "数据说明": notes,
        "经营指标": _table(computed.figures),
        "费用构成": _shares({words.MEASURES[fee]: part for fee, part in computed.fees.items()}),
    }
    if computed.site_now is not None:
        labels = AREA_LABELS | {OTHER: OTHER_LABEL}
        content["区域净收入构成"] = _shares({labels[area]: part for area, part in computed.areas.items()})
        content["充值与会员"] = _table(computed.site_figures)
    content["最好的日子"] = [_day(point) for point in computed.best_days]
    content["最差的日子"] = [_day(point) for point in computed.worst_days]
    if computed.weekly:
        content["每周走势"] = [_week(point) for point in computed.series]
    else:
        content["每日走势"] = [_day(point) for point in computed.series]
    return content


def _dates(span: Window) -> dict[str, Any]:
    dates: dict[str, Any] = {
        "时间窗口": {
            "代码": span.name,
            "名称": WINDOW_LABELS[span.name],
            "开始": span.start,
            "结束": span.end,
            "天数": span.days,
        },
        "对比窗口": {
            "说明": words.SAME_ELAPSED_DAYS if span.running else words.WHOLE_PERIOD_BEFORE,
            "开始": span.comparison_start,
            "结束": span.comparison_end,
            "天数": span.comparison_days,
        },
    }
    if span.running:
        dates["截止日期"] = span.end
    return dates


def _table(figures: Mapping[str, Compared]) -> dict[str, Any]:
    return {words.FIGURES[name]: _compared(figure) for name, figure in figures.items()}


def _compared(figure: Compared) -> dict[str, Any]:
    row: dict[str, Any] = {"本期": figure.now, "对比期": figure.before}
    if figure.change is not None:
        row["变化"] = figure.change
    if figure.change_percent is not None:
        row["变化%"] = figure.change_percent
    return row


def _shares(parts: Mapping[str, Part]) -> dict[str, Any]:
    return {name: {"占比%": part.share, **_compared(part.amount)} for name, part in parts.items()}


def _day(point: Point) -> dict[str, Any]:
    return {"日期": point.start, "星期": words.WEEKDAYS[point.start.weekday()], **_point(point)}


def _week(point: Point) -> dict[str, Any]:
    return {"开始": point.start, "结束": point.end, **_point(point)}


def _point(point: Point) -> dict[str, Any]:
    return {"净收入": point.net_revenue, "订单数": point.orders, "客人数": point.guests}


def _references(
    app_name: str, version: str, finance: SiteFinance, computed: Cell, notes: list[str]
) -> dict[str, Any]:
    """What the prompt was built from, in JSON values: dates as YYYY-MM-DD, times with their offset."""
    span, batch = computed.window, finance.batch
    finished_at = batch.finished_at if batch is not None else None
    return {
        "app": {"name": app_name, "version": version},
        "site": {"site_id": finance.site.site_id, "name": finance.site.name},
        "window": {
            "name": span.name,
            "start": str(span.start),
            "end": str(span.end),
            "comparison_start": str(span.comparison_start),
            "comparison_end": str(span.comparison_end),
            "running": span.running,
        },
        "area": {"name": computed.area, "leaves": list(leaves(computed.area))},
        "as_of": str(finance.as_of),
        "batch": None
        if batch is None
        else {
            "batch_id": batch.batch_id,
            "biz_date": str(batch.biz_date),
            "finished_at": finished_at.isoformat() if finished_at is not None else None,
        },
        "sources": [
            _source(totals, used_for)
            for used_for, totals in (
                ("window", computed.now),
                ("comparison", computed.before),
                ("window", computed.site_now),
                ("comparison", computed.site_before),
            )
            if totals is not None
        ],
        "data_notes": notes,
    }


def _source(totals: Totals, used_for: str) -> dict[str, Any]:
    return {
        "table": totals.table,
        "used_for": used_for,
        "rows": totals.rows,
        "first_date": _iso(totals.first),
        "last_date": _iso(totals.last),
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
