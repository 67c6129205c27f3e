"""`ai-assets db adopt`: a database of the earlier dispatcher becomes one of this project, with all that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from ai_assets.cli.adopt import adoption_lines
from ai_assets.errors import ConfigurationError, DatabaseUnavailableError, SchemaVersionError
from ai_assets.samples.contract import create_contract_tables
from ai_assets.store import adopt as adopting
from ai_assets.store import cache, clues, migrate
from ai_assets.store.adopt import AdoptedTable, Adoption
from ai_assets.store.roles import BACKEND, grant_roles
from ai_assets.store.shared_settings import store_settings

FOLDER = Path(__file__).parents[1] / "data" / "earlier_dispatcher"
SCHEMA = (FOLDER / "schema.sql").read_text("utf-8")
ROWS = (FOLDER / "rows.sql").read_text("utf-8")
ZONE = "Asia/Shanghai"

STATE = text(
    """
    select 'table' as kind, n.nspname || '.' || c.relname as name, c.oid::bigint as number
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('biz', 'public') and c.relname not in ('ai_settings')
    union all select 'rows of ' || kind, '', count(*) from (
        select 'jobs' as kind from biz.ai_trigger_jobs union all select 'logs' from biz.ai_run_logs
        union all select 'cache' from biz.ai_cache union all select 'clues' from member_retention_clue) r group by kind
    order by 1, 2
    """
)


TABLES = (
    "select oid, relname from pg_class"
    " where relnamespace in ('biz'::regnamespace, 'public'::regnamespace) order by 1"
)
WRITE = text(
    "insert into biz.ai_cache (cache_type, site_id, target_id, result_json) values ('x', 1, 't', '{}')"
)


class Old:
    """A database of the earlier dispatcher."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url)
        self.script(SCHEMA)

    def script(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(sql, execution_options={"no_parameters": True})

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]

    def value(self, sql: str, **parameters: Any) -> Any:
        return self.rows(sql, **parameters)[0][0]

    def state(self) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(STATE)]

    def adopt(self, *, dry_run: bool = False) -> dict[str, AdoptedTable]:
        return {of.table.full_name: of for of in self.adoption(dry_run=dry_run).tables}

    def adoption(self, *, dry_run: bool = False) -> Adoption:
        return adopting.adopt(self.url, ZONE, dry_run=dry_run)


@pytest.fixture
def old(empty_database_url: str) -> Iterator[Old]:
    made = Old(empty_database_url)
    yield made
    made.engine.dispose()


def counts(found: dict[str, AdoptedTable]) -> dict[str, tuple[int, int]]:
    return {name: (of.rows, of.copied) for name, of in found.items()}


FOUND = {
    "biz.ai_trigger_jobs": (2002, 2002),
    "biz.ai_run_logs": (3001, 3001),
    "biz.ai_cache": (4000, 4000),
    "public.member_retention_clue": (1500, 1500),
}


def test_all_that_the_old_tables_hold_is_there_afterwards_and_twice_changes_nothing(old: Old) -> None:
    old.script(ROWS)
    newest = dict(
        old.rows(
            "select distinct on (cache_type, target_id) cache_type || ' ' || target_id, id from biz.ai_cache"
            " order by cache_type, target_id, created_at desc, id desc"
        )
    )
    assert counts(old.adopt()) == FOUND
    # every version, its score and its date; the newest is the newest
    assert (
        old.rows(
            "select o.id from biz.ai_cache_before_adopt o left join biz.ai_cache n on n.id = o.id"
            " and n.site_id = o.site_id"
            " and n.cache_type = o.cache_type and n.target_id = o.target_id and n.result_json = o.result_json::jsonb"
            " and n.score is not distinct from o.score and n.triggered_by = o.triggered_by"
            " and n.created_at = o.created_at where n.id is null"
        )
        == []
    )
    latest = "select cache_type || ' ' || target_id, id from biz.ai_cache_latest"
    assert dict(old.rows(latest)) == newest
    with old.engine.connect() as connection:
        history = [entry.id for entry in cache.history(connection, "app3_clue", 1001, "510", 100)]
    assert history == [
        number
        for (number,) in old.rows(
            "select id from biz.ai_cache_before_adopt where cache_type = 'app3_clue' and target_id = '510'"
            " order by created_at desc, id desc"
        )
    ]
    assert len(history) > 5
    # clues, whoever wrote them
    columns = "id, member_id, category, summary, detail, site_id, source, recorded_by_name, recorded_by_assistant_id"
    was = f"select {columns}, created_at from public.member_retention_clue_before_adopt order by id"
    now = f"select {columns}, created_at from biz.member_retention_clue order by id"
    assert old.rows(was) == old.rows(now)
    assert old.value("select count(*) from member_retention_clue where source = 'manual'") == 500
    before = old.state()
    assert old.adoption() == Adoption((), migrate.HEAD)
    assert old.adoption(dry_run=True) == Adoption((), migrate.HEAD)
    assert migrate.upgrade(old.url) == (migrate.HEAD, migrate.HEAD)
    assert old.state() == before


def test_jobs_and_calls_are_mapped_to_the_states_of_this_project(old: Old) -> None:
    old.script(ROWS)
    found = old.adopt()
    assert old.rows("select status, count(*) from biz.ai_trigger_jobs group by 1 order by 1") == [
        ("completed", 1500),
        ("failed", 502),
    ]
    # what the old dispatcher did not finish does not run by itself, and can be sent again
    assert [number for number, _ in found["biz.ai_trigger_jobs"].changed.values()] == [2]
    unfinished = "select id from biz.ai_trigger_jobs where event_type = 'dws_completed'"
    assert old.value(f"select outcome from biz.ai_replay_job(({unfinished}), false)") == "replayed"
    assert old.rows("select distinct event_type from biz.ai_trigger_jobs order by 1") == [
        ("consumption",),
        ("dws_completed",),
        ("note_created",),
        ("task_assigned",),
    ]
    assert old.value("select payload ->> 'number' from biz.ai_trigger_jobs where id = 77") == "77"
    assert old.rows(
        "select distinct app_type, status, reason from biz.ai_run_logs where app_type <> 'app4_analysis'"
        " and member_id is distinct from 501 order by 1, 2, 3"
    ) == [
        ("app2_finance", "failed", "outcome_unknown"),
        *(
            (app, *ending)
            for app in ("app3_clue", "app8_consolidation")
            for ending in (
                ("failed", "ValueError"),
                ("refused", "budget_exceeded:daily_limit"),
                ("refused", "circuit_open"),
                ("success", None),
                ("timeout", "timeout"),
            )
        ),
    ]
    assert old.rows("select distinct target_id from biz.ai_run_logs where app_type = 'app4_analysis'") == [
        ("",)
    ]
    assert old.value("select count(*) from biz.ai_run_logs where status in ('pending', 'running')") == 0
    # new ids are above the old ones
    assert old.value("insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status)"
                     " values ('a', 1, 't', 'event', 'running') returning id") == 3002  # fmt: skip


def test_an_answer_of_this_project_is_newer_than_every_adopted_one(old: Old) -> None:
    old.script(ROWS)
    old.adopt()
    with old.engine.begin() as connection:
        made = connection.execute(
            text(
                "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id,"
                " prompt_hash) values ('app3_clue', 1001, '510', '{}', 'consumption', 1, 'h') returning id"
            )
        ).scalar_one()
        newest = cache.latest(connection, "app3_clue", 1001, "510")
        assert newest is not None
        assert newest.id == made
        # the member's clues are set from the adopted answer of App8, and people's stay
        set_now = clues.set_from_newest(connection, 1001, 510, source="ai_consumption")
        assert set_now is not None
    kinds = "select source, count(*) from biz.member_retention_clue where member_id = 510 and site_id = 1001 group by 1"
    people = (
        "select count(*) from public.member_retention_clue_before_adopt"
        " where member_id = 510 and source = 'manual'"
    )
    assert dict(old.rows(kinds)).get("manual", 0) == old.value(people)


def test_nobody_is_told_of_what_was_adopted(old: Old) -> None:
    old.script(ROWS)
    old.adopt()
    assert old.value("select count(*) from biz.ai_news") == 0
    old.script(
        "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)"
        " values ('app3_clue', 1001, '510', '{}', 'consumption', 1, 'h')"
    )
    assert old.value("select count(*) from biz.ai_news") == 1


def test_a_dry_run_says_what_would_come_and_changes_nothing(old: Old) -> None:
    old.script(ROWS)
    before = old.rows(TABLES)
    with old.engine.begin() as running:
        # it waits for nobody who writes
        running.execute(WRITE)
        dry = old.adoption(dry_run=True)
        assert {of.table.full_name: (of.rows, of.copied) for of in dry.tables} == FOUND
        assert dry.revision is None
        running.rollback()
    assert old.rows(TABLES) == before
    lines = list(adoption_lines(dry, dry_run=True))
    assert lines[0].startswith("biz.ai_trigger_jobs: 2,002 rows, 2,002 would be copied")
    assert any("biz.ai_trigger_jobs_before_adopt" in line for line in lines)


def test_upgrading_a_database_with_old_tables_says_to_adopt_in_one_line(old: Old) -> None:
    with pytest.raises(
        ConfigurationError, match=r"biz\.ai_trigger_jobs.*public\.member_.*`ai-assets db adopt`"
    ) as error:
        migrate.upgrade(old.url)
    assert "\n" not in str(error.value)
    assert old.value("select to_regclass('biz.ai_schema_version') is null")


def test_a_row_that_cannot_be_read_is_reported_and_stays_where_it_was(old: Old) -> None:
    old.script(
        """
        insert into biz.ai_cache (cache_type, site_id, target_id, result_json, created_at) values
            ('app3_clue', 1001, '5', '{"clues": []}', '2026-05-01'),
            ('app3_clue', 1001, '5', '{"clues": [', '2026-05-02'),
            ('app3_clue', 1001, '5', '[1, 2]', '2026-05-03'),
            ('app3_clue', 1001, '6', '"{\\"clues\\": [1]}"', '2026-05-03'),
            ('app3_clue', 1001, '7', '{"x": "\\u0000"}', '2026-05-03'),
            (' ', 1001, '8', '{}', '2026-05-03'),
            ('app3_clue', 1001, '9', '{}', 'infinity');
        """
    )
    found = old.adopt()["biz.ai_cache"]
    assert (found.rows, found.copied) == (7, 3)
    assert found.not_copied == {"result_json is no JSON object": (3, 2), "cache_type is empty": (1, 6)}
    assert [(rows, example) for rows, example in found.changed.values()] == [(1, 7)]
    assert old.rows("select target_id, result_json from biz.ai_cache_latest order by 1") == [
        ("5", {"clues": []}),
        ("6", {"clues": [1]}),
        ("9", {}),
    ]
    assert old.value("select count(*) from biz.ai_cache_before_adopt") == 7


ODD = """
alter table biz.ai_cache alter id drop default, alter id type text using 'n' || id, alter site_id type numeric,
    alter result_json type jsonb using result_json::jsonb, alter score type varchar(10),
    alter created_at type timestamp using created_at at time zone 'Asia/Shanghai', add column model text,
    alter cache_type type char(30);
alter table biz.ai_trigger_jobs alter payload type text, alter is_forced drop default,
    alter is_forced type integer using is_forced::integer, alter created_at type text, drop column app_chain;
alter table biz.ai_run_logs alter tokens_used type double precision, drop column latency_ms;
alter table public.member_retention_clue alter member_id type varchar(20), add column tags text[] default '{}',
    add column is_pinned boolean not null, alter source set default 'manual';
"""


def test_types_may_differ_and_columns_be_more_or_fewer(old: Old) -> None:
    old.script(
        ODD
        + """
        insert into biz.ai_cache (id, cache_type, site_id, target_id, result_json, score, created_at, model) values
            ('n1', 'app6_note_analysis', 1001.0, '5', '{"score": 7}', '7.0', '2026-05-01 10:00', 'qwen'),
            ('n2', 'app6_note_analysis', 1001, '5', '{"score": 8}', 'acht', '2026-05-02 10:00', 'qwen');
        insert into biz.ai_trigger_jobs (event_type, site_id, payload, is_forced, status, created_at) values
            ('consumption', 1001, '{"a": 1}', 1, 'completed', '2026-05-01 10:00:00'),
            ('consumption', 1001, 'nonsense', 0, 'cancelled', '2026-05-01T10:00:00Z');
        insert into biz.ai_run_logs (site_id, app_type, trigger_type, status, tokens_used) values
            (1001, 'app3_clue', 'cron', 'success', 12.0);
        insert into public.member_retention_clue (member_id, category, summary, site_id, is_pinned) values
            ('555', '', '手写', 1001, true);
        """
    )
    found = old.adopt()
    assert counts(found) == {
        "biz.ai_trigger_jobs": (2, 2),
        "biz.ai_run_logs": (1, 1),
        "biz.ai_cache": (2, 2),
        "public.member_retention_clue": (1, 1),
    }
    assert found["biz.ai_cache"].columns_left == ("model",)
    assert old.rows(
        "select cache_type, site_id, score, created_at = timestamptz '2026-05-01 10:00+08'"
        " from biz.ai_cache order by run_log_id"
    ) == [("app6_note_analysis", 1001, 7, True), ("app6_note_analysis", 1001, None, False)]
    assert old.rows(
        "select payload, is_forced, status, created_at at time zone 'UTC' = '2026-05-01 02:00'"
        " from biz.ai_trigger_jobs order by id"
    ) == [({"a": 1}, True, "completed", True), ({"not_an_object": "nonsense"}, False, "failed", False)]
    assert old.rows("select trigger_type, tokens_used, tokens_estimated from biz.ai_run_logs") == [
        ("event", 12, False)
    ]
    # columns of the venue's own are kept, for its code that writes clues, and App8 need not fill them
    assert old.rows("select member_id, is_pinned, tags, source from member_retention_clue") == [
        (555, True, [], "manual")
    ]
    old.script(
        "insert into member_retention_clue (member_id, category, summary, site_id, tags)"
        " values (555, '', '又', 1001, '{a}')"
    )
    assert old.rows("select source, tags from biz.member_retention_clue order by id desc limit 1") == [
        ("manual", ["a"])
    ]
    with old.engine.begin() as connection:
        assert clues.replace(connection, 1001, 555, source="ai_note", clues=[{"summary": "x"}]) == 1


def test_code_that_names_no_schema_goes_on_writing_clues(old: Old) -> None:
    old.script(ROWS)
    old.adopt()
    old.script(
        "insert into member_retention_clue (member_id, category, summary, site_id, source)"
        " values (5, '社交关系', '带朋友', 1001, 'manual')"
    )
    assert old.rows(
        "select id, summary, created_at > now() - interval '1 hour' from biz.member_retention_clue where member_id = 5"
    ) == [(1501, "带朋友", True)]
    old.script("update member_retention_clue set summary = '常带朋友' where member_id = 5")
    assert old.rows("select summary from biz.member_retention_clue where member_id = 5") == [("常带朋友",)]
    old.script("delete from member_retention_clue where member_id = 5")
    assert old.rows("select summary from biz.member_retention_clue where member_id = 5") == []


def test_who_had_rights_on_the_old_tables_keeps_them_but_does_not_write_the_apps_clues(
    old: Old, new_login: Callable[..., str]
) -> None:
    old.script(ROWS)
    url = new_login(old.url)
    login = create_engine(url)
    name = login.url.username
    old.script(
        f"grant usage on schema biz to {name}; grant select on biz.ai_cache to {name};"
        f"grant select, insert, update, delete on public.member_retention_clue to {name}"
    )
    old.adopt()
    try:
        with login.begin() as connection:
            assert connection.execute(text("select count(*) from biz.ai_cache")).scalar_one() == 4000
            assert connection.execute(text("select count(*) from member_retention_clue")).scalar_one() == 1500
            for change in (
                "update member_retention_clue set summary = 'x'",
                "delete from member_retention_clue",
            ):
                assert connection.execute(text(change)).rowcount == 500
            connection.execute(
                text(
                    "insert into member_retention_clue (member_id, category, summary, site_id, source)"
                    " values (5, 'c', 's', 1001, 'manual')"
                )
            )
        with login.begin() as connection, pytest.raises(ProgrammingError):
            connection.execute(text("delete from biz.ai_cache"))
    finally:
        login.dispose()
        old.script(f"drop owned by {name} cascade")


def test_a_login_with_the_role_of_backends_writes_clues_by_either_name(
    old: Old, new_login: Callable[..., str]
) -> None:
    old.script(ROWS)
    old.adopt()
    with old.engine.begin() as connection:
        create_contract_tables(connection)
        grant_roles(connection)
    backend = create_engine(new_login(old.url, BACKEND))
    with backend.begin() as connection:
        for table in ("member_retention_clue", "biz.member_retention_clue"):
            connection.execute(
                text(
                    f"insert into {table} (member_id, category, summary, site_id, source)"
                    " values (5, 'c', 's', 1001, 'manual')"
                )
            )
            assert connection.execute(text(f"delete from {table} where member_id = 5")).rowcount == 1
    backend.dispose()


def test_tables_in_public_are_found_too_and_versions_of_both_places_are_in_the_order_of_their_dates(
    old: Old,
) -> None:
    old.script(
        """
        create table public.ai_cache (like biz.ai_cache including all);
        insert into public.ai_cache (id, cache_type, site_id, target_id, result_json, created_at) values
            (1, 'app3_clue', 1001, '5', '{"n": 1}', '2026-05-01'),
            (2, 'app3_clue', 1001, '5', '{"n": 3}', '2026-05-03');
        insert into biz.ai_cache (id, cache_type, site_id, target_id, result_json, created_at) values
            (1, 'app3_clue', 1001, '5', '{"n": 2}', '2026-05-02'),
            (9, 'app3_clue', 1001, '5', '{"n": 4}', '2026-05-04');
        """
    )
    found = old.adopt()
    assert counts(found)["public.ai_cache"] == (2, 2)
    assert old.rows("select (result_json ->> 'n')::int from biz.ai_cache order by run_log_id") == [
        (n,) for n in (1, 2, 3, 4)
    ]
    assert len(set(old.rows("select id from biz.ai_cache"))) == 4
    # who reads it without a schema reads the new one
    assert old.value("select count(*) from public.ai_cache") == 4
    assert old.value("select count(*) from public.ai_cache_before_adopt") == 2


def test_a_migrated_database_adopts_what_is_in_public_below_its_own_answers(old: Old) -> None:
    old.script(
        "drop table biz.ai_cache, biz.ai_run_logs, biz.ai_trigger_jobs;"
        "alter table public.member_retention_clue rename to away"
    )
    migrate.upgrade(old.url)
    old.script(
        """
        create table public.ai_cache (id bigint, cache_type text, site_id int, target_id text, result_json text);
        insert into public.ai_cache values (1, 'app3_clue', 1001, '5', '{"n": 1}');
        insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)
            values ('app3_clue', 1001, '5', '{"n": 2}', 'x', 1, 'h')
        """
    )
    assert counts(old.adopt()) == {"public.ai_cache": (1, 1)}
    assert old.rows("select id, result_json ->> 'n' from biz.ai_cache order by run_log_id desc") == [
        (1, "2"),
        (2, "1"),
    ]


def test_what_of_the_venue_stays_with_the_old_tables_is_named(old: Old) -> None:
    old.script(
        "create view public.newest_texts as select * from biz.ai_cache;"
        "create table public.clue_votes (clue_id bigint"
        " constraint clue_votes_fk references public.member_retention_clue)"
    )
    found = old.adopt(dry_run=True)
    assert found["biz.ai_cache"].dependents == ("view newest_texts",)
    assert found["public.member_retention_clue"].dependents == ("foreign key clue_votes_fk of clue_votes",)


def test_a_database_that_is_newer_or_half_moved_is_one_clear_line_and_left_alone(old: Old) -> None:
    old.adopt()
    old.script(
        "create table public.ai_cache (cache_type text, site_id int, target_id text, result_json text)"
    )
    old.script("create table public.ai_cache_before_adopt (x int)")
    before = old.state()
    with pytest.raises(ConfigurationError, match=r"public\.ai_cache_before_adopt is there already") as half:
        old.adopt()
    old.script("update biz.ai_schema_version set version_num = '0999'")
    with pytest.raises(SchemaVersionError, match=r"0999.*newer than the code") as newer:
        old.adopt()
    assert "\n" not in str(half.value) + str(newer.value)
    assert old.state() == before


def test_where_it_fails_midway_nothing_was_changed(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    old.script(ROWS)
    before = old.rows(TABLES)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(adopting, "_grant", fail)
        with pytest.raises(ZeroDivisionError):
            old.adopt()
    assert old.rows(TABLES) == before
    assert counts(old.adopt()) == FOUND


def test_a_table_that_the_old_dispatcher_still_uses_is_waited_for_and_then_named(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "LOCK_S", 0.05)
    with old.engine.begin() as running:
        running.execute(WRITE)
        with pytest.raises(DatabaseUnavailableError, match="stop the earlier dispatcher"):
            old.adopt()


def test_a_database_without_old_tables_has_nothing_to_adopt_and_is_not_touched(
    empty_database_url: str,
) -> None:
    adoption = adopting.adopt(empty_database_url, ZONE, dry_run=False)
    assert adoption == Adoption((), None)
    assert any("db upgrade" in line for line in adoption_lines(adoption, dry_run=False))
    with pytest.raises(SchemaVersionError), create_engine(empty_database_url).connect() as connection:
        migrate.require_current(connection)


def test_times_without_a_zone_are_in_the_zone_that_is_stored(old: Old) -> None:
    old.script(
        "alter table public.member_retention_clue alter created_at type timestamp;"
        "insert into public.member_retention_clue (member_id, category, summary, site_id, source, created_at)"
        " values (5, 'c', 's', 1001, 'manual', '2026-05-01 00:00')"
    )
    adopting.adopt(old.url, "Asia/Urumqi", dry_run=False)
    assert old.value("select created_at = timestamptz '2026-05-01 00:00+06' from biz.member_retention_clue")
    assert old.value("select biz.ai_timezone()") == "Asia/Urumqi"
    with old.engine.begin() as connection:
        store_settings(connection, {"timezone": ZONE})
