from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ai_assets.apps.base import App, Subject
from ai_assets.apps.registry import APPS, app, in_order
from ai_assets.catalog import CATALOG, CatalogEntry
from ai_assets.errors import ConfigurationError, InputError
from ai_assets.settings import Settings

MEMBER_APPS = ("app3", "app4", "app5", "app6", "app7", "app8")


def test_the_catalog_holds_the_contracts_eight_apps() -> None:
    assert [(e.name, e.env, e.cache_type, e.alias) for e in CATALOG.values()] == [
        ("app2_finance", "AI_APP_ID_2_FINANCE", "app2_finance", "app2"),
        ("app2a_finance_area", "AI_APP_ID_2A_FINANCE_AREA", "app2a_finance_area", "app2a"),
        ("app3_clue", "AI_APP_ID_3_CLUE", "app3_clue", "app3"),
        ("app4_analysis", "AI_APP_ID_4_ANALYSIS", "app4_analysis", "app4"),
        ("app5_tactics", "AI_APP_ID_5_TACTICS", "app5_tactics", "app5"),
        ("app6_note", "AI_APP_ID_6_NOTE", "app6_note_analysis", "app6"),
        ("app7_customer", "AI_APP_ID_7_CUSTOMER", "app7_customer_analysis", "app7"),
        ("app8_consolidation", "AI_APP_ID_8_CONSOLIDATE", "app8_clue_consolidated", "app8"),
    ]


def test_every_apps_setting_is_a_field_of_the_settings_with_that_environment_name() -> None:
    for entry in CATALOG.values():
        assert Settings.model_fields[entry.setting].validation_alias == entry.env


def test_an_app_is_found_by_its_name_and_by_its_short_name() -> None:
    assert app("app2_finance") is app("app2") is APPS["app2_finance"]
    assert app("app2a_finance_area") is app("app2a") is APPS["app2a_finance_area"]
    assert all(CATALOG[name] is registered.entry for name, registered in APPS.items())


def test_all_eight_apps_can_be_run() -> None:
    assert list(APPS) == list(CATALOG)
    assert all(app(entry.alias) is APPS[name] for name, entry in CATALOG.items())


@pytest.mark.parametrize("name", ["", "app", "app9", "finance", "APP2", "app2_"])
def test_an_unknown_app_is_refused_with_the_names(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown app .*app2_finance, app2a_finance_area"):
        app(name)


def test_the_app_id_comes_from_its_own_setting_and_a_missing_one_is_named() -> None:
    settings = Settings(AI_APP_ID_2_FINANCE="id-two", AI_APP_ID_2A_FINANCE_AREA="")  # type: ignore[call-arg]  # by environment name
    assert app("app2").app_id(settings) == "id-two"
    with pytest.raises(ConfigurationError, match="AI_APP_ID_2A_FINANCE_AREA is not set"):
        app("app2a").app_id(settings)


@pytest.mark.parametrize(
    ("name", "subject", "target"),
    [
        ("app2", Subject(1001, "this_month"), "this_month__all"),
        ("app2", Subject(1001, "this_month", "all"), "this_month__all"),
        ("app2a", Subject(1001, "last_week", "hallA"), "last_week__hallA"),
        ("app2a", Subject(1001, "last_6_months", "hall"), "last_6_months__hall"),
        *[(name, Subject(1001, member_id=555), "555") for name in ("app3", "app6", "app7", "app8")],
        *[(name, Subject(1001, member_id=555, assistant_id=7), "7_555") for name in ("app4", "app5")],
    ],
)
def test_a_good_subject_passes_and_has_its_target(name: str, subject: Subject, target: str) -> None:
    app(name).check(subject)
    assert app(name).target_id(subject) == target


@pytest.mark.parametrize(
    ("name", "subject", "message"),
    [
        ("app2", Subject(0, "this_month"), "app2_finance needs a site"),
        ("app2a", Subject(0, "this_month", "vip"), "app2a_finance_area needs a site"),
        ("app2", Subject(1001), "app2_finance needs a time window: one of this_month"),
        ("app2a", Subject(1001, area="vip"), "app2a_finance_area needs a time window"),
        ("app2", Subject(1001, "today"), "unknown time window 'today'"),
        ("app2", Subject(1001, "this_month", "hall"), "area hall belongs to app2a_finance_area"),
        ("app2", Subject(1001, "this_month", "ktv"), "area ktv belongs to app2a_finance_area"),
        ("app2", Subject(1001, "this_month", "bar"), "unknown area 'bar'"),
        ("app2a", Subject(1001, "this_month"), "app2a_finance_area needs an area: one of hall, hallA"),
        ("app2a", Subject(1001, "this_month", "all"), "that belongs to app2_finance"),
        ("app2a", Subject(1001, "this_month", "bar"), "unknown area 'bar'"),
        *[(name, Subject(0, member_id=5, assistant_id=7), "site") for name in MEMBER_APPS],
        *[(name, Subject(1001, assistant_id=7), "member") for name in MEMBER_APPS],
        *[(name, Subject(1001, member_id=5), "assistant") for name in ("app4", "app5")],
    ],
)
def test_a_missing_or_wrong_input_is_told_clearly(name: str, subject: Subject, message: str) -> None:
    with pytest.raises(InputError) as caught:
        app(name).check(subject)
    assert message in str(caught.value)


def _given(name: str, *others: str) -> App[Any]:
    return replace(APPS["app3_clue"], entry=CatalogEntry(name, "", "", ""), handed_on=others)


def test_an_app_stands_after_those_whose_answers_it_is_given_and_otherwise_as_it_came() -> None:
    apps = [_given("a", "c"), _given("b"), _given("c", "b", "elsewhere"), _given("d")]
    assert in_order(apps) == ("b", "c", "a", "d")


def test_apps_that_are_given_each_others_answers_are_named() -> None:
    with pytest.raises(ValueError, match="b, c: each is given an answer of another"):
        in_order([_given("a"), _given("b", "c"), _given("c", "b")])
