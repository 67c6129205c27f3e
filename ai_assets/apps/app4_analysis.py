"""App4: an assistant's relationship with a member, and the task that the assistant should do next."""

from __future__ import annotations

from typing import Any

from ai_assets.apps.answers import AnalysisAnswer
from ai_assets.apps.base import App, Prompt, Subject, Upstream
from ai_assets.apps.member_source import MemberSource
from ai_assets.apps.member_subject import PAIR, check_pair
from ai_assets.catalog import CATALOG

VERSION = "2"
ENTRY = CATALOG["app4_analysis"]
GIVEN = ("app3_clue", "app7_customer", "app8_consolidation")

TASK = (
    "你是球房（台球、斯诺克、麻将、KTV）的助教主管。请根据下面的资料，分析这位助教与这位会员的关系，"
    "并给助教安排一件接下来最该做的事：写清目的、时机与做法，再给出几条具体可行的行动建议，最后用一句话总结。"
    "已有待办任务的，优先推进它们，不要重复安排。"
    "只使用下面给出的数字，或能由它们直接算出的数字；值为 null 表示没有数据，没有的资料不要猜测。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"task_description": "要做的事",'
    ' "action_suggestions": ["建议一", "建议二"], "one_line_summary": "一句话总结"}。'
)
UNITS = "金额单位为人民币元；名称带%的为百分数；变化 = 近30天 − 对比。"


def build(source: MemberSource, subject: Subject) -> Prompt:
    """The prompt of one pair. Raises InputError for a wrong subject, MissingSubjectError, WarehouseError."""
    # here: the code location loads this module for its version alone
    from ai_assets.apps import clue_parts, member_parts, pair_parts
    from ai_assets.apps.member_prompt import head, references, table
    from ai_assets.apps.prompt import make_prompt
    from ai_assets.warehouse.contract import ASSISTANT_TASKS, ASSISTANTS, MEMBERS

    check_pair(ENTRY.name, subject)
    data = source.data
    together = data.together
    content: dict[str, Any] = {
        **head(TASK, ANSWER_FORM, source, subject),
        "单位": UNITS,
        "助教": pair_parts.assistant_part(data.assistant),
        "会员": member_parts.profile(data.member, data.as_of, source.naming),
        "往来记录": member_parts.consumption_part(together),
        "待办任务": pair_parts.tasks_part(data.open_tasks, data.site, source.naming),
        "消费线索": clue_parts.clues_part(source.given.get("app3_clue"), source.naming),
        "客户分析": clue_parts.customer_part(source.given.get("app7_customer"), source.naming),
        "整合线索": clue_parts.clues_part(source.given.get("app8_consolidation"), source.naming),
    }
    tables = [
        table(MEMBERS, 1),
        table(ASSISTANTS, 1),
        member_parts.consumption_table(together),
        table(ASSISTANT_TASKS, len(data.open_tasks)),
    ]
    made_of = references(ENTRY.name, VERSION, source, subject, answers=GIVEN, tables=tables)
    return make_prompt(content, made_of, source.naming.put_back)


APP: App[MemberSource] = App(
    entry=ENTRY,
    version=VERSION,
    answer=AnalysisAnswer,
    about=PAIR,
    build=build,
    description="How assistant and member stand with each other, and the task to do.",
    reads=(Upstream.ASSISTANTS, Upstream.SETTLEMENTS),
    from_cache=GIVEN,
)
