"""What follows from a prompt's facts by one operation, whatever an answer speaks of: made once a prompt.

Here: changes, times and shares of a row; totals, averages, extremes and counts of a series or of the parts of
one whole; averages over the days of a window. Not here: what follows from two facts that a passage names
together (`combined`). Only facts that belong together are joined: the two periods of one figure, the entries
of one table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from ai_assets.trust.derived_member import of_assistants, of_recent, of_the_rhythm, per_order
from ai_assets.trust.derived_parts import (
    contributions,
    guests_per_order,
    of_before,
    of_entries,
    of_selected,
    per_hour,
)
from ai_assets.trust.facts import NONE, Fact, Facts

_ADDS: Final = frozenset({"yuan", "orders", "people", "minutes", "visits"})
SELECTED: Final = ("最好的日子", "最差的日子")
"""Entries that were chosen for their size: of them no share, count or usual day can be made."""
_HALF_A_YEAR: Final = 180
_RATES: Final = ("每", "均", "中位")


def derive(facts: Facts) -> None:
    """Add to the facts what follows from them."""
    made: list[Fact] = []
    by_row: dict[str, dict[str, Fact]] = defaultdict(dict)
    tables: dict[tuple[str, frozenset[str], str], list[Fact]] = defaultdict(list)
    days = {"now": 0.0, "before": 0.0}
    for fact in facts.listed:
        if fact.aspect == "span" and fact.path == "时间窗口.天数":
            days["now"] = fact.value
        elif fact.aspect == "span" and fact.path == "对比窗口.天数":
            days["before"] = fact.value
        if fact.period and fact.aspect == "level":
            by_row[fact.path.rpartition(".")[0]][fact.period] = fact
        elif fact.aspect == "change":
            by_row[fact.path.rpartition(".")[0]][
                "points" if fact.kind == "points" else "pc" if fact.kind == "percent" else "change"
            ] = fact
        if fact.entities and fact.group and fact.aspect == "level" and "last" not in fact.entities:
            tables[fact.group, fact.measures, fact.period].append(fact)
    for row in by_row.values():
        made += _of_row(row)
    for fact in facts.listed:
        if fact.kind in _ADDS and fact.aspect == "level" and not is_rate(fact):
            if fact.scope in (30, 180) and fact.period != "before" and not fact.entities:
                made.append(fact.like(fact.value / fact.scope, aspect="average"))
                if fact.scope == _HALF_A_YEAR:
                    made.append(fact.like(fact.value / 6, aspect="average", path=f"{fact.path}: 每月"))
            if days.get(fact.period):
                made.append(fact.like(fact.value / days[fact.period], aspect="average"))
        if fact.measures == frozenset({"优惠率"}) and fact.aspect == "level":
            made.append(fact.like(100 - fact.value, kind="discount"))
    for rows in tables.values():
        if len(rows) > 1 and not is_rate(rows[0]):
            made += _of_table(rows)
        if rows[0].group in SELECTED:
            made += of_selected(rows, facts)
    wholes = [fact for fact in facts.listed if fact.aspect == "level" and not fact.entities]
    for more in (guests_per_order, per_hour, of_the_rhythm, per_order, of_recent, of_before):
        made += more(wholes)
    made += of_assistants(facts, wholes)
    made += of_entries(facts)
    made += contributions(facts)
    made += _counts(facts)
    facts.listed += [_named_average(fact) for fact in made]


def _named_average(fact: Fact) -> Fact:
    """The average of the days is called by the name of the prompt's own figure too."""
    if fact.aspect == "average" and fact.measures == frozenset({"净收入"}):
        return fact.like(fact.value, measures=frozenset({"净收入", "营业日均净收入"}))
    return fact


def is_rate(fact: Fact) -> bool:
    """Whether it is already one of many: 每单净收入, 人均, 营业日均."""
    return any(word in name for name in fact.measures for word in _RATES)


def _of_row(row: dict[str, Fact]) -> Iterator[Fact]:
    now, before = row.get("now"), row.get("before")
    if now is None or before is None or now.kind != before.kind:
        return
    base = now.like(now.value, period="", aspect="change")
    if now.kind == "percent":
        if "points" not in row:
            yield base.like(now.value - before.value, kind="points")
        return
    yield base.like(now.value - before.value)
    if before.value:
        times = now.value / before.value
        # a change over a negative figure has no sense as a percentage
        if before.value > 0:
            yield base.like((times - 1) * 100, kind="percent")
            yield base.like(times * 100, kind="percent", aspect="times")
        yield base.like(times, kind="ratio", aspect="times")
        if times:
            yield base.like(1 / times, kind="ratio", aspect="inverse")


def _of_table(rows: Sequence[Fact]) -> Iterator[Fact]:
    first = rows[0]
    values = [row.value for row in rows]
    total = sum(values)
    whole = first.like(first.value, entities=NONE, path=f"{first.group}: 合计")
    if first.kind in _ADDS and not any(name.startswith("n:") for name in first.entities):
        yield whole.like(total, aspect="total")
        yield whole.like(total / len(rows), aspect="average", path=f"{first.group}: 平均")
        yield whole.like(max(values) - min(values), aspect="gap", path=f"{first.group}: 最大与最小之差")
        if min(values) > 0:
            yield whole.like(
                max(values) / min(values), kind="ratio", aspect="gap", path=f"{first.group}: 最大与最小之比"
            )
        if first.group in SELECTED:
            return
        if total > 0:
            for row in rows:
                yield row.like(row.value * 100 / total, kind="percent", aspect="share")
            ranked = sorted(values, reverse=True)
            for top in (2, 3):
                if len(rows) > top:
                    yield whole.like(
                        sum(ranked[:top]) * 100 / total,
                        kind="percent",
                        aspect="share",
                        path=f"{first.group}: 前{top}项占比",
                    )
                    yield whole.like(sum(ranked[:top]), aspect="total", path=f"{first.group}: 前{top}项合计")
    if first.group in SELECTED:
        return
    by_weekday: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for entity in row.entities:
            if entity.startswith("w:"):
                by_weekday[entity].append(row.value)
    if len(by_weekday) > 1:
        yield from _of_weekdays(whole, by_weekday, total)


def _of_weekdays(whole: Fact, by_weekday: dict[str, list[float]], total: float) -> Iterator[Fact]:
    groups = [(frozenset({day}), values) for day, values in by_weekday.items()]
    for wanted in (("w:6", "w:7"), ("w:1", "w:2", "w:3", "w:4", "w:5")):
        values = [value for day in wanted for value in by_weekday.get(day, ())]
        groups.append((frozenset(wanted), values))
    named = len(by_weekday) == sum(len(values) for values in by_weekday.values())
    for entities, values in groups:
        # a table of the weekdays themselves has one entry of each, and no days to be counted
        if not values or (named and len(values) == 1):
            continue
        path = f"{whole.group}: {'、'.join(sorted(entities))}"
        of_group = whole.like(whole.value, entities=entities, path=path)
        yield of_group.like(sum(values) / len(values), aspect="average")
        if len(values) > 1:
            yield of_group.like(sum(values), aspect="total")
            if total > 0:
                yield of_group.like(sum(values) * 100 / total, kind="percent", aspect="share")
        if not named:
            yield of_group.like(float(len(values)), kind="days", aspect="counted", measures=NONE)


def _counts(facts: Facts) -> Iterator[Fact]:
    """How many entries a table has, how many rise and fall, how many days are above the average or empty."""
    tables: dict[tuple[str, frozenset[str], str, str], list[Fact]] = defaultdict(list)
    for fact in facts.listed:
        if fact.group in SELECTED:
            continue
        if fact.group and fact.entities and fact.aspect in ("level", "change"):
            tables[fact.group, fact.measures, fact.period, fact.aspect + fact.kind].append(fact)
        elif fact.group == "费用构成" and fact.aspect == "change":
            tables[fact.group, NONE, "", f"change{fact.kind}"].append(fact)
    for (group, measures, _, sort), rows in tables.items():
        values = [row.value for row in rows]
        # of which sort: 1 that rise, -1 that fall, 0 all
        counted = {(len(rows), 0)}
        if sort.startswith("change"):
            counted |= {(sum(value > 0 for value in values), 1), (sum(value < 0 for value in values), -1)}
        elif any(entity.startswith(("d:", "m:")) for entity in rows[0].entities):
            mean = sum(values) / len(values)
            counted |= {
                (sum(value > mean for value in values), 0),
                (sum(value < mean for value in values), 0),
            }
            counted |= {(sum(value == 0 for value in values), 0), (sum(value != 0 for value in values), 0)}
        kind = "days" if any(entity.startswith("d:") for entity in rows[0].entities) else "count"
        if any(entity.startswith("n:") for entity in rows[0].entities):
            kind = "people"
        for count, way in counted:
            about = measures if kind == "days" else NONE
            yield Fact(float(count), kind, about, aspect="counted", path=f"{group}: 个数", scope=way)
