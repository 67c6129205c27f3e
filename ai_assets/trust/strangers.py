"""Whether an answer holds data of people that its prompt does not hold: numbers, ids, accounts, names.

Decided from prompt and answer alone: what stands in the prompt may stand in the answer. Not here: figures (they are
`grounding`'s), taking such data out of prompts (`ai_assets.apps.redaction`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ai_assets.trust.given import Given, fold

_NUMERALS = dict(zip("零〇○一二三四五六七八九幺", "0001234567891", strict=True))
_SPELLED = re.compile(f"[{''.join(_NUMERALS)}]{{3,}}")
_LONG_NUMBERS = (
    re.compile(r"(?<![\d.])(?:\+?86[-\s]?)?1[3-9]\d(?:[-\s.·]?\d){8}(?!\d)"),
    re.compile(r"(?<!\d)0\d{2,3}[-\s]\d{7,8}(?!\d)|(?<!\d)[48]00[-\s]\d{3,4}[-\s]\d{3,4}(?!\d)"),
    # cards in groups of four, numbers of documents
    re.compile(r"(?<!\d)\d{4}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})?(?!\d)|(?<![\d.])\d{11,}x?(?![\d.])"),
)
_ACCOUNT = re.compile(
    r"(?:微信号?|vx|wx|wechat|weixin|qq|支付宝|alipay|抖音号?|小红书号?|telegram|whatsapp)\s*(?:号码?|账号|id)?\s*"
    r"(?:是|为|[:：=])?\s*((?=[\w-]*[a-z\d])[a-z\d][\w-]{4,29})",
    re.ASCII,
)
_WHO = r"会员|客户|顾客|助教|员工|门店|站点|member|customer|client|assistant|staff|site"
_ID = re.compile(
    rf"(?:{_WHO})\s*(?:的)?\s*(?:编号|编码|卡号|号码|id|no\.?|number|[#＃№])\s*(?:是|为|is|[:：=#])?\s*(\d{{1,19}})"
    r"|(?:编号|\bid|[#№])\s*(?:是|为|is|[:：=])?\s*(\d{2,19})"
    rf"|(\d{{2,19}})\s*号(?:{_WHO})"
    rf"|(?:{_WHO})\s*(\d{{3,19}})(?![\d.]|\s*[元人次单天%％年月个位名笔分岁家])"
    r"|(?<![\d:.])\d{3,}:(\d{3,})(?![\d:])|(?<![\w.])\d{1,19}_(\d{2,19})(?![\w.])"
)
_ID_KEYS = re.compile(
    r"(?:member|customer|client|user|assistant|site)_?(?:id|no|number)|id|编号|会员号|会员编号|卡号", re.ASCII
)
_PRIVATE_KEYS = re.compile(
    r"phone|mobile|tel(?:ephone)?|phone_?number|id_?card|card_?(?:no|number)|bank_?card|wechat|weixin|qq|email|birth(?:day|date)"
    r"|手机号?码?|电话号?码?|联系方式|身份证号?码?|银行卡号?|微信号?|邮箱|生日|出生日期",
    re.ASCII,
)
# those that are no word's beginning before 先生 or 女士
_SURNAMES = "李王张刘陈杨黄赵吴徐孙朱胡郭林罗郑梁谢宋唐冯邓曹彭肖蔡潘袁董吕丁魏薛叶贾邹熊孟秦沈韩钟崔谭陆汪姜范苏卢廖姚"
_TITLED = re.compile(rf"([{_SURNAMES}])[\u4e00-\u9fff]{{0,2}}(?:先生|女士|小姐|太太)")


def strange(
    given: Given, leaves: Iterable[tuple[str, str, Any]], others: Iterable[str] = ()
) -> tuple[str, str] | None:
    """(path, what) of the first piece of data that is not the prompt's, or None.

    `leaves`: (path, nearest key, value) of the answer. `others`: names and ids of other people, where the caller knows
    some; one of two letters or more that stands in the answer and not in the prompt is found.
    """
    known = _Known(given)
    strangers = [name for name in map(fold, others) if len(name) > 1 and name not in given.folded]
    for path, key, value in leaves:
        if isinstance(value, str):
            text = fold(value)
            what = known.unknown(text)
            if what is None and any(name in text for name in strangers):
                what = "names another person"
        else:
            what = _of_key(known, fold(key), value)
        if what is not None:
            return path, what
    return None


class _Known:
    """What the prompt holds, and what of a text it does not."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._ids: set[str] | None = None
        self._joined: str | None = None

    @property
    def ids(self) -> set[str]:
        """Ids under the prompt's id keys, and those that its texts speak of as ids."""
        if self._ids is None:
            self._ids = set(self._given.ids) | set(_ids(_figures(self._given.folded_data)))
        return self._ids

    def unknown(self, text: str) -> str | None:
        """What in a folded text is somebody's and not the prompt's, or None."""
        figures = _figures(text)
        for pattern in _LONG_NUMBERS:
            for found in pattern.finditer(figures):
                if not self._holds_number(found[0]):
                    return "holds a number like a phone's, a card's or a document's"
        for found in _ACCOUNT.finditer(text):
            if found[1] not in self._given.folded:
                return "holds an account"
        if any(number not in self.ids for number in _ids(figures)):
            return "holds an id that is not the prompt's"
        for found in _TITLED.finditer(text):
            if found[1] not in self._given.folded_data:
                return "names another person"
        return None

    def _holds_number(self, written: str) -> bool:
        if self._joined is None:
            self._joined = re.sub(r"(?<=\d)[-\s.·](?=\d)", "", self._given.folded)
        return re.sub(r"\D", "", written) in self._joined


def _of_key(known: _Known, key: str, value: Any) -> str | None:
    """A number under a key of its own: an id that is not the prompt's, or what no answer may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if _PRIVATE_KEYS.fullmatch(key):
        return "holds a number like a phone's, a card's or a document's"
    if _ID_KEYS.fullmatch(key) and str(value) not in known.ids:
        return "holds an id that is not the prompt's"
    return None


def _figures(text: str) -> str:
    """The text with spelled digits as figures: 一三八零零… is a phone number too."""
    return _SPELLED.sub(lambda run: "".join(_NUMERALS[letter] for letter in run[0]), text)


def _ids(text: str) -> Iterator[str]:
    for found in _ID.finditer(text):
        yield next(group for group in found.groups() if group is not None).lstrip("0") or "0"
