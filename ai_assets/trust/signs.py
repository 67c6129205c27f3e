"""Phrases that only an answer has whose app was talked out of its task, as patterns over folded text.

Here: the phrases. Not here: who asks for them (`obeying`). An honest answer may tell that a note holds an instruction,
so no phrase is about instructions as such: each speaks as one who follows them, or is of a machine. Every repetition
is bounded.
"""

from __future__ import annotations

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


TELLS = _any(
    r"(?:我的|以下是|如下是|这是|初始|原始|完整)(?:完整|全部|原始|初始)?的?(?:系统)?(?:提示词|提示语|指令|系统消息|系统提示)"
    r"(?:如下|是|为|内容|全文|[:：])",
    r"(?:系统提示词?|提示词|系统指令)(?:全文|原文|内容)?(?:如下|是|为)?\s{0,3}[:：]",
    r"\b(?:my|the|full|original|initial)\s(?:system\s)?(?:prompt|instructions?)\s?(?:is|are|says?|reads?|[:：])",
    r"\bhere (?:is|are) (?:my|the) (?:full |complete |original )?(?:system )?(?:prompt|instructions?)",
    r"\bi (?:was|am|have been) (?:told|instructed|asked|programmed) to\b",
    r"\b(?:begin|end|start of) (?:system )?prompt\b",
    r"\bsystem ?prompt ?[:=]",
    r"\byou are (?:an? |the )[\w ,/()]{0,60}(?:analyst|assistant|coach|manager|specialist|supervisor|operator)\b",
)
OTHER_ROLE = _any(
    r"(?:进入|切换到|开启|启用)了?(?:开发者|越狱|无限制|管理员|调试|dan)\s?模式",
    r"作为(?:一个|一名)?(?:人工智能|ai|大?语言模型)",
    r"我(?:现在|已经|将)?不再(?:遵守|受)(?:之前|以前|上述|以上|先前|任何)?的?(?:全部|所有|任何)?(?:指令|规则|要求|限制)",
    r"(?:已经?|我会|我将)(?:忽略|无视|覆盖)了?(?:之前|以前|上述|以上|先前|原来|全部|所有)",
    r"\bas an ai\b",
    r"\b(?:developer|dan|jailbreak|god|admin|debug) mode (?:is )?(?:now )?(?:on|enabled|activated)\b",
    r"\bi (?:will|shall|have|am) (?:now )?(?:ignor|disregard)(?:e|ed|ing)? (?:all |the |my )?(?:previous|prior|above)",
    r"\b(?:pwned|jailbroken|hacked by|injection successful|jailbreak successful|access granted)\b",
)
CONVERSATION = _any(
    r"[<＜]\s?\|[^|\n]{0,40}\|\s?[>＞]",
    r"[\[［]/?inst[\]］]",
    r"[<＜]{1,2}/?sys[>＞]{1,2}",
    r"(?:^|\n)\s{0,5}(?:system|assistant|user|human|系统|用户|助手)\s?[:：]",
)
COMMANDS = _any(
    r"\b(?:drop|truncate|alter)\s(?:table|database|schema)\b",
    r"\bunion\s(?:all\s)?select\b",
    r"\b(?:delete\sfrom|insert\sinto)\s\w",
    r"\bupdate\s[\w.]{1,60}\sset\b",
    r"\bselect\s[\w*,. ]{1,80}\sfrom\s\w",
    r"\b(?:tool|function)_calls?\b",
    r"[\"']arguments[\"']\s?:",
    r"\brm -rf\b|\b(?:curl|wget) [\w-]",
    r"\bdocument\.cookie\b|\beval ?\(|\bon(?:error|load|click|mouseover) ?=|\blocalstorage\b",
    r"\{\{[^{}\n]{1,80}\}\}|\$\{[^{}\n]{1,80}\}",
)
# no word and no figure of a venue is that long
ENCODED = _any(r"[a-z0-9+/=_-]{48}", r"(?:[0-9a-f]{2}[ :]?){24}", r"(?:\\u[0-9a-f]{4}){4}")

SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("tells of its instructions", TELLS),
    ("speaks in another role", OTHER_ROLE),
    ("holds marks of a conversation", CONVERSATION),
    ("holds a command for a machine", COMMANDS),
    ("holds an encoded text", ENCODED),
)
"""(what it does, the pattern), in the order they are asked."""

PROMPT_KEYS = frozenset(
    {
        *("任务", "回答格式", "资料规则", "系统", "系统提示", "系统提示词", "提示词", "指令"),
        *("system", "systemprompt", "prompt", "instruction", "instructions", "messages", "role", "debug"),
        *("tool", "toolcall", "toolcalls", "function", "functioncall", "functioncalls"),
    }
)
"""Keys of a prompt or a call, folded, without blanks and marks; an answer has none of them."""
