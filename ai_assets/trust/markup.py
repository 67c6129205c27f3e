"""Markup and links taken out of one text: HTML, Markdown, web addresses of any dress.

Here: one text → plain text. Not here: where it stands and how long it may be (`plain_answers`). Patterns are bounded
and look at each letter a bounded number of times.
"""

from __future__ import annotations

import html
import re

from ai_assets.characters import without_invisible

LINK_MARK = "（链接已去除）"
"""What stands where a link was: a reader sees that something is missing. No bracket of it means anything."""

_ROUNDS = 8

# one letter for one letter, so that what is found in the folded text stands at the same place in the text
_FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x3002: 0x2E, 0xFF61: 0x2E}

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

_URL_LETTER = r"[^\s\u2e80-\u9fff\uff00-\uffef\"'<>()\[\]{}“”‘’|\\^`]"
_TOP = (
    "com|cn|net|org|info|top|xyz|io|me|cc|vip|shop|site|club|online|app|link|live|tv|co|hk|tw|jp|kr|sg|us|uk|ru|de"
    "|fr|eu|biz|mobi|ltd|work|pro|wang|icu|ink|tk|ml|ga|cf|gq|ly|pw|su|ws|to|gg|ai|dev|page|store|tech|fun|win|bid"
    "|edu|gov|mil|int|example|test|invalid|local|onion|zip|mov|click|buzz|rest|cloud|space|website|host|asia"
)
_LINKS = (
    # a scheme and what follows it, if anything
    re.compile(rf"[a-z][a-z0-9+.-]{{1,20}}[ ]?:[ ]?//[ ]?{_URL_LETTER}*", re.IGNORECASE),
    re.compile(
        rf"(?<![a-z])(?:javascript|vbscript|mailto|tel|sms|data:[a-z]+/[a-z]+)[:;,](?:{_URL_LETTER}|[()])*",
        re.IGNORECASE,
    ),
    re.compile(r"[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,18}", re.IGNORECASE),
    re.compile(rf"www\.{_URL_LETTER}+", re.IGNORECASE),
    # a bare domain: its last label is one that there is, or a path follows it
    re.compile(
        rf"(?<![a-z0-9_.@-])[a-z0-9](?:[a-z0-9-]{{0,62}})(?:\.[a-z0-9-]{{1,63}}){{0,5}}"
        rf"(?:\.|\[\.\]|\(\.\))(?:{_TOP})(?![a-z0-9-]|\.[a-z])(?::\d{{2,5}})?(?:[/?#]{_URL_LETTER}*)?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![a-z0-9_.-])[a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}}){{0,4}}\.[a-z]{{2,18}}/{_URL_LETTER}+",
        re.IGNORECASE,
    ),
    re.compile(r"[\u4e00-\u9fff]{2,20}\.(?:com|cn|net|中国|公司|网络|网址|商城)(?![a-z0-9-])", re.IGNORECASE),
    re.compile(rf"(?<![\d.])(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?![\d.])(?::\d{{2,5}})?(?:/{_URL_LETTER}*)?"),
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
    folded = text.translate(_FOLD)
    for link in _LINKS:
        if not link.search(folded):
            continue
        pieces, end = [], 0
        for found in link.finditer(folded):
            # a full stop at the end is the sentence's
            stop = found.start() + len(found[0].rstrip(".,;:!?"))
            pieces += [text[end : found.start()], LINK_MARK]
            end = stop
        text = "".join(pieces) + text[end:]
        folded = text.translate(_FOLD)
    return text


def _spaced(text: str) -> str:
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip()
