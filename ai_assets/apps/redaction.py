"""What may not leave or be kept, in contents: prompts, what they were built from, answers.

Here: fields left out by their name, numbers that are phones, ID or bank cards. Not here: what is looked for in texts
(`ai_assets.privacy`), the building of prompts. Amounts, counts, dates and ids pass as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ai_assets.privacy.digits import CARD, IDENTITY, PHONE
from ai_assets.privacy.numbers import is_bank_card, is_identity, is_mobile
from ai_assets.privacy.text import MARKS, redact_text

__all__ = ["LEFT_OUT_KEYS", "redact", "redact_text"]

# compared without case, spaces, dashes and underscores
LEFT_OUT_KEYS: frozenset[str] = frozenset(
    {
        *("手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "联系方式", "座机"),
        *("phone", "phonenumber", "phoneno", "mobile", "mobilephone", "mobileno", "mobilenumber"),
        *("cellphone", "tel", "telephone", "tel号码"),
        *("生日", "出生日期", "出生年月日", "阳历生日", "农历生日"),
        *("birthday", "birthdate", "dateofbirth", "dob"),
        *("身份证", "身份证号", "身份证号码", "证件号", "证件号码", "idcard", "idcardno", "idcardnumber"),
        *(
            "idnumber",
            "identitycard",
            "银行卡",
            "银行卡号",
            "信用卡号",
            "bankcard",
            "bankcardno",
            "cardnumber",
        ),
        *("微信", "微信号", "微信id", "微信账号", "wechat", "wechatid", "wechatno", "wxid", "weixin", "vx"),
        *("openid", "unionid"),
    }
)
_ID_KEY = re.compile(r"编号$|(?:^|_)ids?$|Ids?$")


def redact(content: Any) -> Any:
    """A copy without what may not leave: such keys are dropped, such passages in texts and keys are replaced.

    `content` is made of mappings, lists, tuples and scalars. Tuples become lists. A whole number that is a phone, an
    ID or a bank card becomes its mark, but for one that is told to be an id by its key. Redacting twice changes
    nothing.
    """
    return _redact(content, is_id=False)


def _redact(content: Any, *, is_id: bool) -> Any:
    if isinstance(content, str):
        return redact_text(content)
    if isinstance(content, Mapping):
        return {
            redact_text(key) if isinstance(key, str) else key: _redact(value, is_id=_is_id(key))
            for key, value in content.items()
            if not _left_out(key)
        }
    if isinstance(content, list | tuple):
        return [_redact(value, is_id=is_id) for value in content]
    return content if is_id else _number(content)


def _number(value: Any) -> Any:
    """The mark of a whole number that is nobody's figure, else the value."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, Decimal) and (not value.is_finite() or value.as_tuple().exponent != 0):
        # an amount has its cents
        return value
    if isinstance(value, float) and not value.is_integer():
        return value
    # Python does not write out the longest
    if not 10**9 < value < 10**19:
        return value
    digits = str(int(value))
    for kind, is_one in ((IDENTITY, is_identity), (CARD, is_bank_card), (PHONE, is_mobile)):
        if is_one(digits):
            return MARKS[kind]
    return value


def _is_id(key: object) -> bool:
    return isinstance(key, str) and _ID_KEY.search(key) is not None


def _left_out(key: object) -> bool:
    return isinstance(key, str) and re.sub(r"[\s_-]", "", key).casefold() in LEFT_OUT_KEYS
