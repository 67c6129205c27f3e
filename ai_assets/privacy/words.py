"""WeChat ids and exact birthdays in a text, known by the words beside them.

Here: the words and forms that people use. Not here: numbers that are known by themselves (`runs`). Patterns are laid
over a text as `spelling.seen` gives it. Every repetition is bounded: any text takes time by its length alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ai_assets.privacy.digits import Found

WECHAT, BIRTHDAY = "wechat", "birthday"

# wechat

_APP = (
    r"(?:(?:[微薇威徽溦]\s?[信心]|卫星)(?!支付|付款|收款|红包|转账|群|小程序|公众)"
    r"|(?<![a-z0-9])(?:we\s?chat|wei\s?xin|[vw]\s?x(?!id)|[vw]\s?信)"
    r"|加[他她我个]?\s?[v微])"
)
_LETTERED = r"[a-z][a-z0-9_-]{5,19}"
_TELLING = r"号码|账号|帐号|号|id|是|为|叫|就是|[:：=＝]"
_BESIDE = r"[\s\"'“”「『（(【\[<>—-]"
_WORDS_BETWEEN = rf"(?:{_BESIDE}|的|他|她|我|了|{_TELLING}){{0,10}}?"
_ENDS = r"(?![a-z0-9_-])"
_WECHAT = (
    re.compile(rf"(?<![a-z0-9])(?P<id>wxid[_\-\s]{{0,2}}[a-z0-9_-]{{4,40}}){_ENDS}", re.I),
    # told to be one: any id that WeChat allows, or the digits of a QQ number
    re.compile(
        rf"{_APP}{_WORDS_BETWEEN}(?:{_TELLING}){_BESIDE}{{0,4}}(?P<id>{_LETTERED}|[1-9]\d{{4,10}}(?!\s*[元块]))"
        rf"{_ENDS}",
        re.I,
    ),
    # only beside it: one that no word would be, with a digit or an underscore
    re.compile(rf"{_APP}{_WORDS_BETWEEN}(?P<id>(?=[a-z-]{{1,19}}[0-9_]){_LETTERED}){_ENDS}", re.I),
    re.compile(rf"(?<![a-z0-9])v\s?[:：]\s?(?P<id>{_LETTERED}){_ENDS}", re.I),
    re.compile(
        rf"(?<![a-z0-9_-])(?P<id>(?=[a-z-]{{1,19}}[0-9_]){_LETTERED}){_ENDS}"
        r"\s?[（(]?(?:是|为|就是|＝|=)?\s?(?:他|她|我|客人|会员|本人)?的?\s?"
        r"(?:微信|(?:vx|wx|v信|wechat)(?![a-z0-9]))",
        re.I,
    ),
)

# birthdays

_NUMERAL = "零〇○一二三四五六七八九十"
_GAP = r"\s{0,2}"
_YEAR = rf"(?:\d{{4}}|\d{{2}}|[{_NUMERAL}]{{2,4}})"
_MONTH = r"(?:1[0-2]|0?[1-9]|十[一二]?|[一二三四五六七八九]|[正冬腊])"
_DAY = r"(?:3[01]|[12]\d|0?[1-9]|初?[一二三四五六七八九十]|[一二三]?十[一二三四五六七八九]?|廿[一二三四五六七八九]?|卅)"
_SIGNS = r"[-/.－—]"
_WRITTEN = rf"(?:{_YEAR}{_GAP}年{_GAP})?闰?{_MONTH}{_GAP}月{_GAP}{_DAY}(?:{_GAP}[日号號])?"
_SIGNED = (
    rf"(?:\d{{2,4}}{_GAP}{_SIGNS}{_GAP})?(?:1[0-2]|0?[1-9]){_GAP}{_SIGNS}{_GAP}(?:3[01]|[12]\d|0?[1-9])(?!\d)"
)
_COMPACT = r"(?:(?:19|20)?\d{2})?(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"
_NAMED = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_ENGLISH = (
    rf"(?:{_NAMED}\.?\s{{1,2}}\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s{{1,2}}\d{{4}})?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s{{1,2}}(?:of\s)?{_NAMED}(?:,?\s{{1,2}}\d{{4}})?)"
)
_DATE = rf"(?:{_WRITTEN}|(?<!\d){_SIGNED}|(?<!\d){_COMPACT}|{_ENGLISH})"
# a party is no birth, and its date is a booking
_LABEL = r"(?:生日|出生|生辰|诞辰|寿辰|(?<![a-z])(?:birth\s?da(?:y|te)|date\s?of\s?birth|b-?day|dob|born)(?![a-z]))"
_BIRTHDAY = (
    re.compile(rf"{_LABEL}[^\d\n。；;！!？?\]]{{0,10}}?(?P<day>{_DATE})", re.I),
    re.compile(
        rf"(?P<day>{_DATE})\s?[（(]?(?:是|为|的|过|他|她|其|客人|会员|本人|[，,\s]){{0,5}}"
        r"(?:生日(?!会|派对|聚|宴|趴|蛋糕|局|包|房|场|活动)|出生|生人|寿辰|生(?=[，。,.；;\s）)]|$)"
        r"|(?:birthday|b-?day)(?!\s?party)|born)",
        re.I,
    ),
    # a whole date of so long ago in a venue's texts is somebody's birth
    re.compile(
        rf"(?<!\d)(?P<day>(?:19\d\d|200\d|201[0-2]){_GAP}(?:年|{_SIGNS}){_GAP}(?:1[0-2]|0?[1-9]){_GAP}(?:月|{_SIGNS})"
        rf"{_GAP}(?:3[01]|[12]\d|0?[1-9])(?!\d)(?:{_GAP}[日号])?|一九[{_NUMERAL}]{{2}}年{_MONTH}月{_DAY}[日号]?)"
    ),
)
# a look for the word first: dates stand in every text, and each would be tried
_BIRTH_WORDS = re.compile(r"生|辰|birth|b-?day|dob|born", re.I)
_LONG_AGO = re.compile(r"19\d\d|200\d|201[0-2]|一九")
_MAY_HOLD_WECHAT = re.compile(r"[vwVW]|微|薇|威|徽|溦|卫星")


def ids_in(text: str) -> Iterator[Found]:
    """WeChat ids, by the word beside them or by their own form."""
    if _MAY_HOLD_WECHAT.search(text):
        for pattern in _WECHAT:
            for found in pattern.finditer(text):
                yield Found(*found.span("id"), WECHAT)


def birthdays_in(text: str) -> Iterator[Found]:
    """Days of birth with their day: a year or a month alone is none."""
    told, before, alone = _BIRTHDAY
    patterns = [told, before] if _BIRTH_WORDS.search(text) else []
    for pattern in (*patterns, alone) if _LONG_AGO.search(text) else patterns:
        for found in pattern.finditer(text):
            yield Found(*found.span("day"), BIRTHDAY)
