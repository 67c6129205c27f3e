"""A member whose every field is marked goes through every chain and app, and nothing marked leaves or is kept.

What leaves: every byte that the real client sent, to the real simulator behind a server that writes it down. What is
kept: every row of every table but the sources and the inbox's payloads, news, Python's log, what Dagster shows.
The service does its worst too: it answers with numbers of its own, echoes the prompt in errors, and talks no JSON.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
import requests
from sqlalchemy import text

from ai_assets.apps import member_parts
from ai_assets.apps.base import Subject
from ai_assets.apps.names import naming
from ai_assets.assets.failures import failures_table
from ai_assets.assets.metadata import metadata
from ai_assets.catalog import CATALOG
from ai_assets.chains.by_hand import Asked, run_by_hand
from ai_assets.chains.outcome import StepResult
from ai_assets.chains.runtime import Runtime, runtime_from
from ai_assets.settings import Settings
from ai_assets.store.engine import wait_readable
from ai_assets.warehouse.people import find_member

NAME, NICKNAME = "欧阳青岚", "兰花指"
SOURCES = {"sites", "members", "assistants", "member_notes", "assistant_tasks"}
APPS = ("app3_clue", "app4_analysis", "app5_tactics", "app6_note", "app7_customer", "app8_consolidation")

# by its digits alone, whatever stands between them; each stands in one place of the sources
NUMBERS = {
    "phone in the name": "13812340001",
    "phone in the nickname": "13812340002",
    "phone": "13812340003",
    "phone in the level": "13812340004",
    "plain phone in a note": "13812340005",
    "parted phone in a note": "13812340006",
    "full-width phone in a note": "13812340007",
    "phone in numerals in a note": "13812340008",
    "phone with hidden characters in a note": "13812340009",
    "phone of the note's author": "13812340010",
    "phone in the event's note": "13812340011",
    "phone of the event's author": "13812340012",
    "phone in a task": "13812340013",
    "phone of the assistant": "13812340014",
    "phone parted by commas in a note": "13812340016",
    "phone on three lines in a note": "13812340017",
    "phone in cells in a note": "13812340018",
    "landline in a note": "075586543210",
    "ID card in a note": "110105194912310020",
    "bank card in a note": "6222021234567890128",
    "phone in the payload's analysis": "13812340015",
    # what the service makes up
    "phone in an answer": "13912340001",
    "phone as a number of an answer": "13912340002",
    "phone under a name of its own": "13912340003",
    "phone in an error": "13912340004",
    "phone in no JSON": "13912340005",
    "phone in a defect": "13912340006",
}
WORDS = {
    "WeChat id in the nickname": "qinglan_88",
    "WeChat id in a note": "lanhua2020",
    "wxid in a note": "wxid_q1w2e3r4t5",
    "WeChat id in an answer": "shuo_ba99",
}
PATTERNS = {
    "birthday": re.compile(r"1987\D{0,3}0?3\D{0,3}21|0?3月21|3\D{0,2}月\D{0,2}21|三月廿一"),
    "balance": re.compile(r"7[,，]?351\.29"),
}
NOTES = (
    "客人电话13812340005，常约周五",
    "备用的号：138，1234，0016；138\n1234\n0017；138|1234|0018",
    "改号了：138-1234 0006，座机 0755-8654 3210",
    "打１３８１２３４０００７找他，微信：lanhua2020",
    "留的是一三八 一二三四 零零零八",
    "138\u200b1234\u20600009，也可以加 wxid_q1w2e3r4t5",
    "身份证 110105 19491231 0020，卡 6222 0212 3456 7890 128",
    "生日1987年3月21日，3月21日过生日，1987-03-21 的白羊",
    f"{NAME}说{NICKNAME}是她，{NAME[0]} {NAME[1]} {NAME[2]} {NAME[3]}，余额还有7,351.29元",
)
OF_ONE_HOP = {"host", "connection", "content-length", "accept-encoding"}
_NUMERALS = str.maketrans("零〇一二三四五六七八九", "00123456789")
_HIDDEN = re.compile("[\u200b-\u200f\u2060\ufeff]")


def read(haystack: str) -> str:
    """A text as its reader sees it: JSON's escapes undone, wide characters plain, hidden ones gone."""
    written = re.sub(r"\\+u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), haystack)
    return _HIDDEN.sub("", unicodedata.normalize("NFKC", written))


def found_in(haystack: str) -> set[str]:
    """Which marks stand in a text, in whatever spelling."""
    plain = read(haystack)
    numerals = "".join(char for char in plain.translate(_NUMERALS) if char.isdigit())
    digits = "".join(char for char in plain if char.isdigit())
    close = re.sub(r"[\s·]", "", plain).casefold()
    return {
        *(what for what, number in NUMBERS.items() if number in digits or number in numerals),
        *(what for what, word in WORDS.items() if word in close),
        *(what for what, pattern in PATTERNS.items() if pattern.search(plain)),
    }


def named_in(haystack: str) -> set[str]:
    """Whether name and nickname stand in a text."""
    close = re.sub(r"[\s·]", "", read(haystack))
    return {name for name in (NAME, NICKNAME) if name in close}


class Wire:
    """Stands between client and simulator: writes down all that is sent, and makes of the answers what it is told."""

    def __init__(self, raw: Any, simulator_url: str) -> None:
        self.sent: list[str] = []
        self.answers = 0
        self.manner = "honest"
        self._target = simulator_url.removesuffix("/api/v1")
        self.server = raw.RawServer(self._handle)

    def _handle(self, peer: Any, request: Any) -> None:
        body = request.body.decode()
        self.sent.append(f"{request.path}\n{json.dumps(dict(request.headers))}\n{body}")
        prompt = json.loads(body)["input"]["prompt"]
        if self.manner == "errors":
            peer.fail(
                400,
                "InvalidParameter",
                f"cannot read 139-1234-0004 nor 微信：shuo_ba99 of {NAME} in {prompt[:80]}",
            )
            return
        if self.manner == "prose":
            peer.answer("请打一三九 一二三四 零零零五")
            return
        relayed = requests.post(
            self._target + request.path,
            data=request.body,
            headers={
                name: value for name, value in request.headers.items() if name.lower() not in OF_ONE_HOP
            },
            timeout=20,
        )
        document = relayed.json()
        answer = json.loads(document["output"]["text"])
        shown = re.search("会员[A-Z]{8}", prompt)
        for clue in answer.get("clues", ())[:1]:
            clue["summary"] = f"{shown[0] if shown else '会员'}想学斯诺克"
        answer["said"] = f"{shown[0] if shown else '谁'}想来"
        if self.manner == "leaks":
            answer |= {
                "said": f"打13912340001，微信：shuo_ba99，{shown[0] if shown else '谁'}想来",
                "count": 13912340002,
                "phone": 13912340003,
            }
        document["output"]["text"] = json.dumps(answer, ensure_ascii=self.answers % 2 == 0)
        self.answers += 1
        peer.respond(json.dumps(document).encode(), relayed.status_code)


@pytest.fixture
def wire(raw, simulator) -> Iterator[Wire]:
    made = Wire(raw, simulator.base_url)
    yield made
    made.server.close()


@pytest.fixture
def runtime_of(venue_url: str, wire: Wire) -> Iterator[Callable[[str], Runtime]]:
    made: list[Runtime] = []

    def make(names: str) -> Runtime:
        settings = Settings(
            DASHSCOPE_API_KEY="sk-marked-secret",
            DASHSCOPE_BASE_URL=wire.server.base_url,
            AI_RATE_PER_MINUTE=100_000,
            AI_STEP_TIMEOUT_S=20,
            AI_BREAKER_MIN_CALLS=10_000,
            AI_ALERT_WINDOW_S=0,
            AI_MEMBER_NAMES=names,
            **{entry.env: entry.alias for entry in CATALOG.values()},
        )
        made.append(runtime_from(settings, database_url=venue_url))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def marked(events) -> None:
    """Member 555 of site 1001 with a mark in every field, and assistant 7."""
    events.run(
        "update biz.members set name = :name, nickname = :nickname, gender = '女', phone = '13812340003', "
        "level = '金卡 13812340004', birthday = '1987-03-21', balance = 7351.29 "
        "where site_id = 1001 and member_id = 555",
        name=f"{NAME}13812340001", nickname=f"{NICKNAME} 13812340002 vx:qinglan_88",
    )  # fmt: skip
    events.run("update biz.assistants set name = '小雨13812340014' where site_id = 1001 and assistant_id = 7")
    events.run("delete from biz.member_notes where site_id = 1001 and member_id = 555")
    for number, note in enumerate(NOTES):
        events.run(
            "insert into biz.member_notes (note_id, site_id, member_id, content, noted_by_name, created_at) values "
            "(:id, 1001, 555, :note, '前台小李138 1234 0010', cast('2026-06-20' as timestamptz))",
            id=900_000 + number, note=note,
        )  # fmt: skip
    events.run(
        "insert into biz.assistant_tasks (task_id, site_id, assistant_id, member_id, task_type, status, created_at) "
        "values (900000, 1001, 7, 555, '回访 13812340013', 'open', cast('2026-06-20' as timestamptz))"
    )


EVENT_NOTE = f"{NAME}新号 138.1234.0011"


class Sweep:
    """All that was kept and told, by where it stood."""

    def __init__(self, events: Any, caplog: pytest.LogCaptureFixture) -> None:
        self._events = events
        self._caplog = caplog
        self.results: list[StepResult] = []
        url = events.engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
        self._news = psycopg2.connect(url)
        self._news.autocommit = True
        with self._news.cursor() as cursor:
            cursor.execute("listen ai_alert; listen ai_cache_updated")

    def tables(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with self._events.engine.connect() as connection:
            names = connection.execute(
                text("select table_name from information_schema.tables where table_schema = 'biz'")
            ).scalars()
            for name in set(names) - SOURCES:
                row = "to_jsonb(t) - 'payload'" if name == "ai_trigger_jobs" else "to_jsonb(t)"
                found[name] = list(
                    connection.execute(text(f"select ({row})::text from biz.{name} t")).scalars()
                )
        return found

    def news(self) -> list[str]:
        while wait_readable(self._news, 0.5):
            self._news.poll()
        return [notify.payload for notify in self._news.notifies]

    def shown(self) -> list[str]:
        """What Dagster shows of the results."""
        made = [metadata(result, trigger_job_id=1) for result in self.results if result.outcome.has_result]
        failed = [result for result in self.results if not result.outcome.has_result]
        return [
            *(json.dumps({key: value.value for key, value in one.items()}, default=str) for one in made),
            failures_table(failed, ()),
        ]

    def log(self) -> list[str]:
        return [self._caplog.text]

    def close(self) -> None:
        self._news.close()


@pytest.fixture
def sweep(events, caplog) -> Iterator[Sweep]:
    caplog.set_level(logging.DEBUG, "ai_assets")
    made = Sweep(events, caplog)
    yield made
    made.close()


def run_everything(
    runtime: Runtime, events: Any, sweep: Sweep, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every chain and every app by hand: honest and leaking answers, echoing errors, prose, a defect of our own."""

    def chains(day: int) -> None:
        at = {"occurred_at": f"2026-06-{day:02d}T20:00:00+08:00", "forced": True}
        events.consumption(has_assistant=True, assistant_id=7, **at)
        events.note(EVENT_NOTE, noted_by_name="收银 13812340012", **at)
        events.task(**at)
        events.work(runtime)

    def by_hand() -> None:
        for app in APPS:
            pair = app in {"app4_analysis", "app5_tactics"}
            analysis = {
                "task_description": f"约{NAME}，138 1234 0015",
                "action_suggestions": ["先问好"],
                "one_line_summary": NICKNAME,
            }
            subject = Subject(1001, member_id=555, assistant_id=7 if pair else None)
            payload = {"app4_analysis": analysis} if app == "app5_tactics" else {}
            sweep.results.append(run_by_hand(runtime, Asked(app, subject, payload)))

    chains(28)
    by_hand()
    for number, manner in enumerate(("leaks", "errors", "prose")):
        wire.manner = manner
        chains(25 + number)
        by_hand()
    wire.manner = "honest"

    def defect(*_: object, **__: object) -> None:
        raise ValueError(f"nobody expected {NAME}, {NICKNAME}, {NUMBERS['phone in a defect']}")

    with monkeypatch.context() as patched:
        patched.setattr(member_parts, "profile", defect)
        chains(24)
        by_hand()
    sweep.results += [step for _, step in events.shown.steps]


@pytest.mark.parametrize("names", ["surname", "pseudonym", "full"])
def test_nothing_that_is_marked_leaves_or_is_kept(
    names: str, marked, runtime_of, events, sweep: Sweep, wire: Wire, monkeypatch
) -> None:
    runtime = runtime_of(names)
    run_everything(runtime, events, sweep, wire, monkeypatch)
    kept = {**sweep.tables(), "news": sweep.news(), "log": sweep.log(), "Dagster": sweep.shown()}

    # not in vain: all of it ran
    assert {json.loads(row)["app_type"] for row in kept["ai_run_logs"]} == set(APPS)
    assert {json.loads(row)["status"] for row in kept["ai_run_logs"]} == {"success", "failed"}
    assert {json.loads(row)["status"] for row in kept["ai_trigger_jobs"]} >= {"completed", "failed"}
    assert {result.reason for result in sweep.results} >= {
        *(None, "bad_request", "not_json", "internal_error", "answer_refused")
    }
    assert all(kept[where] for where in ("ai_cache", "ai_alerts", "member_retention_clue", "news", "log"))
    assert len(wire.sent) > 40

    leaks = {("wire", what) for request in wire.sent for what in found_in(request)}
    leaks |= {(where, what) for where, rows in kept.items() for row in rows for what in found_in(row)}
    assert leaks == set()

    by_name = {("wire", name) for request in wire.sent for name in named_in(request)}
    by_name |= {(where, name) for where, rows in kept.items() for row in rows for name in named_in(row)}
    if names == "full":
        assert ("wire", NAME) in by_name
        return
    # readers of the cache see who it is about; nothing else holds the name, not even what Dagster shows as the prompt
    readers = {"ai_cache", "ai_cache_latest", "member_retention_clue", "Dagster"}
    assert by_name == ({(where, NAME) for where in readers} if names == "pseudonym" else set())
    if names == "pseudonym":
        with events.engine.connect() as connection:
            shown = naming(find_member(connection, 1001, 555), "pseudonym").shown or ""
        assert any(shown in request for request in wire.sent)
        assert not any(shown in row for row in kept["ai_cache"])


def test_the_sweep_finds_every_mark_where_it_stands(marked, events) -> None:
    sources = [
        str(row) for table in ("members", "assistants", "member_notes", "assistant_tasks")
        for (row,) in events.rows(f"select to_jsonb(t)::text from biz.{table} t where site_id = 1001")
    ]  # fmt: skip
    made_up = [
        EVENT_NOTE, "收银 13812340012", "138 1234 0015", "打13912340001，微信：shuo_ba99", "13912340002", "13912340003",
        "139-1234-0004", "请打一三九 一二三四 零零零五", "13912340006",
    ]  # fmt: skip
    found = {what for source in (*sources, *made_up) for what in found_in(source)}
    assert found == {*NUMBERS, *WORDS, *PATTERNS}
    assert {name for source in sources for name in named_in(source)} == {NAME, NICKNAME}
    assert found_in(json.dumps("微信 shuo_ba99 一三九一二三四零零零五")) == {
        "WeChat id in an answer",
        "phone in no JSON",
    }
