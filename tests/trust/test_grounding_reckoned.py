"""What an answer reckons from the figures that it has just told, days told by their number, and exact figures.

The prompt is the whole site's of this month (tests/data/grounding/prompts.jsonl).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_assets.trust.grounding import ground

DATA = Path(__file__).parent.parent / "data" / "grounding" / "prompts.jsonl"

TRUE = [
    # of figures told before
    "KTV区少收33750.61元、贵宾区少收25036.04元，两区合计少收58786.65元，占全店减收的50.5%。",
    "本期订单1957单，上期2440单，少了483单。",
    "最好的一天39381.27元，最差的一天14347.47元，前者是后者的2.7倍。",
    "台费占56.9%，商品占27.6%，两项合计84.5%。",
    "台费占56.9%，其余合计43.1%。",
    # days told by their number, and the days of a week
    "13日净收入39381.27元，是16日的2.7倍。",
    "5、6、7日三天合计85264.79元。",
    "周一至周四净收入合计217773.31元，日均19797.57元。",
    # the window's own days name no day
    "截至6月17日，全店净收入394838.58元。",
    "6月1日至17日净收入394838.58元，环比下降22.8%。",
    # what it is held against
    "净收入394838.58元，较511201.05元少116362.47元。",
    "充值平均每笔从1616.67元提到1748.15元。",
]
FALSE = [
    ("KTV区少收33750.61元、贵宾区少收25036.04元，两区合计少收59786.65元。", "59786.65元"),
    ("台费占56.9%，商品占27.6%，两项合计85.5%。", "85.5%"),
    ("台费占56.9%，其余合计44.1%。", "44.1%"),
    ("13日净收入39381.27元，是16日的3.7倍。", "3.7倍"),
    ("5、6、7日三天合计86264.79元。", "86264.79元"),
    ("周一至周四净收入合计227773.31元。", "227773.31元"),
    ("人均从82.48元变为80.27元，多了2.21元。", "2.21元"),
    ("客人5919人，比上期的6198人少1279人。", "5919人"),
    ("6月13日（周五）客流最旺。", "6月13日（周五）"),
    ("6月25日净收入明显回升。", "6月25日"),
]


@pytest.fixture(scope="module")
def finance() -> str:
    rows = map(json.loads, DATA.read_text(encoding="utf-8").splitlines())
    return next(str(row["prompt"]) for row in rows if row["id"] == "app2-1001-this_month-all")


def listed(prompt: str, text: str) -> list[str]:
    return [one.text for one in ground(prompt, {"insights": [{"title": "经营", "body": text}]}).ungrounded]


@pytest.mark.parametrize("text", TRUE)
def test_what_is_reckoned_rightly_is_grounded(finance: str, text: str) -> None:
    assert listed(finance, text) == []


@pytest.mark.parametrize(("text", "wrong"), FALSE)
def test_what_is_reckoned_wrongly_is_listed(finance: str, text: str, wrong: str) -> None:
    assert wrong in listed(finance, text)


def test_nothing_is_reckoned_from_a_figure_that_is_false_itself(finance: str) -> None:
    text = "KTV区少收33750.61元、贵宾区少收26036.04元，两区合计少收59786.65元。"
    assert listed(finance, text) == ["26036.04元", "59786.65元"]


def test_a_day_ahead_is_no_claim_where_it_is_a_plan(finance: str) -> None:
    assert listed(finance, "建议6月22日前做一次回访。") == []
