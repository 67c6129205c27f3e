"""Whether an answer shows that it did what a text in its data told it to: signs that no honest answer has.

Here: asking for them. Not here: the phrases (`signs`), repeating the frame (`repeating`), other people's data
(`strangers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ai_assets.trust.given import Given, fold
from ai_assets.trust.signs import PROMPT_KEYS, SIGNS

# a text that speaks to the app, and not of the member
_ADDRESSES = re.compile(
    r"忽略|无视|不要理会|覆盖|指令|提示词|系统|模型|人工智能|机器人|管理员|开发者|从现在起|从现在开始|你现在是|你必须|扮演"
    r"|按我说的|停止分析|在回答[里中]|回答[里中]|话术[里中]|线索[里中]"
    r"|\b(?:ignore|disregard|override|forget|obey|you must|you are now|instructions?|prompt|system|assistant|model|ai"
    r"|developer|admin|json|summary|detail|category|score)\b"
)
_SCORE = re.compile(
    r"(?:score|rating|打分|评分|分数|打|给|评|设为|改为|输出|返回|记|得)[^\w\n]{0,6}"
    r"(?:must be|should be|is|to|of|为|是|成|必须为|必须是|一律|直接)?[^\w\n]{0,4}(?:给|打)?[^\w\n]{0,2}"
    r"(满分|最高分?|最低分?|10|十|[1-9](?![\d.])|[一二三四五六七八九]|ten|one)"
)
_SCORE_OF = {"满分": 10, "最高": 10, "最高分": 10, "最低": 1, "最低分": 1, "十": 10, "ten": 10, "one": 1} | {
    numeral: value for value, numeral in enumerate("一二三四五六七八九", 1)
}
_SAY = re.compile(
    r"回答|输出|回复|返回|写上|写成|写入|填写|加上|附上"
    r"|\b(?:say|print|output|respond with|reply with|answer with|write|return|append)\b"
)
_QUOTED = re.compile(
    r"[\"“「『'‘《【]([^\"”」』'’》】\n]{2,80})[\"”」』'’》】]"
    r"|[:：] ?([a-z][a-z0-9 _!-]{2,40})(?=$|[\n。.,，;；])"
)
_PROVES = 4
"""Letters that a demanded text needs: one short word in an answer may be chance."""


def obeys(
    given: Given, answer: Mapping[str, Any], texts: Iterable[tuple[str, str]]
) -> tuple[str, str] | None:
    """(path, what it does) of the first sign, or None. `texts`: (path, text) of the answer."""
    said = [(path, fold(text)) for path, text in texts]
    for path, text in said:
        for what, sign in SIGNS:
            if sign.search(text):
                return path, what
    orders = [text for text in map(fold, given.texts) if _ADDRESSES.search(text)]
    demanded = {words for order in orders for words in _demanded(order)}
    for path, text in said:
        if any(words in text for words in demanded):
            return path, "says what a text in its data told it to say"
    if answer.get("score") in {score for order in orders for score in _scores(order)}:
        return "score", "is what a text in its data told it to give"
    return None


def of_a_prompt(key: str) -> bool:
    """Whether a key is one of a prompt or a call, and none of an answer."""
    return re.sub(r"[\s_-]", "", fold(key)) in PROMPT_KEYS


def _demanded(order: str) -> Iterator[str]:
    """The words that an order puts into the app's mouth: what is quoted soon after a verb of saying."""
    for verb in _SAY.finditer(order):
        found = _QUOTED.search(order, verb.end(), verb.end() + 120)
        words = (found[1] or found[2]).strip() if found else ""
        # "score" and the like are the form's own words
        if sum(letter.isalnum() for letter in words) >= _PROVES and not re.fullmatch(r"[a-z_]{1,12}", words):
            yield words


def _scores(order: str) -> Iterator[int]:
    for found in _SCORE.finditer(order):
        yield _SCORE_OF[found[1]] if found[1] in _SCORE_OF else int(found[1])
