"""App7: an analysis of a member as a customer, with strategies."""

from __future__ import annotations

from typing import Any

from ai_assets.apps.answers import CustomerAnswer
from ai_assets.apps.base import App, Prompt, Subject, Upstream
from ai_assets.apps.member_source import MemberSource
from ai_assets.apps.member_subject import MEMBER, check_member
from ai_assets.catalog import CATALOG

VERSION = "2"
ENTRY = CATALOG["app7_customer"]
GIVEN = ("app8_consolidation",)

TASK = (
    "你是球房（台球、斯诺克、麻将、KTV）的客户分析师。请根据下面这位会员的资料、近180天的消费、已整合的线索与员工备注，"
    "概括这是一位怎样的客户、目前处在什么状态（活跃、平稳、减少或流失），再给出几条留住和服务这位会员的策略，"
    "每条策略都要门店能够照做。只使用下面给出的数字，或能由它们直接算出的数字；"
    "值为 null 表示没有数据，没有的资料不要猜测。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"summary": "概述",'
    ' "strategies": [{"title": "标题", "content": "做法"}]}。'
)
UNITS = "金额单位为人民币元；名称带%的为百分数；变化 = 近30天 − 对比。"


def build(source: MemberSource, subject: Subject) -> Prompt:
    """The prompt of one member.

    Raises InputError for a wrong subject, MissingSubjectError, WarehouseError, PromptError for a settlement
    that must not be counted.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps import clue_parts, member_parts
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
        "整合线索": clue_parts.clues_part(source.given.get("app8_consolidation"), source.naming),
        "备注": member_parts.notes_part(data.notes, source.naming),
    }
    tables = [
        table(MEMBERS, 1),
        member_parts.consumption_table(data.consumption),
        member_parts.notes_table(data.notes),
    ]
    made_of = references(ENTRY.name, VERSION, source, subject, answers=GIVEN, tables=tables)
    return make_prompt(content, made_of, source.naming.put_back)


APP: App[MemberSource] = App(
    entry=ENTRY,
    version=VERSION,
    answer=CustomerAnswer,
    about=MEMBER,
    build=build,
    description="An analysis of the member with strategies.",
    reads=(Upstream.SETTLEMENTS, Upstream.NOTES, Upstream.MEMBERS),
    from_cache=GIVEN,
    follows=("app3_clue",),
    each_visit=True,
)
