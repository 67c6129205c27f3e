"""Where web addresses stand in a text: with a scheme, `www.`, mail and IP addresses, bare domains in any script.

A bare domain is known by its form and not by a list of top-level domains: some 1,500 exist and more are made. Latin
words with a dot between them are rare in answers, so what must pass is listed instead: files, versions, abbreviations,
numbers of a list. Not here: what stands in the place of an address (`markup`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# 。and ｡ are typed for a dot; other signs and letters are folded by Unicode (full-width, circled, bold ones)
_STOPS = str.maketrans("。｡", "..")
_SENTENCE_STOPS = "。｡"

_LETTER = r"[^\s\u2e80-\u9fff\uff00-\uffef\"'<>()\[\]{}“”‘’|\\^`]"
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
# letters of scripts other than Latin and Chinese
_OTHER = r"\u00df-\u00f6\u00f8-\u024f\u0370-\u1fff\u3041-\u30ff\uac00-\ud7a3"
_FILES = (
    "pdf|docx?|xlsx?|pptx?|csv|tsv|txt|json|jsonl|xml|html?|yaml|yml|toml|ini|cfg|conf|log|sql|db|bak|tmp|dat|js|ts|css"
    "|jpe?g|png|gif|svg|webp|bmp|mp[34]|wav|avi|exe|apk|dll|jar|gz|tar|rar|parquet|ipynb"
)
_ABBREVIATIONS = "mr|mrs|ms|dr|prof|no|nr|st|sr|jr|vs|vol|fig|ver|etc|approx|tel"
_TOP = rf"(?:xn--[a-z0-9-]{{2,59}}|(?!(?:{_FILES})(?![a-z0-9-]))[a-z]{{2,24}}|[{_OTHER}]{{2,24}})"
# those in Chinese; any other Chinese word behind a dot is a sentence
_HAN_TOP = (
    "中国|中國|中文网|中信|公司|公益|在线|集团|网络|網絡|网址|网站|网店|商城|商店|商标|企业|娱乐|游戏|遊戲|信息|手机|移动|微博|八卦|机构"
    "|组织机构|政务|我爱你|时尚|食品|餐厅|健康|购物|新闻|招聘|世界|香港|台湾|台灣|澳門|澳门|新加坡|广东|佛山|书籍|慈善|珠宝|点看"
)
_DOT = r"(?:\.|[ ]?[\[(【][ ]?(?:\.|dot|点)[ ]?[\])】][ ]?)"
_LABEL = rf"[a-z0-9{_OTHER}](?:[a-z0-9{_OTHER}-]{{0,62}})"
# before the registered domain an underscore is allowed too
_SUBDOMAIN = rf"[a-z0-9{_OTHER}_-]{{1,63}}"
_TAIL = rf"(?::\d{{2,5}})?(?:[/?#]{_LETTER}*)?"

_ADDRESSES = (
    # a scheme and what follows it, if anything
    re.compile(rf"[a-z][a-z0-9+.-]{{1,20}}[ ]?:[ ]?//[ ]?{_LETTER}*", re.IGNORECASE),
    re.compile(
        rf"(?<![a-z])(?:javascript|vbscript|mailto|tel|sms|data:[a-z]+/[a-z]+)[:;,](?:{_LETTER}|[()])*",
        re.IGNORECASE,
    ),
    re.compile(
        rf"[\w.+-]{{1,64}}@(?:[a-z0-9{_HAN}{_OTHER}-]{{1,63}}\.){{1,5}}(?:[a-z]{{2,24}}|xn--[a-z0-9-]{{2,59}}|{_HAN_TOP})",
        re.IGNORECASE,
    ),
    re.compile(rf"www\.{_LETTER}+", re.IGNORECASE),
    re.compile(
        rf"(?<![a-z0-9_.-])[a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}}){{0,4}}\.[a-z]{{2,18}}/{_LETTER}+",
        re.IGNORECASE,
    ),
    re.compile(rf"(?<![\d.v])(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?!\d|\.\d){_TAIL}", re.IGNORECASE),
)
_BARE = re.compile(
    rf"(?<![a-z0-9_.@{_OTHER}-])(?!(?:{_ABBREVIATIONS}|\d{{1,2}})\.[a-z]+(?!\.?[a-z0-9-]))"
    rf"(?:{_SUBDOMAIN}{_DOT}){{0,5}}?{_LABEL}(?P<dot>{_DOT})(?P<top>{_TOP})(?![a-z0-9_{_OTHER}-]|\.[a-z0-9]){_TAIL}",
    re.IGNORECASE,
)
_HAN_BEFORE = re.compile(
    rf"[{_HAN}]{{2,20}}\.(?P<top>com|cn|net|org|top|xyz|vip|shop|site|xn--[a-z0-9-]{{2,59}})(?![a-z0-9-]){_TAIL}",
    re.IGNORECASE,
)
_HAN_TOPPED = re.compile(
    rf"(?:(?<![a-z0-9_.@-]){_LABEL}|(?P<han>[{_HAN}]{{1,20}}))(?P<dot>{_DOT})(?P<top>{_HAN_TOP}){_TAIL}",
    re.IGNORECASE,
)
_HAN_LETTER = re.compile(rf"[{_HAN}]")
_OLD_TOPS = frozenset({"com", "cn", "net", "org"})


def web_addresses(text: str) -> list[tuple[int, int]]:
    """(start, end) of each address in `text`, in order, apart from each other; a sentence's stop is no part of one."""
    folded = _folded(text)
    if "." not in folded and ":" not in folded and "点" not in folded and "dot" not in folded.lower():
        return []
    apart: list[tuple[int, int]] = []
    for start, end in sorted(_found(text, folded)):
        stop = start + len(folded[start:end].rstrip(".,;:!?"))
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(stop, apart[-1][1]))
        else:
            apart.append((start, stop))
    return apart


def _folded(text: str) -> str:
    """The text in plain letters and signs, one for one: what is found in it stands at the same place in the text."""
    odd = {char for char in set(text) if char > "\x7f"}
    return text.translate({ord(char): _plain_character(char) for char in odd}).translate(_STOPS)


@lru_cache(maxsize=4096)
def _plain_character(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 and plain.isascii() else char


def _found(text: str, folded: str) -> Iterator[tuple[int, int]]:
    for pattern in _ADDRESSES:
        for found in pattern.finditer(folded):
            yield found.span()
    for found in _BARE.finditer(folded):
        # VIP。KTV is the end of a sentence
        if not _is_sentence_stop(text, found) or found["top"].islower() or found["top"].lower() in _OLD_TOPS:
            yield found.span()
    for found in _HAN_BEFORE.finditer(folded):
        yield found.span()
    for found in _HAN_TOPPED.finditer(folded):
        # 打得好。公司聚会 and 打得好.公司聚会 are sentences, 去evil.中国看 is an address
        is_word = (found["han"] or _is_sentence_stop(text, found)) and _HAN_LETTER.match(folded, found.end())
        if not is_word:
            yield found.span()


def _is_sentence_stop(text: str, found: re.Match[str]) -> bool:
    return text[found.start("dot") : found.end("dot")] in _SENTENCE_STOPS
