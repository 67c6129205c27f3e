"""Whether an answer repeats its prompt's frame: word for word in a stretch, or much of it in pieces.

Only letters and digits are compared, so that spaces, punctuation and line breaks hide nothing. Figures and data of
the prompt may be repeated: that is what answers are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ai_assets.trust.given import Given, fold

STRETCH = 20
"""So many letters in a row, of one sentence of the frame or across two, are no chance."""

PIECE = 6
MOST_SHARE = 0.25
"""Share of the frame's pieces of PIECE letters that an honest answer stays far below: README of the tests' data."""


def repeats(given: Given, texts: Iterable[tuple[str, str]]) -> str | None:
    """The path of the text that repeats the frame, "" for many texts together, None for none.

    `texts`: (path, text) of the answer.
    """
    frame = [_letters(text) for text in given.frame]
    stretches = {piece for text in frame for piece in _pieces(text, STRETCH)}
    if not stretches:
        return None
    said = [(path, _letters(text)) for path, text in texts]
    for path, text in said:
        if any(piece in stretches for piece in _pieces(text, STRETCH)):
            return path
    pieces = {piece for text in frame for piece in _pieces(text, PIECE)}
    repeated = {piece for _, text in said for piece in _pieces(text, PIECE) if piece in pieces}
    return "" if len(repeated) > MOST_SHARE * len(pieces) else None


def _letters(text: str) -> str:
    return "".join(letter for letter in fold(text) if letter.isalnum())


def _pieces(text: str, length: int) -> Iterator[str]:
    return (text[start : start + length] for start in range(len(text) - length + 1))
