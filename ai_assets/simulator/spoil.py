"""Answers made wrong on purpose: the text an agent should not have sent, and usage no one should believe.

Here: each text and usage fault of `kinds` as a pure function. Not here: faults of the connection (`server`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from ai_assets.simulator.replies import MODEL, Answer, as_text

Usage = dict[str, object]
HUGE: Final = 10**12
BOM: Final = "\ufeff"
# with a unit behind it: no date, no name
_FIGURE: Final = re.compile(r"(?<![\d.,-])\d+(?:\.\d+)?(?=\s*[%元人单次天分小])")


def spoiled_text(kind: str, answer: Answer) -> str:
    """The text of the answer: spoiled if `kind` is a fault of the text, else as it is."""
    spoil = _TEXTS.get(kind)
    return as_text(answer) if spoil is None else spoil(answer)


def spoiled_usage(kind: str, tokens_in: int, tokens_out: int) -> Usage | None:
    """The usage, spoiled if `kind` is a fault of the usage; None: leave it out."""
    if kind == "missing_usage":
        return None
    if kind == "usage_empty":
        return {}
    if kind == "negative_usage":
        return _usage((-tokens_in, -tokens_out))
    if kind == "string_usage":
        return _usage(("many", f"{tokens_out} tokens"))
    if kind == "huge_usage":
        return _usage((HUGE, HUGE))
    if kind == "duplicate_models":
        half_in, half_out = tokens_in // 2, tokens_out // 2
        return _usage((half_in, half_out), (tokens_in - half_in, tokens_out - half_out))
    return _usage((tokens_in, tokens_out))


def _usage(*pairs: tuple[int | str, int | str]) -> Usage:
    return {
        "models": [{"model_id": MODEL, "input_tokens": pair[0], "output_tokens": pair[1]} for pair in pairs]
    }


def _truncated(answer: Answer) -> str:
    text = as_text(answer)
    return text[: len(text) * 3 // 5]


def _fenced(answer: Answer) -> str:
    return f"```json\n{json.dumps(answer, ensure_ascii=False, indent=2)}\n```"


def _prose(answer: Answer) -> str:
    return f"好的，以下是根据资料整理的结果：\n\n{as_text(answer)}\n\n以上内容供参考，如有需要请继续告诉我。"


def _single_quotes(answer: Answer) -> str:
    return _single_quoted(answer)


def _single_quoted(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_single_quoted(key)}: {_single_quoted(v)}" for key, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_single_quoted, value)) + "]"
    if isinstance(value, str):
        inner = json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
        return f"'{inner}'"
    return json.dumps(value)


def _nan(answer: Answer) -> str:
    return as_text({**answer, "confidence": float("nan")})


def _not_json(_: Answer) -> str:
    return "抱歉，我需要更多信息才能完成这次分析，请补充资料后重试。"


def _wrong_schema(answer: Answer) -> str:
    return as_text({key: _other_type(value) for key, value in answer.items()})


def _other_type(value: object) -> object:
    if isinstance(value, list):
        return "见正文"
    return {"text": "见正文"} if isinstance(value, str) else "很高"


def _nul(answer: Answer) -> str:
    spoiled: Answer = {key: _with_nul(value) for key, value in answer.items()}
    # An answer without any text (App8 with no clues) gets one.
    return as_text(spoiled if "\\u0000" in as_text(spoiled) else {**spoiled, "remark": "\x00"})


def _with_nul(value: object) -> object:
    """`value` with a NUL in its first text."""
    if isinstance(value, str):
        return f"{value[:1]}\x00{value[1:]}"
    if isinstance(value, list) and value:
        return [_with_nul(value[0]), *value[1:]]
    if isinstance(value, dict):
        text_key = next((key for key, inner in value.items() if isinstance(inner, str)), None)
        return {key: _with_nul(inner) if key == text_key else inner for key, inner in value.items()}
    return value


def _wrong_figures(answer: Answer, most: int) -> str:
    left = most

    def false(figure: re.Match[str]) -> str:
        nonlocal left
        left -= 1
        whole, _, decimals = figure[0].partition(".")
        return f"{int(whole) * 137 // 100 + 3}{'.' if decimals else ''}{decimals}" if left >= 0 else figure[0]

    def spoil(value: object) -> object:
        if isinstance(value, str):
            return _FIGURE.sub(false, value)
        if isinstance(value, list):
            return [spoil(inner) for inner in value]
        if isinstance(value, dict):
            return {key: spoil(inner) for key, inner in value.items()}
        return value

    return json.dumps(spoil(answer), ensure_ascii=False)


_TEXTS: Final[Mapping[str, Callable[[Answer], str]]] = {
    "truncated": _truncated,
    "length": _truncated,
    "fenced": _fenced,
    "prose": _prose,
    "single_quotes": _single_quotes,
    "bom": lambda answer: BOM + as_text(answer),
    "nan": _nan,
    "not_json": _not_json,
    "wrong_schema": _wrong_schema,
    "wrong_figure": lambda answer: _wrong_figures(answer, 1),
    "wrong_figures": lambda answer: _wrong_figures(answer, 1_000),
    "empty": lambda _: "",
    "nul": _nul,
    "nul_raw": lambda answer: as_text(answer) + "\x00",
}
