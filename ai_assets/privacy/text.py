"""A text without what may not leave or be kept: each passage replaced by a mark that says what stood there."""

from __future__ import annotations

import re

from ai_assets.privacy import words
from ai_assets.privacy.digits import CARD, IDENTITY, NUMERALS, PHONE
from ai_assets.privacy.runs import numbers_in
from ai_assets.privacy.spelling import seen

MARKS = {
    PHONE: "[电话已隐去]",
    IDENTITY: "[证件号已隐去]",
    CARD: "[卡号已隐去]",
    words.WECHAT: "[微信号已隐去]",
    words.BIRTHDAY: "[已隐去]",
}
"""What is put in the place of each kind. No digit and no word by which a mark would itself be found."""

# most texts hold neither a figure nor a word of WeChat
_MAY_HOLD = re.compile(
    rf"\d|[²³¹①-⓿❶-➓{''.join(NUMERALS)}]|[vwVW]|[\uff01-\uff5e]|微|薇|威|徽|溦|卫星|born|b-?day|生"
)


def redact_text(text: str) -> str:
    """The text without phones, ID and bank card numbers, WeChat ids and days of birth.

    Time grows with its length, whatever it holds. Redacting twice changes nothing.
    """
    if _MAY_HOLD.search(text) is None:
        return text
    view = seen(text)
    found = [*words.birthdays_in(view.text), *words.ids_in(view.text), *numbers_in(view.text)]
    if not found:
        return text
    pieces: list[str] = []
    done = 0
    for passage in sorted(found, key=lambda passage: (passage.start, -passage.end)):
        start, end = view.place(passage.start, passage.end)
        if end <= done:
            continue
        if start >= done:
            pieces += (text[done:start], MARKS[passage.kind])
        # two that overlap: the first one's mark stands for both
        done = end
    return "".join((*pieces, text[done:]))
