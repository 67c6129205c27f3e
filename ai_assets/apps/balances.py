"""Members' balances as bands: in the profile, and where somebody wrote one into a note. Pure.

Not here: a site's sums, which are nobody's balance. Source: the privacy rule of behaviour and issue: 0, to 100, to
500, to 2,000, more.
"""

from __future__ import annotations

import re
from decimal import Decimal

# up to and including so many yuan
_BANDS = ((0, "0"), (100, "100元以内"), (500, "500元以内"), (2000, "2,000元以内"))
_HIGHEST_BAND = "2,000元以上"

_WRITTEN = re.compile(
    r"((?:余额|[卡账帐][里内上户](?:[里内]?(?:还|剩|有|余))|储值(?:卡|金)?(?:还|剩|有|余))"
    r"(?:还有|还剩|剩余|剩下|剩|余|约|大概|大约|差不多|有|为|是|还|只|仅|不到|[:：\s¥￥]){0,6})"
    r"(\d{1,12}(?:[,，]\d{3}){0,3}(?:\.\d{1,4})?)(?![\d.])\s?(万)?\s?(?:元|块钱|块)?"
)


def balance_band(balance: Decimal) -> str:
    """The band of an account's balance (yuan), in words; a debt is told as 0."""
    for highest, words in _BANDS:
        if balance <= highest:
            return words
    return _HIGHEST_BAND


def banded(text: str) -> str:
    """The text with each balance that is told in it as its band. Spending and recharges are no balance."""
    return _WRITTEN.sub(_band_of, text)


def _band_of(found: re.Match[str]) -> str:
    amount = Decimal(found[2].replace(",", "").replace("，", "")) * (10_000 if found[3] else 1)
    return found[1] + balance_band(amount)
