"""A large ledger must not slow intake or claiming: the hot statements stay on their indexes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from ai_assets.store import claims, inbox, site_jobs

FINISHED_ROWS = 50_000
PENDING_MEMBERS = 5_000


@pytest.fixture(scope="module")
def ledger(module_engine: Engine) -> Engine:
    """Fifty thousand finished jobs, and five thousand members' that wait."""
    with module_engine.begin() as connection:
        connection.execute(
            text(
                """
                insert into biz.ai_trigger_jobs (event_type, site_id, member_id, payload, app_chain, status,
                    business_date, dedup_key, finished_at)
                select case when n % 10 = 0 then 'dws_completed' else 'consumption' end, 1 + n % 50,
                    case when n % 10 = 0 then null else n end,
                    case when n % 10 = 0 then jsonb_build_object('batch_id', n::text, 'batch_finished', '1.5')
                        else '{}' end,
                    'app2', case when n % 7 = 0 then 'failed' else 'completed' end, '2026-08-18', md5(n::text), now()
                from generate_series(1, :finished) n
                """
            ),
            {"finished": FINISHED_ROWS},
        )
        connection.execute(
            text(
                """
                insert into biz.ai_trigger_jobs (event_type, site_id, member_id, app_chain, dedup_key)
                select 'consumption', 1 + n % 50, n, 'app3', 'p' || n from generate_series(1, :pending) n
                """
            ),
            {"pending": PENDING_MEMBERS},
        )
        connection.execute(text("insert into biz.sites (site_id, name) values (1, '店')"))
    with module_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze biz.ai_trigger_jobs"))
    return module_engine


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def plans_of(engine: Engine, work) -> list[dict]:
    """Run `work(connection)` and give the plan of each statement that it sent."""
    sent = []
    with engine.connect() as connection:

        def heard(_connection, _cursor, statement, parameters, _context, _many):
            sent.append((statement, parameters))

        event.listen(engine, "before_cursor_execute", heard)
        try:
            work(connection)
        finally:
            event.remove(engine, "before_cursor_execute", heard)
        connection.rollback()
        plans = []
        for statement, parameters in sent:
            if statement.lstrip().lower().startswith(("select", "update", "with")):
                found = connection.exec_driver_sql(
                    f"explain (format json) {statement}", parameters
                ).scalar_one()
                plans.append((found if isinstance(found, list) else json.loads(found))[0]["Plan"])
        connection.rollback()
    return plans


@pytest.mark.parametrize(
    ("work", "indexes"),
    [
        (lambda c: claims.claim_job(c, FINISHED_ROWS + 1, owner="o", lease_s=60, run_id=None), ("pkey",)),
        (
            # the few running ones may be looked at all: no more than the workers hold
            lambda c: inbox.finish(c, 77, owner="o", status="completed", step_results=[], error=None),
            ("pkey", "running"),
        ),
        (lambda c: inbox.job(c, 77), ("pkey",)),
        (lambda c: site_jobs.due_site_jobs(c, limit=200), ("site_queue",)),
    ],
    ids=["claim", "finish", "job", "due"],
)
def test_the_hot_statements_use_their_index_and_never_walk_the_ledger(ledger, work, indexes):
    (plan,) = plans_of(ledger, work)
    found = list(nodes(plan))
    assert not [node for node in found if node["Node Type"] == "Seq Scan"], plan
    assert {f"ai_trigger_jobs_{index}" for index in indexes} & {node.get("Index Name") for node in found}


def test_a_members_running_chain_is_found_by_the_index_that_forbids_a_second(ledger):
    (plan,) = plans_of(
        ledger, lambda c: claims.claim_job(c, FINISHED_ROWS + 1, owner="o", lease_s=60, run_id=None)
    )
    indexes = {node.get("Index Name") for node in nodes(plan)}
    assert indexes & {"ai_trigger_jobs_one_chain_a_member", "ai_trigger_jobs_running"}


def test_the_holder_of_a_key_is_found_by_its_index(ledger):
    with ledger.connect() as connection:
        for statement in (
            "select id from biz.ai_trigger_jobs where dedup_key = 'p77'",
            "update biz.ai_trigger_jobs set dedup_key = null where dedup_key = 'p77'",
        ):
            plan = connection.exec_driver_sql(f"explain (format json) {statement}").scalar_one()[0]["Plan"]
            assert [node.get("Index Name") for node in nodes(plan)][-1] == "ai_trigger_jobs_key"


@contextmanager
def walks_of_the_ledger(engine: Engine) -> Iterator[Callable[[], int]]:
    """How often the ledger was read from end to end since the block began, as Postgres itself counts it."""

    def scans() -> int:
        with engine.connect() as connection:
            connection.execute(text("select pg_stat_force_next_flush()"))
            connection.commit()
            return connection.execute(
                text("select seq_scan from pg_stat_user_tables where relname = 'ai_trigger_jobs'")
            ).scalar_one()

    before = scans()
    yield lambda: scans() - before


def test_taking_an_event_in_walks_no_ledger_whatever_becomes_of_it(ledger):
    with walks_of_the_ledger(ledger) as walks:
        # more than five times each: from then on Postgres may plan once for all parameters
        with ledger.begin() as connection:
            for number in range(20):
                inbox.fire(connection, "consumption", site_id=1, member_id=900_000 + number % 10)
                inbox.fire(connection, "dws_completed", site_id=1, is_forced=number % 2 == 0)
                inbox.fire(connection, "nonsense", site_id=1)
                inbox.fire(connection, "ai_dws_prewarm", site_id=None)
        assert walks() == 0
