"""Roles for least privilege: who may read results, read prompts, send events, work, serve the gateway; and who owns
event intake.

Here: the roles, what each may do, and granting it. Not here: logins and passwords, which are the
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

READER, OPERATOR, BACKEND = "ai_reader", "ai_operator", "ai_backend"
WORKER, GATEWAY = "ai_worker", "ai_gateway"
INTAKE = "ai_intake"
"""Owns `fire_ai_event`, which runs with its owner's rights. No login has this role but the owner of the tables."""
ROLES = (READER, OPERATOR, BACKEND, WORKER, GATEWAY, INTAKE)

FIRE = "biz.fire_ai_event(text, bigint, bigint, jsonb, boolean, text)"

OUR_FUNCTIONS = r"""
    select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'biz' and (p.proname like 'ai\_%' or p.proname = 'fire_ai_event')
"""
"""The functions of this project: a venue may have others in its schema `biz`."""

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
        "not_before, replay_of, repeat_of, cancel_asked_at, cancel_why"
    ),
    "biz.ai_run_logs": (
        "id, trigger_job_id, app_type, site_id, member_id, target_id, trigger_type, status, reason, error_message, "
        "prompt_hash, tokens_in, tokens_out, tokens_cached, tokens_used, tokens_estimated, cost_cny, latency_ms, "
        "session_id, request_id, checks, created_at, finished_at"
    ),
}
"""What a reader sees of the ledger, by column; an operator sees these tables whole: payloads, prompts, answers."""

CLUES = "biz.member_retention_clue"
OLD_CLUES = "public.member_retention_clue"
"""The view that `ai-assets db adopt` leaves where the earlier dispatcher's table was, with its reader's rights."""

_READ, _ADD, _KEEP, _ALL = (
    "select",
    "select, insert",
    "select, insert, update",
    "select, insert, update, delete",
)
GATEWAY_RIGHTS = {
    # tokens are made by commands alone
    "biz.ai_tokens": _READ,
    # events go in through fire_ai_event; an admission that finds the clock set moves the leases of jobs and workers
    "biz.ai_trigger_jobs": "select, update (lease_until, not_before)",
    "biz.ai_workers": "select, update (heartbeat_at)",
    "biz.ai_settings": _READ,
    "biz.ai_estimates": _READ,
    "biz.ai_idempotency_keys": _KEEP,
    "biz.ai_app_runs": _KEEP,
    # what the run of an app writes, news by triggers; a call that waits for its turn in vain leaves no row
    "biz.ai_run_logs": _ALL,
    "biz.ai_cache": _ADD,
    "biz.ai_cache_latest": _READ,
    "biz.member_retention_clue": _ALL,
    "biz.ai_alerts": _KEEP,
    "biz.ai_news": _ADD,
    # the guard
    "biz.ai_breakers": _ALL,
    "biz.ai_breaker_changes": _ADD,
    "biz.ai_breaker_outcomes": _ALL,
    "biz.ai_budgets": _ALL,
    "biz.ai_clock": _KEEP,
    "biz.ai_leases": _ALL,
    "biz.ai_rate_limits": _ALL,
    "biz.ai_rate_places": _ALL,
    "biz.ai_rate_queue": _ALL,
}
"""What the gateway may do with each table of ours; with one that is not named here, nothing."""

INTAKE_FUNCTIONS = (
    "fire_ai_event",
    "ai_canonical_event",
    "ai_event_chain",
    "ai_etl_batch",
    "ai_fire_prewarm",
    "ai_latest_batch_date",
    "ai_occurred_at",
    "ai_payload_id",
    "ai_payload_trouble",
    "ai_site_zone",
    "ai_sites",
    "ai_timezone",
    "ai_trim",
)
"""What `fire_ai_event` calls, itself among them: an event for all sites sends one for each."""


@dataclass(frozen=True)
class Schema:
    """What the database has: tables of ours (`biz.ai_…` and the clues), functions of ours with their arguments,
    source tables, whether there is a schema `dws` and in it the table of ETL batches.
    """

    ours: tuple[str, ...]
    functions: tuple[str, ...]
    sources: tuple[str, ...]
    has_dws: bool
    has_batches: bool
    has_old_clues: bool
    """Whether there is the view OLD_CLUES."""


def grant_roles(connection: Connection) -> None:
    """Make the roles that are missing, and give each its rights and no others. Twice changes nothing.

    In the caller's transaction. Raises ConfigurationError where this user may not make roles or owns not the tables.
    """
    try:
        for role in ROLES:
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
    everyone = ", ".join(ROLES)
    functions = ", ".join(schema.functions)
    for name in ("biz", *(("dws",) if schema.has_dws else ())):
        yield f"revoke all on all tables in schema {name} from {everyone}"
        yield f"revoke all on all sequences in schema {name} from {everyone}"
        yield f"revoke all on schema {name} from {everyone}"
    yield f"revoke all on function {functions} from public, {everyone}"
    yield f"grant usage on schema biz to {everyone}"
    yield from _intake(schema)
    yield f"grant select on {', '.join(RESULTS)} to {READER}"
    for table, columns in IN_PART.items():
        yield f"grant select ({columns}) on {table} to {READER}"
    yield from _clues(schema)
    yield f"grant {READER} to {OPERATOR}, {BACKEND}"
    yield f"grant select on {', '.join(IN_PART)} to {OPERATOR}"
    yield f"grant execute on function {FIRE} to {BACKEND}"

    yield f"grant select, insert, update, delete on {', '.join(schema.ours)} to {WORKER}"
    yield f"grant usage on all sequences in schema biz to {WORKER}"
    for table, rights in GATEWAY_RIGHTS.items():
        if table in schema.ours:
            yield f"grant {rights} on {table} to {GATEWAY}"
    yield f"grant usage on sequence biz.ai_news_id to {GATEWAY}"
    # all but fire_ai_event run with the caller's rights: they do nothing that its tables do not allow
    yield f"grant execute on function {functions} to {WORKER}, {GATEWAY}"
    both = f"{WORKER}, {GATEWAY}"
    yield f"grant select on biz.ai_schema_version to {both}"
    if schema.sources:
        yield f"grant select on {', '.join(schema.sources)} to {both}"
    if schema.has_dws:
        yield f"grant usage on schema dws to {both}"
        yield f"grant select on all tables in schema dws to {both}"


def _clues(schema: Schema) -> Iterator[str]:
    """People's clues are the backend's to write; row security keeps it from those of the apps."""
    yield f"drop policy if exists clues_of_apps on {CLUES}"
    yield f"create policy clues_of_apps on {CLUES} to {WORKER}, {GATEWAY} using (true) with check (true)"
    for name in (CLUES, *((OLD_CLUES,) if schema.has_old_clues else ())):
        yield f"grant select on {name} to {READER}"
        yield f"grant {_ALL} on {name} to {BACKEND}"


def _intake(schema: Schema) -> Iterator[str]:
    """Make a role of few rights the owner of `fire_ai_event`: a backend that could misuse it gains no others."""
    # later revisions replace the function as the owner of the tables, who needs the role for that
    yield f"grant {INTAKE} to current_user"
    # the new owner of a function must be allowed to create one, for this moment
    yield f"grant create on schema biz to {INTAKE}"
    yield f"alter function {FIRE} owner to {INTAKE}"
    yield f"revoke create on schema biz from {INTAKE}"
    called = [name for name in schema.functions if _name(name) in INTAKE_FUNCTIONS]
    yield f"grant execute on function {', '.join(called)} to {INTAKE}"
    # an event takes its key from an earlier one, and changes nothing else
    yield f"grant select, insert, update (dedup_key) on biz.ai_trigger_jobs to {INTAKE}"
    yield f"grant select on biz.ai_settings to {INTAKE}"
    if "biz.sites" in schema.sources:
        yield f"grant select on biz.sites to {INTAKE}"
    if schema.has_batches:
        yield f"grant usage on schema dws to {INTAKE}"
        yield f"grant select on dws.etl_batch to {INTAKE}"


def _name(function: str) -> str:
    return function.partition("(")[0].removeprefix("biz.")


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
    functions = connection.execute(text(OUR_FUNCTIONS)).scalars()
    has = connection.execute(
        text(
            "select to_regnamespace('dws') is not null as dws, to_regclass('dws.etl_batch') is not null as batches,"
            " exists (select from pg_class where oid = to_regclass(:old_clues) and relkind = 'v') as old_clues"
        ),
        {"old_clues": OLD_CLUES},
    ).one()
    sources = tuple(name for name in SOURCES if name in found)
    return Schema(ours, tuple(functions), sources, bool(has.dws), bool(has.batches), bool(has.old_clues))
