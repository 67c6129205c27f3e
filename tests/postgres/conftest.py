"""What the store's and the guard's tests share: rows by SQL, events, and calls that ask the guard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, RowMapping, create_engine, text

from ai_assets.guard.admission import Admission, Call, Guard, GuardRefusalError, Reuse
from ai_assets.guard.ending import Answer, Ending, Settlement
from ai_assets.guard.limits import GuardLimits
from ai_assets.store import claims, embedded, inbox
from ai_assets.store.engine import make_engine
from ai_assets.store.run_log import CallRecord
from ai_assets.store.texts import storable_json
from ai_assets.store.trigger_jobs import TriggerJob

OPEN_LIMITS = GuardLimits(
    rate_per_minute=1_000_000,
    batch_rate_share=1.0,
    admission_wait_s=30.0,
    batch_admission_wait_s=600.0,
    daily_tokens=None,
    monthly_tokens=None,
    site_daily_tokens=None,
    site_monthly_tokens=None,
    breaker_window_s=300.0,
    breaker_min_calls=4,
    breaker_failure_share=0.5,
    breaker_open_s=60.0,
    breaker_open_max_s=900.0,
    breaker_probes=2,
    alert_window_s=300.0,
)
"""Limits that refuse nothing; a test narrows the ones it is about."""

APPS = ("app_a", "app_b", "app_c")


class Waited(Exception):  # noqa: N818  # not an error: the guard asked to wait, and the test looks at it
    """The guard would have waited this many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"waited {seconds} s")
        self.seconds = seconds


class Database:
    """Short ways to a test's own database. Each call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def run(self, sql: str, **parameters: Any) -> int:
        with self.engine.begin() as connection:
            return connection.execute(text(sql), parameters).rowcount

    def all(self, sql: str, **parameters: Any) -> list[RowMapping]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(sql), parameters).mappings())

    def one(self, sql: str, **parameters: Any) -> RowMapping:
        (row,) = self.all(sql, **parameters)
        return row

    def value(self, sql: str, **parameters: Any) -> Any:
        (value,) = self.one(sql, **parameters).values()
        return value

    def cached(
        self,
        run_log_id: int,
        *,
        target: str = "t",
        site: int = 1,
        cache_type: str = "cache_a",
        prompt_hash: str = "h",
        result: Any = None,
        job: int | None = None,
        triggered_by: str = "consumption",
        score: int | None = None,
    ) -> int:
        """A version in the cache, as if a call of that row had given it; returns its id."""
        with self.engine.begin() as connection:
            return connection.execute(
                text(
                    "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, score, triggered_by,"
                    " trigger_job_id, run_log_id, prompt_hash) values (:cache_type, :site, :target,"
                    " cast(:result as jsonb), :score, :by, :job, :run_log, :hash) returning id"
                ),
                {
                    "cache_type": cache_type,
                    "site": site,
                    "target": target,
                    "result": storable_json({"of": run_log_id} if result is None else result),
                    "score": score,
                    "by": triggered_by,
                    "job": job,
                    "run_log": run_log_id,
                    "hash": prompt_hash,
                },
            ).scalar_one()

    def count(self, table: str, where: str = "true", **parameters: Any) -> int:
        return self.value(f"select count(*) from {table} where {where}", **parameters)


class Inbox(Database):
    """Events of site 1001 (Shanghai) unless told otherwise."""

    def site(self, site_id: int, zone: str | None = "Asia/Shanghai", *, active: bool = True) -> None:
        self.run(
            "insert into biz.sites (site_id, name, timezone, is_active) values (:id, :name, :zone, :active)",
            id=site_id,
            name=f"店{site_id}",
            zone=zone,
            active=active,
        )

    def batch(
        self, batch_id: int, finished: datetime | None, *, site: int = 1001, day: str = "2026-08-18"
    ) -> None:
        self.run(
            "insert into dws.etl_batch (batch_id, site_id, biz_date, status, finished_at) "
            "values (:id, :site, :day, 'success', :finished) "
            "on conflict (batch_id) do update set finished_at = excluded.finished_at",
            id=batch_id,
            site=site,
            day=day,
            finished=finished,
        )

    def fire(self, event_type: str, **event: Any) -> TriggerJob:
        with self.engine.begin() as connection:
            job_id = inbox.fire(connection, event_type, **{"site_id": 1001, **event})
            job = inbox.job(connection, job_id)
        assert job is not None
        return job

    @staticmethod
    def sql_id(connection: Connection, arguments: str) -> int:
        """Call the function as a backend does, inside its transaction."""
        return connection.execute(text(f"select biz.fire_ai_event({arguments})")).scalar_one()

    def sql_fire(self, connection: Connection, arguments: str) -> TriggerJob:
        job = inbox.job(connection, self.sql_id(connection, arguments))
        assert job is not None
        return job

    def job(self, job_id: int) -> TriggerJob:
        with self.engine.connect() as connection:
            job = inbox.job(connection, job_id)
        assert job is not None
        return job

    def claim(self, job_id: int, owner: str = "run:1", **how: Any) -> TriggerJob | None:
        with self.engine.begin() as connection:
            return claims.claim_job(
                connection, job_id, **{"owner": owner, "lease_s": 60.0, "run_id": "run-1", **how}
            )

    def finish(self, job_id: int, owner: str = "run:1", **how: Any) -> bool:
        with self.engine.begin() as connection:
            return inbox.finish(
                connection,
                job_id,
                **{"owner": owner, "status": "completed", "step_results": [], "error": None, **how},
            )

    def end_lease(self, job_id: int) -> None:
        self.run(
            "update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 s' where id = :id",
            id=job_id,
        )


class Bench(Database):
    """Calls that ask the guard under this bench's limits. Waiting raises Waited; time passes by SQL."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.limits = OPEN_LIMITS

    def limit(self, **limits: Any) -> None:
        self.limits = replace(self.limits, **limits)

    def guard(self, pause: Any = None, **more: Any) -> Guard:
        def refuse_to_wait(seconds: float, _cancelled: threading.Event) -> bool:
            raise Waited(seconds)

        return Guard(self.engine, self.limits, apps=APPS, pause=pause or refuse_to_wait, **more)

    def call(self, target: str = "t", **call: Any) -> Call:
        fields: dict[str, Any] = {
            "app": "app_a",
            "cache_type": "cache_a",
            "site_id": 1,
            "target_id": target,
            "prompt": "p" * 100,
            "prompt_hash": f"hash of {target}",
            "trigger_type": "event",
        }
        return Call(**{**fields, **call})

    def ask(self, target: str = "t", **call: Any) -> Admission | Reuse:
        return self.guard().admit(self.call(target, **call), threading.Event())

    def admit(self, target: str = "t", **call: Any) -> Admission:
        admission = self.ask(target, **call)
        assert isinstance(admission, Admission)
        return admission

    def refusal(self, target: str = "t", **call: Any) -> str:
        with pytest.raises(GuardRefusalError) as refused:
            self.ask(target, **call)
        return refused.value.refusal

    def wait(self, target: str = "t", **call: Any) -> float:
        with pytest.raises(Waited) as waited:
            self.ask(target, **call)
        # whoever asked has gone again
        self.run("delete from biz.ai_rate_queue")
        return waited.value.seconds

    def settle(
        self,
        admission: Admission,
        effect: str = "passed",
        tokens: int | None = 100,
        *,
        reason: str | None = None,
        cooldown_s: float | None = None,
        record: CallRecord | None = None,
        answer: Answer | None = None,
    ) -> Settlement:
        """End a call. `tokens` None: the app told none, and it is charged its estimate.

        Where no answer and no record are given it is logged as no success, so that no estimate learns of it.
        """
        made = record or CallRecord(
            "failed" if answer is None else "success",
            reason,
            tokens_used=admission.reserved_tokens if tokens is None else tokens,
            tokens_estimated=tokens is None,
        )
        with self.engine.begin() as connection:
            return self.guard().end(connection, admission, Ending(made, effect, cooldown_s, answer))

    def made(self, target: str = "t", *, tokens: int = 100, **call: Any) -> Admission:
        """A whole successful call: admitted, logged, cached, settled."""
        admission = self.admit(target, **call)
        self.succeed(admission, tokens=tokens)
        return admission

    def succeed(self, admission: Admission, *, tokens: int = 100, cache_type: str = "cache_a") -> Settlement:
        """The call got its answer."""
        answer = Answer(cache_type, {"of": admission.run_log_id}, "test")
        settled = self.settle(admission, tokens=tokens, answer=answer)
        assert settled.settled
        return settled

    def use_a_token(self, site: int = 1) -> None:
        """Charge one token, so that the budgets of the site and of all sites are not empty."""
        self.settle(self.admit("used", site_id=site, app="app_c"), "neutral", tokens=1)

    def failed(self, target: str = "t", effect: str = "counts", **call: Any) -> Settlement:
        """A whole call that the app failed."""
        return self.settle(self.admit(target, **call), effect, tokens=0, reason="test")

    def pass_time(self, seconds: float) -> None:
        """Everything that the guard remembers happened this much earlier."""
        ago = "make_interval(secs => :s)"
        with self.engine.begin() as connection:
            for statement in (
                f"update biz.ai_rate_places set taken_at = taken_at - {ago}",
                f"update biz.ai_rate_queue set looks_at = looks_at - {ago}",
                f"update biz.ai_leases set admitted_at = admitted_at - {ago}, expires_at = expires_at - {ago}",
                f"update biz.ai_breakers set open_until = open_until - {ago}, changed_at = changed_at - {ago}",
                f"update biz.ai_breakers set cooldown_until = cooldown_until - {ago}",
                # by way of another century: bucket is part of the key, and one must not land on the next
                "update biz.ai_breaker_outcomes set bucket = bucket - interval '36525 days'",
                f"update biz.ai_breaker_outcomes set bucket = bucket + interval '36525 days' - {ago}",
            ):
                connection.execute(text(statement), {"s": seconds})

    def breaker(self, app: str = "app_a") -> RowMapping:
        return self.one("select * from biz.ai_breakers where app_type = :app", app=app)

    def budgets(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(scope, 'day' or 'month') → (used, reserved)."""
        rows = self.all(
            "select scope, split_part(period, ':', 1) as kind, used, reserved from biz.ai_budgets"
        )
        return {(row["scope"], row["kind"]): (row["used"], row["reserved"]) for row in rows}


EMPTY = text(
    """
    delete from biz.ai_leases; delete from biz.ai_breakers; delete from biz.ai_breaker_outcomes;
    delete from biz.ai_rate_places; delete from biz.ai_rate_limits; delete from biz.ai_rate_queue;
    delete from biz.ai_breaker_changes; delete from biz.ai_budgets;
    delete from biz.ai_clock; delete from biz.ai_estimates;
    delete from biz.ai_tokens; delete from biz.ai_idempotency_keys; delete from biz.ai_app_runs;
    delete from biz.ai_workers; delete from biz.ai_cache; delete from biz.ai_alerts; delete from biz.ai_run_logs;
    delete from biz.ai_trigger_jobs; delete from biz.ai_news; delete from biz.sites; delete from dws.etl_batch
    """
)


class Clock:
    """The database's clock, stopped: it shows what a test sets, until it is restored."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)
        self._database.run("create table biz.test_clock as select biz.ai_now() as at")
        self._show("select at from biz.test_clock")

    def now(self) -> datetime:
        """What the clock shows."""
        return self._database.value("select biz.ai_now()")

    def set(self, moment: datetime) -> None:
        """Set the clock."""
        self._database.run("update biz.test_clock set at = :at", at=moment)

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back by a negative number of seconds."""
        self.set(self.now() + timedelta(seconds=seconds))

    def restore(self) -> None:
        """Make it the real clock again."""
        self._show("select clock_timestamp()")
        self._database.run("drop table biz.test_clock")

    def _show(self, sql: str) -> None:
        self._database.run(
            f"create or replace function biz.ai_now() returns timestamptz language sql volatile as $$ {sql} $$"
        )


@pytest.fixture(scope="module")
def module_engine(server_url: str, template: str) -> Iterator[Engine]:
    """An engine on a database of this module's own: emptying its tables is quicker than a clone a test."""
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    name = f"ai_assets_module_{uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {template}"))
    engine = make_engine(embedded.with_database(server_url, name), pool_size=30)
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture
def empty_engine(module_engine: Engine) -> Engine:
    """The module's engine, with nothing in its tables."""
    with module_engine.begin() as connection:
        connection.execute(EMPTY)
    return module_engine


@pytest.fixture
def db(empty_engine: Engine) -> Database:
    return Database(empty_engine)


@pytest.fixture
def inbox_of(empty_engine: Engine) -> Inbox:
    """The inbox, with site 1001 in Shanghai and 1002 in New York."""
    made = Inbox(empty_engine)
    made.site(1001)
    made.site(1002, "America/New_York")
    return made


@pytest.fixture
def bench(empty_engine: Engine) -> Bench:
    return Bench(empty_engine)


@pytest.fixture
def clock(empty_engine: Engine) -> Iterator[Clock]:
    """The clock of the test's database, stopped."""
    made = Clock(empty_engine)
    yield made
    made.restore()
