"""True claims that can be made of a prompt: named slots with values, worked out from its JSON alone.

Here: what can be said. Not here: sentences, forms of figures. Each claim names its sentence in the wordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from writing import V, Way

Slots = dict[str, V | Way | str]
MONEY = ("净收入", "费用合计", "优惠金额", "台费", "助教费", "商品", "余额消费", "充值金额")
COUNTS = {"订单数": "单", "客人数": "人"}


def finance_claims(content: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    """Claims on a finance prompt."""
    rows = content["经营指标"]
    usable = {name: row for name, row in rows.items() if row["本期"] and row["对比期"]}
    money = [name for name in usable if name in ("净收入", "费用合计", "优惠金额")]
    for name in money:
        yield from _row(name, usable[name], "yuan", "元", [usable[o] for o in money if o != name])
    counts = [name for name in usable if name in COUNTS]
    for name in counts:
        yield from _row(name, usable[name], "count", COUNTS[name], [usable[o] for o in counts if o != name])
    for name in ("每单净收入", "人均净收入", "营业日均净收入"):
        if name in usable and abs(usable[name]["变化"]) > 0.5:
            yield from _row(name, usable[name], "yuan", "元", [])
    if "每单时长（分钟）" in usable:
        row = usable["每单时长（分钟）"]
        yield "minutes", {"v": V(row["本期"], "minutes")}
    if "优惠率%" in usable and abs(usable["优惠率%"]["变化"]) >= 0.2:
        row = usable["优惠率%"]
        gap = row["变化"]
        yield (
            "rate",
            {
                "now": V(row["本期"], "percent"),
                "before": V(row["对比期"], "percent"),
                "gap": V(abs(gap), "points"),
                "way": Way(1 if gap > 0 else -1, "gap"),
            },
        )
    if "订单数" in usable and "客人数" in usable:
        yield (
            "guests_per_order",
            {"v": V(rows["客人数"]["本期"] / rows["订单数"]["本期"], "ratio", forms="")},
        )
        orders, guests = usable["订单数"], usable["客人数"]
        if orders["变化%"] * guests["变化%"] > 0 and abs(orders["变化%"] - guests["变化%"]) > 1.5:
            yield (
                "both",
                {
                    "a": "订单数",
                    "b": "客人数",
                    "p": V(abs(orders["变化%"]), "percent", wrong={"swap": abs(guests["变化%"])}),
                    "q": V(abs(guests["变化%"]), "percent", wrong={"swap": abs(orders["变化%"])}),
                    "way": Way(1 if orders["变化%"] > 0 else -1, "p q"),
                },
            )
    days = content["时间窗口"]["天数"]
    if "订单数" in usable:
        yield "daily", {"name": "订单", "v": V(round(rows["订单数"]["本期"] / days), "count", "单")}
    yield from _parts("fee", content.get("费用构成", {}))
    yield from _parts("area", content.get("区域净收入构成", {}))
    yield from _recharge(content.get("充值与会员", {}))
    yield from _days(content)
    yield from _together(usable)
    yield from _ranked(content)


def _row(
    name: str, row: dict[str, float], kind: str, unit: str, others: list[Any]
) -> Iterator[tuple[str, Slots]]:
    now, before, change, percent = row["本期"], row["对比期"], row["变化"], row.get("变化%")
    if now <= 0 or before <= 0 or not percent or abs(percent) < 0.8:
        return
    sign = 1 if change > 0 else -1
    swap = {"swap": others[0]["本期"]} if others and others[0]["本期"] > 0 else {}
    label = re.sub(r"（.*）|%|数$", "", name)
    other_percent = {"swap": abs(others[0]["变化%"])} if others and others[0].get("变化%") else {}
    told = {
        "m": label,
        "now": V(now, kind, unit, {"period": before, **swap}),
        "before": V(before, kind, unit, {"period": now}),
        "diff": V(abs(change), kind, unit),
        "pct": V(abs(percent), "percent", wrong=other_percent, forms="cheng"),
        "of": V(now / before * 100, "percent"),
    }
    yield "level", {"m": label, "now": told["now"]}
    yield "change", {**{k: told[k] for k in ("m", "now", "pct")}, "way": Way(sign, "pct")}
    yield "from_to", {**{k: told[k] for k in ("m", "now", "before")}, "way": Way(sign, "now before")}
    yield "difference", {**{k: told[k] for k in ("m", "diff", "pct")}, "way": Way(sign, "diff pct")}
    yield "both_periods", {k: told[k] for k in ("m", "now", "before")}
    if abs(percent) > 8:
        yield "share_of_before", {k: told[k] for k in ("m", "of")}


def _parts(sort: str, parts: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    good = {k: v for k, v in parts.items() if (v["占比%"] or 0) > 2 and (v["对比期"] or 0) > 0}
    names = sorted(good, key=lambda name: -good[name]["占比%"])
    for place, name in enumerate(names):
        other = good[names[place - 1]] if len(names) > 1 else None
        swap = {"swap": other["本期"]} if other else {}
        share = {"swap": other["占比%"]} if other else {}
        row = good[name]
        yield (
            f"{sort}_share",
            {
                "m": name,
                "share": V(row["占比%"], "percent", wrong=share, forms="cheng"),
                "now": V(row["本期"], "yuan", wrong={**swap, "period": row["对比期"]}),
            },
        )
        if abs(row.get("变化%", 0)) > 2:
            yield (
                f"{sort}_change",
                {
                    "m": name,
                    "pct": V(
                        abs(row["变化%"]),
                        "percent",
                        wrong={"swap": abs(other["变化%"])} if other and other.get("变化%") else {},
                    ),
                    "diff": V(abs(row["变化"]), "yuan"),
                    "way": Way(1 if row["变化"] > 0 else -1, "pct diff"),
                },
            )
        if row["本期"] > 0 and abs(row.get("变化%", 0)) > 2:
            yield (
                f"{sort}_from_to",
                {
                    "m": name,
                    "now": V(row["本期"], "yuan", wrong={**swap, "period": row["对比期"]}),
                    "before": V(row["对比期"], "yuan", wrong={"period": row["本期"]}),
                    "way": Way(1 if row["变化"] > 0 else -1, "now before"),
                },
            )
    if len(names) >= 3:
        p, q, r = (good[name]["占比%"] for name in names[:3])
        yield (
            f"{sort}_trio",
            {
                **dict(zip("abc", names, strict=False)),
                "p": V(p, "percent", wrong={"swap": q}, forms="plain"),
                "q": V(q, "percent", wrong={"swap": r}, forms="plain"),
                "r": V(r, "percent", wrong={"swap": p}, forms="plain"),
            },
        )
        a, b = names[0], names[1]
        yield (
            f"{sort}_sum",
            {
                "a": a,
                "b": b,
                "share": V(good[a]["占比%"] + good[b]["占比%"], "percent"),
                "sum": V(good[a]["本期"] + good[b]["本期"], "yuan"),
            },
        )
    if sort == "area" and len(names) >= 2:
        a, b = names[0], names[-1]
        yield "area_gap", {"a": a, "b": b, "gap": V(good[a]["本期"] - good[b]["本期"], "yuan")}
        falling = sum((row.get("变化") or 0) < 0 for row in parts.values())
        if falling >= 3:
            yield (
                "area_count",
                {
                    "n": V(
                        falling,
                        "count",
                        "个",
                        {
                            "invented": falling - 1
                            if falling - 1 > 0 and falling - 1 != len(parts) - falling
                            else falling - 2
                        },
                    )
                },
            )


def _recharge(rows: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    good = {k: v for k, v in rows.items() if v["本期"] and v["对比期"] and v.get("变化%")}
    if "充值金额" in good and "充值笔数" in good:
        money, count = good["充值金额"], good["充值笔数"]
        sign = 1 if money["变化"] > 0 else -1
        yield (
            "recharge",
            {
                "now": V(money["本期"], "yuan", wrong={"period": money["对比期"]}),
                "n": V(count["本期"], "count", "笔", {"period": count["对比期"]}),
                "pct": V(abs(money["变化%"]), "percent"),
                "way": Way(sign, "pct"),
            },
        )
        if "每笔充值" in good:
            yield (
                "per_recharge",
                {"v": V(good["每笔充值"]["本期"], "yuan", wrong={"period": good["每笔充值"]["对比期"]})},
            )
    if "余额消费" in good:
        row = good["余额消费"]
        yield (
            "balance",
            {
                "now": V(row["本期"], "yuan", wrong={"period": row["对比期"]}),
                "pct": V(abs(row["变化%"]), "percent"),
                "way": Way(1 if row["变化"] > 0 else -1, "pct"),
            },
        )
    if "活跃会员人次（各日之和）" in good:
        row = good["活跃会员人次（各日之和）"]
        yield (
            "active",
            {
                "n": V(row["本期"], "count", "人次", {"period": row["对比期"]}),
                "pct": V(abs(row["变化%"]), "percent"),
                "way": Way(1 if row["变化"] > 0 else -1, "pct"),
            },
        )


def _date(iso: str) -> V:
    _, month, day = (int(part) for part in iso.split("-"))
    return V(0, "text", text=f"{month}月{day}日")


def _days(content: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    series = content.get("每日走势")
    best, worst = content["最好的日子"], content["最差的日子"]
    if not best or not worst or best[0] == worst[0]:
        return
    for kind, day, other in (("best", best[0], worst[0]), ("worst", worst[0], best[0])):
        if day["净收入"] <= 0:
            continue
        yield (
            kind,
            {
                "d": _date(day["日期"]).text,
                "w": "周" + day["星期"],
                "v": V(day["净收入"], "yuan", wrong={"swap": other["净收入"]} if other["净收入"] > 0 else {}),
                "n": V(day["订单数"], "count", "单", {"swap": other["订单数"]}),
            },
        )
    if worst[0]["净收入"] > 0 and best[0]["净收入"] / worst[0]["净收入"] < 30:
        yield (
            "best_to_worst",
            {
                "d": _date(best[0]["日期"]).text,
                "e": _date(worst[0]["日期"]).text,
                "x": V(best[0]["净收入"] / worst[0]["净收入"], "ratio"),
                "gap": V(best[0]["净收入"] - worst[0]["净收入"], "yuan"),
            },
        )
    if not series or len(series) < 7:
        return
    weekend = [day["净收入"] for day in series if day["星期"] in "六日"]
    other = [day["净收入"] for day in series if day["星期"] not in "六日"]
    if weekend and other:
        a, b = sum(weekend) / len(weekend), sum(other) / len(other)
        if a > 0 and b > 0 and abs(a / b - 1) > 0.1:
            yield "weekend", {"a": V(a, "yuan", wrong={"swap": b}), "b": V(b, "yuan", wrong={"swap": a})}
    total = sum(day["净收入"] for day in series)
    if total > 0 and len(series) >= 14 and weekend:
        yield "weekend_share", {"share": V(sum(weekend) / total * 100, "percent")}


def _together(usable: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    """Claims of several measures in one sentence."""
    fees, off, net = (usable.get(name) for name in ("费用合计", "优惠金额", "净收入"))
    if fees and off and net and abs(fees["本期"] - off["本期"] - net["本期"]) < 0.05:
        yield (
            "net_of",
            {
                "fees": V(fees["本期"], "yuan", wrong={"period": fees["对比期"]}, forms="plain"),
                "off": V(off["本期"], "yuan", wrong={"period": off["对比期"]}, forms="plain"),
                "net": V(net["本期"], "yuan", wrong={"period": net["对比期"]}, forms="plain"),
            },
        )
    for a, b in (("费用合计", "优惠金额"), ("净收入", "优惠金额"), ("费用合计", "净收入")):
        if a not in usable or b not in usable:
            continue
        x, y = usable[a], usable[b]
        if min(x["变化%"] * y["变化%"], abs(x["变化%"]) - 0.8, abs(y["变化%"]) - 0.8) <= 0:
            continue
        yield (
            "money_pair",
            {
                "a": a,
                "b": b,
                "x": V(x["本期"], "yuan", wrong={"swap": y["本期"]}, forms="plain"),
                "y": V(y["本期"], "yuan", wrong={"swap": x["本期"]}, forms="plain"),
                "p": V(abs(x["变化%"]), "percent", wrong={"swap": abs(y["变化%"])}, forms="plain"),
                "q": V(abs(y["变化%"]), "percent", wrong={"swap": abs(x["变化%"])}, forms="plain"),
                "way": Way(1 if x["变化"] > 0 else -1, "p q"),
            },
        )
    orders, each = usable.get("订单数"), usable.get("每单净收入")
    if orders and each and orders["变化%"] * each["变化%"] < 0:
        yield (
            "volume_price",
            {
                "p": V(abs(orders["变化%"]), "percent", wrong={"swap": abs(each["变化%"])}, forms="plain"),
                "q": V(abs(each["变化%"]), "percent", wrong={"swap": abs(orders["变化%"])}, forms="plain"),
                "turn": "上升" if each["变化"] > 0 else "下降",
                "way": Way(1 if orders["变化"] > 0 else -1, "p"),
            },
        )


def _ranked(content: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    """Claims on the first of the days and of the weeks."""
    best = content["最好的日子"]
    if len(best) >= 3 and best[2]["净收入"] > 0:
        x, y, z = (day["净收入"] for day in best[:3])
        yield (
            "top_days",
            {
                **{slot: _date(day["日期"]).text for slot, day in zip("def", best, strict=False)},
                "x": V(x, "yuan", wrong={"swap": y}, forms="plain"),
                "y": V(y, "yuan", wrong={"swap": z}, forms="plain"),
                "z": V(z, "yuan", wrong={"swap": x}, forms="plain"),
            },
        )
    weeks = sorted(content.get("每周走势") or [], key=lambda week: -(week["净收入"] or 0))
    if len(weeks) >= 3 and weeks[0]["净收入"] > 0:
        first, last = weeks[0], weeks[-1]
        yield (
            "best_week",
            {
                "d": _date(first["开始"]).text,
                "e": _date(first["结束"]).text,
                "v": V(first["净收入"], "yuan", wrong={"swap": last["净收入"]}),
                "n": V(first["订单数"], "count", "单", {"swap": last["订单数"]}),
            },
        )


def member_claims(content: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    """Claims on the prompts of App3, App4 and App7."""
    told = content.get("消费记录") or content.get("往来记录")
    if not isinstance(told, dict) or "概况" not in told:
        return
    o = told["概况"]
    if o["到店天数"] >= 3:
        yield (
            "overview",
            {
                "n": V(o["到店天数"], "count", "天"),
                "paid": V(o["实付合计"], "yuan"),
                "per": V(o["每次到店实付"], "yuan", wrong={"swap": o["实付合计"]}),
            },
        )
        if o["距最近到店天数"] > 1:
            yield "absent", {"d": V(o["距最近到店天数"], "days"), "day": _date(o["最近到店"]).text}
    if o["消费时长（分钟）"] >= 300:
        yield "hours", {"v": V(o["消费时长（分钟）"], "minutes"), "per": V(o["每单时长（分钟）"], "minutes")}
    areas = [a for a in told["区域分布"] if a["占比%"] > 2]
    for place, area in enumerate(areas[:2]):
        other = areas[1 - place] if len(areas) > 1 else None
        yield (
            "member_area",
            {
                "a": area["区域"],
                "n": V(area["订单数"], "count", "单", {"swap": other["订单数"]} if other else {}),
                "share": V(
                    area["占比%"], "percent", wrong={"swap": other["占比%"]} if other else {}, forms="cheng"
                ),
            },
        )
    if len(areas) >= 2:
        one, two = areas[:2]
        yield (
            "area_pair",
            {
                "a": one["区域"],
                "b": two["区域"],
                "x": V(one["订单数"], "count", "单", {"swap": two["订单数"]}),
                "y": V(two["订单数"], "count", "单", {"swap": one["订单数"]}),
                "p": V(one["占比%"], "percent", wrong={"swap": two["占比%"]}, forms="plain"),
                "q": V(two["占比%"], "percent", wrong={"swap": one["占比%"]}, forms="plain"),
            },
        )
    bands = [b for b in told["结账时段分布"] if b["占比%"] > 5]
    if bands:
        top = max(bands, key=lambda b: b["占比%"])
        other = next((b for b in bands if b is not top), None)
        yield (
            "band",
            {
                "b": top["时段"][:2],
                "n": V(top["订单数"], "count", "单", {"swap": other["订单数"]} if other else {}),
                "share": V(top["占比%"], "percent", wrong={"swap": other["占比%"]} if other else {}),
            },
        )
    rhythm = told["到店节奏"]
    days = rhythm["星期分布"]
    top_day = max(days, key=lambda d: days[d])
    if days[top_day] >= 3:
        yield (
            "weekday",
            {"w": top_day, "n": V(days[top_day], "count", "次", {"swap": float(min(days.values()) + 1)})},
        )
        weekend = days["周六"] + days["周日"]
        total = sum(days.values())
        if weekend >= 2 and total >= 6:
            yield (
                "member_weekend",
                {"n": V(weekend, "count", "次"), "share": V(weekend * 100 / total, "percent")},
            )
    if rhythm["平均间隔天数"] and rhythm["平均间隔天数"] > 2:
        yield "gap", {"g": V(rhythm["平均间隔天数"], "days")}
    months = [m for m in rhythm["各月"] if m["到店天数"] >= 2 and m["实付"] > 0]
    if len(months) >= 2:
        m, other = months[-1], months[-2]
        yield (
            "month",
            {
                "mo": f"{int(m['开始'][5:7])}月",
                "n": V(m["到店天数"], "count", "天", {"swap": other["到店天数"]}),
                "paid": V(m["实付"], "yuan", wrong={"swap": other["实付"]}),
            },
        )
    recent = told["近30天变化"]["对比前30天"]
    for key, label, kind, unit in (("到店天数", "到店", "count", "次"), ("实付", "实付", "yuan", "元")):
        row = recent[key]
        now, before = row["近30天"], row["对比"]
        if now and before and now != before and now > 0 and before > 0 and abs(row["变化%"]) > 3:
            yield (
                f"recent_{kind}",
                {
                    "m": label,
                    "now": V(now, kind, unit, {"period": before}),
                    "before": V(before, kind, unit, {"period": now}),
                    "pct": V(abs(row["变化%"]), "percent"),
                    "way": Way(1 if now > before else -1, "pct"),
                },
            )
    offers = told["优惠使用"]
    if offers["优惠订单数"] >= 2:
        yield (
            "offers",
            {
                "n": V(offers["优惠订单数"], "count", "单"),
                "share": V(offers["优惠订单占比%"], "percent"),
                "v": V(offers["优惠金额"], "yuan"),
            },
        )
    fees = {name: part for name, part in told["费用构成"].items() if part["占比%"] > 3}
    for name, part in list(fees.items())[:2]:
        other = next((p for n, p in fees.items() if n != name), None)
        yield (
            "member_fee",
            {
                "m": name,
                "v": V(part["金额"], "yuan", wrong={"swap": other["金额"]} if other else {}),
                "share": V(part["占比%"], "percent", wrong={"swap": other["占比%"]} if other else {}),
            },
        )
    if len(fees) >= 2:
        (a, one), (b, two) = list(fees.items())[:2]
        yield (
            "fee_pair",
            {
                "a": a,
                "b": b,
                "x": V(one["金额"], "yuan", wrong={"swap": two["金额"]}, forms="plain"),
                "y": V(two["金额"], "yuan", wrong={"swap": one["金额"]}, forms="plain"),
                "p": V(one["占比%"], "percent", wrong={"swap": two["占比%"]}, forms="plain"),
                "q": V(two["占比%"], "percent", wrong={"swap": one["占比%"]}, forms="plain"),
            },
        )
    for one in (told.get("常约助教") or [])[:1]:
        if one["订单数"] >= 2 and one["助教费"] > 0 and len(one["姓名"]) > 1:
            yield (
                "favourite",
                {"a": one["姓名"], "n": V(one["订单数"], "count", "单"), "v": V(one["助教费"], "yuan")},
            )
    last = told["最近一单"]
    if last and last["实付"] > 0:
        yield (
            "last",
            {
                "d": _date(last["日期"]).text,
                "a": last["区域"],
                "v": V(last["实付"], "yuan"),
                **({"t": V(last["消费时长（分钟）"], "minutes")} if last["消费时长（分钟）"] else {}),
            }
            if last["消费时长（分钟）"]
            else {"d": _date(last["日期"]).text, "a": last["区域"], "v": V(last["实付"], "yuan")},
        )
    joined = content["会员"].get("入会天数")
    if joined and joined > 60:
        yield "joined", {"d": V(joined, "days"), "y": V(joined / 365, "text", text="")}


_QUOTED = re.compile(r"\d+(?:\.\d+)?")


def quoted_claims(content: dict[str, Any]) -> Iterator[tuple[str, Slots]]:
    """Claims on the prompts of App5, App6 and App8: a sentence of theirs with one figure, given again."""
    for said in _sentences(content):
        numbers = [
            n for n in _QUOTED.finditer(said) if float(n[0]) > 1 and n[0] not in ("2026", "2025", "2017")
        ]
        if not numbers or re.search(r"\d-\d|:", said) or not 6 <= len(said) <= 60:
            continue
        number = numbers[-1]
        places = len(number[0].partition(".")[2])
        yield (
            "quoted",
            {
                "head": said[: number.start()].strip(),
                "tail": said[number.end() :].strip(" 。"),
                "x": V(float(number[0]), "quoted", forms=str(places)),
            },
        )


def _sentences(content: dict[str, Any]) -> Iterator[str]:
    stack: list[Any] = [
        content.get("备注"),
        content.get("近期备注"),
        content.get("线索组"),
        content.get("关系分析"),
    ]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(inner for key, inner in value.items() if key in ("内容", "线索", "摘要", "任务描述"))
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str):
            yield from re.split(r"(?<=[。；！？])|，(?=.{8,})", value)
