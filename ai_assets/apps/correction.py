"""A prompt that is asked once more: the same text, and at its end what was wrong with the answer.

Here: words. Not here: when an app is asked again (`ai_assets.chains.asking_again`), how an answer is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

CORRECTION_KEY = "更正"
"""The last key of such a prompt: part of its frame, and no data (`member_prompt.DATA_RULE`)."""

_SHOWN = 5
_KINDS = {
    "not_json": "不是一个可以读取的 JSON 对象",
    "repaired": "不是正确的 JSON：有缺失或多余的符号",
    "too_long_answer": "太长",
    "truncated": "没有写完就到了长度上限，请写得更短",
    "missing": "缺少这一项",
    "string_too_short": "不能为空",
    "too_short": "太少，至少要有一项",
    "too_long": "太多",
    "literal_error": "不在允许的值之内",
    "greater_than_equal": "超出允许的范围",
    "less_than_equal": "超出允许的范围",
    "string_type": "应当是文字",
    "list_type": "应当是列表",
    "int_type": "应当是整数",
    "int_parsing": "应当是整数",
    "int_from_float": "应当是整数",
    "model_type": "应当是一个 JSON 对象",
}


def corrected(prompt: str, faults: Sequence[tuple[str, str]]) -> str:
    """The prompt with a last key `更正` that names the faults; a text that is no JSON object gets it as a last line.

    `faults`: (place such as "clues.0.summary", or "" for the whole answer; kind: a pydantic error type, not_json, …).
    Nothing of the answer's own words is in it.
    """
    told = "；".join(dict.fromkeys(_told(place, kind) for place, kind in faults[:_SHOWN])) or _told(
        "", "not_json"
    )
    words = f"你上一次的回答不能使用：{told}。请按「回答格式」重新回答：只回答一个完整、正确的 JSON 对象。"
    body = prompt.rstrip()
    if body.startswith("{") and body.endswith("}"):
        return f"{body[:-1].rstrip()},\n  {_quoted(CORRECTION_KEY)}: {_quoted(words)}\n}}"
    return f"{body}\n\n{words}"


def _told(place: str, kind: str) -> str:
    # a place is made of the schema's keys and of numbers; should it ever be more, it is left out
    where = place if re.fullmatch(r"[a-z_]{1,40}(?:\.(?:\d{1,4}|[a-z_]{1,40})){0,5}", place) else "回答"
    return f"{where}：{_KINDS.get(kind, '不合要求')}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
