"""A text made plain for reading figures: ASCII digits, no invisible marks, every place known in the original.

Here: characters. Not here: what a figure is (`figures_in_text`). Words are left as they are.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

# zero-width, bidirectional and soft-hyphen marks: they can split a figure for a reader of code, not for people
_INVISIBLE = re.compile(r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_WIDE = str.maketrans(
    {
        "．": ".",
        "％": "%",
        "﹪": "%",
        "：": ":",
        "／": "/",
        "－": "-",
        "−": "-",
        "﹣": "-",
        "＋": "+",
        "～": "~",
        "〜": "~",
        "–": "-",
        "—": "-",
        "\u00a0": " ",
        "\u3000": " ",
        "兩": "两",
        "萬": "万",
        "億": "亿",
        "壹": "一",
        "贰": "二",
        "叁": "三",
        "肆": "四",
        "伍": "五",
        "陆": "六",
        "柒": "七",
        "捌": "八",
        "玖": "九",
        "拾": "十",
        "佰": "百",
        "仟": "千",
    }
)
_WIDE_THOUSANDS = re.compile(r"(?<=\d)，(?=\d{3}(?!\d))")


@dataclass(frozen=True)
class PlainText:
    """The plain text, and after how many of its characters how many of the original were left out."""

    text: str
    cuts: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()

    def original(self, place: int) -> int:
        """The place in the original of a character of the plain text."""
        at = bisect_right(self.cuts, place)
        return place + (self.shifts[at - 1] if at else 0)


def plain(text: str) -> PlainText:
    """Any script's digits as 0-9, full-width signs as narrow ones, invisible marks left out."""
    cuts: list[int] = []
    shifts: list[int] = []
    if _INVISIBLE.search(text):
        pieces: list[str] = []
        kept = gone = last = 0
        for mark in _INVISIBLE.finditer(text):
            pieces.append(text[last : mark.start()])
            kept += mark.start() - last
            gone += mark.end() - mark.start()
            last = mark.end()
            cuts.append(kept)
            shifts.append(gone)
        text = "".join([*pieces, text[last:]])
    # one character for one: places stay
    text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text.translate(_WIDE))
    return PlainText(_WIDE_THOUSANDS.sub(",", text), tuple(cuts), tuple(shifts))
