"""What people wrote, made harmless for a prompt: it can be read, and it can neither hide nor end anything.

Here: characters and marks of a text on its own. Not here: cutting and redaction (`ai_assets.apps.member_texts`), that
a text stands only as a value of the prompt's JSON (`ai_assets.apps.canonical`).
"""

from __future__ import annotations

import re

from ai_assets.characters import without_invisible

# Controls but the line feed; separators of lines that JSON does not escape; a lone surrogate has no UTF-8 form.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# A tokenizer may read these as the end of a turn before anyone reads the JSON around them: <|im_end|>, <<SYS>>,
# [/INST], </s>. Names of such marks are short words.
_TURN_MARK = re.compile(
    r"<(\s*\|\s*[\w ./-]{0,40}\|\s*)>"
    r"|<(<\s*/?\s*SYS\s*>)>"
    r"|<(/?(?:s|bos|eos|start_of_turn|end_of_turn|think|tool_call|tool_response))>"
    r"|\[(/?INST)\]",
    re.IGNORECASE,
)


def inert(text: str) -> str:
    """The text without invisible characters, with a space for each control character but the line feed.

    Marks that end a model's turn are written with full-width brackets: they stay readable and mean nothing. Doing it
    twice changes nothing more.
    """
    return _TURN_MARK.sub(_wide, without_invisible(_CONTROL.sub(" ", text)))


def _wide(mark: re.Match[str]) -> str:
    words = next(group for group in mark.groups() if group is not None)
    return f"［{words}］" if mark[0].startswith("[") else f"＜{words.strip('<>')}＞"
