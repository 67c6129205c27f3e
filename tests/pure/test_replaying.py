"""Rules of replaying: which requests make sense, the pace, stopping between two; and what a filter may say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ai_assets.chains.replaying import Tally, chosen, per_minute, replay_all
from ai_assets.errors import InputError
from ai_assets.store.job_control import Replay, Replayed
from ai_assets.store.job_filter import JobFilter, job_filter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Time:
    """A clock that only sleeping and sending move."""

    def __init__(self, sending_s: float = 0.0) -> None:
        self.now = 100.0
        self.sending_s = sending_s
        self.sent: list[tuple[int, float]] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self, job_id: int) -> Replay:
        self.sent.append((job_id, self.now))
        self.now += self.sending_s
        return Replay(job_id, Replayed.REPLAYED, 1000 + job_id)


def run(time: Time, ids, rate, **how) -> Tally:
    tally = Tally(len(ids))
    for _ in replay_all(ids, time.send, tally, rate=rate, clock=time.clock, sleep=time.sleep, **how):
        pass
    return tally


def test_jobs_go_out_evenly_and_who_was_held_up_does_not_hurry_afterwards():
    time = Time(sending_s=0.5)
    run(time, [1, 2, 3], 30.0)
    assert [at for _, at in time.sent] == [100.0, 102.0, 104.0]
    held_up = Time(sending_s=10.0)
    send = held_up.send

    def send_slowly_once(job_id: int) -> Replay:
        made = send(job_id)
        held_up.sending_s = 0.0
        return made

    held_up.send = send_slowly_once
    run(held_up, [1, 2, 3, 4], 30.0)
    assert [at for _, at in held_up.sent] == [100.0, 110.0, 112.0, 114.0]


def test_without_a_rate_nobody_waits():
    time = Time()
    assert run(time, range(1000), None).done == 1000
    assert time.now == 100.0


def test_a_stop_ends_it_between_two_jobs_and_the_tally_says_how_far_it_came():
    time = Time()
    tally = run(time, [1, 2, 3, 4], 60.0, stopped=lambda: len(time.sent) >= 2)
    assert [job for job, _ in time.sent] == [1, 2]
    assert tally.sentence() == "stopped after 2 of 4: 2 replayed"
    assert tally.replays == [1001, 1002]


def test_a_stop_that_comes_during_a_pause_sends_no_more():
    time = Time()
    asked = []

    def sleep(seconds: float) -> None:
        asked.append(seconds)
        time.now += seconds / 2

    tally = Tally(2)
    for _ in replay_all(
        [1, 2], time.send, tally, rate=1.0, clock=time.clock, sleep=sleep, stopped=lambda: bool(asked)
    ):
        pass
    assert tally.done == 1


@pytest.mark.parametrize(("rate", "a_minute"), [
    ("30/min", 30), ("30", 30), ("2/s", 120), ("600/h", 10), (" 1.5 / m ", 1.5), ("", None), (None, None),
])  # fmt: skip
def test_rates_are_read_as_people_write_them(rate, a_minute):
    assert per_minute(rate) == a_minute


@pytest.mark.parametrize("rate", ["0", "-3", "0/s", "fast", "30/day", "9999999/s", "nan", "1e3"])
def test_a_rate_that_is_none_is_refused_with_what_to_give(rate):
    with pytest.raises(InputError, match=r"30/min"):
        per_minute(rate)


def test_nobody_means_the_whole_ledger():
    with pytest.raises(InputError, match="say which jobs"):
        chosen(None, JobFilter(), limit=None)


def test_jobs_named_by_their_ids_are_taken_as_they_are():
    assert chosen(None, JobFilter(ids=(3, 1)), limit=None) == [3, 1]
    assert chosen(None, JobFilter(ids=(3, 1)), limit=1) == [3]


def read(**said) -> JobFilter:
    return job_filter(now=NOW, zone=SHANGHAI, **said)


@pytest.mark.parametrize(("written", "moment"), [
    ("2h", NOW - timedelta(hours=2)),
    ("90s", NOW - timedelta(seconds=90)),
    ("7d", NOW - timedelta(days=7)),
    ("2026-01-31", datetime(2026, 1, 31, tzinfo=SHANGHAI)),
    ("2026-01-31T18:30", datetime(2026, 1, 31, 18, 30, tzinfo=SHANGHAI)),
    ("2026-01-31T18:30:00Z", datetime(2026, 1, 31, 18, 30, tzinfo=UTC)),
])  # fmt: skip
def test_times_are_durations_ago_or_dates_in_the_zone(written, moment):
    assert read(since=written).since == moment


@pytest.mark.parametrize(("said", "names"), [
    ({"since": "yesterday"}, "yesterday"),
    ({"until": "2026-02-30"}, "2026-02-30"),
    ({"since": "999999d"}, "999999d"),
    ({"since": "1h", "until": "2h"}, "not before"),
    ({"states": ["borken"]}, "borken.*pending"),
    ({"event_types": ["lunch"]}, "lunch.*consumption"),
    ({"ids": [0]}, "0"),
    ({"sites": [2**63]}, "site id"),
    ({"member_id": -1}, "member id"),
])  # fmt: skip
def test_what_is_wrong_is_named_with_what_there_is(said, names):
    with pytest.raises(InputError, match=names):
        read(**said)


def test_older_names_of_events_are_the_events():
    assert read(event_types=["ai_note_created", "note_created"]).event_types == ("note_created",)
