"""What App3 to App8 answer: clues, a task, tactics, a note's score, a customer analysis.

Here: sentences and their choice. Not here: how the prompt is read (`reading`). As in `finance_replies`, the
templates hold no number of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ai_assets.simulator.chance import Dice
from ai_assets.simulator.figures import Figure
from ai_assets.simulator.reading import Reading

BASIC: Final = "客户基础"
MOST_CLUES: Final = 6
MOST_MERGED_CLUES: Final = 12


@dataclass(frozen=True)
class Category:
    """A category of clues: its sign, the labels that belong to it, and what to say beside the figure."""

    name: str
    emoji: str
    words: re.Pattern[str]
    details: tuple[str, ...]


CATEGORIES: Final = (
    Category(
        "社交关系",
        "🤝",
        re.compile(r"助教|同伴|好友|陪打|陪同"),
        ("与助教往来是留住该会员的抓手，可安排熟悉的助教接待。",),
    ),
    Category(
        "促销偏好",
        "🎁",
        re.compile(r"优惠|折扣|充值|券|储值|活动"),
        ("对优惠有反应，适合在闲时给出到店权益。", "推荐活动时先说明规则，避免误解。"),
    ),
    Category(
        "重要反馈",
        "💬",
        re.compile(r"备注|反馈|投诉|评价|意见"),
        ("门店应当有人跟进并回复。",),
    ),
    Category(
        "玩法偏好",
        "🎱",
        re.compile(r"时长|分钟|小时|区域|台次|包厢|麻将|斯诺克|中八|KTV"),
        ("可以按其习惯的区域提前留台。", "适合推荐同类玩法的比赛与包时套餐。"),
    ),
    Category(
        "消费习惯",
        "📅",
        re.compile(r"消费|实付|支付|金额|费|额|到店|次数|间隔|频|单|天|收入"),
        ("消费节奏可作为回访时机的依据。", "适合用会员权益维持到店频率。"),
    ),
    Category(
        BASIC,
        "👤",
        re.compile(r"等级|余额|积分|注册|年龄|会龄"),
        ("建档资料完整，回访时可以直接称呼。",),
    ),
)
_EMOJI_BY_NAME: Final = {category.name: category.emoji for category in CATEGORIES}
_COMPLAINT: Final = re.compile(r"投诉|不满|太吵|太慢|太贵|生气|差评|失望|退款")
_PRAISE: Final = re.compile(r"满意|喜欢|很好|不错|感谢|推荐|开心")


def clues(reading: Reading, dice: Dice) -> dict[str, object]:
    """App3: `{"clues": [...]}`, 1 to MOST_CLUES of them."""
    return {"clues": _clues(reading, dice, MOST_CLUES)}


def task(reading: Reading, dice: Dice) -> dict[str, object]:
    """App4: the task to do, suggestions, one line."""
    if reading.empty or not reading.figures:
        return {
            "task_description": "资料里还没有该助教与会员的往来记录，请先主动问候，了解常来的时段与玩法。",
            "action_suggestions": ["发送问候并自我介绍", "询问方便到店的时段", "邀请会员来店体验"],
            "one_line_summary": "关系尚未建立，先从问候开始。",
        }
    figure = dice.pick(reading.figures)
    suggestions = (
        "到店前确认会员常用的台位并提前预留",
        "用会员熟悉的称呼发送问候，不要群发",
        "结合近期活动给出明确的到店理由",
        "到店后记录会员的反馈，补充到备注",
        "离店后当天表示感谢，并约定再次到店的时间",
    )
    return {
        "task_description": f"{figure.said()}。请据此安排对会员的回访，并在到店时做好接待。",
        "action_suggestions": dice.sample(suggestions, 3),
        "one_line_summary": dice.pick(
            (
                f"关注{figure.label}，保持联系。",
                f"以{figure.label}为切入点做好回访。",
            )
        ),
    }


def tactics(reading: Reading, dice: Dice) -> dict[str, object]:
    """App5: `{"tactics": [{"scenario","script"}]}`, 2 to 4 of them."""
    scripts = (
        ("微信问候", "您好，最近球房新换了台呢，手感不错，您方便时过来试试，我给您留好台。"),
        ("邀约到店", "周末人多，您要是想来我提前帮您留位，到了直接开台就好。"),
        ("到店接待", "欢迎回来，还是您习惯的位置，茶水已经备好，有需要随时叫我。"),
        ("离店跟进", "今天打得很尽兴，回去早点休息，下回想练哪个球型提前告诉我，我来准备。"),
    )
    made = [{"scenario": name, "script": script} for name, script in dice.sample(scripts, 2 + dice.below(2))]
    if reading.figures and not reading.empty:
        figure = dice.pick(reading.figures)
        made.insert(
            0,
            {
                "scenario": "回访开场",
                "script": f"您好，我看到{figure.said()}，想听听您最近的感受，也好替您安排得更合适。",
            },
        )
    return {"tactics": made}


def note(reading: Reading, dice: Dice) -> dict[str, object]:
    """App6: `{"score": 1..10, "clues": [...]}`; praise scores high, a complaint low."""
    if _COMPLAINT.search(reading.note):
        score, said = 1 + dice.below(4), "备注里有不满的意思，需要尽快回应"
    elif _PRAISE.search(reading.note):
        score, said = 7 + dice.below(4), "备注里有认可的意思，可以顺势维护"
    else:
        score, said = 4 + dice.below(4), "备注提供了会员的近况，可供接待参考"
    first = {
        "category": "重要反馈",
        "emoji": _EMOJI_BY_NAME["重要反馈"],
        "summary": said,
        "detail": "依据备注原文整理，未作推断。",
    }
    more = _clues(reading, dice, 2) if reading.figures and not reading.empty else []
    return {"score": score, "clues": [first, *more]}


def customer(reading: Reading, dice: Dice) -> dict[str, object]:
    """App7: `{"summary", "strategies": [{"title","content"}]}`."""
    strategies = (
        ("稳定到店", "在会员习惯的时段前发送问候，并预留常用台位。"),
        ("提升体验", "到店时由熟悉的助教接待，主动介绍新设备与赛事。"),
        ("权益引导", "结合会员等级说明可用权益，引导在闲时使用。"),
        ("关系维护", "把会员提到的偏好记入备注，接待时照此安排。"),
    )
    made = [{"title": title, "content": content} for title, content in dice.sample(strategies, 3)]
    if reading.empty or not reading.figures:
        summary = "资料里没有该会员的消费记录，暂以新客对待，先建立联系。"
    else:
        figures = dice.sample(reading.figures, 2)
        summary = "；".join(figure.said() for figure in figures) + "。建议保持联系，按其习惯安排接待。"
    return {"summary": summary, "strategies": made}


def consolidation(reading: Reading, dice: Dice) -> dict[str, object]:
    """App8: the clues that stand in the prompt, each once, with providers; none if there is no data."""
    merged: list[dict[str, str]] = [
        {
            "category": clue.category if clue.category in _EMOJI_BY_NAME else BASIC,
            "emoji": clue.emoji or _EMOJI_BY_NAME.get(clue.category, "📌"),
            "summary": clue.summary,
            "detail": clue.detail or "由已有线索整理。",
            "providers": clue.provider or "系统",
        }
        for clue in reading.clues[:MOST_MERGED_CLUES]
    ]
    if not merged and not reading.says_no_data:
        merged = [{**clue, "providers": "系统"} for clue in _clues(reading, dice, MOST_CLUES)]
    return {"clues": merged}


def _clues(reading: Reading, dice: Dice, most: int) -> list[dict[str, str]]:
    if reading.empty or not reading.figures:
        return [
            {
                "category": BASIC,
                "emoji": _EMOJI_BY_NAME[BASIC],
                "summary": "暂无可用的消费记录",
                "detail": "资料里没有可以引用的数字，待会员到店后再补充。",
            }
        ]
    by_name: dict[str, list[Figure]] = {}
    for figure in reading.figures:
        by_name.setdefault(_category_of(figure.label).name, []).append(figure)
    chosen = dice.sample([category for category in CATEGORIES if category.name in by_name], most)
    return [_clue(category, dice.pick(by_name[category.name]), dice) for category in chosen]


@lru_cache(maxsize=4096)
def _category_of(label: str) -> Category:
    return next((category for category in CATEGORIES if category.words.search(label)), CATEGORIES[-1])


def _clue(category: Category, figure: Figure, dice: Dice) -> dict[str, str]:
    return {
        "category": category.name,
        "emoji": category.emoji,
        "summary": figure.said(),
        "detail": dice.pick(category.details),
    }
