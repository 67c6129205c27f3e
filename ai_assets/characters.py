"""Characters that a reader cannot see, or that turn what he sees: taken out of people's texts and of answers alike.

Here: which ones, and taking them out. Not here: what else is done to a text (`ai_assets.apps.people_text`,
`ai_assets.trust.plain_answers`).
"""

from __future__ import annotations

import re

# soft hyphen, fillers, zero-width, directions of writing, invisible operators, annotations, shorthand and music
# marks, and the tag block with the supplementary variation selectors, which spell whole hidden sentences
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SIGN = "\u00a9\u00ae\u203c\u2049\u20e3\u2100-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff"
_INVISIBLE = re.compile(
    rf"[{_UNSEEN}]"
    # a joiner belongs between two signs of an emoji, a selector after one; elsewhere they hide something
    rf"|(?<![{_SIGN}])\u200d|\u200d(?![{_SIGN}])"
    r"|(?<=[\ufe0e\ufe0f\u200d])[\ufe0e\ufe0f]"
    rf"|(?<![{_SIGN}0-9#*])[\ufe0e\ufe0f]"
    # 1️⃣ is a digit, a selector and a frame; without the frame the selector splits a number
    r"|(?<=[0-9#*])[\ufe0e\ufe0f](?!\u20e3)"
)
_MARK = (
    "[\u0300-\u036f\u0483-\u0489\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20e2\u20e4-\u20ff]"
)
_PILED = re.compile(f"({_MARK}{{4}}){_MARK}+")


def without_invisible(text: str) -> str:
    """The text without what cannot be seen: words and numbers that were split by it stand whole again.

    Emoji keep their joiners and selectors. Of marks piled on one letter the first four stay. Doing it twice changes
    nothing more.
    """
    # taking one out may leave a joiner without its neighbour; each round makes the text shorter
    while True:
        seen = _PILED.sub(r"\1", _INVISIBLE.sub("", text))
        if seen == text:
            return seen
        text = seen
