"""What may not leave: phone numbers and birthdays, by the name of a field and by how a text looks.

Here: the rules and how they are laid over any content. A new rule (cards, names, bands of balances) is one
more entry in the two tables. Not here: the building of prompts; numbers, dates and amounts that are not text
pass as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# compared without case, spaces and underscores
LEFT_OUT_KEYS: frozenset[str] = frozenset(
    {
        "手机",
        "手机号",
        "手机号码",
        "电话",
        "电话号码",
        "联系电话",
        "联系方式",
        "phone",
        "phonenumber",
        "mobile",
        "mobilephone",
        "tel",
        "telephone",
        "生日",
        "出生日期",
        "出生年月日",
        "birthday",
        "birthdate",
        "dateofbirth",
    }
)

# \d is any script's digit: people also type full-width ones
_MOBILE = re.compile(r"(?<!\d)(?:(?:[+＋]|00)?86[-\s]?)?[1１][3-9３-９]\d[-\s]?\d{4}[-\s]?\d{4}(?!\d)")
_LANDLINE = re.compile(r"(?<!\d)(?:0\d{2,3}[-\s]?\d{7,8}|400[-\s]?\d{3,4}[-\s]?\d{3,4})(?!\d)")
_BIRTHDAY = re.compile(
    r"(生日|出生日期|出生|birthday|born)"
    r"(\D{0,6}?)"
    r"(?:\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*[日号]?|\d{1,2}\s*[-/.月]\s*\d{1,2}\s*[日号]?)",
    re.IGNORECASE,
)

TEXT_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_BIRTHDAY, r"\1\2[已隐去]"),
    (_MOBILE, "[电话已隐去]"),
    (_LANDLINE, "[电话已隐去]"),
)


def redact(content: Any) -> Any:
    """A copy without what may not leave: such keys are dropped, such passages in texts are replaced.

    `content` is made of mappings, lists, tuples and scalars; keys are the builders' own words. Tuples become
    lists; scalars that are not text are returned as they are. Redacting twice changes nothing.
    """
    if isinstance(content, str):
        return redact_text(content)
    if isinstance(content, Mapping):
        return {key: redact(value) for key, value in content.items() if not _left_out(key)}
    if isinstance(content, list | tuple):
        return [redact(value) for value in content]
    return content


def redact_text(text: str) -> str:
    """The text with phone numbers and birthdays replaced by a mark that says so."""
    for pattern, mark in TEXT_RULES:
        text = pattern.sub(mark, text)
    return text


def _left_out(key: object) -> bool:
    return isinstance(key, str) and re.sub(r"[\s_]", "", key).casefold() in LEFT_OUT_KEYS
