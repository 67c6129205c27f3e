"""Pieces of prompts that several member apps share: profile, notes; `consumption_part` is reached here too.

Chinese words. Not here: any app, the pair (`pair_parts`), what other apps said (`clue_parts`).
A member's phone number and birthday are never read; the exact balance is left out here, and the name as is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from ai_assets.apps.balances import balance_band
from ai_assets.apps.consumption_words import consumption_part
from ai_assets.apps.member_prompt import table
from ai_assets.apps.member_texts import LONGEST_NAME, cut
from ai_assets.warehouse.contract import MEMBER_NOTES, SETTLEMENT

if TYPE_CHECKING:
    from ai_assets.apps.names import Naming
    from ai_assets.warehouse.consumption import Consumption
    from ai_assets.warehouse.people import Member, Note

__all__ = ["balance_band", "consumption_part", "consumption_table", "notes_part", "notes_table", "profile"]

NO_NOTES = "暂无备注"
_LONGEST_NOTE = 500


def profile(member: Member, as_of: date, naming: Naming) -> dict[str, Any]:
    """The member as prompts may know them; what is unknown is left out, and the nickname where the name is.

    Days of membership count from the registration (as its time zone has it) to the as-of date.
    """
    name = cut(member.name, LONGEST_NAME) if naming.shown is None else naming.shown
    nickname = member.nickname if naming.shown is None else None
    parts: dict[str, Any] = {"编号": member.member_id, "姓名": name}
    for key, text in (("昵称", nickname), ("性别", member.gender), ("等级", member.level)):
        if text:
            parts[key] = cut(text, LONGEST_NAME, naming)
    if member.balance is not None and not member.balance.is_nan():
        parts["账户余额区间"] = balance_band(member.balance)
    if member.registered_at is not None and member.registered_at.date() <= as_of:
        parts["入会天数"] = (as_of - member.registered_at.date()).days
    return parts


def notes_part(notes: Iterable[Note], naming: Naming) -> list[dict[str, str]] | str:
    """The notes in the order given, each cut to 500 characters, or words that there are none.

    The date is that of the note's own time zone.
    """
    return [
        {
            "日期": "" if note.noted_at is None else f"{note.noted_at:%Y-%m-%d}",
            "记录人": cut(note.noted_by_name or "", LONGEST_NAME),
            "内容": cut(note.content, _LONGEST_NOTE, naming),
        }
        for note in notes
    ] or NO_NOTES


def consumption_table(consumption: Consumption) -> dict[str, Any]:
    """What a consumption rests on, for `_references`."""
    return table(SETTLEMENT, consumption.rows, consumption.first, consumption.last)


def notes_table(notes: Sequence[Note]) -> dict[str, Any]:
    """What the notes rest on, for `_references`."""
    days = [note.noted_at.date() for note in notes if note.noted_at is not None]
    return table(MEMBER_NOTES, len(notes), min(days, default=None), max(days, default=None))
