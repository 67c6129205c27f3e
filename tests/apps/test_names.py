"""What members are called: surname and honorific, a pseudonym that is put back, or in full; and where it is hidden."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.apps import registry
from ai_assets.apps.balances import banded
from ai_assets.apps.base import Subject
from ai_assets.apps.member_source import Given
from ai_assets.apps.names import IN_FULL, naming, restore
from ai_assets.apps.surnames import surname
from ai_assets.warehouse.people import Assistant, Member, Note

MEMBER = Member(1001, 555, "张三丰", "三哥哥", "男", "金卡", Decimal("1234.56"))
PAIR = Subject(1001, member_id=555, assistant_id=7)
ALONE = Subject(1001, member_id=555)


def named(name: str, gender: str | None = "男", nickname: str | None = None) -> Member:
    return replace(MEMBER, name=name, gender=gender, nickname=nickname)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("张三", "张"),
        ("欧阳锋", "欧阳"),
        ("歐陽娜娜", "歐陽"),
        ("司马相如", "司马"),
        ("張學友", "張"),
        ("张三（老客户）", "张"),
        ("王总", "王"),
        ("小雨", ""),
        ("阿强", ""),
        ("张", ""),
        ("张三李四王五", ""),
        ("阿卜杜拉·买买提", ""),
        ("John Smith", "Smith"),
        ("John Q. Smith Jr.", "Smith"),
        ("Vincent van Gogh", "van Gogh"),
        ("Smith, John", "Smith"),
        ("Mary O'Neil-Brown", "O'Neil-Brown"),
        ("Renée Zürcher", "Zürcher"),
        ("Tony", ""),
        ("Tony 陈", ""),
        ("555", ""),
        ("", ""),
        ("🎱", ""),
    ],
)
def test_the_surname_of_a_name(name: str, found: str) -> None:
    assert surname(name) == found


@pytest.mark.parametrize(
    ("name", "gender", "shown"),
    [
        ("张三", "男", "张先生"),
        ("李四", "女", "李女士"),
        ("李四", "F", "李女士"),
        ("李四", "1", "李先生"),
        ("王五", None, "王会员"),
        ("王五", "保密", "王会员"),
        ("欧阳锋", "男", "欧阳先生"),
        ("John Smith", "male", "Smith先生"),
        ("Tony", "男", "先生"),
        ("555", None, "会员"),
        ("13800138000", "女", "女士"),
        ("张三 13800138000", "男", "张先生"),
    ],
)
def test_by_surname_a_member_is_called_by_surname_and_honorific(
    name: str, gender: str | None, shown: str
) -> None:
    assert naming(named(name, gender), "surname").shown == shown
    assert naming(named(name, gender), "surname").put_back == {}


def test_a_pseudonym_is_always_the_same_for_a_member_of_a_site_and_holds_neither_name_nor_figure() -> None:
    made = naming(MEMBER, "pseudonym")
    assert made.shown == naming(named("李四", "女", "小李"), "pseudonym").shown
    assert made.shown is not None
    assert made.shown.startswith("会员")
    assert len(made.shown) == 10
    assert not any(char.isdigit() for char in made.shown)
    assert made.put_back == {made.shown: "张三丰"}
    others = {
        naming(replace(MEMBER, site_id=s, member_id=m), "pseudonym").shown
        for s in range(30)
        for m in range(100)
    }
    assert len(others) == 3_000


def test_in_full_nothing_is_hidden() -> None:
    assert naming(MEMBER, "full") is IN_FULL
    assert IN_FULL.hide("张三丰和三哥哥") == "张三丰和三哥哥"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("张三丰说想学斯诺克", "张先生说想学斯诺克"),
        ("今天三哥哥来了", "今天张先生来了"),
        ("张三丰先生和 张 三 丰", "张先生和 张先生"),
        ("张·三·丰", "张先生"),
        ("张\u200b三\u200b丰", "张先生"),
        ("和张三、三哥打球", "和张三、三哥打球"),
    ],
)
def test_name_and_nickname_are_hidden_where_they_stand_in_a_text(text: str, hidden: str) -> None:
    assert naming(MEMBER, "surname").hide(text) == hidden


def test_latin_names_are_hidden_as_words_in_any_letters_and_no_part_of_another_word_is() -> None:
    made = naming(named("Ann Lee", "女", "Annie"), "surname")
    assert made.hide("ANN LEE, Ann-Lee, ａｎｎ　ｌｅｅ and annie") == "Lee女士, Lee女士, Lee女士 and Lee女士"
    assert made.hide("Annieville, Joann Leeds, Joann Lee") == "Annieville, Joann Leeds, Joann Lee"


@pytest.mark.parametrize("nickname", ["三", "666", "8", "13", "12.5", ""])
def test_a_nickname_that_is_one_character_or_a_number_is_left_in_texts_for_it_is_part_of_others(
    nickname: str,
) -> None:
    text = "三个人打了 8 局，消费 666 元，第 13 次，12.5 小时"
    assert naming(named("张三丰", "男", nickname), "surname").hide(text) == text


# what is put back


def test_a_pseudonym_is_put_back_in_all_of_an_answer_however_the_app_spelled_it() -> None:
    made = naming(MEMBER, "pseudonym")
    shown = made.shown or ""
    code = shown.removeprefix("会员")
    answer = {
        "summary": f"{shown}常来，{shown.lower()}爱打球",
        "strategies": [{"title": f"会员 {code}", "content": f"联系“{code}”"}],
        "score": 7,
        "none": None,
    }
    assert restore(answer, made.put_back) == {
        "summary": "张三丰常来，张三丰爱打球",
        "strategies": [{"title": "张三丰", "content": "联系“张三丰”"}],
        "score": 7,
        "none": None,
    }
    other = naming(replace(MEMBER, member_id=556), "pseudonym").shown
    assert restore(f"{other} x{code} {code}x", made.put_back) == f"{other} x{code} {code}x"


def test_a_name_with_a_backslash_or_a_group_is_put_back_as_it_is() -> None:
    made = naming(named(r"张\1三\g<0>"), "pseudonym")
    assert restore(made.shown, made.put_back) == r"张\1三\g<0>"


def test_what_is_put_back_holds_no_phone_though_the_name_does() -> None:
    made = naming(named("张三丰 13800138000"), "pseudonym")
    assert restore(made.shown, made.put_back) == "张三丰"
    assert made.hide("张三丰 来了") == f"{made.shown} 来了"


@given(
    st.sampled_from(["张三丰", "欧阳修", "John Smith", "王小明", "李雷"]),
    st.lists(st.sampled_from(["{}", "来了，", "会员", "消费 188 元。", "\n", "abc", "先生"]), max_size=8),
)
@settings(deadline=None, max_examples=200)
def test_what_a_pseudonym_hides_it_gives_back_whole(name: str, parts: list[str]) -> None:
    made = naming(named(name), "pseudonym")
    text = "".join(parts).replace("{}", f" {name} ")
    hidden = made.hide(text)
    assert name not in hidden
    assert restore(hidden, made.put_back) == text


# in prompts

NOTE = Note("张三丰（三哥哥）说 张三丰 的微信：abc123，余额还有1,234.56元，电话13800138000", "小雨", None, 1)
GIVEN = {
    "app3_clue": Given(
        {"clues": [{"category": "消费习惯", "summary": "张三丰常来", "detail": "三哥哥爱喝茶"}]}
    ),
    "app6_note": Given({"clues": [{"category": "消费习惯", "summary": "张三丰想学", "detail": "三哥哥"}]}),
    "app4_analysis": Given(
        {
            "task_description": "约张三丰",
            "action_suggestions": ["问三哥哥"],
            "one_line_summary": "张三丰是老客",
        }
    ),
    "app7_customer": Given({"summary": "张三丰", "strategies": [{"title": "三哥哥", "content": "张三丰"}]}),
    "app8_consolidation": Given(
        {"clues": [{"category": "消费习惯", "summary": "张三丰", "detail": "三哥哥"}]}
    ),
}
APPS = {
    "app3_clue": ALONE, "app4_analysis": PAIR, "app5_tactics": PAIR, "app6_note": ALONE, "app7_customer": ALONE,
    "app8_consolidation": ALONE,
}  # fmt: skip


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("names", ["surname", "pseudonym"])
def test_no_prompt_holds_the_name_or_nickname_wherever_it_stood(app: str, names: str, source_of) -> None:
    from ai_assets.warehouse.consumption import consumption

    source = source_of(
        note=NOTE,
        given=GIVEN,
        names=names,
        member=MEMBER,
        notes=(NOTE, replace(NOTE, note_id=2)),
        assistant=Assistant(1001, 7, "小雨", "高级"),
        consumption=consumption((), source_of().data.as_of, None),
    )
    prompt = registry.app(app).build(source, APPS[app])
    text = prompt.text + json.dumps(prompt.references, ensure_ascii=False)
    for secret in ("张三丰", "三哥哥", "13800138000", "abc123", "1,234.56", "1234.56"):
        assert secret not in text
    shown = source.naming.shown
    assert shown in prompt.text
    assert "昵称" not in json.loads(prompt.text).get("会员", {})
    assert prompt.put_back == ({shown: "张三丰"} if names == "pseudonym" else {})
    if "助教" in json.loads(prompt.text):
        assert json.loads(prompt.text)["助教"]["姓名"] == "小雨"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("余额还有1,234.56元", "余额还有2,000元以内"),
        ("卡里还剩 88 块", "卡里还剩 100元以内"),
        ("余额：0", "余额：0"),
        ("余额3万元", "余额2,000元以上"),
        ("账户余额约450，想续", "账户余额约500元以内，想续"),
        ("余额消费188元，充值500元", "余额消费188元，充值500元"),
        ("消费 1234.56 元", "消费 1234.56 元"),
        ("余额多少没说，打了 3 局", "余额多少没说，打了 3 局"),
    ],
)
def test_a_balance_told_in_a_note_is_told_as_its_band_and_spending_stays(text: str, told: str) -> None:
    assert banded(text) == told
