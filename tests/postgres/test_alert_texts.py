"""The sentences of alerts: every kind in both languages, short, and without a technical word."""

from __future__ import annotations

import re

import pytest

from ai_assets.catalog import CATALOG
from ai_assets.gateway.reads import ALERT_TYPES
from ai_assets.store.alerts import raise_alert

VALUES = {"job": 9_223_372_036_854_775_807, "percent": 95, "date": "2999-12-31"}


@pytest.fixture
def texts(db) -> dict[str, tuple[str, str]]:
    return {row["kind"]: (row["zh"], row["en"]) for row in db.all("select * from biz.ai_alert_texts()")}


def test_every_type_of_alert_has_a_sentence_in_both_languages_and_no_other_has(texts):
    assert {kind for kind in texts if ":" not in kind} == set(ALERT_TYPES)
    assert {kind.partition(":")[0] for kind in texts} == set(ALERT_TYPES)
    for zh, en in texts.values():
        assert re.search(r"[\u4e00-\u9fff]", zh)
        assert not re.search(r"[\u4e00-\u9fff]", en)
        assert set(re.findall(r"\{(\w+)\}", zh)) == set(re.findall(r"\{(\w+)\}", en)) <= {"app", *VALUES}


def test_every_app_has_a_title_in_both_languages(db):
    assert {row["app"] for row in db.all("select * from biz.ai_app_titles()")} == set(CATALOG)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_sentence_with_its_values_is_whole_and_at_most_200_characters(db, texts, language):
    db.run("insert into biz.ai_settings (name, value) values ('alert_language', :l)", l=language)
    try:
        for kind, sentences in texts.items():
            longest = sentences[language == "en"]
            for app in (*CATALOG, None):
                if app is None and "{app}" in longest:
                    continue
                raise_alert(db.engine, kind, VALUES, site_id=1, app_type=app, log_id=None, window_s=0)
        messages = [row["message"] for row in db.all("select message from biz.ai_alerts")]
        assert len(messages) >= len(texts)
        # a sentence that was cut lacks its end
        assert [message for message in messages if message[-1] not in "。." or "{" in message] == []
        assert all(bool(re.search(r"[\u4e00-\u9fff]", message)) == (language == "zh") for message in messages)
    finally:
        db.run("delete from biz.ai_settings where name = 'alert_language'")


def test_a_case_without_a_sentence_has_that_of_its_type(db, texts):
    raise_alert(db.engine, "budget_exceeded:no such", site_id=1, app_type="app3_clue", log_id=None)
    row = db.one("select alert_type, message from biz.ai_alerts")
    assert row["alert_type"] == "budget_exceeded"
    assert row["message"] == texts["budget_exceeded"][0].replace("{app}", "会员线索")
