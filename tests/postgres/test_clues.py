"""A member's retention clues: replaced by source in one transaction, beside what people wrote."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ai_assets.errors import InputError
from ai_assets.store import clues

CLUE = {
    "category": "消费习惯",
    "emoji": "📅",
    "summary": "每周五晚来",
    "detail": "近三月 11 次",
    "providers": "小王",
}


class Unwritable:
    """Breaks the replacing after the old rows were deleted."""

    def __str__(self):
        raise ZeroDivisionError


class Clues:
    def __init__(self, db):
        self.db = db

    def replace(self, given, *, site=1001, member=555, source="ai_consumption"):
        with self.db.engine.begin() as connection:
            return clues.replace(connection, site, member, source=source, clues=given)

    def set(self, *, site=1001, member=555, source="ai_consumption"):
        with self.db.engine.begin() as connection:
            return clues.set_from_newest(connection, site, member, source=source)

    def answer(self, given, run_log, *, site=1001, member=555):
        return self.db.cached(
            run_log,
            cache_type="app8_clue_consolidated",
            site=site,
            target=str(member),
            result={"clues": given},
        )

    def manual(self, summary="人写的", *, site=1001, member=555):
        self.db.run(
            "insert into biz.member_retention_clue (site_id, member_id, summary, source, recorded_by_assistant_id) "
            "values (:s, :m, :t, 'manual', 7)",
            s=site,
            m=member,
            t=summary,
        )

    def rows(self, where="true"):
        return self.db.all(f"select * from biz.member_retention_clue where {where} order by id")

    def summaries(self, where="true"):
        return [row["summary"] for row in self.rows(where)]


@pytest.fixture
def book(db):
    db.run("delete from biz.member_retention_clue")
    return Clues(db)


def test_a_clue_is_kept_with_its_fields(book):
    assert book.replace([CLUE]) == 1
    (row,) = book.rows()
    assert (row["site_id"], row["member_id"], row["source"]) == (1001, 555, "ai_consumption")
    assert (row["category"], row["summary"], row["detail"]) == ("消费习惯", "📅 每周五晚来", "近三月 11 次")
    assert (row["recorded_by_name"], row["recorded_by_assistant_id"]) == ("小王", None)


@pytest.mark.parametrize(
    ("clue", "category", "summary", "detail", "by"),
    [
        ({"summary": "只有文字"}, "客户基础", "只有文字", "", ""),
        ({"summary": "x", "emoji": "", "category": "", "detail": "", "providers": ""}, "客户基础", "x", "", ""),
        ({"summary": "x", "emoji": None, "category": None, "detail": None}, "客户基础", "x", "", ""),
        ({"summary": " x ", "emoji": " 🎱 ", "providers": ["小王", "消费分析"]},
         "客户基础", "🎱 x", "", "小王、消费分析"),
        ({"summary": "'; drop table biz.ai_cache; --", "detail": "NUL \x00"}, "客户基础",
         "'; drop table biz.ai_cache; --", "NUL \ufffd", ""),
    ],
)  # fmt: skip
def test_what_is_missing_gets_its_default(book, clue, category, summary, detail, by):
    book.replace([clue])
    (row,) = book.rows()
    assert (row["category"], row["summary"], row["detail"], row["recorded_by_name"]) == (
        category,
        summary,
        detail,
        by,
    )


@pytest.mark.parametrize(
    ("clue", "category", "given"),
    [
        ({"category": "消费习惯"}, "消费习惯", "消费习惯"),
        ({"category": "客户基础", "category_given": "家庭"}, "客户基础", "家庭"),
        ({}, "客户基础", None),
    ],
)
def test_the_category_that_the_app_gave_is_kept_beside_the_one_it_stands_for(book, clue, category, given):
    book.replace([{"summary": "x", **clue}])
    (row,) = book.rows()
    assert (row["category"], row["category_given"]) == (category, given)


def test_only_the_same_members_rows_of_the_same_source_at_this_site_are_replaced(book):
    book.manual()
    book.replace([CLUE, {"summary": "old"}])
    book.replace([{"summary": "of a note"}], source="ai_note")
    book.replace([{"summary": "other member"}], member=556)
    book.replace([{"summary": "other site"}], site=1002)
    assert book.replace([{"summary": "new 1"}, {"summary": "new 2"}]) == 2
    assert book.summaries() == ["人写的", "of a note", "other member", "other site", "new 1", "new 2"]


def test_no_clues_delete_nothing(book):
    book.replace([CLUE])
    assert book.replace([]) is None
    assert book.summaries() == ["📅 每周五晚来"]


def test_on_an_error_everything_stays_as_it_was(book):
    book.replace([CLUE])
    broken = [{"summary": "new"}, {"summary": "x", "category": 10**9, "detail": Unwritable()}]
    with pytest.raises(ZeroDivisionError):
        book.replace(broken)
    with book.db.engine.connect() as connection:
        assert clues.replace(connection, 1001, 555, source="ai_consumption", clues=[{"summary": "new"}]) == 1
        connection.rollback()
    assert book.summaries() == ["📅 每周五晚来"]


@pytest.mark.parametrize("how", ["replace", "set"])
def test_what_people_wrote_can_never_be_the_source_that_is_replaced(book, how):
    book.manual()
    book.answer([CLUE], 1)
    with pytest.raises(InputError, match="people's own"):
        book.set(source="manual") if how == "set" else book.replace([CLUE], source="manual")
    assert book.summaries() == ["人写的"]


def test_the_newest_answer_is_the_one_admitted_last_and_sets_the_clues(book):
    assert book.set() is None
    newest = book.answer([{"summary": "admitted last"}, CLUE], 20)
    book.answer([{"summary": "late"}], 10)
    book.answer([{"summary": "other"}], 30, member=556)
    assert book.set() == (newest, 2)
    assert book.summaries() == ["admitted last", "📅 每周五晚来"]
    assert book.set(source="ai_note") == (newest, 2)
    assert len(book.rows()) == 4


def test_a_newest_answer_without_clues_changes_nothing(book):
    book.replace([CLUE])
    empty = book.answer([], 5)
    assert book.set() == (empty, None)
    assert book.summaries() == ["📅 每周五晚来"]


def test_of_many_that_replace_at_once_exactly_one_set_is_left(book):
    start = threading.Barrier(8)

    def replace(number):
        start.wait(20)
        for turn in range(10):
            book.replace([{"summary": f"{number} {turn} {part}"} for part in range(3)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(replace, range(8)))
    left = book.summaries()
    assert len(left) == 3
    assert len({summary.rsplit(" ", 1)[0] for summary in left}) == 1


def test_setting_waits_for_an_answer_that_is_being_written_and_then_takes_that_one(book):
    book.answer([{"summary": "old"}], 1)
    with book.db.engine.connect() as writer, ThreadPoolExecutor(1) as pool:
        clues.replace(writer, 1001, 555, source="ai_consumption", clues=[{"summary": "fresh"}])
        setting = pool.submit(book.set, source="ai_consumption")
        for _ in range(1000):
            if book.db.count("pg_locks", "locktype = 'advisory' and not granted"):
                break
            threading.Event().wait(0.01)
        assert not setting.done()
        writer.execute(
            text(
                "insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, "
                "prompt_hash) values ('app8_clue_consolidated', 1001, '555', "
                "'{\"clues\": [{\"summary\": \"fresh\"}]}', 'x', 2, 'h')"
            )
        )
        writer.commit()
        assert setting.result(10)[1] == 1
    assert book.summaries() == ["fresh"]
