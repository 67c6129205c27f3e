"""Each door by which a text is kept or told redacts before it cuts: no door relies on another."""

from __future__ import annotations

import logging
from decimal import Decimal

import click
import pydantic
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from ai_assets.apps.answers import ClueAnswer
from ai_assets.apps.base import Subject
from ai_assets.apps.redaction import redact
from ai_assets.chains.charging import account
from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.cli.run_app import json_object
from ai_assets.dashscope.errors import classify
from ai_assets.dashscope.prices import Prices
from ai_assets.dashscope.reading import NotJsonError, read_answer
from ai_assets.dashscope.reply import Reply
from ai_assets.dashscope.wire import RawReply, read_reply
from ai_assets.errors import AiAssetsError
from ai_assets.privacy.logs import describe, log_defect
from ai_assets.store.trigger_jobs import ERROR_LIMIT, short_error

PHONE = "13800138000"


def cut_in_two(limit: int) -> str:
    """A text whose phone number would lose its last digits to a cut at `limit`."""
    return "字" * (limit - 8) + PHONE + "字" * 50


def holds_some(kept: str) -> bool:
    return PHONE[:7] in kept


def test_an_error_of_the_service_is_redacted_though_its_message_is_cut_within_the_number() -> None:
    for message in (f"cannot read {PHONE}", cut_in_two(300), cut_in_two(1200).replace("字", " ")):
        assert not holds_some(str(classify(400, "InvalidParameter", message, {}, PHONE)))


def test_an_unreadable_answer_is_quoted_without_it_though_the_quotation_is_cut_within_the_number() -> None:
    for answer in (PHONE, cut_in_two(60)):
        with pytest.raises(NotJsonError) as caught:
            read_answer(answer, ClueAnswer)
        assert not holds_some(str(caught.value))


def test_the_run_log_keeps_neither_an_answer_nor_an_error_as_it_came() -> None:
    reply = Reply(f'{{"phone": {PHONE}}}', "s", "r", 1, 1, True, (), (), 5, 1, "stop", False)
    for given in ((reply, None), (None, AiAssetsError(f"row {PHONE}"))):
        kept = account(*given, status="failed", estimate=1, prices=Prices({}), latency_ms=1)
        assert [kept.response_text is None, kept.error_message is None] == [
            given[0] is None,
            given[1] is None,
        ]
        assert not holds_some(f"{kept.response_text} {kept.error_message}")


def test_a_steps_message_and_a_jobs_error_are_redacted() -> None:
    step = StepResult("app3_clue", Subject(1), "555", Outcome.FAILED, message=f"row {PHONE}")
    assert not holds_some(str(step.as_step_result()))
    assert not holds_some(short_error(cut_in_two(ERROR_LIMIT)) or "")
    assert short_error(None) is None


def test_a_failed_statement_is_told_without_its_values(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("select cast(:words as int)"), {"words": f"{PHONE} 号"})
    assert "parameters:" not in str(caught.value).replace("hide_parameters", "")


@pytest.mark.parametrize("value", [13800138000, 13800138000.0, Decimal(13800138000), 4111111111111111])
def test_a_whole_number_that_is_a_phone_or_a_card_becomes_its_mark_unless_its_key_says_an_id(
    value: object,
) -> None:
    assert "已隐去" in redact({"count": value})["count"]
    assert "已隐去" in redact({"rows": [[value]]})["rows"][0][0]
    ids = {"member_id": value, "编号": value, "cache_ids": [value], "runLogId": value}
    assert redact(ids) == ids


@pytest.mark.parametrize(
    "value", [Decimal("13800138000.00"), 138001380, True, 0.13800138000, 10**400, float("inf")]
)
def test_amounts_and_other_numbers_pass(value: object) -> None:
    assert redact({"净收入": value}) == {"净收入": value}


def test_a_key_that_is_a_number_of_somebody_is_redacted_too() -> None:
    assert redact({"13800138000": "张三", "微信号": "abc123", "id_card": 1, "summary": "好"}) == {
        "[电话已隐去]": "张三",
        "summary": "好",
    }


def test_a_text_of_the_log_is_not_formatted_twice(caplog: pytest.LogCaptureFixture) -> None:
    log_defect(logging.getLogger("ai_assets.test"), AiAssetsError("100 %s %d"), "%s done", "50 %")
    assert "50 % done" in caplog.text
    assert "100 %s %d" in caplog.text


PERSON = "欧阳青岚 Ms Ouyang"


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("insert into kept values (1, :person)", "kept_pkey"),
        ("insert into kept values (2, null)", "kept"),
        ("insert into kept values (3, :person || '!')", "short_name"),
        ("select cast(:person as date)", "22007"),
        ("select cast(:person as integer)", "22P02"),
        ("select cast(:person as jsonb)", "22P02"),
        ("select 1 / (length(:person) - length(:person))", "22012"),
    ],
)
def test_an_error_of_postgres_names_the_place_and_quotes_no_value(
    engine: Engine, statement: str, place: str
) -> None:
    with engine.connect() as connection:
        connection.execute(
            text(
                "create temporary table kept (id int primary key, name text not null,"
                " constraint short_name check (length(name) < 15))"
            )
        )
        connection.execute(text("insert into kept values (1, :person)"), {"person": PERSON})
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text(statement), {"person": PERSON})
    for said in (str(caught.value), str(caught.value.orig), repr(caught.value), describe(caught.value)):
        assert not any(word in said for word in PERSON.split())
    assert place in str(caught.value)


def test_a_defect_is_described_by_its_class_and_place_and_never_by_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        try:
            int(PERSON)
        except ValueError as error:
            raise KeyError(PERSON) from error
    except KeyError as error:
        said = describe(error)
        log_defect(logging.getLogger("ai_assets.test"), error, "job 7")
    assert said.startswith("unexpected KeyError in test_kept_texts.py, line ")
    assert "ValueError" in caplog.text
    assert not any(word in said + caplog.text for word in PERSON.split())
    assert describe(AiAssetsError("AI_X is not set")) == "AI_X is not set"


@pytest.mark.parametrize("echo", ["“{}”", '{{"name": "{}"}}', "'{}'", "prompt {}"])
def test_an_error_of_the_service_is_shown_up_to_where_it_quotes(echo: str) -> None:
    error = classify(400, "InvalidParameter", "Input is invalid: " + echo.format(PERSON), {}, PERSON)
    assert "Input is invalid:" in str(error)
    assert not any(word in str(error) for word in PERSON.split())
    assert error.request_id == ""


def test_a_reply_that_is_no_json_is_not_quoted() -> None:
    error = read_reply(RawReply(200, {}, f"<html>{PERSON}</html>"))
    assert not any(word in str(error) for word in PERSON.split())


def test_a_payload_that_is_no_json_is_not_quoted() -> None:
    with pytest.raises(click.BadParameter) as caught:
        json_object(f'{{"note_content": {PERSON}}}')
    assert not any(word in caught.value.format_message() for word in PERSON.split())


def test_a_model_of_an_answer_hides_what_it_was_given_in_its_errors() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        ClueAnswer.model_validate({"clues": [{"summary": {"name": PERSON}}], "x": PERSON})
    assert not any(word in str(caught.value) for word in PERSON.split())
