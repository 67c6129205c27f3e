"""Roles for least privilege: who may read results, who may send events, who may work.

Here: the three roles, what each may do, and granting it. Not here: logins and passwords, which are the
administrator's (`grant ai_backend to shop_backend`); Dagster's own database, which its login owns.
Nothing is granted by default: a table that a later version adds is nobody's until this runs again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from ai_assets.errors import ConfigurationError
from ai_assets.store.engine import first_line

READER, BACKEND, WORKER = "ai_reader", "ai_backend", "ai_worker"

FIRE = "biz.fire_ai_event(text, bigint, bigint, jsonb, boolean, text)"

SOURCES = ("biz.sites", "biz.members", "biz.assistants", "biz.member_notes", "biz.assistant_tasks")
"""Beside all of `dws`: the owner's tables or views that prompts are made from."""

RESULTS = (
    "biz.ai_cache",
    "biz.ai_cache_latest",
    "biz.ai_alerts",
    "biz.member_retention_clue",
    "biz.ai_breakers",
    "biz.ai_breaker_changes",
    "biz.ai_budgets",
    "biz.ai_workers",
)
"""What a reader sees whole."""

IN_PART = {
    # neither the payload, which is the backend's own data, nor what was said in a call
    "biz.ai_trigger_jobs": (
        "id, event_type, site_id, member_id, connector_type, is_forced, app_chain, status, duplicate_of, "
        "business_date, attempts, step_results, error_message, created_at, started_at, finished_at, run_id, "
        "not_before, replay_of, cancel_asked_at, cancel_why"
    ),
    "biz.ai_run_logs": (
        "id, trigger_job_id, app_type, site_id, member_id, target_id, trigger_type, status, reason, prompt_hash, "
        "tokens_in, tokens_out, tokens_cached, tokens_used, tokens_estimated, cost_cny, latency_ms, session_id, "
        "request_id, checks, created_at, finished_at"
    ),
}
"""What a reader sees of the ledger, by column."""


@dataclass(frozen=True)
class Schema:
    """What stands in the database: tables of ours (`biz.ai_…` and the clues), source tables, whether there is `dws`."""

    ours: tuple[str, ...]
    sources: tuple[str, ...]
    has_dws: bool


def grant_roles(connection: Connection) -> None:
    """Make the roles that are missing, and give each its rights and no others. Twice changes nothing.

    In the caller's transaction. Raises ConfigurationError where this user may not make roles or owns not the tables.
    """
    try:
        for role in (READER, BACKEND, WORKER):
            if (
                connection.execute(
                    text("select 1 from pg_roles where rolname = :role"), {"role": role}
                ).first()
                is None
            ):
                connection.exec_driver_sql(f"create role {role} nologin")
        for statement in statements(_schema(connection)):
            connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        raise ConfigurationError(
            f"the roles cannot be granted: {first_line(error)}; run this as the owner of the tables, who may make roles"
        ) from error


def statements(schema: Schema) -> Iterator[str]:
    """What is run, in order, for roles that there are: what they had is taken first."""
    everyone = f"{READER}, {BACKEND}, {WORKER}"
    for name in ("biz", *(("dws",) if schema.has_dws else ())):
        yield f"revoke all on all tables in schema {name} from {everyone}"
        yield f"revoke all on all sequences in schema {name} from {everyone}"
        yield f"revoke all on schema {name} from {everyone}"
    yield f"revoke all on all functions in schema biz from public, {everyone}"
    yield f"grant usage on schema biz to {everyone}"
    yield f"grant select on {', '.join(RESULTS)} to {READER}"
    for table, columns in IN_PART.items():
        yield f"grant select ({columns}) on {table} to {READER}"
    yield f"grant {READER} to {BACKEND}"
    yield f"grant execute on function {FIRE} to {BACKEND}"

    yield f"grant select, insert, update, delete on {', '.join(schema.ours)} to {WORKER}"
    yield f"grant usage on all sequences in schema biz to {WORKER}"
    yield f"grant execute on all functions in schema biz to {WORKER}"
    yield f"grant select on biz.ai_schema_version to {WORKER}"
    if schema.sources:
        yield f"grant select on {', '.join(schema.sources)} to {WORKER}"
    if schema.has_dws:
        yield f"grant usage on schema dws to {WORKER}"
        yield f"grant select on all tables in schema dws to {WORKER}"


def _schema(connection: Connection) -> Schema:
    names = connection.execute(
        text(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = 'biz' and c.relkind in ('r', 'p', 'v', 'm') order by 1"
        )
    ).scalars()
    found = tuple(names)
    ours = tuple(
        name
        for name in found
        if (name.startswith("biz.ai_") and name != "biz.ai_schema_version")
        or name == "biz.member_retention_clue"
    )
    has_dws = connection.execute(text("select to_regnamespace('dws') is not null")).scalar_one()
    return Schema(ours, tuple(name for name in SOURCES if name in found), bool(has_dws))
