"""App8: App3's and App6's clues about a member merged into one set, each clue with who gave it.

Not here: replacing the member's retention clues with them (`ai_assets.store.clues`).
"""

from __future__ import annotations

from typing import Any

from ai_assets.apps.answers import ConsolidationAnswer
from ai_assets.apps.base import App, Prompt, Subject
from ai_assets.apps.member_source import MemberSource
from ai_assets.apps.member_subject import MEMBER, check_member
from ai_assets.catalog import CATALOG

VERSION = "2"
ENTRY = CATALOG["app8_consolidation"]
MERGED = ("app3_clue", "app6_note")

TASK = (
    "你是球房（台球、斯诺克、麻将、KTV）的会员运营专员。下面是同一位会员的两组线索，请合并成一组：意思相同的合为一条，"
    "互相矛盾的以较新的一组为准（生成时间为空表示刚刚生成），不要增加线索里没有的事实。"
    "每条用 providers 写明线索由谁提供，即所在各组的来源，多个来源用顿号隔开。"
    "两组都没有线索时 clues 为空列表。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"clues": [{"category": "消费习惯", "emoji": "📅", '
    '"summary": "一句话", "detail": "补充说明", "providers": "消费分析"}]}；clues 为 0 至 30 条，'
    "category 只能是客户基础、消费习惯、玩法偏好、促销偏好、社交关系、重要反馈之一。"
)


def build(source: MemberSource, subject: Subject) -> Prompt:
    """The prompt of one member. Raises InputError for a wrong subject, WarehouseError for a wrong time zone.

    Reads nothing of the warehouse but the member's name, and that only where it is to be hidden: what the clues rest
    on was read when they were made.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps.clue_parts import FROM_CONSUMPTION, clue_set, note_author
    from ai_assets.apps.member_prompt import head, references
    from ai_assets.apps.prompt import make_prompt

    check_member(ENTRY.name, subject)
    data = source.data
    from_consumption, from_note = (source.given.get(name) for name in MERGED)
    content: dict[str, Any] = {
        **head(TASK, ANSWER_FORM, source, subject),
        "会员编号": data.member_id,
        "线索组": [
            clue_set(from_consumption, FROM_CONSUMPTION, data.site, source.naming),
            clue_set(from_note, note_author(from_note), data.site, source.naming),
        ],
    }
    made_of = references(ENTRY.name, VERSION, source, subject, answers=MERGED)
    return make_prompt(content, made_of, source.naming.put_back)


APP: App[MemberSource] = App(
    entry=ENTRY,
    version=VERSION,
    answer=ConsolidationAnswer,
    about=MEMBER,
    build=build,
    description="App3's and App6's clues merged.",
    handed_on=MERGED,
    follows=MERGED,
    each_visit=True,
)
