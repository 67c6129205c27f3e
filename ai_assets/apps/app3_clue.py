"""App3: clues about a member, from what they consumed in the last 180 days."""

from __future__ import annotations

from typing import Any

from ai_assets.apps.answers import ClueAnswer
from ai_assets.apps.base import App, Prompt, Subject, Upstream
from ai_assets.apps.member_source import MemberSource
from ai_assets.apps.member_subject import MEMBER, check_member
from ai_assets.catalog import CATALOG

VERSION = "2"
ENTRY = CATALOG["app3_clue"]

TASK = (
    "你是球房（台球、斯诺克、麻将、KTV）的会员运营分析师。请根据下面这位会员的资料与近180天的消费，提取对留住和服务这位会员有用的线索："
    "到店节奏、常去的区域与时段、消费水平与变化、优惠使用、常约的助教，以及最近一单。"
    "每条线索只说一件事，并给出依据的数字。只使用下面给出的数字，或能由它们直接算出的数字；"
    "值为 null 表示没有数据，没有的资料不要猜测；没有可用的线索时 clues 为空列表。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"clues": [{"category": "消费习惯", "emoji": "📅",'
    ' "summary": "一句话", "detail": "补充说明"}]}；clues 为 0 至 20 条，'
    "category 只能是客户基础、消费习惯、玩法偏好、促销偏好、社交关系、重要反馈之一。"
)
UNITS = "金额单位为人民币元；名称带%的为百分数；变化 = 近30天 − 对比。"


def build(source: MemberSource, subject: Subject) -> Prompt:
    """The prompt of one member.

    Raises InputError for a wrong subject, MissingSubjectError, WarehouseError, PromptError for a settlement
    that must not be counted.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps import member_parts
    from ai_assets.apps.member_prompt import head, references, table
    from ai_assets.apps.prompt import make_prompt
    from ai_assets.warehouse.contract import MEMBERS

    check_member(ENTRY.name, subject)
    data = source.data
    content: dict[str, Any] = {
        **head(TASK, ANSWER_FORM, source, subject),
        "单位": UNITS,
        "会员": member_parts.profile(data.member, data.as_of, source.naming),
        "消费记录": member_parts.consumption_part(data.consumption),
    }
    tables = [table(MEMBERS, 1), member_parts.consumption_table(data.consumption)]
    made_of = references(ENTRY.name, VERSION, source, subject, tables=tables)
    return make_prompt(content, made_of, source.naming.put_back)


APP: App[MemberSource] = App(
    entry=ENTRY,
    version=VERSION,
    answer=ClueAnswer,
    about=MEMBER,
    build=build,
    description="Clues about a member from what they consumed.",
    reads=(Upstream.SETTLEMENTS, Upstream.MEMBERS),
    each_visit=True,
)
