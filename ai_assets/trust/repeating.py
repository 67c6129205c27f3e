"""Whether an answer repeats its prompt's frame: word for word in a stretch, much of it in pieces, or its example.

An app that recites its prompt recites the example of an answer in it, which fits the schema and says nothing. Only
letters and digits are compared, so that spaces, punctuation and line breaks hide nothing. Figures and data of
the prompt may be repeated: that is what answers are for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ai_assets.trust.given import Given, fold, leaves
from ai_assets.trust.limits import Limits

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


def example(given: Given, texts: Iterable[tuple[str, str]], limits: Limits) -> str | None:
    """The path of a text that is the one which the frame's example of an answer has in that place, or None.

    Only texts that an answer needs: a category may well be the example's.
    """
    placeholders = {
        (path, value)
        for text in given.frame
        for path, _, value in leaves(_first_object(text))
        if isinstance(value, str) and limits.needs(path)
    }
    return next((path for path, text in texts if (path, text.strip()) in placeholders), None)


def _first_object(text: str) -> object:
    start = text.find("{")
    try:
        return json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
    except ValueError:
        return None


def _letters(text: str) -> str:
    return "".join(letter for letter in fold(text) if letter.isalnum())


def _pieces(text: str, length: int) -> Iterator[str]:
    return (text[start : start + length] for start in range(len(text) - length + 1))
