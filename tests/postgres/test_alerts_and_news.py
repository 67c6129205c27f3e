"""Alerts and news of the cache: rows, notifications with exactly the contract's keys, and no harm if they fail."""

from __future__ import annotations

import json
import logging

import pytest
from sqlalchemy import text

from ai_assets.store.alerts import raise_alert
from ai_assets.store.engine import make_engine, wait_readable
from ai_assets.store.news import report_reused
from tests.alert_row import add_alert


@pytest.fixture
def heard(db):
    """What a listener of both channels has been told so far, as (channel, payload)."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("listen ai_alert"))
        connection.execute(text("listen ai_cache_updated"))
        driver = connection.connection.driver_connection

        def so_far(expected: int) -> list[tuple[str, dict]]:
            while len(driver.notifies) < expected and wait_readable(driver, 5):
                driver.poll()
            driver.poll()
            return [(notify.channel, json.loads(notify.payload)) for notify in driver.notifies]

        yield so_far
        # the connection goes back to its pool: it must not go on listening there
        connection.execute(text("unlisten *"))
        driver.notifies.clear()


def write(connection, target="555"):
    connection.execute(
        text(
            "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, trigger_job_id,"
            " run_log_id, prompt_hash) values ('app3_clue', 1001, :target, '{}', 'consumption', 4, 9, 'h')"
        ),
        {"target": target},
    )


def test_an_alert_is_a_row_and_a_notification_with_the_contracts_keys(db, heard):
    add_alert(db.engine, "app3 超时了", alert_type="timeout", log=12)
    row = db.one("select * from biz.ai_alerts")
    assert (row["site_id"], row["app_type"], row["alert_type"], row["log_id"]) == (
        1001,
        "app3_clue",
        "timeout",
        12,
    )
    assert row["message"] == "app3 超时了"
    assert heard(1) == [
        (
            "ai_alert",
            {
                "site_id": 1001,
                "app_type": "app3_clue",
                "alert_type": "timeout",
                "message": "app3 超时了",
                "log_id": 12,
            },
        )
    ]


def test_an_alert_of_no_site_app_or_call_says_null(db, heard):
    add_alert(db.engine, "given up", alert_type="dead", site=None, app=None, log=None)
    ((_, told),) = heard(1)
    assert told == {
        "site_id": None,
        "app_type": None,
        "alert_type": "dead",
        "message": "given up",
        "log_id": None,
    }


def test_news_of_the_cache_come_when_the_transaction_commits_and_never_if_it_does_not(db, heard):
    with db.engine.connect() as connection:
        write(connection, "rolled back")
        connection.rollback()
    with db.engine.begin() as connection:
        write(connection)
        assert heard(0) == []
    assert heard(1) == [
        (
            "ai_cache_updated",
            {"site_id": 1001, "cache_type": "app3_clue", "target_id": "555", "triggered_by": "consumption"},
        )
    ]


def test_a_reused_answer_is_a_notification_with_reused_and_who_asked_now(db, heard):
    with db.engine.begin() as connection:
        write(connection)
    report_reused(db.engine, db.value("select id from biz.ai_cache"), "task_assigned")
    assert heard(2)[1] == (
        "ai_cache_updated",
        {
            "site_id": 1001,
            "cache_type": "app3_clue",
            "target_id": "555",
            "triggered_by": "task_assigned",
            "reused": True,
        },
    )
    assert db.count("biz.ai_cache") == 1
    assert db.value("select count(*) from biz.ai_news") == 2


def test_a_reuse_of_an_answer_that_is_gone_reports_nothing(db, heard):
    report_reused(db.engine, 987, "task_assigned")
    assert heard(0) == []
    assert db.count("biz.ai_news") == 0


def test_a_reuse_is_notified_though_the_feed_cannot_be_written(db, heard):
    with db.engine.begin() as connection:
        write(connection)
        connection.execute(text("alter table biz.ai_news rename to elsewhere"))
    try:
        report_reused(db.engine, db.value("select id from biz.ai_cache"), "task_assigned")
        assert [told.get("reused") for _, told in heard(2)] == [None, True]
    finally:
        with db.engine.begin() as connection:
            connection.execute(text("alter table biz.elsewhere rename to ai_news"))


def test_trouble_with_reporting_a_reuse_is_logged_and_never_raised(caplog):
    away = make_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with caplog.at_level(logging.WARNING, logger="ai_assets.store.news"):
        report_reused(away, 7, "task_assigned")
    (record,) = caplog.records
    assert record.args[0] == 7


@pytest.mark.parametrize(
    "alert_type",
    [
        "circuit_open",
        "rate_limited",
        "budget_exceeded",
        "timeout",
        "failed",
        "budget_warning",
        "app_blocked",
        "bad_batch",
        "dead",
    ],
)
def test_every_kind_of_alert_can_be_raised(db, alert_type):
    raise_alert(db.engine, alert_type, site_id=1, app_type=None, log_id=None)
    assert db.one("select alert_type from biz.ai_alerts") == {"alert_type": alert_type}


@pytest.mark.parametrize("alert_type", ["no such type", "timeout"])
def test_trouble_with_an_alert_is_logged_and_never_raised(db, caplog, alert_type):
    away = make_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    engine = db.engine if alert_type == "no such type" else away
    with caplog.at_level(logging.ERROR, logger="ai_assets.store.alerts"):
        raise_alert(engine, alert_type, site_id=1001, app_type="app3_clue", log_id=None)
    (record,) = caplog.records
    said = f"an alert ({alert_type}, site 1001, app3_clue) could not be recorded: "
    assert record.getMessage().startswith(said)
    # with the reason, in one line
    assert len(record.getMessage()) > len(said)
    assert "\n" not in record.getMessage()


def test_a_notification_too_long_for_postgres_is_left_out_and_the_result_is_written(db, heard):
    with db.engine.begin() as connection:
        write(connection, "x" * 9000)
    assert db.count("biz.ai_cache") == 1
    assert heard(0) == []
