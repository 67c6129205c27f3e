"""`ai-assets sample replay`: which events a sample's rows become, when they are sent, and what the inbox holds."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from ai_assets.errors import DatabaseUnavailableError, InputError
from ai_assets.samples.cli import sample
from ai_assets.samples.completejourney import load_completejourney
from ai_assets.samples.history import Event, History, HistoryRow, event_of
from ai_assets.samples.loading import Sample, write_sample
from ai_assets.samples.replay import Tally, due_s, replay, to_inbox
from ai_assets.samples.venue import make_venue
from ai_assets.store.engine import make_engine

SHANGHAI = ZoneInfo("Asia/Shanghai")
END = date(2026, 3, 31)
AT = datetime(2026, 3, 30, 11, 5, 7, tzinfo=UTC)


def event(at: datetime, member: int = 555) -> Event:
    return Event(at, "consumption", 1001, member, {})


class Time:
    """A clock that only sleeping moves, and what was sent at which second."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.sent: list[tuple[float, list[Event]]] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def send(self, events) -> list[tuple[str, None]]:
        self.sent.append((self.now - 100.0, list(events)))
        return [("pending", None)] * len(events)

    def replay(self, events, **how) -> Tally:
        tally = Tally()
        replay(events, self.send, tally, clock=self.clock, sleep=self.sleep, **how)
        return tally


# what a row becomes


def test_a_settlement_with_an_assistant_becomes_a_consumption_that_says_so():
    made = event_of(HistoryRow(AT, 0, 77, 1001, 555, 7, None, None), SHANGHAI)
    assert (made.event_type, made.site_id, made.member_id) == ("consumption", 1001, 555)
    assert made.payload == {
        "settlement_id": 77,
        "has_assistant": True,
        "assistant_id": 7,
        "occurred_at": "2026-03-30T19:05:07+08:00",
    }
    assert made.at == AT


def test_a_settlement_without_an_assistant_names_none():
    made = event_of(HistoryRow(AT, 0, 77, 1001, 555, None, None, None), SHANGHAI)
    assert made.payload == {
        "settlement_id": 77,
        "has_assistant": False,
        "occurred_at": "2026-03-30T19:05:07+08:00",
    }


def test_a_note_becomes_note_created_with_its_text_author_and_time():
    made = event_of(HistoryRow(AT, 1, 8, 1001, 555, None, '"好" 🎱', "店长"), SHANGHAI)
    assert made.event_type == "note_created"
    assert made.payload == {
        "note_id": 8,
        "note_content": '"好" 🎱',
        "noted_by_name": "店长",
        "noted_by_created_at": "2026-03-30T19:05:07+08:00",
        "occurred_at": "2026-03-30T19:05:07+08:00",
    }


def test_a_task_becomes_task_assigned_with_its_assistant():
    made = event_of(HistoryRow(AT, 2, 9, 1001, 555, 7, None, None), SHANGHAI)
    assert made.event_type == "task_assigned"
    assert made.payload == {"task_id": 9, "assistant_id": 7, "occurred_at": "2026-03-30T19:05:07+08:00"}


# when it is sent


def test_at_speed_an_event_is_due_after_its_own_time_divided_by_it():
    assert due_s(AT + timedelta(hours=3), AT, 3600.0) == 3.0
    assert due_s(AT + timedelta(seconds=5), AT, 1.0) == 5.0
    assert due_s(AT + timedelta(days=400), AT, None) == 0.0


def test_in_rhythm_each_event_is_sent_when_it_is_due_and_those_of_one_moment_together():
    time = Time()
    one, two, three = event(AT), event(AT), event(AT + timedelta(hours=2))
    tally = time.replay([one, two, three], speed=3600.0)
    assert time.sent == [(0.0, [one, two]), (2.0, [three])]
    assert time.slept == [2.0]
    assert tally == Tally(sent=3, taken_in=3)


def test_what_is_late_because_sending_took_long_is_made_up_without_waiting():
    time = Time()
    events = [event(AT + timedelta(hours=n)) for n in range(4)]

    def slow(sent) -> list[tuple[str, None]]:
        time.now += 2.5
        return time.send(sent)

    replay(events, slow, Tally(), speed=3600.0, clock=time.clock, sleep=time.sleep)
    assert [len(sent) for _, sent in time.sent] == [1, 2, 1]
    assert time.slept == []


def test_all_at_once_sleeps_never_and_sends_many_together():
    time = Time()
    events = [event(AT + timedelta(days=n)) for n in range(1101)]
    told: list[int] = []
    time.replay(events, speed=None, progress=lambda tally: told.append(tally.sent))
    assert [len(sent) for _, sent in time.sent] == [500, 500, 101]
    assert time.slept == []
    assert told == [500, 1000, 1101]


@settings(deadline=None, max_examples=60)
@given(
    gaps=st.lists(st.integers(0, 10_000), max_size=60),
    speed=st.one_of(st.none(), st.floats(0.01, 1e6)),
    together=st.integers(1, 7),
)
def test_every_event_is_sent_once_in_order_and_never_early(
    gaps: list[int], speed: float | None, together: int
):
    time = Time()
    at, events = AT, []
    for number, gap in enumerate(gaps):
        at += timedelta(seconds=gap)
        events.append(event(at, number))
    tally = time.replay(events, speed=speed, together=together)
    assert [one for _, sent in time.sent for one in sent] == events
    assert tally.sent == len(events)
    assert all(1 <= len(sent) <= together for _, sent in time.sent)
    for when, sent in time.sent:
        for one in sent:
            assert when >= due_s(one.at, events[0].at, speed) - 1e-6


def test_asked_to_stop_it_sends_no_more_and_the_tally_says_what_was_sent():
    time = Time()
    tally = time.replay(
        [event(AT + timedelta(hours=n)) for n in range(5)], speed=3600.0, stopped=lambda: len(time.sent) == 2
    )
    assert tally.sent == 2
    # the sleep that was under way is not begun again
    assert time.slept == [1.0]


def test_the_tally_is_right_when_sending_fails_in_the_middle():
    tally = Tally()
    sent = iter([[("pending", None)], DatabaseUnavailableError("gone")])

    def send(_events):
        became = next(sent)
        if isinstance(became, Exception):
            raise became
        return became

    with pytest.raises(DatabaseUnavailableError):
        replay([event(AT), event(AT)], send, tally, together=1)
    assert tally == Tally(sent=1, taken_in=1)


# the inbox


@pytest.fixture(scope="module")
def made() -> Sample:
    return make_venue(sites=2, days=12, end=END)


@pytest.fixture
def loaded(engine: Engine, made: Sample) -> Engine:
    write_sample(engine, made)
    return engine


class Source:
    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine

    def engine(self) -> Engine:
        assert self._engine is not None, "a database was started for nothing"
        return self._engine


def run(engine: Engine | None, *arguments: str) -> Result:
    return CliRunner().invoke(sample, ["replay", *arguments], obj=Source(engine), standalone_mode=False)


def jobs(engine: Engine) -> list:
    with engine.connect() as connection:
        return list(connection.execute(text("select * from biz.ai_trigger_jobs order by id")).mappings())


def wanted(made: Sample) -> list[tuple]:
    """(time, kind, id, site, member) of every event, in the real order, from the sample itself."""
    found = [
        (row.settled_at, 0, row.settlement_id, row.site_id, row.member_id)
        for row in made.rows["dws.settlement"]
        if row.member_id is not None
    ]
    found += [
        (row.created_at, 1, row.note_id, row.site_id, row.member_id) for row in made.rows["biz.member_notes"]
    ]
    found += [
        (row.created_at, 2, row.task_id, row.site_id, row.member_id)
        for row in made.rows["biz.assistant_tasks"]
    ]
    return sorted(found)


def identity(payload: dict) -> tuple[int, int]:
    for kind, key in enumerate(("settlement_id", "note_id", "task_id")):
        if key in payload:
            return kind, payload[key]
    raise AssertionError(payload)


def test_the_whole_sample_lands_in_the_inbox_in_its_real_order(loaded: Engine, made: Sample):
    done = run(loaded, "--all", "--json")
    told, rows, expected = json.loads(done.stdout), jobs(loaded), wanted(made)
    assert len(expected) > 150
    assert [(*identity(row["payload"]), row["site_id"], row["member_id"]) for row in rows] == [
        event[1:] for event in expected
    ]
    assert [datetime.fromisoformat(row["payload"]["occurred_at"]) for row in rows] == [e[0] for e in expected]
    for row in rows:
        assert row["business_date"] == datetime.fromisoformat(row["payload"]["occurred_at"]).date()
    statuses = Counter(row["status"] for row in rows)
    assert told == {
        "events": len(expected),
        "sent": len(expected),
        "taken_in": statuses["pending"],
        "duplicates": statuses["duplicate"],
        "failed": 0,
        "ignored": 0,
        "errors": {},
    }
    assert done.return_value == 0


def test_chains_are_those_of_the_events(loaded: Engine):
    run(loaded, "--all")
    chains = Counter((row["event_type"], row["app_chain"]) for row in jobs(loaded))
    assert set(chains) == {
        ("consumption", "app3→app8→app7"),
        ("consumption", "app3→app8→app7→app4→app5"),
        ("note_created", "app6→app8"),
        ("task_assigned", "app4→app5"),
    }


def test_a_second_replay_is_all_duplicates(loaded: Engine):
    first = json.loads(run(loaded, "--all", "--json").stdout)
    again = json.loads(run(loaded, "--all", "--json").stdout)
    assert (again["taken_in"], again["duplicates"]) == (0, first["sent"])
    assert len(jobs(loaded)) == 2 * first["sent"]


def test_limit_takes_the_newest_in_their_real_order(loaded: Engine, made: Sample):
    done = run(loaded, "--all", "--limit", "25")
    assert [identity(row["payload"]) for row in jobs(loaded)] == [event[1:3] for event in wanted(made)[-25:]]
    assert done.stdout.startswith("sent all 25 events: ")


def test_a_limit_beyond_the_sample_is_the_whole_of_it(loaded: Engine, made: Sample):
    assert History(loaded, limit=10**9).count == len(wanted(made))


def test_site_takes_these_sites_alone(loaded: Engine, made: Sample):
    run(loaded, "--all", "--site", "1002", "--limit", "10")
    newest = [event[1:3] for event in wanted(made) if event[3] == 1002][-10:]
    assert [(row["site_id"], identity(row["payload"])) for row in jobs(loaded)] == [(1002, i) for i in newest]
    both = History(loaded, sites=(1001, 1002, 1002))
    assert both.count == len(wanted(made))


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_reading_in_pieces_gives_the_same(loaded: Engine, made: Sample, piece: int):
    history = History(loaded, limit=30, piece=piece)
    assert [identity(dict(one.payload)) for one in history.events()] == [e[1:3] for e in wanted(made)[-30:]]


def test_events_of_one_instant_are_neither_lost_nor_doubled_between_pieces(loaded: Engine, made: Sample):
    with loaded.begin() as connection:
        connection.execute(text("update dws.settlement set settled_at = '2026-03-28T12:00:00+08'"))
    history = History(loaded, piece=10)
    sent = [identity(dict(one.payload)) for one in history.events()]
    assert len(sent) == len(set(sent)) == len(wanted(made))


def test_rows_that_come_while_it_runs_are_not_sent(loaded: Engine):
    history = History(loaded, limit=10, piece=5)
    events = history.events()
    first = next(events)
    with loaded.begin() as connection:
        connection.execute(
            text(
                "insert into biz.member_notes values (9, :site, :member, '新', '店长', '2026-03-31T23:59:59+08')"
            ),
            {"site": first.site_id, "member": first.member_id},
        )
    assert 1 + sum(1 for _ in events) == 10


def test_an_event_that_cannot_run_is_counted_told_and_makes_exit_1(loaded: Engine):
    with loaded.begin() as connection:
        connection.execute(text("update biz.member_notes set content = ' '"))
        notes = connection.execute(text("select count(*) from biz.member_notes")).scalar_one()
    assert notes > 0
    done = run(loaded, "--all")
    assert f"{notes} failed" in done.stdout
    assert f"failed {notes} times: note_created without payload.note_content" in done.stderr
    assert done.return_value == 1


def test_a_site_with_a_time_zone_that_is_none_stops_nothing_and_the_inbox_says_so(loaded: Engine):
    with loaded.begin() as connection:
        connection.execute(text("update biz.sites set timezone = 'Mars/Base' where site_id = 1002"))
    done = run(loaded, "--all", "--json")
    told = json.loads(done.stdout)
    assert told["taken_in"] > 0
    (message,) = told["errors"]
    assert "biz.sites.timezone of this site is not a known time zone" in message
    assert done.return_value == 1


def test_completejourney_is_replayed_with_the_duplicate_rule_of_its_own_zone(engine: Engine):
    load_completejourney(engine, sites=1)
    told = json.loads(run(engine, "--all", "--json").stdout)
    with engine.connect() as connection:
        baskets, days = connection.execute(
            text("select count(*), count(distinct (site_id, member_id, biz_date)) from dws.settlement")
        ).one()
        wrong = connection.execute(
            text(
                "select count(*) from biz.ai_trigger_jobs j join dws.settlement s"
                " on s.settlement_id = (j.payload ->> 'settlement_id')::bigint"
                " where (j.site_id, j.member_id, j.business_date) is distinct from (s.site_id, s.member_id, s.biz_date)"
            )
        ).scalar_one()
    assert told["sent"] == baskets == 4194
    assert (told["taken_in"], told["duplicates"], told["failed"]) == (days, baskets - days, 0)
    assert wrong == 0


def test_ctrl_c_ends_it_cleanly_and_says_how_many_were_sent(loaded: Engine, made: Sample, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    # as if it came while the first pause lasts
    monkeypatch.setattr("time.sleep", lambda _seconds: os.kill(os.getpid(), signal.SIGINT))
    done = run(loaded, "--speed", "1")
    count = len(jobs(loaded))
    assert 1 <= count < len(wanted(made))
    assert f"stopped: sent {count:,} of {len(wanted(made)):,} events" in done.stdout
    assert done.return_value == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_postgres_lost_in_the_middle_is_an_error_and_the_summary_is_printed(loaded: Engine, monkeypatch):
    sends = to_inbox(loaded)
    calls = iter(range(2))

    def once(_engine: Engine):
        def send(events):
            if next(calls) == 0:
                return sends(events)
            raise DatabaseUnavailableError("Postgres cannot be reached (sending events): gone")

        return send

    monkeypatch.setattr("ai_assets.samples.replay.to_inbox", once)
    done = run(loaded, "--speed", "1e6")
    assert isinstance(done.exception, DatabaseUnavailableError)
    assert f"stopped: sent {len(jobs(loaded))} of" in done.stdout
    assert len(jobs(loaded)) > 0


def test_a_line_for_progress_and_no_bar_off_a_terminal(loaded: Engine):
    done = run(loaded, "--all", "--limit", "3")
    assert done.stderr.splitlines() == ["replay: 3 events; Ctrl-C ends it"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "0"], "--speed is times real time, a number above 0, not 0"),
        (["--speed", "-2"], "above 0, not -2"),
        (["--speed", "nan"], "above 0, not nan"),
        (["--speed", "inf"], "above 0, not inf"),
        (["--speed", "2", "--all"], "exclude each other"),
        (["--limit", "0"], "at least 1, not 0"),
        (["--limit", "-1"], "at least 1, not -1"),
    ],
)
def test_wrong_use_is_one_line_and_starts_no_database(arguments: list[str], said: str):
    done = run(None, *arguments)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_number_that_is_none_is_wrong_use():
    assert isinstance(run(None, "--speed", "fast").exception, click.UsageError)


def test_nothing_loaded_is_said(engine: Engine):
    done = run(engine, "--all")
    assert isinstance(done.exception, InputError)
    assert "there are no settlements, notes or tasks to replay: load a sample" in str(done.exception)


def test_an_unknown_site_and_one_without_events_are_said(loaded: Engine):
    with loaded.begin() as connection:
        connection.execute(text("insert into biz.sites (site_id, name) values (5, '新店')"))
    assert "unknown site 999" in str(run(loaded, "--all", "--site", "999").exception)
    empty = run(loaded, "--all", "--site", "5").exception
    assert isinstance(empty, InputError)
    assert "no settlements, notes or tasks of site 5" in str(empty)


def test_a_database_without_the_tables_has_nothing_loaded(empty_database_url: str):
    engine = make_engine(empty_database_url)
    done = run(engine, "--all")
    assert isinstance(done.exception, InputError)
    assert "there are no settlements, notes or tasks to replay: load a sample" in str(done.exception)
    engine.dispose()


def test_a_real_warehouses_views_are_not_replayed(loaded: Engine):
    with loaded.begin() as connection:
        connection.execute(
            text(
                "alter table dws.settlement rename to bills;"
                " create view dws.settlement as select * from dws.bills"
            )
        )
    done = run(loaded, "--all")
    assert isinstance(done.exception, InputError)
    assert "dws.settlement is a view" in str(done.exception)
    assert jobs(loaded) == []


def test_the_order_within_one_instant_is_visit_note_task():
    rows = [HistoryRow(AT, kind, 1, 1001, 555, 7, "x", "y") for kind in range(3)]
    kinds = [event_of(row, SHANGHAI).event_type for row in sorted(rows)]
    assert kinds == ["consumption", "note_created", "task_assigned"]
