"""App5: what an assistant may say to a member, built on App4's answer."""

from __future__ import annotations

from typing import Any

from ai_assets.apps.answers import TacticsAnswer
from ai_assets.apps.base import App, Prompt, Subject
from ai_assets.apps.member_source import MemberSource
from ai_assets.apps.member_subject import PAIR, check_pair
from ai_assets.catalog import CATALOG

VERSION = "2"
ENTRY = CATALOG["app5_tactics"]
GIVEN = ("app4_analysis",)

TASK = (
    "你是球房（台球、斯诺克、麻将、KTV）的资深助教教练。请根据下面的关系分析与任务，为这位助教写出可以直接对这位会员说的话术，"
    "每条说明使用的场景；语气自然、真诚、不催促，称呼得体。没有关系分析时，写初次联系的话术。"
    "只使用下面给出的事实，不要编造优惠与承诺。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"tactics": [{"scenario": "场景", "script": "要说的话"}]}；'
    "tactics 为 1 至 10 条。"
)


def build(source: MemberSource, subject: Subject) -> Prompt:
    """The prompt of one pair.

    Raises InputError for a wrong subject, PromptError for an App4 answer that is none, MissingSubjectError,
    WarehouseError.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps import clue_parts, pair_parts
    from ai_assets.apps.member_prompt import head, references, table
    from ai_assets.apps.prompt import make_prompt
    from ai_assets.warehouse.contract import ASSISTANTS, MEMBERS

    check_pair(ENTRY.name, subject)
    data = source.data
    content: dict[str, Any] = {
        **head(TASK, ANSWER_FORM, source, subject),
        "助教": pair_parts.assistant_part(data.assistant),
        "会员": pair_parts.short_profile(data.member, data.as_of, source.naming),
        "关系分析": clue_parts.analysis_part(source.given.get("app4_analysis"), source.naming),
    }
    tables = [table(MEMBERS, 1), table(ASSISTANTS, 1)]
    made_of = references(ENTRY.name, VERSION, source, subject, answers=GIVEN, tables=tables)
    return make_prompt(content, made_of, source.naming.put_back)


APP: App[MemberSource] = App(
    entry=ENTRY,
    version=VERSION,
    answer=TacticsAnswer,
    about=PAIR,
    build=build,
    description="What to say to the member, built on App4's answer.",
    handed_on=GIVEN,
    follows=GIVEN,
)
