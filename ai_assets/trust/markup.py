"""Markup and links taken out of one text: HTML, Markdown, web addresses of any dress.

Here: one text → plain text. Not here: what a web address is (`links`), where a text stands and how long it may be
(`plain_answers`). Patterns are bounded
and look at each letter a bounded number of times.
"""

from __future__ import annotations

import html
import re

from ai_assets.characters import without_invisible
from ai_assets.trust.links import web_addresses

LINK_MARK = "（链接已去除）"
"""What stands where a link was: a reader sees that something is missing. No bracket of it means anything."""

_ROUNDS = 8

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?|[\u2028\u2029]")

_SCRIPT = re.compile(r"<(script|style|iframe|svg|template)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"<[/!?]?[a-zA-Z][^<>]{0,2000}>|</?>")
_OPENING = re.compile(r"<(?=[a-zA-Z/!?])")

_MD_LINK = re.compile(r"!?\[([^\[\]]{0,500})\]\([^()\n]{0,2000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)")
_MD_REFERENCE = re.compile(r"!?\[([^\[\]\n]{1,500})\]\[[^\[\]\n]{0,100}\]")
_MD_FENCE = re.compile(
    r"^[ \t]*(?:`{3,}|~{3,})[^\n`]{0,100}$\n?|`{3,}(?:json|html|python|sql|js|text)?", re.MULTILINE
)
_MD_HEADER = re.compile(r"^[ \t]{0,3}(?:#{1,6}[ \t]+|>[ \t]?)+", re.MULTILINE)
_MD_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$\n?", re.MULTILINE)
_MD_TABLE_RULE = re.compile(
    r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$\n?", re.MULTILINE
)
_MD_ROW = re.compile(r"^[ \t]*\|(.*)\|[ \t]*$", re.MULTILINE)
_EMPHASIS = (
    re.compile(r"\*{2,3}([^*\n]{1,1000})\*{2,3}"),
    re.compile(r"(?<![A-Za-z0-9_])_{1,3}([^_\n]{1,1000})_{1,3}(?![A-Za-z0-9_])"),
    # 3*5*2 is a product
    re.compile(r"(?<![A-Za-z0-9*])\*([^*\s](?:[^*\n]{0,998}[^*\s])?)\*(?![A-Za-z0-9*])"),
    re.compile(r"~~([^~\n]{1,1000})~~"),
    re.compile(r"`{1,2}([^`\n]{1,1000})`{1,2}"),
)


def plain(text: str) -> str:
    """The text as plain text: what a reader would have seen of it, with LINK_MARK for each web address.

    Line feeds stay, at most two together; other white space becomes one blank. Doing it twice changes nothing more.
    """
    for _ in range(_ROUNDS):
        once = _once(text)
        if once == text:
            return once
        text = once
    # something that unfolds again and again is no text: no bracket of it may mean anything
    return _once(re.sub(r"[<>&\[\]()*_`~|#]", " ", text))


def _once(text: str) -> str:
    text = without_invisible(_CONTROL.sub("", _LINE_END.sub("\n", text)))
    return _spaced(_without_links(_without_markdown(_without_html(text))))


def _without_html(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    if "<" not in text:
        return text
    text = _TAG.sub("", _COMMENT.sub("", _SCRIPT.sub("", text)))
    return _OPENING.sub("＜", text)


def _without_markdown(text: str) -> str:
    if "](" in text or "][" in text:
        text = _MD_REFERENCE.sub(r"\1", _MD_LINK.sub(r"\1", text))
    text = _MD_HEADER.sub("", _MD_FENCE.sub("", text))
    if "|" in text:
        text = _MD_ROW.sub(_cells, _MD_TABLE_RULE.sub("", text))
    text = _MD_RULE.sub("", text)
    for emphasis in _EMPHASIS:
        text = emphasis.sub(r"\1", text)
    return text


def _cells(row: re.Match[str]) -> str:
    return "，".join(cell.strip() for cell in row[1].split("|") if cell.strip())


def _without_links(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in web_addresses(text):
        pieces += (text[done:start], LINK_MARK)
        done = end
    return "".join((*pieces, text[done:]))


def _spaced(text: str) -> str:
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip()
