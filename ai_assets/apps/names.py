"""What a member is called in prompts: in full, by surname, or by a pseudonym that is put back into the answer. Pure.

Here: the one rule, for the profile and for every text in which the name stands. Not here: assistants and the authors
of notes, who are staff: their names stay. Nor people whom a text names beside the member: nobody knows them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ai_assets.apps.surnames import surname
from ai_assets.privacy.spelling import seen
from ai_assets.privacy.text import MARKS, redact_text

if TYPE_CHECKING:
    from ai_assets.settings import MemberNames
    from ai_assets.warehouse.people import Member

UNKNOWN = "会员"
_MEN = frozenset({"男", "男性", "男士", "先生", "m", "male", "man", "1"})
_WOMEN = frozenset({"女", "女性", "女士", "f", "female", "woman", "2"})
_HONORIFICS = "先生|女士|小姐|太太"
# no digit: it would be a figure; no vowel: it would be a word
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_CODE_LENGTH = 8
_SHORTEST = 2
# one character that people put between those of a name
_BETWEEN = r"[ \t·•._-]?"
_HAN_NAME = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]{2,}")
_ASCII_WORD = re.compile(r"[A-Za-z0-9]")


@dataclass(frozen=True)
class Naming:
    """How one member is named.

    `shown` None: as they are. `hidden`: what gives way to `shown` in texts. `put_back`: what stands in an answer, and
    what must be put in its place.
    """

    shown: str | None = None
    hidden: tuple[str, ...] = ()
    put_back: Mapping[str, str] = field(default_factory=dict)

    def hide(self, text: str) -> str:
        """The text with the shown name wherever the member's name or nickname stands in it, in any spelling."""
        if self.shown is None or not self.hidden or not text:
            return text
        view = seen(text)
        pieces: list[str] = []
        done = 0
        for found in self._pattern.finditer(view.text):
            start, end = view.place(*found.span())
            pieces += (text[done:start], self.shown)
            done = end
        return "".join((*pieces, text[done:]))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.hidden, key=len, reverse=True)
        # 张三先生 is 张先生, not 张先生先生
        honorific = rf"(?:\s?(?:{_HONORIFICS}))?" if not self.put_back else ""
        return re.compile(f"(?:{'|'.join(map(_spelled, longest_first))}){honorific}", re.IGNORECASE)


IN_FULL = Naming()


def naming(member: Member, mode: MemberNames) -> Naming:
    """How this member is named in this mode (AI_MEMBER_NAMES).

    `surname`: surname and 先生 or 女士 by gender; 会员 where that is unknown, the honorific alone where no surname can
    be told. `pseudonym`: 会员 and eight letters, always the same for a member of a site.
    """
    if mode == "full":
        return IN_FULL
    hidden = _hidden(member)
    if mode == "surname":
        return Naming(surname(_bare(member.name)) + _honorific(member.gender), hidden)
    shown = UNKNOWN + _code(member.site_id, member.member_id)
    return Naming(shown, hidden, {shown: _bare(member.name) or UNKNOWN})


def restore(answer: Any, put_back: Mapping[str, str]) -> Any:
    """A copy of the answer with what `put_back` says in the place of what was sent; keys stay.

    An app may write a pseudonym in small letters, parted from its 会员, or without it: these are put back too.
    """
    if not put_back:
        return answer
    if isinstance(answer, str):
        for sent, original in put_back.items():
            # the original is no template: it may hold a backslash
            answer = original.join(_as_answered(sent).split(answer))
        return answer
    if isinstance(answer, Mapping):
        return {key: restore(value, put_back) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [restore(value, put_back) for value in answer]
    return answer


def _hidden(member: Member) -> tuple[str, ...]:
    """The spellings to look for. A single character or a bare number is a part of other words and figures."""
    found: list[str] = []
    for name in (member.name, member.nickname or ""):
        bare = seen(_bare(name)).text.strip()
        han = _HAN_NAME.match(bare)
        # 张三（老客）is called 张三
        found += [bare, *([han[0]] if han and han[0] != bare else [])]
    return tuple(dict.fromkeys(name for name in found if len(name) >= _SHORTEST and not _is_number(name)))


def _bare(name: str) -> str:
    """A name without what must not be shown anyway, such as a phone that somebody put into it."""
    bare = redact_text(name)
    for mark in MARKS.values():
        bare = bare.replace(mark, "")
    return bare.strip(" \t\r\n,，;；:：-")


def _is_number(name: str) -> bool:
    return all(char.isdigit() or not char.isalnum() for char in name)


def _honorific(gender: str | None) -> str:
    said = (gender or "").strip().casefold()
    return "先生" if said in _MEN else "女士" if said in _WOMEN else UNKNOWN


def _code(site_id: int, member_id: int) -> str:
    # no secret: the prompt says the ids anyway. What must not be told by it is the name
    number = int.from_bytes(sha256(f"ai_assets member {site_id}:{member_id}".encode()).digest())
    letters: list[str] = []
    for _ in range(_CODE_LENGTH):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def _spelled(name: str) -> str:
    """A pattern of the name however its characters are parted; a Latin one only as whole words."""
    letters = [re.escape(char) for char in name if not re.fullmatch(r"[\s·•._-]", char)]
    before = "(?<![A-Za-z0-9])" if _ASCII_WORD.match(name[0]) else ""
    after = "(?![A-Za-z0-9])" if _ASCII_WORD.match(name[-1]) else ""
    return before + _BETWEEN.join(letters) + after if letters else re.escape(name)


def _as_answered(sent: str) -> re.Pattern[str]:
    code = re.escape(sent.removeprefix(UNKNOWN))
    return re.compile(rf"(?:{UNKNOWN}[\s:：「“\"'（(]{{0,2}})?(?<![A-Za-z]){code}(?![A-Za-z])", re.IGNORECASE)
