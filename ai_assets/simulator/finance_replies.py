"""What App2 and App2a answer: insights on a venue's figures.

Here: themes, titles and sentences. Not here: how figures are found (`figures`). The templates hold no number
of their own, neither digits nor Chinese numerals: every figure in an answer is the prompt's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ai_assets.simulator.chance import Dice
from ai_assets.simulator.figures import Figure
from ai_assets.simulator.reading import Reading

MOST_INSIGHTS: Final = 6

GOOD, NEUTRAL, BAD = "good", "neutral", "bad"


@dataclass(frozen=True)
class Theme:
    """One matter that an insight can be about; `words` says which labels belong to it."""

    title: str
    words: re.Pattern[str]
    comments: tuple[str, ...]
    tone: str = NEUTRAL
    signed: bool = False


_CURRENT: Final = re.compile(r"本期|当期|本窗口|当前|占比")
_COST_WORDS: Final = re.compile(r"优惠|折扣|退")

_THEMES: Final = (
    Theme(
        "与对比期的变化",
        re.compile(r"变化|环比|同比|增长|增减|增幅|差额|涨|跌"),
        (
            "建议结合客流与时段找出变化的来源，再决定是否调整排班与活动。",
            "这说明经营节奏与对比期有所不同，值得店长在例会上说明原因。",
        ),
        signed=True,
    ),
    Theme(
        "表现突出的日子",
        re.compile(r"最好|最佳|最高|峰值|高峰"),
        ("可以复盘当天的活动与排班，把有效的做法留下来。",),
        GOOD,
    ),
    Theme(
        "需要关注的日子",
        re.compile(r"最差|最低|低谷"),
        ("建议查看当天的客流、设备与排班，避免同样的情形再出现。",),
        BAD,
    ),
    Theme(
        "收入构成",
        re.compile(r"台费|助教费|商品|费用|占比|构成"),
        ("构成较为清楚，可以围绕主要来源安排人手与陈列。", "若想提升客单价，可从搭配销售与助教服务入手。"),
    ),
    Theme(
        "净收入情况",
        re.compile(r"净收入|营收|营业额|总收入|收入"),
        ("这是判断经营好坏的主线，建议与客流放在同处看。", "后续重点是稳住高峰时段，并带动闲时上座。"),
    ),
    Theme("优惠力度", re.compile(r"优惠|折扣|减免"), ("优惠应当换来更多到店，建议核对活动的实际效果。",)),
    Theme(
        "客流与时长",
        re.compile(r"订单|单数|客|人数|时长|分钟|到店"),
        ("客流是收入的前提，建议对照时段安排引流活动。", "可以观察客人停留的时长，改进续时与茶饮的推荐。"),
    ),
    Theme(
        "会员与充值", re.compile(r"充值|余额|会员|储值"), ("充值与会员活跃关系到后续消费，建议保持回访。",)
    ),
)
_OTHER: Final = Theme("数据要点", re.compile(""), ("建议结合门店的实际情况核对。",))


def insights(reading: Reading, dice: Dice) -> dict[str, object]:
    """`{"insights": [{"title","body","tone"}]}`, 1 to MOST_INSIGHTS of them."""
    made: list[dict[str, str]] = []
    if reading.says_no_data:
        made.append(_no_data(reading))
    if not reading.empty:
        made += [_insight(theme, figure, dice) for theme, figure in _chosen(reading.figures, dice)]
    if not made:
        made.append(
            {
                "title": "信息有限",
                "body": "资料里没有可以引用的数字，暂不作经营判断，建议补充数据后再看。",
                "tone": NEUTRAL,
            }
        )
    return {"insights": made[:MOST_INSIGHTS]}


def _no_data(reading: Reading) -> dict[str, str]:
    body = (
        "资料说明该时间窗口没有数据，本次不作经营判断；请先核对数据是否已经同步。"
        if reading.empty
        else "资料说明有部分内容没有数据，解读其余数字时请留意。"
    )
    return {"title": "暂无数据" if reading.empty else "部分数据缺失", "body": body, "tone": NEUTRAL}


def _chosen(figures: tuple[Figure, ...], dice: Dice) -> list[tuple[Theme, Figure]]:
    """One figure for each theme that the prompt has figures of; without any, a few of what there is."""
    by_theme: dict[str, list[Figure]] = {}
    for figure in figures:
        by_theme.setdefault(_theme_of(figure.label).title, []).append(figure)
    themes = [theme for theme in _THEMES if theme.title in by_theme]
    if not themes:
        return [(_OTHER, figure) for figure in dice.sample(figures, 2)]
    return [
        (theme, _telling(by_theme[theme.title], dice)) for theme in dice.sample(themes, MOST_INSIGHTS - 1)
    ]


@lru_cache(maxsize=4096)
def _theme_of(label: str) -> Theme:
    return next((theme for theme in _THEMES if theme.words.search(label)), _OTHER)


def _telling(figures: list[Figure], dice: Dice) -> Figure:
    # A zero tells a reader little while there is anything else to say, and so does one day of a series.
    figures = [figure for figure in figures if figure.sign] or figures
    return dice.pick([figure for figure in figures if _CURRENT.search(figure.label)] or figures)


def _insight(theme: Theme, figure: Figure, dice: Dice) -> dict[str, str]:
    tone = theme.tone
    if theme.signed and figure.sign:
        rises = (figure.sign > 0) != bool(_COST_WORDS.search(figure.label))
        tone = GOOD if rises else BAD
    elif figure.sign < 0 and not theme.signed:
        tone = BAD
    return {"title": theme.title, "body": f"{figure.said()}。{dice.pick(theme.comments)}", "tone": tone}
