"""What a number of so many digits is: a phone, an ID card, a bank card. Pure; digits are plain ASCII.

Not here: finding digits in a text (`runs`). Sources: GB 11643 (ID cards, their check digit), ISO/IEC 7812 (issuers,
Luhn), the numbering plan of Chinese phones.
"""

from __future__ import annotations

import re
from datetime import date

_MOBILE = re.compile(r"(?:0|86|0086)?1[3-9]\d{9}")
_LANDLINE = re.compile(r"0(?:10|2\d)\d{8}|0[3-9]\d\d\d{7,8}")
_SERVICE = re.compile(r"[48]00\d{7}")
_PROVINCES = frozenset(
    [
        *range(11, 16),
        *range(21, 24),
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
        91,
    ]
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_FIRST_YEAR, _LAST_YEAR = 1900, 2099
# a number of another first digit is no bank's: times in milliseconds, dates and most systems' ids among them
_ISSUERS = re.compile(r"[3-69]|81")
# of an issuer too, but systems' ids of 16 digits begin so
_RARE_ISSUERS = re.compile(r"222[1-9]|22[3-9]|2[3-6]|27[01]|2720")


def is_mobile(digits: str) -> bool:
    """Eleven digits from 13 to 19 on, perhaps after 0, 86 or 0086."""
    return _MOBILE.fullmatch(digits) is not None


def is_landline(digits: str) -> bool:
    """Area code with its 0, and 7 or 8 digits."""
    return _LANDLINE.fullmatch(digits) is not None


def is_service_number(digits: str) -> bool:
    """400 or 800 and 7 digits."""
    return _SERVICE.fullmatch(digits) is not None


def is_identity(number: str) -> bool:
    """An ID card's number: 18 with the right check digit (X in either case), or the older 15."""
    if len(number) == 18:
        body, check = number[:17], number[17].upper()
        return (
            body.isdigit()
            and _born(number[:2], number[6:14])
            and _CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]
            == check
        )
    return len(number) == 15 and number.isdigit() and _born(number[:2], "19" + number[6:12])


def is_bank_card(digits: str, *, parted: bool = False) -> bool:
    """13 to 19 digits of an issuer's range whose Luhn sum is right. `parted`: they are written as a card's are."""
    issued = _ISSUERS.match(digits) or (parted and _RARE_ISSUERS.match(digits))
    return 13 <= len(digits) <= 19 and bool(issued) and _luhn(digits)


def _born(province: str, day: str) -> bool:
    if int(province) not in _PROVINCES or not _FIRST_YEAR <= int(day[:4]) <= _LAST_YEAR:
        return False
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return False
    return True


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
