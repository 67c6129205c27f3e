"""The figures of a day against rows that are counted by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from ai_assets.store.day_figures import Calls, day_figures

DAY = date(2026, 6, 17)
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 6, 17, 12, tzinfo=SHANGHAI)


class Day:
    """Rows of a day; times are of Shanghai."""

    def __init__(self, db) -> None:
        self.db = db

    def call(
        self, status: str = "success", at: datetime = NOON, app: str = "app3_clue", site: int = 1001, **more
    ) -> int:
        row = {"app_type": app, "site_id": site, "target_id": "5", "trigger_type": "event", "status": status,
               "created_at": at, **more}  # fmt: skip
        sql = f"insert into biz.ai_run_logs ({', '.join(row)}) values ({', '.join(f':{n}' for n in row)}) returning id"
        with self.db.engine.begin() as connection:
            return connection.execute(text(sql), row).scalar_one()

    def job(self, results: str = "[]", at: datetime = NOON, event: str = "consumption", status: str = "completed",
            site: int = 1001, ended: datetime | None = None) -> None:  # fmt: skip
        self.db.run(
            "insert into biz.ai_trigger_jobs (event_type, site_id, status, step_results, created_at, started_at, "
            "finished_at) values (:event, :site, :status, cast(:results as jsonb), :at, "
            "cast(:at as timestamptz) + interval '4 s', :ended)",
            event=event, site=site, status=status, results=results, at=at, ended=ended or at,
        )  # fmt: skip

    def text(
        self, target: str, at: datetime, cache_type: str = "app2_finance", site: int = 1001, log: int = 1
    ) -> None:
        made = self.db.cached(log, target=target, site=site, cache_type=cache_type)
        self.db.run("update biz.ai_cache set created_at = :at where id = :id", at=at, id=made)

    def figures(self, day: date = DAY, zone: ZoneInfo = SHANGHAI):
        return day_figures(self.db.engine, day, zone)


@pytest.fixture
def of_day(db) -> Day:
    return Day(db)


def test_a_day_without_anything_is_noughts(of_day):
    figures = of_day.figures()
    assert figures.total == Calls()
    assert (figures.by_app, figures.by_site, figures.by_hour, figures.cells) == ({}, {}, {}, ())
    assert figures.total.reuse_share is None


def test_calls_are_added_up_by_app_site_and_hour(of_day):
    of_day.call(tokens_in=100, tokens_out=20, tokens_used=120, cost_cny=Decimal("0.25"), latency_ms=1000)
    of_day.call(
        tokens_in=100, tokens_out=20, tokens_used=120, cost_cny=Decimal("0.25"), latency_ms=3000, site=1002
    )
    of_day.call(
        "failed", app="app6_note", tokens_used=50, tokens_estimated=True, latency_ms=5000, reason="not_json"
    )
    of_day.call("timeout", at=NOON.replace(hour=23, minute=59), latency_ms=180_000)
    of_day.call("refused", reason="rate_limited", latency_ms=77)
    # not at its end: of no figure yet
    of_day.call("running")
    of_day.call("pending")
    figures = of_day.figures()
    assert figures.total == Calls(
        calls=4, successes=2, failures=1, timeouts=1, refusals=1, tokens_in=200, tokens_out=40, tokens=290, estimated=1,
        cost_cny=Decimal("0.500000"), p50_ms=4000.0, p95_ms=pytest.approx(153_750), longest_ms=180_000,
    )  # fmt: skip
    assert {app: calls.calls for app, calls in figures.by_app.items()} == {"app3_clue": 3, "app6_note": 1}
    assert {site: calls.successes for site, calls in figures.by_site.items()} == {1001: 1, 1002: 1}
    assert {hour: (calls.calls, calls.refusals) for hour, calls in figures.by_hour.items()} == {
        12: (3, 1),
        23: (1, 0),
    }
    assert [(f.app, f.status, f.reason, f.times) for f in figures.failures] == [
        ("app3_clue", "refused", "rate_limited", 1), ("app3_clue", "timeout", "timeout", 1),
        ("app6_note", "failed", "not_json", 1),
    ]  # fmt: skip


def test_a_day_is_one_of_the_zone_and_begins_and_ends_at_its_midnights(of_day):
    of_day.call(at=datetime(2026, 6, 16, 15, 59, 59, tzinfo=UTC))
    of_day.call(at=datetime(2026, 6, 16, 16, tzinfo=UTC), app="first")
    of_day.call(at=datetime(2026, 6, 17, 15, 59, 59, tzinfo=UTC), app="last")
    of_day.call(at=datetime(2026, 6, 17, 16, tzinfo=UTC))
    assert set(of_day.figures().by_app) == {"first", "last"}
    assert set(of_day.figures().by_hour) == {0, 23}
    # a day on which clocks change has another number of hours
    berlin = of_day.figures(date(2026, 3, 29), ZoneInfo("Europe/Berlin"))
    assert (berlin.ends.astimezone(UTC) - berlin.begins.astimezone(UTC)).total_seconds() == 23 * 3600


def test_steps_that_took_a_text_again_count_as_reused_when_their_job_ended(of_day):
    steps = json.dumps([
        {"app": "app3_clue", "outcome": "reused"}, {"app": "app8_consolidation", "outcome": "reused"},
        {"app": "app7_customer", "outcome": "success"},
    ])  # fmt: skip
    of_day.call(app="app7_customer")
    of_day.job(steps)
    of_day.job(steps, site=1002, at=NOON.replace(day=16, hour=23), ended=NOON.replace(hour=1))
    of_day.job(steps, ended=NOON.replace(day=18))
    # what others wrote there is passed over
    of_day.job('[{"site_id": 1001, "trigger_job_id": 7}, "x", 5]')
    of_day.job('{"outcome": "reused"}')
    figures = of_day.figures()
    assert figures.total.reused == 4
    assert figures.total.reuse_share == 0.8
    assert {app: calls.reused for app, calls in figures.by_app.items()} == {
        "app3_clue": 2, "app7_customer": 0, "app8_consolidation": 2
    }  # fmt: skip
    assert {site: calls.reused for site, calls in figures.by_site.items()} == {1001: 2, 1002: 2}
    assert {hour: calls.reused for hour, calls in figures.by_hour.items()} == {1: 2, 12: 2}


def test_events_alerts_and_breakers_of_the_day(of_day):
    of_day.job()
    of_day.job(status="failed")
    of_day.job(at=NOON.replace(day=18))
    of_day.db.run(
        "insert into biz.ai_alerts (alert_type, message, count, created_at, last_at) values "
        "('failed', 'x', 3, :at, :at), ('failed', 'y', 2, :at, :at), ('dead', 'z', 1, :later, :later)",
        at=NOON, later=NOON.replace(day=18),
    )  # fmt: skip
    change = (
        "insert into biz.ai_breaker_changes (app_type, state_before, state_after, epoch, relapses, reason, changed_by, "
        "open_until, created_at) values ('app6_note', :before, :after, 1, 0, 'x', 'guard', :until, :at)"
    )
    of_day.db.run(change, before="closed", after="open", until="infinity", at=NOON.replace(day=16))
    of_day.db.run(change, before="open", after="half_open", until=None, at=NOON)
    of_day.db.run(change, before="half_open", after="closed", until=None, at=NOON.replace(hour=13))
    figures = of_day.figures()
    assert [(e.event, e.status, e.times, e.waited_p95_s) for e in figures.events] == [
        ("consumption", "completed", 1, 4.0), ("consumption", "failed", 1, 4.0)
    ]  # fmt: skip
    assert figures.alerts == {"failed": 5}
    assert figures.breakers_at_begin == {"app6_note": "open"}
    assert [(c.state_before, c.state_after) for c in figures.breaker_changes] == [
        ("half_open", "closed"), ("open", "half_open")
    ]  # fmt: skip
    (before,) = of_day.figures(date(2026, 6, 16)).breaker_changes
    assert before.open_until is None


def test_the_grid_says_of_each_cell_what_the_day_came_to_and_of_when_its_text_is(of_day):
    yesterday = NOON.replace(day=16)
    finance = {"app": "app2_finance"}
    of_day.text("this_month__all", yesterday, log=1)
    of_day.text("last_month__all", yesterday, log=2)
    of_day.text("this_week__all", yesterday, log=3)
    # failed, then made; made, then failed
    of_day.call("failed", **finance, target_id="this_month__all", reason="x")
    made = of_day.call(**finance, target_id="this_month__all")
    of_day.text("this_month__all", NOON, log=made)
    of_day.call(**finance, target_id="this_week__all", at=NOON.replace(hour=1))
    of_day.call("timeout", **finance, target_id="this_week__all")
    of_day.call(
        "refused", app="app2a_finance_area", target_id="this_week__hallA", reason="budget_exceeded:day"
    )
    of_day.job(
        '[{"app": "app2_finance", "target_id": "last_month__all", "outcome": "reused"}]',
        event="dws_completed",
    )
    # a later one does not change this day
    of_day.text("this_week__all", NOON.replace(day=18), log=99)
    of_day.text("this_month__all", yesterday, site=1002, log=1)
    # a site whose first call ever failed; and what is no cell
    of_day.call("failed", app="app2a_finance_area", target_id="this_month__ktv", site=1003)
    of_day.call("failed", app="app2a_finance_area", target_id="this_month__garage", site=1003)
    cells = {(cell.site, cell.target): cell for cell in of_day.figures().cells}
    assert {key: (cell.outcome, cell.made_at and cell.made_at.day) for key, cell in cells.items()} == {
        (1001, "this_month__all"): ("success", 17),
        (1001, "last_month__all"): ("reused", 16),
        (1001, "this_week__all"): ("timeout", 16),
        (1001, "this_week__hallA"): ("refused", None),
        (1002, "this_month__all"): (None, 16),
        (1003, "this_month__ktv"): ("failed", None),
    }
    assert cells[1001, "this_week__hallA"].reason == "budget_exceeded:day"


def test_a_day_among_many_walks_neither_the_run_log_nor_the_inbox(of_day):
    of_day.db.run(
        "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, created_at) select "
        "'app3_clue', 1001, n, 'event', 'success', cast(:noon as timestamptz) - n * interval '5 min' "
        "from generate_series(1, 40000) n", noon=NOON,
    )  # fmt: skip
    of_day.db.run(
        "insert into biz.ai_trigger_jobs (event_type, site_id, member_id, status, created_at) select 'consumption', "
        "1001, n, 'completed', cast(:noon as timestamptz) - n * interval '5 min' from generate_series(1, 40000) n",
        noon=NOON,
    )  # fmt: skip
    with of_day.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("ai_run_logs", "ai_trigger_jobs"):
            connection.execute(text(f"vacuum analyze biz.{table}"))
    before = scans(of_day)
    assert of_day.figures().total.calls == 144
    assert scans(of_day) == before


def scans(of_day) -> dict[str, int]:
    of_day.db.engine.dispose()
    return {
        row["relname"]: row["seq_scan"]
        for row in of_day.db.all(
            "select relname, seq_scan from pg_stat_user_tables "
            "where schemaname = 'biz' and relname in ('ai_trigger_jobs', 'ai_run_logs')"
        )
    }
