"""App6: a score for a note about a member, and the clues in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_assets.apps.answers import NoteAnswer
from ai_assets.apps.base import App, Prompt, Subject, Upstream
from ai_assets.apps.member_source import MemberSource
from ai_assets.apps.member_subject import MEMBER, check_member
from ai_assets.catalog import CATALOG
from ai_assets.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_assets.warehouse.people import Note

VERSION = "2"
ENTRY = CATALOG["app6_note"]
LONGEST_NOTE = 4_000

TASK = (
    "你是球房（台球、斯诺克、麻将、KTV）的会员运营专员。下面是员工写的一条会员备注，请为它对维护这位会员的价值打分，"
    "1 分为没有可用的信息，10 分为非常具体且可以马上行动，并从这条备注中提取线索；"
    "会员资料与近期备注只用来理解这条备注。只写备注里有的事实，没有线索时 clues 为空列表。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"score": 6, "clues": [{"category": "消费习惯", "emoji": "📅",'
    ' "summary": "一句话", "detail": "补充说明"}]}；score 为 1 至 10 的整数，clues 为 0 至 20 条，'
    "category 只能是客户基础、消费习惯、玩法偏好、促销偏好、社交关系、重要反馈之一。"
)


def build(source: MemberSource, subject: Subject) -> Prompt:
    """The prompt of one note; of more than LONGEST_NOTE characters, what is left out is told.

    Raises InputError for a wrong subject, PromptError where there is no note or nothing in it,
    MissingSubjectError, WarehouseError.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps import member_parts
    from ai_assets.apps.member_prompt import head, references, table
    from ai_assets.apps.member_texts import LONGEST_NAME, cut, local_text
    from ai_assets.apps.prompt import make_prompt
    from ai_assets.warehouse.contract import MEMBERS

    check_member(ENTRY.name, subject)
    data, note = source.data, source.note
    if note is None:
        raise PromptError(f"member {subject.member_id} of site {subject.site_id} has no note")
    words = cut(note.content, LONGEST_NOTE, source.naming)
    if not words:
        raise PromptError(f"the note about member {subject.member_id} of site {subject.site_id} is empty")
    others = _others(note, data.notes)
    content: dict[str, Any] = {
        **head(TASK, ANSWER_FORM, source, subject),
        "会员": member_parts.profile(data.member, data.as_of, source.naming),
        "备注": {
            "内容": words,
            "记录人": cut(note.noted_by_name or "", LONGEST_NAME),
            "记录时间": local_text(note.noted_at, data.site),
        },
        "近期备注": member_parts.notes_part(others, source.naming),
    }
    tables = [table(MEMBERS, 1), member_parts.notes_table(others)]
    made_of = references(ENTRY.name, VERSION, source, subject, note=note, tables=tables)
    return make_prompt(content, made_of, source.naming.put_back)


def _others(note: Note, notes: Iterable[Note]) -> list[Note]:
    """The notes that are not this one: by its id, or by its words where only the event holds it."""
    if note.note_id is not None:
        return [other for other in notes if other.note_id != note.note_id]
    return [other for other in notes if other.content.strip() != note.content.strip()]


APP: App[MemberSource] = App(
    entry=ENTRY,
    version=VERSION,
    answer=NoteAnswer,
    about=MEMBER,
    build=build,
    description="A score of the member's newest note, and clues in it.",
    reads=(Upstream.NOTES, Upstream.MEMBERS),
)
