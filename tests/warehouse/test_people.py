from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event, text

from ai_assets.errors import InputError, MissingSubjectError, WarehouseError
from ai_assets.warehouse.contract import COLUMNS, MAY_BE_MISSING
from ai_assets.warehouse.local_time import end_of, zone_of
from ai_assets.warehouse.member_data import MemberData
from ai_assets.warehouse.people import (
    CLOSED_STATUSES,
    Assistant,
    Member,
    Note,
    find_assistant,
    find_member,
    newest_note,
    open_tasks,
    recent_notes,
)
from ai_assets.warehouse.sites import Site

SITE = Site(1001, "一号店", "Asia/Shanghai", is_active=True)
AS_OF = date(2026, 6, 30)

MEMBERS = """
insert into biz.members values
  (1001, 555, ' 王芳 ', '芳姐', '女', '13800138000', '金卡', '1990-01-02', 1234.567, '2025-03-01 23:30+08'),
  (1001, 556, E' \\n\u3000', '', null, null, ' ', null, null, null),
  (1002, 555, '别人', null, null, null, null, null, null, null)
"""
ASSISTANTS = """
insert into biz.assistants values (1001, 7, '小雨', '高级'), (1001, 8, '', null), (1002, 7, '别店', null)
"""
NOTES = """
insert into biz.member_notes values
  (1, 1001, 555, '旧', '店长', '2026-06-29 10:00+08'),
  (2, 1001, 555, '末', '前台', '2026-06-30 23:59:59.9+08'),
  (3, 1001, 555, '次日', null, '2026-07-01 00:00+08'),
  (4, 1001, 555, E' \\n\\t', '前台', '2026-07-02 00:00+08'),
  (5, 1001, 555, null, '前台', '2026-07-02 00:00+08'),
  (6, 1001, 556, '别人', '前台', '2026-07-02 00:00+08'),
  (7, 1002, 555, '别店', '前台', '2026-07-02 00:00+08')
"""


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def data_of(engine: Engine, assistant_id: int | None = 7, site: Site = SITE) -> MemberData:
    return MemberData(engine.connect, site, AS_OF, 555, assistant_id)


def test_a_member_is_read_trimmed_with_the_balance_in_cents_and_without_phone_and_birthday(
    engine: Engine,
) -> None:
    run(engine, MEMBERS)
    with engine.connect() as conn:
        assert find_member(conn, 1001, 555) == Member(
            1001,
            555,
            "王芳",
            "芳姐",
            "女",
            "金卡",
            Decimal("1234.57"),
            datetime(2025, 3, 1, 15, 30, tzinfo=UTC),
        )
    assert not {"phone", "birthday"} & set(COLUMNS["biz.members"])


def test_who_has_no_name_is_named_by_their_id(engine: Engine) -> None:
    run(engine, MEMBERS, ASSISTANTS)
    with engine.connect() as conn:
        assert find_member(conn, 1001, 556) == Member(1001, 556, "556")
        assert find_assistant(conn, 1001, 8) == Assistant(1001, 8, "8")
        assert find_assistant(conn, 1001, 7) == Assistant(1001, 7, "小雨", "高级")


@pytest.mark.parametrize("number", [999, 2**63 - 1])
def test_who_is_not_there_is_told_with_both_ids_and_the_table(engine: Engine, number: int) -> None:
    run(engine, MEMBERS, ASSISTANTS)
    with engine.connect() as conn:
        with pytest.raises(
            MissingSubjectError, match=rf"member {number} of site 1001 is not in biz\.members"
        ):
            find_member(conn, 1001, number)
        with pytest.raises(MissingSubjectError, match=rf"assistant {number} of site 1001 .* biz\.assistants"):
            find_assistant(conn, 1001, number)


def test_views_may_have_other_types_and_repeat_rows(engine: Engine) -> None:
    run(
        engine,
        "drop table biz.members, biz.member_notes",
        "create view biz.members as select 1001::smallint as site_id, 555::numeric as member_id, "
        "'王'::varchar as name, null::int as nickname, 1 as gender, 2 as level, "
        "timestamp '1990-01-02 00:00' as birthday, 5::double precision as balance, "
        "joined::date as registered_at from (values ('2025-01-01'), ('2025-02-01'), (null)) as v (joined)",
        "create view biz.member_notes as select 9::numeric as note_id, 1001::numeric as site_id, "
        "555::int as member_id, '好'::varchar as content, null as noted_by_name, "
        "timestamp '2026-06-30 12:00' as created_at",
    )
    with engine.connect() as conn:
        member = find_member(conn, 1001, 555)
        assert (member.name, member.gender, member.level, member.balance) == (
            "王",
            "1",
            "2",
            Decimal("5.00"),
        )
        assert member.registered_at == datetime(2025, 2, 1, tzinfo=UTC)
        assert newest_note(conn, 1001, 555) == Note("好", None, datetime(2026, 6, 30, 12, tzinfo=UTC), 9)


def test_recent_notes_are_those_written_to_the_end_of_the_as_of_date_newest_first(engine: Engine) -> None:
    run(engine, NOTES)
    with engine.connect() as conn:
        assert [note.content for note in recent_notes(conn, SITE, 555, AS_OF)] == ["末", "旧"]
        assert [note.note_id for note in recent_notes(conn, SITE, 555, AS_OF, limit=1)] == [2]
        # the day ends two hours later there
        urumqi = Site(1001, "店", "Asia/Urumqi", is_active=True)
        assert [note.note_id for note in recent_notes(conn, urumqi, 555, AS_OF)] == [3, 2, 1]
        assert recent_notes(conn, SITE, 999, AS_OF) == ()


def test_the_newest_note_is_that_of_all_time_and_never_a_blank_one(engine: Engine) -> None:
    run(engine, NOTES)
    with engine.connect() as conn:
        newest = newest_note(conn, 1001, 555)
        assert newest is not None
        assert (newest.note_id, newest.content, newest.noted_by_name) == (3, "次日", None)
        assert newest_note(conn, 1001, 999) is None


def add_task(engine: Engine, task_id: int, status: str | None, at: str = "2026-06-30 10:00+08") -> None:
    with engine.begin() as conn:
        conn.execute(
            text("insert into biz.assistant_tasks values (:id, 1001, 7, 555, '回访', :status, :at)"),
            {"id": task_id, "status": status, "at": at},
        )


def test_a_task_is_closed_by_a_known_closing_word_alone(engine: Engine) -> None:
    for number, status in enumerate(CLOSED_STATUSES):
        add_task(engine, number, status)
    for number, status in enumerate(("DONE", " Done ", "Expired"), start=100):
        add_task(engine, number, status)
    still_open = ("open", "pending", "assigned", "进行中", "未完成", "", None, "O'Brien")
    for number, status in enumerate(still_open, start=200):
        add_task(engine, number, status)
    with engine.connect() as conn:
        found = open_tasks(conn, SITE, 7, 555, AS_OF)
    assert [task.task_id for task in found] == [207, 206, 205, 204, 203, 202, 201, 200]
    assert [task.status for task in found][1:3] == [None, None]


def test_the_closing_words_are_documented() -> None:
    contract = (Path(__file__).parents[2] / "docs" / "data-contract.md").read_text("utf-8")
    section = contract.partition("### `biz.assistant_tasks` ")[2].partition("### ")[0]
    assert [word for word in CLOSED_STATUSES if word not in section] == []


def test_open_tasks_are_the_pairs_own_given_to_the_end_of_the_as_of_date_newest_first(
    engine: Engine,
) -> None:
    add_task(engine, 1, "open", "2026-06-01 10:00+08")
    add_task(engine, 2, "open", "2026-06-30 23:59+08")
    add_task(engine, 3, "open", "2026-07-01 00:00+08")
    run(
        engine,
        "insert into biz.assistant_tasks values (4, 1001, 8, 555, '回访', 'open', '2026-06-01 10:00+08'), "
        "(5, 1001, 7, 556, '回访', 'open', '2026-06-01'), (6, 1002, 7, 555, '回访', 'open', '2026-06-01')",
    )
    with engine.connect() as conn:
        assert [task.task_id for task in open_tasks(conn, SITE, 7, 555, AS_OF)] == [2, 1]
        assert [task.task_id for task in open_tasks(conn, SITE, 7, 555, AS_OF, limit=1)] == [2]


def test_columns_that_only_describe_may_be_missing_and_say_nothing_then(engine: Engine) -> None:
    run(engine, MEMBERS, ASSISTANTS, NOTES)
    add_task(engine, 1, "open")
    run(
        engine,
        "insert into dws.settlement values "
        "(1, 1001, 555, 7, '2026-06-30 21:00+08', '2026-06-30', 'vip', 10, 0, 0, 0, 10, 60)",
        *(
            f"alter table {table} drop column {column} cascade"
            for table, columns in MAY_BE_MISSING.items()
            for column in columns
        ),
    )
    data = data_of(engine)
    assert data.member == Member(1001, 555, "555")
    assert data.assistant == Assistant(1001, 7, "7")
    assert [(note.content, note.noted_by_name) for note in data.notes] == [("末", None), ("旧", None)]
    assert [(task.task_id, task.task_type, task.status) for task in data.open_tasks] == [(1, None, None)]
    assert (data.consumption.orders, list(data.consumption.areas)) == (1, [None])


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("members", "member_id"),
        ("assistants", "assistant_id"),
        ("member_notes", "content"),
        ("assistant_tasks", "created_at"),
    ],
)
def test_a_missing_column_is_named(engine: Engine, table: str, column: str) -> None:
    run(engine, f"alter table biz.{table} drop column {column} cascade")
    reads = {
        "members": lambda data: data.member,
        "assistants": lambda data: data.assistant,
        "member_notes": lambda data: data.newest_note,
        "assistant_tasks": lambda data: data.open_tasks,
    }
    with pytest.raises(WarehouseError, match=rf"column {column} of biz\.{table}"):
        reads[table](data_of(engine))


@pytest.mark.parametrize("name", ["Mars/Base", "", "../../etc/passwd", "/etc", "Asia", "A\x00B", "x" * 5000])
def test_a_zone_that_does_not_exist_is_told_in_one_short_line(name: str) -> None:
    with pytest.raises(
        WarehouseError, match=r"biz\.sites\.timezone of site 1001 is .*Asia/Shanghai"
    ) as caught:
        zone_of(Site(1001, "店", name, is_active=True))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_day_ends_by_the_sites_own_clock() -> None:
    assert end_of(SITE, AS_OF) == datetime(2026, 6, 30, 16, tzinfo=UTC)
    berlin = Site(1, "店", "Europe/Berlin", is_active=True)
    # the night of the change to summer time
    assert end_of(berlin, date(2026, 3, 28)) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert end_of(berlin, date(2026, 3, 29)) == datetime(2026, 3, 29, 22, tzinfo=UTC)


def test_a_members_data_is_read_when_asked_for_and_once_and_the_settlements_serve_both_computations(
    engine: Engine,
) -> None:
    run(
        engine,
        MEMBERS,
        ASSISTANTS,
        NOTES,
        "insert into dws.settlement values "
        "(1, 1001, 555, 7, '2026-06-30 21:00+08', '2026-06-30', 'vip', 10, 0, 0, 0, 10, 60), "
        "(2, 1001, 555, null, '2026-06-29 21:00+08', '2026-06-29', 'vip', 5, 0, 0, 0, 5, 60)",
    )
    add_task(engine, 1, "open")
    selects: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: selects.append(args[2]))
    data = data_of(engine)
    assert selects == []
    for _ in range(2):
        assert (data.consumption.orders, data.together.orders) == (2, 1)
        assert data.member.name == "王芳"
        assert data.assistant.name == "小雨"
        assert (len(data.notes), len(data.open_tasks)) == (2, 1)
        assert data.newest_note is not None
    assert sum("from dws.settlement" in statement for statement in selects) == 1
    catalog = sum("pg_attribute" in statement for statement in selects)
    assert sum(statement.lstrip().startswith("select") for statement in selects) - catalog == 6


def test_a_members_data_tells_times_by_the_sites_clock(engine: Engine) -> None:
    run(engine, MEMBERS, NOTES)
    add_task(engine, 1, "open", "2026-06-29 20:00+00")
    data = data_of(engine)
    shanghai = ZoneInfo("Asia/Shanghai")
    assert str(data.member.registered_at) == "2025-03-01 23:30:00+08:00"
    assert data.newest_note is not None
    times = [data.notes[0].noted_at, data.newest_note.noted_at, data.open_tasks[0].created_at]
    assert [moment and moment.tzinfo for moment in times] == [shanghai] * 3
    assert str(times[2]) == "2026-06-30 04:00:00+08:00"


def test_a_pairs_part_without_an_assistant_is_a_clear_error(engine: Engine) -> None:
    for part in ("assistant", "together", "open_tasks"):
        with pytest.raises(InputError, match="member 555: no assistant was named"):
            getattr(data_of(engine, None), part)
