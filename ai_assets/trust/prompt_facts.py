"""The facts that stand in a prompt: each number of its JSON with what it measures, and those in its sentences.

Here: reading a prompt once. Not here: what follows from the facts (`derived`). A key that is not known here
still gives a fact, of its own name. Instructions (the task, the form of the answer) are no data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

from ai_assets.trust.facts import NONE, Fact, Facts
from ai_assets.trust.figures_in_text import figures_in_text
from ai_assets.trust.given import FRAME_KEYS
from ai_assets.trust.plain_text import plain
from ai_assets.trust.topics import ENTITY, MEASURE, mentions

MOST_FACTS: Final = 20_000
DEEPEST: Final = 60
_NO_DATA: Final = frozenset({*FRAME_KEYS, "代码"})
_ISO: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?: (\d{2}):(\d{2}))?")
_HAS_NUMERAL: Final = re.compile(r"\d|[一二两三四五六七八九十百千万半]")
_PLACE_KEYS: Final = frozenset({"本期", "对比期", "变化", "变化%", "占比%", "近30天", "对比", "金额"})
_HAS_DIGIT: Final = re.compile(r"\d")
_DAYS_IN_KEY: Final = re.compile(r"(\d+)天")
_HOURS_IN_KEY: Final = re.compile(r"(\d+)-(\d+)点")
_YUAN: Final = re.compile(r"费|收入|金额|实付|商品|充值|余额|合计|消费|净")


def read_prompt(prompt: str) -> Facts:
    """The facts of a canonical prompt; of a text that is no JSON, those of its sentences."""
    facts = Facts()
    try:
        content = json.loads(prompt)
    except (ValueError, RecursionError):
        content = prompt[:200_000]
    _Reader(facts).read(content)
    if facts.as_of is not None:
        for day in facts.noted:
            if (facts.as_of - day).days > 0:
                since = float((facts.as_of - day).days)
                facts.listed.append(Fact(since, "days", aspect="elapsed", path=f"{day}: 至今"))
    return facts


class _Reader:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def read(self, content: Any) -> None:
        if isinstance(content, Mapping):
            self._frame(content)
        # path, key, value, measures so far, entities, scope
        stack: list[tuple[tuple[str, ...], Any, str, frozenset[str], int]] = [((), content, "", NONE, 0)]
        while stack and len(self.facts.listed) < MOST_FACTS:
            path, value, measure, entities, scope = stack.pop()
            if isinstance(value, Mapping):
                entities = entities | self._entities_of(path, value)
                for key, inner in reversed(list(value.items())):
                    if key in _NO_DATA or len(path) >= DEEPEST:
                        continue
                    self._key(key)
                    stack.append(
                        (
                            (*path, key),
                            inner,
                            _measure(path, key, measure),
                            entities | _entity_of_key(path, key),
                            _scope(path, key, scope),
                        )
                    )
            elif isinstance(value, list):
                stack.extend(
                    ((*path, str(place)), inner, measure, entities, scope)
                    for place, inner in reversed(list(enumerate(value)))
                )
            elif isinstance(value, str):
                self._string(path, value, measure, entities)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self._number(path, float(value), measure, entities, scope)

    def _frame(self, content: Mapping[str, Any]) -> None:
        """What the prompt calls its window, and which months it and its comparison cover."""
        window, other = content.get("时间窗口"), content.get("对比窗口")
        if isinstance(window, Mapping):
            self.facts.now_words = str(window.get("名称", ""))
            self.facts.now_months = _months(window)
        if isinstance(other, Mapping):
            self.facts.before_months = _months(other) - self.facts.now_months
        record = content.get("消费记录") or content.get("往来记录")
        for part in (window, other, record.get("统计区间") if isinstance(record, Mapping) else None):
            if isinstance(part, Mapping):
                ends = [_ISO.match(str(part.get(key, ""))) for key in ("开始", "结束")]
                days = [_day(one) for one in ends if one is not None]
                if len(days) == 2 and days[0] is not None and days[1] is not None:
                    self.facts.windows.append((days[0], days[1]))
        as_of = content.get("截止日期")
        if isinstance(as_of, str) and (found := _ISO.match(as_of)):
            self.facts.as_of = _day(found)
            # 6月前17天
            self.facts.listed.append(Fact(float(found[3]), "days", aspect="span", path="截止日期"))
        for key in ("会员", "助教", "站点"):
            part = content.get(key)
            if isinstance(part, Mapping):
                for name in (part.get("姓名"), part.get("昵称")):
                    if isinstance(name, str) and len(name) > 1:
                        self.facts.names.setdefault(f"self:{name}", name)

    def _entities_of(self, path: tuple[str, ...], value: Mapping[str, Any]) -> frozenset[str]:
        """Whom or when an item of a list is about."""
        if not path or not path[-1].isdigit():
            if not path or path[-1] != "最近一单":
                return NONE
            self.facts.last_day = str(value.get("日期") or "")
            return frozenset({"last"})
        if isinstance(area := value.get("区域"), str):
            self.facts.names.setdefault(f"a:{area}", area)
            return frozenset({f"a:{area}"})
        if isinstance(band := value.get("时段"), str):
            return frozenset({f"b:{band[:2]}"})
        if isinstance(name := value.get("姓名"), str):
            self.facts.names.setdefault(f"n:{name}", name)
            return frozenset({f"n:{name}"})
        if isinstance(day := value.get("日期"), str) and (found := _ISO.match(day)):
            when = _day(found)
            if when is not None and "净收入" in value:
                return frozenset({f"d:{when}", f"w:{when.isoweekday()}"})
        if isinstance(start := value.get("开始"), str) and isinstance(end := value.get("结束"), str):
            if "净收入" in value:
                return frozenset({f"d:{start}", f"d:{end}", f"k:{start}"})
            return frozenset({f"m:{start[:7]}", f"d:{start}"})
        return NONE

    def _key(self, key: str) -> None:
        if not _HAS_DIGIT.search(key):
            return
        for days in _DAYS_IN_KEY.findall(key):
            self.facts.listed.append(Fact(float(days), "days", aspect="span", path=key))
        if hours := _HOURS_IN_KEY.search(key):
            self.facts.clocks |= {int(hours[1]) * 60, int(hours[2]) * 60}

    def _number(
        self, path: tuple[str, ...], value: float, measure: str, entities: frozenset[str], scope: int
    ) -> None:
        if not path:
            return
        key = path[-1] if not path[-1].isdigit() or len(path) < 2 else path[-2]
        kind = _kind(key, measure)
        aspect, period = "level", ""
        if key in ("本期", "近30天"):
            period = "now"
        elif key in ("对比期", "对比"):
            period = "before"
        elif key in ("变化", "变化%"):
            aspect = "change"
        elif key == "占比%":
            aspect = "share"
            period = "now"
        if key == "天数" and measure in ("", "天数"):
            aspect, measure = "span", ""
        self.facts.listed.append(
            Fact(
                value,
                kind,
                frozenset({measure}) if measure else NONE,
                entities,
                period,
                aspect,
                ".".join(path),
                scope,
                ".".join(
                    path[:-2] if key in _PLACE_KEYS or (path[-2:-1] and path[-2].isdigit()) else path[:-1]
                ),
            )
        )

    def _string(self, path: tuple[str, ...], value: str, measure: str, entities: frozenset[str]) -> None:
        if iso := _ISO.fullmatch(value):
            self._date(path, iso, entities)
            return
        if not _HAS_NUMERAL.search(value):
            return
        text = plain(value[:20_000]).text
        if path and path[-1] == "时段":
            for hour in re.findall(r"\d+", text):
                self.facts.clocks.add(int(hour) * 60)
            return
        found = list(figures_in_text(text))
        if not found:
            return
        said = mentions(text)
        for figure in found[:200]:
            if figure.day is not None:
                self.facts.text_days.add(figure.day)
            elif figure.kind == "clock" and figure.value is not None:
                self.facts.clocks.add(int(figure.value))
            elif figure.value is not None:
                before = [one.named for one in said if one.what == MEASURE and one.end <= figure.start]
                about = [one.named for one in said if one.what == ENTITY and one.end <= figure.start]
                self.facts.listed.append(
                    Fact(
                        float(figure.value),
                        figure.kind,
                        before[-1] if before else (frozenset({measure}) if measure in _BANDED else NONE),
                        entities | about[-1] if about else entities,
                        aspect="text",
                        path=".".join(path),
                    )
                )

    def _date(self, path: tuple[str, ...], iso: re.Match[str], entities: frozenset[str]) -> None:
        day = _day(iso)
        if day is None:
            return
        self.facts.days.add(day)
        if iso[4]:
            self.facts.clocks.add(int(iso[4]) * 60 + int(iso[5]))
        key = path[-1]
        if self.facts.as_of is not None and path[0] not in _TABLES and "各月" not in path:
            self.facts.noted.add(day)
        if key in ("首次到店", "最近到店"):
            self.facts.named_days.setdefault(key, set()).add(day)
        if "last" in entities:
            self.facts.named_days.setdefault("最近到店", set()).add(day)
        if key == "结束" and self.facts.spans and self.facts.spans[-1][1] == date.min:
            self.facts.spans[-1] = (self.facts.spans[-1][0], day)
        elif key == "开始":
            self.facts.spans.append((day, date.min))


_TABLES: Final = frozenset(
    {"每日走势", "每周走势", "最好的日子", "最差的日子", "时间窗口", "对比窗口", "截止日期"}
)
_BANDED: Final = frozenset({"账户余额区间"})


def _months(span: Mapping[str, Any]) -> frozenset[int]:
    start, end = _ISO.match(str(span.get("开始", ""))), _ISO.match(str(span.get("结束", "")))
    if start is None or end is None:
        return frozenset()
    first, last = int(start[1]) * 12 + int(start[2]), int(end[1]) * 12 + int(end[2])
    return frozenset((month - 1) % 12 + 1 for month in range(first, min(last, first + 12) + 1))


def _day(iso: re.Match[str]) -> date | None:
    try:
        return date(int(iso[1]), int(iso[2]), int(iso[3]))
    except ValueError:
        return None


def _measure(path: tuple[str, ...], key: str, so_far: str) -> str:
    if path and path[-1] == "区域净收入构成":
        return "净收入"
    if path and path[-1] == "星期分布":
        return "到店天数"
    if key in _PLACE_KEYS:
        # a share of a list's part is the share of what was paid
        return so_far if so_far and so_far not in ("区域分布", "结账时段分布") else "实付"
    if key in (
        "对比前30天",
        "对比前90天的30天平均",
        "概况",
        "经营指标",
        "费用构成",
        "充值与会员",
        "优惠使用",
    ):
        return ""
    return _bare(key)


@lru_cache(maxsize=1024)
def _bare(key: str) -> str:
    """The name of a measure: without % and what is in parentheses."""
    return re.sub(r"%|（.*?）", "", key)


def _entity_of_key(path: tuple[str, ...], key: str) -> frozenset[str]:
    if path and path[-1] == "区域净收入构成":
        return frozenset({f"a:{key}"})
    if path and path[-1] == "星期分布" and len(key) == 2:
        return frozenset({f"w:{'一二三四五六日'.find(key[1]) + 1}"})
    return NONE


def _scope(path: tuple[str, ...], key: str, so_far: int) -> int:
    if key == "近30天变化":
        return 30
    if key == "对比前90天的30天平均":
        return 90
    if key in ("概况", "费用构成", "优惠使用", "区域分布", "结账时段分布", "星期分布"):
        return 180 if "消费记录" in path or "往来记录" in path else so_far
    return so_far


@lru_cache(maxsize=1024)
def _kind(key: str, measure: str) -> str:
    if key.endswith("编号"):
        return "id"
    name = measure or key
    rate = name.endswith(("率", "占比")) and key in ("本期", "对比期", "变化")
    if rate:
        return "points" if key == "变化" else "percent"
    if key.endswith("%"):
        return "percent"
    if name == "到店天数":
        return "visits"
    if "时长" in name or "分钟" in name:
        return "minutes"
    if "天数" in name:
        return "days"
    if name.endswith(("订单数", "笔数")):
        return "orders"
    if name.endswith(("客人数", "会员数", "人次")) or "活跃会员" in name:
        return "people"
    return "yuan" if _YUAN.search(name) else "number"
