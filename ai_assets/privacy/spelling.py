"""A text as its reader sees it: without hidden characters, in plain letters and digits, and where each one stood.

Here: spelling alone. Not here: what is looked for. Chinese numerals stay: 一 is a digit in a phone number only.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

# zero-width and format characters, controls but tab and line ends, accents, the box of a keycap digit
_HIDDEN = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
# an answer is kept as it came, and JSON may write any character so
_ODDITIES = re.compile(rf"{_HIDDEN}|\\+u([0-9a-fA-F]{{4}})|\\+[nrt]")
_HIDDEN_CHARACTER = re.compile(_HIDDEN)


@dataclass(frozen=True)
class View:
    """`text` is what is read; `place` tells where a passage of it stands in the original."""

    text: str
    # of each piece: where it begins here, and its passage of the original; none: both are alike
    _begins: tuple[int, ...] = ()
    _passages: tuple[tuple[int, int], ...] = ()

    def place(self, start: int, end: int) -> tuple[int, int]:
        """The original's passage of `text[start:end]`, which is not empty."""
        if not self._begins:
            return start, end
        first, last = self._piece(start), self._piece(end - 1)
        begin = self._passages[first][0] + start - self._begins[first]
        following = self._begins[last + 1] if last + 1 < len(self._begins) else len(self.text)
        if end == following:
            return begin, self._passages[last][1]
        return begin, self._passages[last][0] + end - self._begins[last]

    def _piece(self, index: int) -> int:
        return bisect_right(self._begins, index) - 1


def seen(text: str) -> View:
    """How `text` reads. Time grows with its length."""
    if _ODDITIES.search(text) is None:
        return View(_plain(text))
    pieces: list[str] = []
    begins: list[int] = []
    passages: list[tuple[int, int]] = []
    length = 0

    def add(piece: str, start: int, end: int) -> None:
        nonlocal length
        if piece:
            pieces.append(piece)
            begins.append(length)
            passages.append((start, end))
            length += len(piece)

    done = 0
    for found in _ODDITIES.finditer(text):
        add(text[done : found.start()], done, found.start())
        if found[0].startswith("\\"):
            written = chr(int(found[1], 16)) if found[1] else " "
            add("" if _HIDDEN_CHARACTER.match(written) else written, found.start(), found.end())
        done = found.end()
    add(text[done:], done, len(text))
    return View(_plain("".join(pieces)), tuple(begins), tuple(passages))


def _plain(text: str) -> str:
    """Full-width letters, digits of any script, circled ones: as the plain ones, one for one."""
    if text.isascii():
        return text
    odd = {char for char in set(text) if char > "\x7f" and not "\u4e00" <= char <= "\u9fff"}
    return text.translate({ord(char): _plain_character(char) for char in odd})


@lru_cache(maxsize=4096)
def _plain_character(char: str) -> str:
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 else char
