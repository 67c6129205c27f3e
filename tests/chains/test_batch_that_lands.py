"""A batch that finishes while a prompt is built: it is built again, and what is asked names the batch it is from."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event, text

from ai_assets.apps.base import Prompt, Subject
from ai_assets.chains.by_hand import Asked, run_by_hand
from ai_assets.chains.cells import Cell
from ai_assets.chains.member_reads import MemberReads
from ai_assets.chains.member_steps import About, MemberSteps
from ai_assets.chains.outcome import Outcome, StepResult, Trigger
from ai_assets.chains.runtime import Runtime
from ai_assets.chains.site import run_cells
from ai_assets.chains.site_figures import SiteFigures
from ai_assets.errors import DatabaseUnavailableError
from ai_assets.store import inbox
from ai_assets.warehouse.finance import SiteFinance
from ai_assets.warehouse.member_data import MemberData
from ai_assets.warehouse.sites import newest_batch

SITE = 1001
CELL = Cell(SITE, "all", "this_week")
NEXT_DAY = date(2026, 7, 1)
MEMBER = Subject(SITE, member_id=555)
CENTS = 100_000_000
SITE_TABLE = "from dws.finance_site_daily\n"
BILLS = "from dws.settlement"
BILL = (
    "insert into dws.settlement (settlement_id, site_id, member_id, biz_date, settled_at, area, table_fee, paid)"
    " values (990001, 1001, 555, '2026-07-01', '2026-07-01 20:00+08', 'hallA', 123.45, 123.45)"
)


class Etl:
    """An ETL on a connection of its own, which acts right before or after others' statements with some words."""

    def __init__(self, runtime: Runtime, look) -> None:
        self.runtime = runtime
        self.look = look
        self.landed = 0

    def lands(self, *statements: str, day: date = NEXT_DAY, batch: int = 20260702) -> None:
        """One batch: its rows and its own row in one transaction."""
        self.landed += 1
        with self.look.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
            connection.execute(
                text("insert into dws.etl_batch values (:id, :site, :day, 'success', clock_timestamp())"),
                {"id": batch * 10 + self.landed, "site": SITE, "day": day},
            )

    def on(self, moment: str, words: str, act: Callable[[], None], times: int = 1) -> None:
        """`act` at the first `times` statements with these words; moment: before_/after_cursor_execute."""
        left = [times]

        def look(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if words in statement and left[0]:
                left[0] -= 1
                act()

        event.listen(self.runtime.engine, moment, look)


@pytest.fixture
def etl(make_runtime, events) -> Etl:
    # width 1: statements come in one order
    return Etl(make_runtime(concurrency=1), events.engine)


def make(runtime: Runtime, *cells: Cell, as_of: date | None = None) -> list[StepResult]:
    results: list[StepResult] = []
    run_cells(
        runtime,
        cells or [CELL],
        trigger=Trigger("dws_completed", "batch"),
        as_of=as_of,
        on_result=lambda _cell, result: results.append(result),
    )
    return results


def batch_id(finance: SiteFinance) -> str:
    assert finance.batch is not None
    return finance.batch.batch_id


def batch_of(result: StepResult) -> str:
    return str(result.references["batch"]["batch_id"])


def asked(simulator, app: str) -> list[dict[str, Any]]:
    return [json.loads(call.prompt) for call in simulator.calls(app)]


def test_a_batch_that_lands_after_the_figures_were_read_is_the_one_that_is_asked_about(etl, simulator):
    etl.on("after_cursor_execute", SITE_TABLE, etl.lands)
    (made,) = make(etl.runtime)
    assert made.outcome is Outcome.SUCCESS
    assert batch_of(made) == "202607021"
    assert made.references["as_of"] == str(NEXT_DAY)
    assert [call["截止日期"] for call in asked(simulator, "app2")] == [str(NEXT_DAY)], (
        "asked once, and of the newest"
    )


def test_the_two_tables_of_a_site_and_its_batch_are_read_as_of_one_moment(etl):
    raised = (
        "update dws.finance_area_daily set net_revenue = 1000000",
        "update dws.finance_site_daily set recharge_amount = 1000000",
    )
    seen: list[tuple[bool, bool]] = []

    def build(finance: SiteFinance, subject: Subject) -> Prompt:
        areas, site = finance.areas["all"].frame, finance.site_days.frame
        seen.append((areas["net_revenue"].max() >= CENTS, site["recharge_amount"].max() >= CENTS))
        return CELL.app.build(finance, subject)

    etl.on("before_cursor_execute", SITE_TABLE, lambda: etl.lands(*raised))
    prompt = SiteFigures(etl.runtime, None).prompt(replace(CELL.app, build=build), CELL.subject)
    assert seen == [(False, False), (True, True)], "first all old, then all new; never one of each"
    assert prompt.references["batch"]["batch_id"] == "202607021"


@pytest.mark.parametrize("as_of", [None, date(2026, 6, 30)])
def test_a_corrected_batch_of_the_same_day_is_noticed_with_and_without_a_given_as_of_date(
    etl, simulator, as_of
):
    etl.on("after_cursor_execute", SITE_TABLE, lambda: etl.lands(day=date(2026, 6, 30), batch=777))
    (made,) = make(etl.runtime, as_of=as_of)
    assert batch_of(made) == "7771"
    assert made.references["as_of"] == "2026-06-30"


def test_a_batch_that_ran_again_under_its_own_id_is_another_one(etl, events, simulator):
    again = "update dws.etl_batch set finished_at = finished_at + interval '1 h' where site_id = 1001"
    etl.on("after_cursor_execute", SITE_TABLE, lambda: events.run(again))
    finished = events.rows("select max(finished_at) from dws.etl_batch where site_id = 1001")[0][0]
    (made,) = make(etl.runtime)
    assert made.references["batch"]["finished_at"] > finished.isoformat()


def test_a_site_whose_batch_never_rests_fails_with_a_reason_before_anything_is_spent(etl, events, simulator):
    etl.on("after_cursor_execute", SITE_TABLE, etl.lands, times=100)
    (made,) = make(etl.runtime)
    assert (made.outcome, made.reason) == (Outcome.FAILED, "batch_changing")
    assert "3 times" in made.message
    assert etl.landed == 3
    assert simulator.stats()["total"] == 0
    assert events.rows("select count(*) from biz.ai_run_logs") == [(0,)]


def test_figures_are_read_once_for_all_cells_and_once_more_for_those_after_a_batch(etl, simulator):
    reads: list[str] = []
    cells = [Cell(SITE, "all", window) for window in ("this_month", "this_week", "last_week", "last_month")]
    etl.on("after_cursor_execute", SITE_TABLE, lambda: reads.append("read"), times=100)
    # the first cell has asked; the second is about to ask the guard
    etl.on("after_cursor_execute", "biz.ai_end_call", etl.lands)
    results = make(etl.runtime, *cells)
    assert [batch_of(result) for result in results][1:] == ["202607021"] * 3
    assert batch_of(results[0]) != "202607021"
    assert len(reads) == 2


def test_cells_that_find_the_newer_batch_at_once_read_it_once(etl):
    together = threading.Barrier(4, action=lambda: etl.landed or etl.lands())
    reads: list[str] = []
    figures = SiteFigures(etl.runtime, None)
    figures.of(SITE)
    etl.on("after_cursor_execute", SITE_TABLE, lambda: reads.append("read"), times=100)

    def build(finance: SiteFinance, subject: Subject) -> Prompt:
        if batch_id(finance) != "202607021":
            together.wait(20)
        return CELL.app.build(finance, subject)

    app = replace(CELL.app, build=build)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: figures.prompt(app, CELL.subject), range(4)))
    assert {prompt.references["batch"]["batch_id"] for prompt in made} == {"202607021"}
    assert reads == ["read"]


def test_another_sites_batch_changes_nothing(etl, events, simulator):
    other = "insert into dws.etl_batch values (990001, 1002, '2026-07-01', 'success', now())"
    reads: list[str] = []
    etl.on("after_cursor_execute", SITE_TABLE, lambda: (events.run(other), reads.append("read")), times=100)
    (made,) = make(etl.runtime)
    assert made.references["as_of"] == "2026-06-30"
    assert len(reads) == 1


def test_a_batch_without_success_changes_nothing(etl, events, simulator):
    failed = "insert into dws.etl_batch values (990001, 1001, '2026-07-01', 'failed', now())"
    etl.on("after_cursor_execute", SITE_TABLE, lambda: events.run(failed))
    (made,) = make(etl.runtime)
    assert made.references["as_of"] == "2026-06-30"


def test_a_member_by_hand_is_read_again_too(etl, events, simulator):
    etl.on("after_cursor_execute", BILLS, lambda: etl.lands(BILL))
    made = run_by_hand(etl.runtime, Asked("app3_clue", MEMBER))
    assert made.outcome is Outcome.SUCCESS
    assert batch_of(made) == "202607021"
    assert made.references["as_of"] == "2026-07-01"
    (prompt,) = asked(simulator, "app3")
    assert "123.45" in json.dumps(prompt, ensure_ascii=False)


def test_what_one_members_prompt_reads_is_as_of_one_moment(etl, events, simulator):
    def clues() -> StepResult:
        return MemberSteps(etl.runtime, About(SITE, 555, as_of=NEXT_DAY), Trigger()).run("app3_clue")

    # the profile was read before; the bill is there when the bills are read
    etl.on("before_cursor_execute", BILLS, lambda: events.run(BILL))
    assert "123.45" not in clues().prompt
    assert "123.45" in clues().prompt, "a snapshot ends with its prompt"


def test_a_snapshot_whose_server_went_away_is_postgres_being_away_and_no_defect(etl, events):
    reads = MemberReads(etl.runtime.engine, SITE, 555, None, None)
    end = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and state = 'idle in transaction'"
    )

    def build(data: MemberData) -> Prompt:
        assert data.consumption.rows
        assert events.rows(end) == [(True,)]
        return Prompt("text", {})

    with contextlib.suppress(DatabaseUnavailableError):
        reads.prompt(build)
    assert reads.data().member.name, "and the next read has a connection of its own"


def test_a_chain_goes_on_with_the_newer_batch_from_the_step_where_it_landed(etl, events, simulator):
    etl.on("after_cursor_execute", "biz.ai_end_call", etl.lands)
    job = events.consumption()
    events.work(etl.runtime)
    rows = events.rows(
        "select cache_type, result_json #>> '{_references,batch,batch_id}' from biz.ai_cache order by id"
    )
    assert [row[0] for row in rows] == ["app3_clue", "app8_clue_consolidated", "app7_customer_analysis"]
    assert [row[1] for row in rows][1:] == ["202607021", "202607021"]
    assert rows[0][1] != "202607021"
    with events.engine.connect() as connection:
        assert inbox.job(connection, job).status == "completed"


def test_asking_for_the_newest_batch_is_one_look_at_an_index(etl, events):
    events.run(
        "insert into dws.etl_batch select 1000000 + n, n % 400, date '2020-01-01' + n / 400, 'success', now()"
        " from generate_series(1, 60000) n"
    )
    with events.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze dws.etl_batch"))
    scans = "select seq_scan from pg_stat_user_tables where relname = 'etl_batch'"
    events.engine.dispose()
    before = events.rows(scans)
    with events.engine.connect() as connection:
        assert newest_batch(connection, 7) is not None
    events.engine.dispose()
    assert events.rows(scans) == before
