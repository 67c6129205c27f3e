"""A run's events on Dagster's real Postgres storage: what the UI asks for is right after batched writes.

This goes past Dagster's public API: these tests are what notices an upgrade that changes it.
"""

from __future__ import annotations

import asyncio
import threading
import tracemalloc

import psycopg2
import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    AssetMaterialization,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    MetadataValue,
    job,
    op,
)
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.partition_status_cache import get_partition_subsets
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.event_log import PostgresEventLogStorage

from ai_assets.assets import event_log
from ai_assets.assets.run_events import RunEvents
from ai_assets.member_partitions import assistant_members_def, members_def

CLUE, CUSTOMER, ANALYSIS = AssetKey("app3_clue"), AssetKey("app7_customer"), AssetKey("app4_analysis")


@op
def worker() -> None: ...


@job
def event_worker() -> None:
    worker()


@pytest.fixture
def postgres(postgres_instance: DagsterInstance) -> DagsterInstance:
    return postgres_instance


@pytest.fixture
def start(postgres: DagsterInstance):
    """A run that has started, and its events."""

    def started(**how) -> tuple[str, RunEvents]:
        run = postgres.create_run_for_job(event_worker, status=DagsterRunStatus.STARTED)
        return run.run_id, RunEvents(
            postgres, run_id=run.run_id, job_name="event_worker", step_key="worker", **how
        )

    return started


def made(asset_key: AssetKey, partition: str, text: str = "") -> AssetMaterialization:
    return AssetMaterialization(
        asset_key,
        partition=partition,
        metadata={"answer": MetadataValue.md(text or "x")},
        tags={"dagster/data_version": f"v{text}"},
    )


def statuses(instance: DagsterInstance, asset_key: AssetKey) -> dict[str, set[str]]:
    """Partitions by status, by the very function that the UI's pages use."""
    definition = assistant_members_def if asset_key == ANALYSIS else members_def
    context = LoadingContextForTest(instance)
    made, failed, in_progress = asyncio.run(
        get_partition_subsets(instance, context, asset_key, instance, definition)
    )
    subsets = {"made": made, "failed": failed, "in progress": in_progress}
    return {name: set(subset.get_partition_keys()) for name, subset in subsets.items()}


def until(condition) -> None:
    """Wait for what the thread does; a generous bound, so that nothing hangs."""
    waited = threading.Event()
    for _ in range(600):
        if condition():
            return
        waited.wait(0.05)
    pytest.fail("it did not come true within 30 s")


def planned_count(instance: DagsterInstance, run_id: str) -> int:
    of_type = DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    return len(instance.get_records_for_run(run_id, of_type=of_type).records)


def end(instance: DagsterInstance, run_id: str) -> None:
    instance.report_run_failed(instance.get_run_by_id(run_id))


def test_partitions_turn_green_and_each_assets_newest_materialization_is_right(postgres, start, caplog):
    run_id, events = start()
    with events:
        for number in range(1, 251):
            events.materialize(made(CLUE, f"1001:{number}", f"clue {number}"))
            events.materialize(made(CUSTOMER, f"1001:{number}", f"customer {number}"))
        events.materialize(made(ANALYSIS, "1001:7_5", "analysis"))
    members = {f"1001:{number}" for number in range(1, 251)}
    nothing = {"failed": set(), "in progress": set()}
    assert statuses(postgres, CLUE) == {"made": members, **nothing}
    assert statuses(postgres, CUSTOMER) == {"made": members, **nothing}
    assert statuses(postgres, ANALYSIS) == {"made": {"1001:7_5"}, **nothing}
    assert postgres.get_materialized_partitions(CLUE) == members
    assert set(postgres.get_dynamic_partitions("members")) == members
    assert postgres.get_dynamic_partitions("assistant_members") == ["1001:7_5"]
    for asset_key, text in ((CLUE, "clue 250"), (CUSTOMER, "customer 250"), (ANALYSIS, "analysis")):
        newest = postgres.get_latest_materialization_event(asset_key)
        assert newest.run_id == run_id
        assert newest.asset_materialization.metadata["answer"].value == text
        assert newest.asset_materialization.tags["dagster/data_version"] == f"v{text}"
    assert events.lost == 0
    # by the fast way, not by the way back
    assert caplog.text == ""


def test_the_events_are_the_runs_own_and_a_partitions_data_version_is_found_by_its_tag(postgres, start):
    run_id, events = start()
    with events:
        events.materialize(made(CLUE, "1001:5", "once"))
    (record,) = postgres.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION).records
    entry = record.event_log_entry
    assert (entry.job_name, entry.step_key, entry.dagster_event.partition) == (
        "event_worker",
        "worker",
        "1001:5",
    )
    assert postgres.get_asset_keys() == [CLUE]
    tagged = postgres.event_log_storage.get_latest_tags_by_partition(
        CLUE, DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"], ["1001:5"]
    )
    assert tagged == {"1001:5": {"dagster/data_version": "vonce"}}


def test_a_planned_cell_is_in_progress_then_green_or_red_as_it_ends(postgres, start, caplog):
    run_id, events = start(flush_s=0.05)
    with events:
        for number in (1, 2, 3):
            events.plan(CLUE, f"1001:{number}")
        events.plan(ANALYSIS, "1001:7_5")
        until(lambda: planned_count(postgres, run_id) == 4)
        working = {"1001:1", "1001:2", "1001:3"}
        assert statuses(postgres, CLUE) == {"made": set(), "failed": set(), "in progress": working}
        events.materialize(made(CLUE, "1001:2"))
        until(lambda: postgres.get_materialized_partitions(CLUE) == {"1001:2"})
        assert statuses(postgres, CLUE)["in progress"] == {"1001:1", "1001:3"}
    end(postgres, run_id)
    assert statuses(postgres, CLUE) == {
        "made": {"1001:2"},
        "failed": {"1001:1", "1001:3"},
        "in progress": set(),
    }
    assert statuses(postgres, ANALYSIS)["failed"] == {"1001:7_5"}
    assert caplog.text == ""

    # a later run makes what failed
    _, later = start()
    with later:
        later.plan(CLUE, "1001:1")
        later.materialize(made(CLUE, "1001:1"))
    assert statuses(postgres, CLUE) == {
        "made": {"1001:1", "1001:2"},
        "failed": {"1001:3"},
        "in progress": set(),
    }


def test_a_cell_made_within_the_wait_costs_no_planned_event_and_one_that_failed_is_red_at_once(
    postgres, start
):
    run_id, events = start(flush_s=30)
    with events:
        for number in (1, 2):
            events.plan(CLUE, f"1001:{number}")
        events.materialize(made(CLUE, "1001:1"))
    assert planned_count(postgres, run_id) == 1
    end(postgres, run_id)
    assert statuses(postgres, CLUE) == {"made": {"1001:1"}, "failed": {"1001:2"}, "in progress": set()}


def test_a_cell_that_a_second_chain_works_on_again_is_in_progress_again(postgres, start):
    run_id, events = start(flush_s=0.05)
    with events:
        events.plan(CLUE, "1001:1")
        events.materialize(made(CLUE, "1001:1"))
        events.plan(CLUE, "1001:1")
        until(lambda: planned_count(postgres, run_id) == 1)
        assert statuses(postgres, CLUE)["in progress"] == {"1001:1"}


def checks(instance: DagsterInstance, asset_key: AssetKey) -> list[tuple[str | None, bool, str]]:
    """(partition, passed, run) of each record of a check, the oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(asset_key, "grounded"), limit=1000
    )
    return [
        (record.partition, record.status is AssetCheckExecutionRecordStatus.SUCCEEDED, record.run_id)
        for record in reversed(records)
    ]


def found(partition: str, passed: bool) -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=CLUE, check_name="grounded", passed=passed, partition=partition, description="as it is"
    )


def test_checks_are_kept_for_each_partition_and_the_last_one_of_a_run_stands(postgres, start, caplog):
    run_id, events = start()
    with events:
        for number in range(1, 251):
            events.check(found(f"1001:{number}", number % 2 == 0))
        events.check(found("1001:1", True))
    kept = {partition: passed for partition, passed, _ in checks(postgres, CLUE)}
    assert len(checks(postgres, CLUE)) == 250
    assert kept == {f"1001:{number}": number % 2 == 0 or number == 1 for number in range(1, 251)}
    assert {run for _, _, run in checks(postgres, CLUE)} == {run_id}
    of_type = DagsterEventType.ASSET_CHECK_EVALUATION
    assert len(postgres.get_records_for_run(run_id, of_type=of_type).records) == 251
    newest = postgres.event_log_storage.get_latest_asset_check_execution_by_key(
        [AssetCheckKey(CLUE, "grounded")]
    )
    assert [
        record.event.dagster_event.asset_check_evaluation_data.description for record in newest.values()
    ] == ["as it is"]
    assert events.lost == 0
    # by the fast way, not by the way back
    assert caplog.text == ""


def test_many_threads_hand_in_and_nothing_is_lost(postgres, start):
    _, events = start()
    together = threading.Barrier(8)

    def hand_in(thread: int) -> None:
        together.wait()
        for number in range(1, 51):
            events.plan(CLUE, f"{thread}:{number}")
            events.materialize(made(CLUE, f"{thread}:{number}"))

    threads = [threading.Thread(target=hand_in, args=(number,)) for number in range(1, 9)]
    with events:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(statuses(postgres, CLUE)["made"]) == 400
    assert events.lost == 0


def test_where_a_batch_cannot_be_written_its_events_are_written_one_by_one(
    postgres, start, monkeypatch, caplog
):
    from ai_assets.assets import event_log

    def refuse(*_: object) -> None:
        raise RuntimeError("an upgrade changed it")

    monkeypatch.setattr(event_log.PooledEventLog, "store_event_batch", refuse)
    monkeypatch.setattr(event_log.PooledEventLog, "prepare_insert_event_batch", refuse)
    run_id, events = start()
    with events:
        events.plan(CLUE, "1001:1")
        events.materialize(made(CLUE, "1001:2"))
        events.materialize(made(CLUE, "1001:3"))
        events.check(found("1001:3", True))
    assert checks(postgres, CLUE) == [("1001:3", True, run_id)]
    end(postgres, run_id)
    assert statuses(postgres, CLUE) == {
        "made": {"1001:2", "1001:3"},
        "failed": {"1001:1"},
        "in progress": set(),
    }
    assert events.lost == 0
    assert "one by one" in caplog.text


def test_connections_that_postgres_dropped_cost_no_event(postgres, start, server_url, empty_database_url):
    from sqlalchemy import create_engine, text

    _, events = start(flush_s=0.05)
    with events:
        events.materialize(made(CLUE, "1001:1"))
        until(lambda: postgres.get_materialized_partitions(CLUE) == {"1001:1"})
        admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            dropped = connection.execute(
                text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
                {"name": empty_database_url.rpartition("/")[2].partition("?")[0]},
            ).all()
        admin.dispose()
        assert dropped
        events.materialize(made(CLUE, "1001:2"))
    assert statuses(postgres, CLUE)["made"] == {"1001:1", "1001:2"}
    assert events.lost == 0


def test_a_storage_that_is_away_is_counted_and_logged_and_never_raised(start, monkeypatch, caplog, postgres):
    from ai_assets.assets import event_log

    def away(*_: object, **__: object) -> None:
        raise RuntimeError("Postgres is away")

    for name in ("store_event_batch", "prepare_insert_event_batch", "add_dynamic_partitions"):
        monkeypatch.setattr(event_log.PooledEventLog, name, away)
    _, events = start()
    monkeypatch.setattr(postgres, "handle_new_event", away)
    with events:
        for number in range(1, 51):
            events.materialize(made(CLUE, f"1001:{number}"))
            events.plan(CUSTOMER, f"1001:{number}")
    assert events.lost == 100
    assert "could not be written" in caplog.text


def test_a_full_queue_drops_and_says_so_and_goes_on_when_there_is_room(start, monkeypatch, caplog, postgres):
    from ai_assets.assets import event_writer

    gate, wrote = threading.Event(), event_writer.EventWriter.write

    def wait_then_write(writer, due) -> None:
        gate.wait(30)
        wrote(writer, due)

    monkeypatch.setattr(event_writer.EventWriter, "write", wait_then_write)
    _, events = start(flush_s=0, queued=10, patience_s=0.01)
    with events:
        for number in range(1, 41):
            events.materialize(made(CLUE, f"1001:{number}"))
        assert events.lost >= 40 - 10 - 1 - 1
        assert caplog.text.count("is dropped") == 1
        gate.set()
        until(lambda: len(postgres.get_materialized_partitions(CLUE)) == 40 - events.lost)
        events.materialize(made(CUSTOMER, "1001:1"))
    assert statuses(postgres, CUSTOMER)["made"] == {"1001:1"}
    assert len(statuses(postgres, CLUE)["made"]) == 40 - events.lost


def test_after_the_end_events_are_dropped_and_a_second_end_changes_nothing(start, postgres, caplog):
    _, events = start()
    events.close()
    events.close()
    events.materialize(made(CLUE, "1001:1"))
    assert events.lost == 1
    assert "closed" in caplog.text


def test_a_key_of_no_form_stops_nothing(start, postgres, caplog):
    _, events = start()
    with events:
        events.materialize(made(CLUE, "1001|5"))
        events.materialize(made(CLUE, "1001:5"))
    assert statuses(postgres, CLUE)["made"] == {"1001:5"}
    assert postgres.get_dynamic_partitions("members") == ["1001:5"]
    assert "1001|5" in caplog.text


def test_a_storage_that_is_not_postgres_works_too():
    with DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(event_worker, status=DagsterRunStatus.STARTED)
        with RunEvents(instance, run_id=run.run_id, job_name="event_worker", step_key="worker") as events:
            events.plan(CLUE, "1001:1")
            for number in (2, 3):
                events.materialize(made(CLUE, f"1001:{number}"))
        end(instance, run.run_id)
        assert statuses(instance, CLUE) == {
            "made": {"1001:2", "1001:3"},
            "failed": {"1001:1"},
            "in progress": set(),
        }


def test_memory_stays_flat_however_many_events_there_are(start, monkeypatch, postgres):
    from ai_assets.assets import event_log, event_writer

    monkeypatch.setattr(event_writer, "KNOWN_KEYS", 2_000)
    count = 0

    def take(_log, events) -> None:
        nonlocal count
        count += len(events)

    for name in ("store_made", "store_planned", "add_dynamic_partitions"):
        monkeypatch.setattr(
            event_log.PooledEventLog, name, take if name.startswith("store") else lambda *_: None
        )
    _, events = start(flush_s=0.02, patience_s=60)

    def hand_in(numbers: range) -> None:
        for number in numbers:
            events.materialize(made(CLUE, f"1001:{number}"))

    tracemalloc.start()
    with events:
        hand_in(range(1, 5_001))
        early, _ = tracemalloc.get_traced_memory()
        hand_in(range(5_001, 30_001))
        late, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, events.lost) == (30_000, 0)
    # a queue that happens to be full is a megabyte; what is kept of 25,000 events would be many
    assert late < early + 3_000_000


class CountedTokens(PgTokenProvider):
    """An access token that is fetched anew each time it is asked for."""

    fetched = 0

    def _fetch_token(self) -> tuple[str, float]:
        self.fetched += 1
        return f"token-{self.fetched}", 0.0


def test_where_dagsters_storage_takes_access_tokens_the_pooled_log_takes_them_too(
    postgres: DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    passwords = []

    def connect(*args: object, **how: object):
        passwords.append(how.get("password"))
        return psycopg2_connect(*args, **how)

    psycopg2_connect = psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", connect)
    tokens = CountedTokens()
    storage = PostgresEventLogStorage(
        postgres.event_log_storage.postgres_url, should_autocreate_tables=False, token_provider=tokens
    )
    log = event_log.pooled(storage)
    try:
        log.add_dynamic_partitions("members", ["1001:5"])
    finally:
        log.close()
        storage.dispose()
    assert tokens.fetched > 0
    assert passwords == [f"token-{number + 1}" for number in range(tokens.fetched)]
    assert postgres.get_dynamic_partitions("members") == ["1001:5"]
