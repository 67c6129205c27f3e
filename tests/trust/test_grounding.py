"""Grounding: what stands in the prompt or follows from it passes, and what does not is listed with its place."""

from __future__ import annotations

import pytest

from ai_assets.simulator.replies import answer
from ai_assets.trust.grounding import Grounding, ground


def insight(body: str, title: str = "要点") -> dict[str, object]:
    return {"insights": [{"title": title, "body": body, "tone": "good"}]}


def wrong(prompt: str, body: str, title: str = "要点") -> list[str]:
    return [one.text for one in ground(prompt, insight(body, title)).ungrounded]


TRUE = [
    "本月净收入394838.58元，较对比期下降22.8%。",
    "净收入39.48万元，比上月同期少11.6万元。",
    "净收入由511,201.05元降至394,838.58元。",
    "净收入只有对比期的77.2%。",
    "净收入近40万元，降幅两成多。",
    "订单1957单，客人4919人，客单价201.76元。",
    "订单数和客人数分别下降19.8%和20.6%。",
    "优惠率由3.9%升至4.2%，上升0.3个百分点。",
    "每单时长约1.9小时。",
    "日均净收入23225.80元。",
    "KTV区净收入91614.41元，占23.2%，比大厅A区少4566.95元。",
    "大厅A区与大厅B区合计占37%。",
    "6月13日（周六）净收入39381.27元，是6月16日的2.7倍。",
    "净收入最高的是6月13日，最低的是6月16日。",
    "7个区域的净收入都在下降。",
    "台费占56.9%，商品占27.6%。",
    "台费是助教费的3.9倍。",
    "本月共17天，６月１３日净收入３９３８１．２７元。",
    # which of the two periods, by how the sentence is built
    "由511201.05元起步，净收入最后走低到394838.58元。",
    "净收入原本是51.1万元，目前39.5万元。",
    "订单数先前2440单，本期1957单。",
    "订单1957单，往前推的同样天数2440单，现在少了483单。",
    "上期净收入511201.05元、订单2440单。",
    # a direction belongs to the figure that it stands at
    "客人数4919人（下降20.6%），订单数1957单（下降19.8%）。",
    "订单数下降19.8%，仅1957单。",
    "净收入同上期相减，缩水了116362.47元。",
    # lists
    "订单数和客人数都在走低，前者19.8%，后者20.6%。",
    "净收入、订单和客人分别为394838.58元、1957单和4919人。",
    "每单净收入201.76元、人均净收入80.27元，上期为209.51元、82.48元。",
    "大厅A、B区分别减少23074.24元和10498.81元，合计减少33573.05元。",
    # what follows from several days, parts or measures
    "6月8日至14日净收入合计174519.3元。",
    "台费减少63176.63元，占费用合计降幅的52.8%。",
    "平均每单2.5人。",
    "6月13日每单净收入233.03元，当日净收入为日均的1.7倍。",
    "净收入最高的三天合计97126.95元。",
    "台费在费用合计中的比重为56.9%，对应234279.92元。",
    # units and words that begin another one
    "净收入从51.12万回落到39.48万。",
    "当前每单净收入202元。",
]


@pytest.mark.parametrize("body", TRUE)
def test_a_figure_that_stands_in_the_prompt_or_follows_from_it_passes(finance: str, body: str) -> None:
    found = ground(finance, insight(body))
    assert found.ungrounded == ()
    assert found.figures > 0


FALSE = [
    ("净收入384838.58元。", "384838.58元"),  # a digit
    ("净收入39.48元。", "39.48元"),  # the unit
    ("净收入增长22.8%。", "22.8%"),  # the direction
    ("本期净收入511201.05元。", "511201.05元"),  # the period
    ("对比期净收入394838.58元。", "394838.58元"),
    ("订单4919单。", "4919单"),  # the label
    ("大厅A区净收入91614.41元。", "91614.41元"),  # the area
    ("6月12日净收入39381.27元。", "39381.27元"),  # the day
    ("优惠率上升0.3%。", "0.3%"),  # points told as percent
    ("净收入下降22.8个百分点。", "22.8个百分点"),  # percent told as points
    ("净收入下降19.8%。", "19.8%"),  # another measure's change
    ("台费占27.6%。", "27.6%"),  # another part's share
    ("退货率为7.4%。", "7.4%"),  # invented
    ("净收入最高的是6月16日。", "6月16日"),
    ("6月13日（周五）净收入39381.27元。", "6月13日（周五）"),
    ("净收入增至394838.58元。", "394838.58元"),
    ("订单数和客人数分别下降20.6%和19.8%。", "20.6%"),
    ("5个区域的净收入下降。", "5个"),
    ("7个区域的净收入上升。", "7个"),  # seven fall
    ("6月25日客流明显回升。", "6月25日"),
    ("大厅A区与大厅B区合计占47%。", "47%"),
    ("由394838.58元起步，净收入最后走低到394838.58元。", "394838.58元"),
    ("净收入原本是511201.05元，目前511201.05元。", "511201.05元"),
    ("客人数4919人（上升20.6%）。", "20.6%"),
    ("订单数和客人数都在走低，前者20.6%，后者19.8%。", "20.6%"),
    ("每单净收入201.76元、人均净收入80.27元，上期为82.48元、209.51元。", "82.48元"),
    ("大厅A、B区分别减少10498.81元和23074.24元。", "10498.81元"),
    ("6月8日至15日净收入合计174519.3元。", "174519.3元"),
    ("商品减少33957元，占费用合计降幅的52.8%。", "52.8%"),
    ("平均每单2.9人。", "2.9人"),
    ("周末净收入占29.3%。", "29.3%"),
    ("日均净收入394838.58元。", "394838.58元"),
    ("净收入下降的区域共5个。", "5个"),
    ("6月16日（周二）净收入39381.27元。", "39381.27元"),
    ("台费在费用合计中的比重为27.6%。", "27.6%"),
]


@pytest.mark.parametrize(("body", "said"), FALSE)
def test_a_subtly_false_figure_is_listed(finance: str, body: str, said: str) -> None:
    assert said in wrong(finance, body)


def test_figures_of_a_plan_are_no_claim_unless_their_words_claim_data(finance: str) -> None:
    found = ground(finance, insight("建议推出8折券，3天内回访，满200减30。"))
    assert (found.figures, found.ungrounded) == (0, ())
    assert wrong(finance, "建议把目前占比29.3%的台费提升。") == ["29.3%"]


def test_a_figure_of_a_plan_that_stands_in_the_prompt_counts_as_grounded(finance: str) -> None:
    found = ground(finance, insight("建议提升目前占比56.9%的台费。"))
    assert (found.figures, found.ungrounded) == (1, ())


def test_a_listed_figure_has_its_place_and_the_nearest_of_the_prompt(finance: str) -> None:
    body = "本月净\u200b收入384\u200b838.58元。"
    (found,) = ground(finance, insight(body)).ungrounded
    assert found.path == "insights.0.body"
    assert body[found.start : found.end] == found.text == "384\u200b838.58元"
    assert found.value == "384838.58 yuan"
    assert found.nearest is not None
    assert "394838.58" in found.nearest


def test_the_title_says_what_the_body_is_about(finance: str) -> None:
    assert wrong(finance, "较对比期下降19.8%。", "订单数") == []
    assert wrong(finance, "较对比期下降22.8%。", "订单数") == ["22.8%"]


def test_members_figures_are_held_against_their_own_area_month_and_order(member: str) -> None:
    def listed(summary: str) -> list[str]:
        told = {"clues": [{"category": "消费习惯", "emoji": "📅", "summary": summary, "detail": ""}]}
        return [one.text for one in ground(member, told).ungrounded]

    assert listed("近180天到店25天，实付2441.56元，大厅A区21单，占84.4%。") == []
    assert listed("5月到店4天，实付320.72元；最近一单实付83.12元。") == []
    assert listed("大厅B区21单。") == ["21单"]
    assert listed("5月实付730.13元。") == ["730.13元"]
    assert listed("近30天到店25次。") == ["25次"]
    assert listed("大厅A区21单、大厅B区3单，实付占比分别为84.4%和10%。") == []
    assert listed("大厅A区21单、大厅B区3单，实付占比分别为10%和84.4%。") == ["10%", "84.4%"]
    assert listed("周末到店7次，平日18次；25单中24单用了优惠。") == []
    assert listed("周末到店6次，平日18次。") == ["6次"]
    assert listed("6月15日在大厅A区的那单实付83.12元。") == []
    assert listed("近30天实付552.85元，前90天每30天的实付为515.09元。") == []
    assert listed("近30天实付552.85元，前30天到店和实付分别为4次和416.94元。") == []
    assert listed("每次到店实付2441.56元。") == ["2441.56元"]


def test_what_is_no_text_for_readers_is_left_out(finance: str) -> None:
    told = insight("平稳。") | {
        "_references": {"n": "净收入999元"},
        "score": 9,
        "category": "3类",
        "emoji": "3",
    }
    assert ground(finance, told) == Grounding(0, ())


def test_an_answer_without_figures_is_grounded_whole_and_the_result_is_json(finance: str) -> None:
    assert ground(finance, insight("整体平稳。")).share == 1.0
    told = ground(finance, insight("净收入1.23元，订单1957单。")).as_json()
    assert (told["figures"], told["share"], told["left_out"]) == (2, 0.5, 0)
    assert [one["text"] for one in told["ungrounded"]] == ["1.23元"]


def test_two_numbers_that_do_not_belong_together_support_nothing(finance: str) -> None:
    # 台费 234279.92 less 6月13日's 39381.27, orders over the year: something could be made of any two
    for body in ("净收入194898.65元。", "客人数为6876人。", "充值金额是台费的5.0倍。"):
        assert wrong(finance, body), body


@pytest.mark.parametrize(
    "body",
    ["新会员数为0。", "本月新会员 0 人。", "每单时长变化为0.0分钟。"],
)
def test_a_zero_that_stands_in_the_prompt_passes(finance: str, body: str) -> None:
    assert wrong(finance, body) == []


def test_what_the_simulator_answers_is_grounded_for_every_app(prompts: dict[str, str]) -> None:
    """Its sentences were written without regard to this judge, and every figure in them is the prompt's own."""
    listed = {
        name: [one.text for one in ground(prompt, answer(1, name.partition("-")[0], prompt)).ungrounded]
        for name, prompt in prompts.items()
    }
    assert {name: found for name, found in listed.items() if found} == {}
