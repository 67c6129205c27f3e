"""Retention of the ledger: which old texts, calls, alerts and trigger jobs go, and their going in small batches.

Here: SQL. A plan is made first, in one transaction that only reads, so that a dry run and the real thing are the same;
then each batch looks again at what must hold. What stays keeps what it points at: a text its call, a call its
trigger job, a text those it was built on. Not here: Dagster's runs and partitions (`ai_assets.dagster_retention`), the
guard's state (`store.upkeep`).
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from ai_assets.store.engine import reachable

BATCH = 100
"""Rows of one transaction: two or three ms, so that nobody waits for it."""
DUTY = 0.2
"""The share of time that is spent deleting; the rest is others' (`bench/retention.py`)."""
CALLS_OF_ESTIMATE = 20
"""Newest calls of an app that the guard's estimate looks at: they stay, however old."""

_TABLES = {
    "cache versions": "ai_cache",
    "run logs": "ai_run_logs",
    "alerts": "ai_alerts",
    "trigger jobs": "ai_trigger_jobs",
}
_NOW = text("select clock_timestamp()")
# a removal that a crash undoes is made again the next night: it need not make events wait for the disk
_NO_FLUSH = text("set local synchronous_commit = off")
# one that a newer took the place of, so long ago; the newest has none
_GOING_TEXTS = """
    create temp table going_texts on commit drop as
    select c.id from biz.ai_cache c
    where c.created_at < :before
      and exists (select from biz.ai_cache n
        where n.cache_type = c.cache_type and n.site_id = c.site_id and n.target_id = c.target_id
          and n.run_log_id > c.run_log_id and n.created_at < :before)
"""
_KEEP_WHAT_TEXTS_ARE_BUILT_ON = """
    delete from going_texts g
    where exists (select from biz.ai_cache b
        where jsonb_typeof(b.result_json #> '{_references,answers}') = 'object'
          and biz.ai_built_on(b.result_json) @> array[g.id]
          and not exists (select from going_texts o where o.id = b.id))
"""
_GOING_CALLS = """
    create temp table going_calls on commit drop as
    with recursive app as (
        (select g.app_type from biz.ai_run_logs g
            where g.status = 'success' and not g.tokens_estimated order by g.app_type limit 1)
        union all
        select (select g.app_type from biz.ai_run_logs g
            where g.status = 'success' and not g.tokens_estimated and g.app_type > a.app_type
            order by g.app_type limit 1)
        from app a where a.app_type is not null),
    of_estimates as materialized (
        select n.id from app a cross join lateral (
            select g.id from biz.ai_run_logs g
            where g.app_type = a.app_type and g.status = 'success' and not g.tokens_estimated
            order by (-g.id) limit :calls_of_estimate) n)
    select g.id from biz.ai_run_logs g
    where g.created_at < :before and g.status not in ('pending', 'running')
      and not exists (select from biz.ai_cache c
        where c.run_log_id = g.id and not exists (select from going_texts x where x.id = c.id))
      and not exists (select from biz.ai_leases l where l.run_log_id = g.id)
      and not exists (select from of_estimates e where e.id = g.id)
"""
# the newest batch of a site stays: the daily prewarm's event must find itself its duplicate
_GOING_JOBS = """
    create temp table going_jobs on commit drop as
    select j.id from biz.ai_trigger_jobs j
    where j.created_at < :before and j.status not in ('pending', 'running')
      and not exists (select from biz.ai_run_logs g
        where g.trigger_job_id = j.id and not exists (select from going_calls x where x.id = g.id))
      and not (j.event_type = 'dws_completed' and j.dedup_key is not null
        and not exists (select from biz.ai_trigger_jobs n
            where n.event_type = 'dws_completed' and n.site_id = j.site_id and n.dedup_key is not null
              and n.id > j.id))
"""
_KEEP_WHAT_JOBS_POINT_AT = """
    delete from going_jobs g
    where exists (select from biz.ai_trigger_jobs d
        where d.duplicate_of = g.id and not exists (select from going_jobs x where x.id = d.id))
      or exists (select from biz.ai_trigger_jobs r
        where r.replay_of = g.id and not exists (select from going_jobs x where x.id = r.id))
"""
_GOING_ALERTS = """
    create temp table going_alerts on commit drop as
    select a.id from biz.ai_alerts a where a.last_at < :before
"""

# each looks again: what came since the plan was made, and what nobody may take away whatever a plan says
_DELETE = {
    "ai_cache": """
        exists (select from biz.ai_cache n
            where n.cache_type = d.cache_type and n.site_id = d.site_id and n.target_id = d.target_id
              and n.run_log_id > d.run_log_id)
    """,
    "ai_run_logs": """
        d.status not in ('pending', 'running')
        and not exists (select from biz.ai_cache c where c.run_log_id = d.id)
    """,
    "ai_alerts": "d.last_at < :before",
    "ai_trigger_jobs": """
        d.status not in ('pending', 'running')
        and not exists (select from biz.ai_trigger_jobs n where n.duplicate_of = d.id and n.created_at >= :before)
        and not exists (select from biz.ai_trigger_jobs n where n.replay_of = d.id and n.created_at >= :before)
        and not exists (select from biz.ai_run_logs g where g.trigger_job_id = d.id)
    """,
}


@dataclass(frozen=True)
class KeepDays:
    """For how many days each is kept; see the settings of the same names."""

    texts: int
    calls: int
    jobs: int


@dataclass(frozen=True)
class Going:
    """Rows of one table that go: older than `before` are `old` of them, `ids` of these are nobody's any more."""

    what: str
    table: str
    setting: str
    days: int
    before: datetime
    old: int
    ids: array[int]

    @property
    def kept(self) -> int:
        """How many are old and stay, because they are in use."""
        return self.old - len(self.ids)


def plan(engine: Engine, keep: KeepDays) -> list[Going]:
    """What goes now, in the order in which it must go. Writes nothing but tables of its own that are gone at once.

    Raises DatabaseUnavailableError.
    """
    with reachable("looking for what is old"), engine.begin() as connection:
        now = connection.execute(_NOW).scalar_one()

        def going(what: str, setting: str, days: int, rows: str, *, sooner: int = 0, **more: str) -> Going:
            before = now - timedelta(days=days - sooner)
            return _going(
                connection, Going(what, _TABLES[what], setting, days, before, 0, array("q")), rows, **more
            )

        return [
            going("cache versions", "AI_CACHE_RETENTION_DAYS", keep.texts, _GOING_TEXTS,
                  keep=_KEEP_WHAT_TEXTS_ARE_BUILT_ON),
            going("run logs", "AI_RUN_LOG_RETENTION_DAYS", keep.calls, _GOING_CALLS),
            # a day sooner: an alert comes minutes after its call, and must not outlive it
            going("alerts", "AI_RUN_LOG_RETENTION_DAYS", keep.calls, _GOING_ALERTS, sooner=1, age="last_at"),
            going("trigger jobs", "AI_INBOX_RETENTION_DAYS", keep.jobs, _GOING_JOBS, keep=_KEEP_WHAT_JOBS_POINT_AT),
        ]  # fmt: skip


def remove(
    engine: Engine,
    going: Going,
    *,
    batch: int = BATCH,
    duty: float = DUTY,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    progress: Callable[[int], object] = lambda _removed: None,
) -> int:
    """Delete what goes, the newest first, `batch` rows in a transaction; returns how many went.

    A row that somebody holds at this moment, or that is in use since the plan, stays for the next night. Pauses so
    that `duty` (0 to 1) of the time is spent. Once `stopped` says so, no further batch begins.
    """
    delete = text(
        f"""
        with going as (
            select d.id from biz.{going.table} d where d.id = any(:ids) and {_DELETE[going.table]}
            for update skip locked)
        delete from biz.{going.table} t using going where t.id = going.id
        """  # noqa: S608  # constants
    )
    removed = 0
    # the newest first: what points at another goes before it
    for start in range(0, len(going.ids), batch):
        if stopped():
            break
        began = clock()
        ids = going.ids[start : start + batch].tolist()
        with reachable(f"removing {going.what}"), engine.begin() as connection:
            connection.execute(_NO_FLUSH)
            parameters = {"ids": ids, **({"before": going.before} if ":before" in delete.text else {})}
            removed += connection.execute(delete, parameters).rowcount
        progress(removed)
        sleep((clock() - began) * (1 / duty - 1))
    return removed


def _going(
    connection: Connection, about: Going, rows: str, *, keep: str = "", age: str = "created_at"
) -> Going:
    """The plan of one table, in a table of its own that the later ones look at."""
    name = rows.split()[3]
    statement = text(rows)
    parameters = {"before": about.before, "calls_of_estimate": CALLS_OF_ESTIMATE}
    connection.execute(statement, {key: parameters[key] for key in statement.compile().params})
    connection.execute(text(f"create unique index on {name} (id)"))
    connection.execute(text(f"analyze {name}"))
    while keep and connection.execute(text(keep)).rowcount:
        # what stays for the sake of one that stays may itself keep others
        pass
    old = f"select count(*) from biz.{about.table} where {age} < :before"  # noqa: S608  # constants
    ids = connection.execute(text(f"select id from {name} order by id desc")).scalars()  # noqa: S608  # a constant
    return replace(
        about, ids=array("q", ids), old=connection.execute(text(old), {"before": about.before}).scalar_one()
    )
