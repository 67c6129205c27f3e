"""How a row of the earlier dispatcher's tables becomes a row of this project's, as SQL.

Here: one temporary view a table, which maps the rows of its old tables whatever their types, and says of each row what
does not map (`problem`: the row is not copied) and what was changed (`remarks`). The views follow their tables when
these are renamed. Not here: running it (`ai_assets.store.adopt`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai_assets.store.old_tables import OldTable, quoted

FUNCTIONS = """
create function pg_temp.adopt_whole(p text) returns bigint language plpgsql immutable as $$
begin
    -- 7.0 is 7
    return case when trunc(p::numeric) = p::numeric then p::numeric::bigint end;
exception when others then
    return null;
end $$;
create function pg_temp.adopt_time(p text, p_zone text) returns timestamptz language plpgsql stable as $$
begin
    if p ~* '(z|[+-]\\d\\d(:?\\d\\d)?)$' and p ~ ':' then
        return p::timestamptz;
    end if;
    return p::timestamp at time zone p_zone;
exception when others then
    return null;
end $$;
create function pg_temp.adopt_flag(p text) returns boolean language plpgsql immutable as $$
begin
    return p::boolean;
exception when others then
    return null;
end $$;
create function pg_temp.adopt_json(p text) returns jsonb language plpgsql immutable as $$
declare
    v_value jsonb;
begin
    v_value := p::jsonb;
    -- a document that was encoded twice
    if jsonb_typeof(v_value) = 'string' then
        v_value := (v_value #>> '{}')::jsonb;
    end if;
    return v_value;
exception when others then
    return null;
end $$;
create function pg_temp.adopt_object(p text) returns jsonb language plpgsql immutable as $$
declare
    v_value jsonb := pg_temp.adopt_json(p);
begin
    return case when jsonb_typeof(v_value) = 'object' then v_value end;
end $$;
"""
"""A value that cannot be read is null: one such row must not stop a million others."""

_WHOLE = {"smallint", "integer", "bigint"}


@dataclass(frozen=True)
class Source:
    """An old table as SELECT reads it. `zone`: the IANA zone of its times without one, quoted for SQL."""

    table: OldTable
    zone: str

    def text(self, column: str) -> str:
        """The column as text; blank is null."""
        return f"nullif(btrim({self._column(column)}::text), '')"

    def raw(self, column: str) -> str:
        """The column as text, as it is."""
        return f"{self._column(column)}::text"

    def whole(self, column: str) -> str:
        """The column as a whole number."""
        found = self._column(column)
        of = f"{found}::bigint" if self._type(column) in _WHOLE else f"pg_temp.adopt_whole({found}::text)"
        return "null::bigint" if found == "null" else of

    def time(self, column: str) -> str:
        """The column as a time; one that Python cannot hold is null."""
        found, kind = self._column(column), self._type(column)
        if kind == "timestamp with time zone":
            read = found
        elif kind in {"timestamp without time zone", "date"}:
            read = f"({found}::timestamp at time zone {self.zone})"
        else:
            read = f"pg_temp.adopt_time({found}::text, {self.zone})"
        in_range = f"{read} between timestamptz '0001-01-02 00:00Z' and timestamptz '9999-12-30 00:00Z'"
        return "null::timestamptz" if found == "null" else f"case when {in_range} then {read} end"

    def flag(self, column: str) -> str:
        """The column as true or false."""
        return f"coalesce(pg_temp.adopt_flag({self._column(column)}::text), false)"

    def _column(self, column: str) -> str:
        return f"t.{quoted(column)}" if column in self.table.columns else "null"

    def _type(self, column: str) -> str:
        return self.table.columns.get(column, "")


@dataclass(frozen=True)
class Mapping:
    """How one table is filled. `columns` and `values` of the new row, besides its id; values read the view."""

    target: str
    read: Callable[[Source], dict[str, str]]
    problems: dict[str, str]
    remarks: dict[str, str]
    values: dict[str, str]

    @property
    def view(self) -> str:
        """The temporary view's name."""
        return f"pg_temp.adopt_{self.target}"

    def view_sql(self, sources: Sequence[Source], extra: Sequence[str] = ()) -> str:
        """CREATE VIEW over these old tables. `extra`: columns to keep as they are."""
        parts = []
        for number, source in enumerate(sources):
            columns = {"source": str(number), "old_id": source.whole("id"), **self.read(source)}
            columns |= {quoted(f"+{name}"): f"t.{quoted(name)}" for name in extra}
            listed = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
            parts.append(f"select {listed} from {source.table.full_name} t")
        # the planner would otherwise compute each value as often as it is named below
        union = " union all ".join(f"({part} offset 0)" for part in parts)
        problem = " ".join(f"when {condition} then '{what}'" for what, condition in self.problems.items())
        remarks = ", ".join(
            f"case when {condition} then {what} end" for what, condition in self.remarks.items()
        )
        return (
            f"create temporary view adopt_{self.target} as select r.*, case {problem} end as problem,"
            f" array_remove(array[{remarks}]::text[], null) as remarks from ({union}) r"
        )

    def insert_sql(self, has: set[str], extra: Sequence[str] = ()) -> str:
        """INSERT of the rows without a problem; of the columns those that the new table `has`."""
        values = {name: value for name, value in self.values.items() if name in has}
        values |= {quoted(name): f"v.{quoted(f'+{name}')}" for name in extra}
        # an old id stays, unless it is no usable one or another row has it
        row_id = (
            "case when v.old_id between 1 and 9007199254740991"
            " and row_number() over (partition by v.old_id order by v.source) = 1"
            f" and not exists (select from biz.{self.target} n where n.id = v.old_id)"
            f" then v.old_id else nextval(pg_get_serial_sequence('biz.{self.target}', 'id')) end"
        )
        return (
            f"insert into biz.{self.target} (id, {', '.join(values)}) overriding system value"
            f" select {row_id}, {', '.join(values.values())} from {self.view} v where v.problem is null"
            " order by v.created_at nulls first, v.source, v.old_id nulls first"
        )

    def sequence_sql(self) -> str:
        """New ids are above every old one."""
        return (
            f"select setval(pg_get_serial_sequence('biz.{self.target}', 'id'), greatest(1,"
            f" (select max(n.id) from biz.{self.target} n), (select max(v.old_id) from {self.view} v"
            " where v.old_id between 1 and 9007199254740991)))"
        )


_NO_SITE = {"site_id is no whole number": "site_id is null"}
_NO_TIME = {"'created_at cannot be read: the time of the move is set'": "created_at is null"}
_CREATED = "coalesce(v.created_at, transaction_timestamp())"
_APP = "case v.app_type when 'app8_consolidate' then 'app8_consolidation' else v.app_type end"

CACHE = Mapping(
    "ai_cache",
    lambda of: {
        "cache_type": of.text("cache_type"),
        "site_id": of.whole("site_id"),
        "target_id": of.text("target_id"),
        "result": f"pg_temp.adopt_object({of.raw('result_json')})",
        "score": of.whole("score"),
        "score_text": of.text("score"),
        "triggered_by": of.text("triggered_by"),
        "created_at": of.time("created_at"),
    },
    problems={
        **_NO_SITE,
        "cache_type is empty": "cache_type is null",
        "target_id is empty": "target_id is null",
        "result_json is no JSON object": "result is null",
    },
    remarks={
        **_NO_TIME,
        "'score is no whole number: it is left empty'": "score_text is not null and score is null",
    },
    values={
        "cache_type": "v.cache_type",
        "site_id": "v.site_id",
        "target_id": "v.target_id",
        "result_json": "v.result",
        "score": "case when v.score between -2147483648 and 2147483647 then v.score::integer end",
        "triggered_by": "coalesce(v.triggered_by, 'adopted')",
        # newest is the highest; below every call of this project, and below what was adopted before
        "run_log_id": "(select least(0, min(c.run_log_id)) from biz.ai_cache c) - row_number() over ("
        "order by v.created_at desc nulls last, v.source desc, v.old_id desc nulls last)",
        "prompt_hash": "''",
        "created_at": _CREATED,
    },
)

_ENDED = "('success', 'failed', 'timeout', 'refused')"
_REFUSAL = "(v.error_message ~ '^(circuit_open|rate_limited|budget_exceeded)' and v.status = 'failed')"
RUN_LOGS = Mapping(
    "ai_run_logs",
    lambda of: {
        "site_id": of.whole("site_id"),
        "app_type": of.text("app_type"),
        "trigger_type": of.text("trigger_type"),
        "member_id": of.whole("member_id"),
        "request_prompt": of.raw("request_prompt"),
        "response_text": of.raw("response_text"),
        "tokens": of.whole("tokens_used"),
        "latency_ms": of.whole("latency_ms"),
        "status": f"lower({of.text('status')})",
        "error_message": of.text("error_message"),
        "created_at": of.time("created_at"),
    },
    problems={**_NO_SITE, "app_type is empty": "app_type is null"},
    remarks={
        **_NO_TIME,
        "'a call that had not ended: failed, outcome_unknown'": "status in ('pending', 'running')",
        "'a status that is not known here: failed, outcome_unknown'": "status is null or status not in "
        "('pending', 'running', 'success', 'failed', 'timeout', 'refused')",
    },
    values={
        "app_type": _APP,
        "site_id": "v.site_id",
        "member_id": "v.member_id",
        # the old log does not say which assistant or window a call was about
        "target_id": f"case when {_APP} in ('app3_clue', 'app6_note', 'app7_customer', 'app8_consolidation')"
        " then coalesce(v.member_id::text, '') else '' end",
        "trigger_type": "case when v.trigger_type in ('event', 'batch', 'manual') then v.trigger_type"
        " else 'event' end",
        "status": f"case when {_REFUSAL} then 'refused' when v.status in {_ENDED} then v.status else 'failed' end",
        "reason": f"case when {_REFUSAL} then substring(v.error_message from '^[a-z_]+(?::[a-z_]+)?')"
        f" when v.status = 'success' then null when v.status = 'timeout' then 'timeout'"
        f" when v.status in {_ENDED} then coalesce(substring(v.error_message from '^[A-Za-z_][A-Za-z0-9_.]*'),"
        " 'failed') else 'outcome_unknown' end",
        "error_message": "left(v.error_message, 500)",
        "request_prompt": "v.request_prompt",
        "response_text": "v.response_text",
        "tokens_used": "greatest(v.tokens, 0)",
        # the guard learns what a call needs from those whose usage is known
        "tokens_estimated": "coalesce(v.tokens, 0) <= 0",
        "latency_ms": "least(greatest(v.latency_ms, 0), 2147483647)::integer",
        "created_at": _CREATED,
        "finished_at": f"{_CREATED} + make_interval(secs => coalesce("
        "least(greatest(v.latency_ms, 0), 2147483647), 0) / 1000.0)",
    },
)

_UNFINISHED = "status in ('pending', 'running')"
JOBS = Mapping(
    "ai_trigger_jobs",
    lambda of: {
        "event_type": of.text("event_type"),
        "member_id": of.whole("member_id"),
        "site_id": of.whole("site_id"),
        "connector_type": of.text("connector_type"),
        "payload": f"pg_temp.adopt_json({of.raw('payload')})",
        "payload_text": of.raw("payload"),
        "app_chain": of.text("app_chain"),
        "is_forced": of.flag("is_forced"),
        "status": f"lower({of.text('status')})",
        "error_message": of.text("error_message"),
        "started_at": of.time("started_at"),
        "finished_at": of.time("finished_at"),
        "created_at": of.time("created_at"),
    },
    problems={"event_type is empty": "event_type is null"},
    remarks={
        **_NO_TIME,
        "'the old dispatcher did not finish it: failed; send it with `ai-assets jobs replay`'": _UNFINISHED,
        "'a status that is not known here: failed'": "status is null or status not in "
        "('pending', 'running', 'completed', 'failed')",
        "'payload is no JSON object: kept under not_an_object'": "payload_text is not null and"
        " coalesce(jsonb_typeof(payload), '') <> 'object'",
    },
    values={
        "event_type": "biz.ai_canonical_event(left(v.event_type, 200))",
        "site_id": "v.site_id",
        "member_id": "v.member_id",
        "connector_type": "coalesce(left(v.connector_type, 200), 'feiqiu')",
        "payload": "case when jsonb_typeof(v.payload) = 'object' then v.payload"
        " when v.payload_text is null then '{}'::jsonb"
        " else jsonb_build_object('not_an_object', coalesce(v.payload, to_jsonb(v.payload_text))) end",
        "is_forced": "v.is_forced",
        "app_chain": "nullif(v.app_chain, 'unknown')",
        "status": "case v.status when 'completed' then 'completed' else 'failed' end",
        "business_date": f"({_CREATED} at time zone biz.ai_timezone())::date",
        "attempts": "1",
        "error_message": "left(case when v.status in ('completed', 'failed') then v.error_message else"
        " concat_ws(': ', 'the earlier dispatcher did not finish this event', v.error_message) end, 500)",
        "created_at": _CREATED,
        "started_at": "v.started_at",
        "finished_at": f"coalesce(v.finished_at, v.started_at, {_CREATED})",
    },
)

CLUES = Mapping(
    "member_retention_clue",
    lambda of: {
        "member_id": of.whole("member_id"),
        "site_id": of.whole("site_id"),
        "category": of.raw("category"),
        "summary": of.raw("summary"),
        "detail": of.raw("detail"),
        "origin": of.text("source"),
        "recorded_by_name": of.raw("recorded_by_name"),
        "recorded_by_assistant_id": of.whole("recorded_by_assistant_id"),
        "created_at": of.time("created_at"),
    },
    problems={**_NO_SITE, "member_id is no whole number": "member_id is null"},
    remarks={
        **_NO_TIME,
        "'source is empty: manual'": "origin is null",
    },
    values={
        "member_id": "v.member_id",
        "site_id": "v.site_id",
        "category": "coalesce(v.category, '客户基础')",
        "summary": "coalesce(v.summary, '')",
        "detail": "v.detail",
        "source": "coalesce(v.origin, 'manual')",
        "recorded_by_name": "v.recorded_by_name",
        "recorded_by_assistant_id": "v.recorded_by_assistant_id",
        "created_at": _CREATED,
    },
)

MAPPINGS: dict[str, Mapping] = {mapping.target: mapping for mapping in (JOBS, RUN_LOGS, CACHE, CLUES)}
"""By the name of the table."""
KEPT: dict[str, tuple[str, ...]] = {
    "ai_trigger_jobs": ("id", "event_type", "member_id", "site_id", "connector_type", "payload", "app_chain",
        "is_forced", "status", "error_message", "started_at", "finished_at", "created_at"),
    "ai_run_logs": ("id", "site_id", "app_type", "trigger_type", "member_id", "request_prompt", "response_text",
        "tokens_used", "latency_ms", "status", "error_message", "created_at"),
    "ai_cache": ("id", "cache_type", "site_id", "target_id", "result_json", "triggered_by", "score", "created_at"),
    "member_retention_clue": ("id", "member_id", "category", "summary", "detail", "site_id", "source",
        "recorded_by_name", "recorded_by_assistant_id", "created_at"),
}  # fmt: skip
"""The columns that are copied. Others of the clues are copied too, as they are; others of the other tables are not."""
