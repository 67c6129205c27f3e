"""What a reader of a finance prompt must know about its data, as Chinese sentences.

Here: wording. Not here: finding the gaps (`ai_assets.warehouse`). Only what touches the cell's own window and
comparison is told, so that a later gap changes no closed window's prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from ai_assets.apps.finance_words import MEASURES
from ai_assets.apps.member_texts import LONGEST_NAME, cut
from ai_assets.warehouse.areas import ALL
from ai_assets.warehouse.figures import Cell
from ai_assets.warehouse.spans import Totals

_SHOWN = 5


def data_notes(cell: Cell) -> list[str]:
    """The notes on one cell, in a fixed order; empty where there is nothing to say."""
    return [
        *_gaps("时间窗口", cell.window.days, cell.now, cell.missing_days, cell.area),
        *_gaps("对比窗口", cell.window.comparison_days, cell.before, cell.missing_comparison_days, cell.area),
        *_lengths(cell),
        *_site_gaps(cell),
        *_row_notes("时间窗口", cell.now, cell.site_now),
        *_row_notes("对比窗口", cell.before, cell.site_before),
        *_others(cell),
    ]


def _gaps(span: str, days: int, totals: Totals, missing: Sequence[date], area: str) -> Iterator[str]:
    if not totals.rows:
        whole = area == ALL or len(missing) == days
        what = "全店没有任何经营数据" if whole else "该区域没有任何经营记录"
        consequence = "无法给出本期数字" if span == "时间窗口" else "无法比较"
        yield f"{span}内{what}，{consequence}。"
    elif missing:
        dates = _listed([str(day) for day in missing])
        yield f"{span}共{days}天，其中{len(missing)}天全店没有数据：{dates}。"


def _lengths(cell: Cell) -> Iterator[str]:
    days, comparison_days = cell.window.days, cell.window.comparison_days
    if days != comparison_days:
        yield f"时间窗口为{days}天，对比窗口为{comparison_days}天，比较总额时请留意天数不同。"


def _site_gaps(cell: Cell) -> Iterator[str]:
    for span, totals in (("时间窗口", cell.site_now), ("对比窗口", cell.site_before)):
        if totals is not None and not totals.rows:
            yield f"{span}内没有充值与会员数据。"


def _row_notes(span: str, *tables: Totals | None) -> Iterator[str]:
    for totals in tables:
        if totals is None:
            continue
        for measure, count in totals.nulls.items():
            yield f"{span}内{MEASURES[measure]}有{count}处空值，按零计。"
        if totals.repeated:
            yield f"{span}内有{totals.repeated}行与同一日期、同一区域的另一行并存，已相加。"


def _others(cell: Cell) -> Iterator[str]:
    if cell.other_areas:
        names = _listed([cut(name, LONGEST_NAME) or "（空）" for name in cell.other_areas])
        yield f"有不属于已知区域的数据（{names}），只计入全店，在区域构成中列为「其他」。"


def _listed(items: Sequence[str]) -> str:
    more = f"等{len(items)}个" if len(items) > _SHOWN else ""
    return "、".join(items[:_SHOWN]) + more
