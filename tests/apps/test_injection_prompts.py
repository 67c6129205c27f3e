"""Every attempt of the corpus in every place where people's text can stand in a prompt: it stays data.

The places are listed by app, so that a new one must be named here. The corpus: tests/data/injection/README.md.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ai_assets.apps import (
    app2_finance,
    app3_clue,
    app4_analysis,
    app5_tactics,
    app6_note,
    app7_customer,
    app8_consolidation,
)
from ai_assets.apps.base import Subject
from ai_assets.apps.canonical import canonical_json
from ai_assets.apps.member_source import Given, MemberSource
from ai_assets.apps.registry import APPS as ALL_APPS
from ai_assets.privacy.text import redact_text
from ai_assets.warehouse.consumption import consumption
from ai_assets.warehouse.people import Assistant, Member, Note, Task
from ai_assets.warehouse.settlements import Settlement
from ai_assets.warehouse.sites import Site

CORPUS = Path(__file__).parents[1] / "data" / "injection" / "attempts.jsonl"
ATTEMPTS = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
HARMLESS = "喜欢靠窗的台"
WRITTEN = datetime(2026, 6, 29, 16, 30, tzinfo=UTC)
PAIR = Subject(1001, member_id=555, assistant_id=7)
FRAME = ("任务", "回答格式", "资料规则", "单位", "更正")
CLUE_PLACES = {"类别", "表情", "摘要", "详情"}

PLACES: dict[str, set[str]] = {
    "app3_clue": {
        "站点.名称", "会员.姓名", "会员.昵称", "会员.性别", "会员.等级",
        "消费记录.区域分布.区域", "消费记录.常约助教.姓名", "消费记录.最近一单.区域", "消费记录.最近一单.助教.姓名",
    },
    "app4_analysis": {
        "站点.名称", "助教.姓名", "助教.等级", "会员.姓名", "会员.昵称", "会员.性别", "会员.等级",
        "往来记录.区域分布.区域", "往来记录.最近一单.区域", "往来记录.最近一单.助教.姓名",
        "待办任务.类型", "待办任务.状态", "客户分析.概述", "客户分析.策略.标题", "客户分析.策略.内容",
        *(f"消费线索.{key}" for key in CLUE_PLACES), *(f"整合线索.{key}" for key in CLUE_PLACES),
    },
    "app5_tactics": {
        "站点.名称", "助教.姓名", "助教.等级", "会员.姓名", "会员.昵称", "会员.性别", "会员.等级",
        "关系分析.任务描述", "关系分析.行动建议", "关系分析.一句话总结",
    },
    "app6_note": {
        "站点.名称", "会员.姓名", "会员.昵称", "会员.性别", "会员.等级",
        "备注.内容", "备注.记录人", "近期备注.记录人", "近期备注.内容",
    },
    "app7_customer": {
        "站点.名称", "会员.姓名", "会员.昵称", "会员.性别", "会员.等级",
        "消费记录.区域分布.区域", "消费记录.常约助教.姓名", "消费记录.最近一单.区域", "消费记录.最近一单.助教.姓名",
        *(f"整合线索.{key}" for key in CLUE_PLACES), "备注.记录人", "备注.内容",
    },
    "app8_consolidation": {"站点.名称", "线索组.来源", *(f"线索组.线索.{key}" for key in CLUE_PLACES)},
}  # fmt: skip
APPS = {
    module.APP.name: module.APP
    for module in (app3_clue, app4_analysis, app5_tactics, app6_note, app7_customer, app8_consolidation)
}


def everywhere(source_of: Callable[..., MemberSource], text: str) -> MemberSource:
    """A source with this text in every place that people or other apps fill."""
    clue = {"category": text, "emoji": text, "summary": text, "detail": text, "providers": text, text: text}
    author = {"note": {"noted_by": text}}
    bill = Settlement(
        900, date(2026, 6, 26), WRITTEN, text, 7, text, *(Decimal("10.00"),) * 5, play_minutes=Decimal(90)
    )
    zone = __import__("zoneinfo").ZoneInfo("Asia/Shanghai")
    source = source_of(
        note=Note(text, text, WRITTEN, 41),
        given={
            "app3_clue": Given({"clues": [clue], text: text}, None, 11, 21),
            "app6_note": Given({"score": 6, "clues": [clue], "_references": author}, WRITTEN, 12, 22),
            "app7_customer": Given({"summary": text, "strategies": [{"title": text, "content": text}]}),
            "app8_consolidation": Given({"clues": [clue]}),
            "app4_analysis": Given(
                {
                    "task_description": text,
                    "action_suggestions": [text],
                    "one_line_summary": text,
                    text: text,
                }
            ),
        },
        settlements=[bill],
        member=Member(1001, 555, text, text, text, text),
        assistant=Assistant(1001, 7, text, text),
        notes=(Note(text, text, WRITTEN, 40),),
        open_tasks=(Task(1, text, text, WRITTEN),),
        consumption=consumption([bill], date(2026, 6, 30), zone),
    )
    source.data.site = Site(1001, text, "Asia/Shanghai", is_active=True)
    return source


@dataclass(frozen=True)
class Leaf:
    """A value of a prompt; `path` without places in lists, `where` to set it by."""

    path: str
    where: tuple[Any, ...]
    value: Any


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key stands twice."""
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys))
    return dict(pairs)


def read(text: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text, parse_float=Decimal, object_pairs_hook=once)
    return told


def leaves(value: Any, path: str = "", where: tuple[Any, ...] = ()) -> Iterator[Leaf]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key, (*where, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, path, (*where, place))
    else:
        yield Leaf(path, where, value)


def with_value(content: dict[str, Any], where: tuple[Any, ...], value: Any) -> None:
    inner: Any = content
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value


def letters(text: str) -> str:
    """What can be seen of a text after redaction, without blanks and the brackets that are written wide."""
    text = redact_text(text)
    seen = "".join(
        c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Cn", "Co", "Cs", "Mn", "Me")
    )
    seen = re.sub(r"\[[^\[\]]*已隐去\]", "", seen)
    return re.sub(r"[\s<>＜＞\[\]［］]", "", seen)


def assert_it_stays_data(hostile: str, harmless: str, attempt: str, places: set[str]) -> None:
    told, usual = read(hostile), read(harmless)
    there, before = list(leaves(told)), list(leaves(usual))
    assert [leaf.where for leaf in there] == [leaf.where for leaf in before]
    for key in FRAME:
        assert told.get(key) == usual.get(key)
    changed = [(new, old) for new, old in zip(there, before, strict=True) if new.value != old.value]
    assert {new.path for new, _ in changed} == places
    whole = letters(attempt)
    for new, old in changed:
        seen = letters(re.sub(r"……（后面还有\d+字，已省略）$", "", new.value))
        assert whole.startswith(seen)
        assert not re.search(
            r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff\U000e0000-\U000e0fff]",
            new.value,
        )
        assert not re.search(r"<\s*\||\|\s*>|\[/?INST\]|</?s>", new.value)
        with_value(told, new.where, old.value)
    # nothing but those values differs, to the letter
    assert canonical_json(told) == harmless


@pytest.mark.parametrize("name", APPS)
def test_the_places_of_people_s_text_are_those_listed(
    source_of: Callable[..., MemberSource], name: str
) -> None:
    told = read(APPS[name].build(everywhere(source_of, HARMLESS), PAIR).text)
    assert {leaf.path for leaf in leaves(told) if leaf.value == HARMLESS} == PLACES[name]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[attempt["id"] for attempt in ATTEMPTS])
def test_an_attempt_in_every_place_of_every_member_prompt_stays_data(
    source_of: Callable[..., MemberSource], attempt: dict[str, str]
) -> None:
    harmless, hostile = everywhere(source_of, HARMLESS), everywhere(source_of, attempt["text"])
    for name, app in APPS.items():
        assert_it_stays_data(
            app.build(hostile, PAIR).text, app.build(harmless, PAIR).text, attempt["text"], PLACES[name]
        )


def test_an_attempt_as_a_site_s_or_an_area_s_name_stays_data_in_the_finance_prompt(
    finance_of: Callable[..., Any], area_row: Callable[..., Any], site_row: Callable[..., Any]
) -> None:
    def prompt(texts: list[str]) -> str:
        rows = [area_row("2026-06-30", area, net_revenue="1.00") for area in ("hallA", *texts)]
        finance = finance_of("2026-06-30", rows, [site_row("2026-06-30")], name=texts[0])
        return str(app2_finance.build(finance, Subject(1001, window="this_month", area="all")).text)

    usual = read(prompt([f"{HARMLESS}{n}" for n in range(5)]))
    # as many names as a prompt shows
    for start in range(0, len(ATTEMPTS), 5):
        texts = [attempt["text"] for attempt in ATTEMPTS[start : start + 5]]
        told = read(prompt(texts))
        assert [leaf.where for leaf in leaves(told)] == [leaf.where for leaf in leaves(usual)]
        assert all(told[key] == usual[key] for key in ("任务", "回答格式", "单位"))
        assert letters(texts[0]).startswith(letters(re.sub("……（后面还有.*", "", told["站点"]["名称"])))
        for text in texts:
            assert letters(text)[:10] in letters("".join(told["数据说明"]))
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b\U000e0000-\U000e0fff]", canonical_json(told))


@pytest.mark.parametrize("name", APPS)
def test_the_frame_says_which_keys_hold_data_before_any_of_it(
    source_of: Callable[..., MemberSource], name: str
) -> None:
    told = read(APPS[name].build(everywhere(source_of, HARMLESS), PAIR).text)
    assert list(told)[:3] == ["任务", "回答格式", "资料规则"]
    said = set(re.findall(r"「(.+?)」", told["资料规则"]))
    assert said == set(FRAME)
    # every other value is data: our own words there are labels, and no order to the app
    assert not any(
        isinstance(value, str) and len(value) > 60 for key, value in told.items() if key not in FRAME
    )


def test_the_corpus_is_large_and_varied() -> None:
    assert len(ATTEMPTS) >= 60
    assert (
        len({attempt["id"] for attempt in ATTEMPTS})
        == len({attempt["text"] for attempt in ATTEMPTS})
        == len(ATTEMPTS)
    )
    assert (
        min(sum(attempt["language"] == language for attempt in ATTEMPTS) for language in ("zh", "en")) >= 30
    )
    assert len({attempt["kind"] for attempt in ATTEMPTS}) >= 25


def test_no_app_is_left_out() -> None:
    # App2 and App2a share one prompt, which has a test of its own above
    assert {*APPS, "app2_finance", "app2a_finance_area"} == set(ALL_APPS)
    assert set(PLACES) == set(APPS)
