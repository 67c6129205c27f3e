"""Writes prompts.jsonl: prompts that the real builders made from the two samples on a throwaway Postgres.

Here: which subjects. Not here: the answers to them (`make_answers`). `python tests/data/grounding/make_prompts.py`
from the checkout; the same data gives the same file. What an app is given of another is the simulator's answer.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from ai_assets.apps.base import Subject
from ai_assets.apps.member_source import Given, MemberSource
from ai_assets.apps.registry import APPS
from ai_assets.samples.completejourney import load_completejourney
from ai_assets.samples.contract import create_contract_tables
from ai_assets.samples.venue import load_venue
from ai_assets.simulator.replies import answer
from ai_assets.store import embedded
from ai_assets.store.databases import ensure_database
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade
from ai_assets.warehouse.finance import read_site_finance
from ai_assets.warehouse.member_data import MemberData
from ai_assets.warehouse.sites import find_site

HERE = Path(__file__).parent
SEED = 11
VENUE_LAST_DAY = date(2026, 6, 17)
RETAIL_AS_OF = date(2017, 11, 15)
MADE_AT = datetime(2026, 6, 16, 3, 20, tzinfo=UTC)

FINANCE = {
    "venue": [
        (1001, "all", ("this_month", "last_month", "this_week", "last_week", "last_quarter")),
        (1002, "all", ("last_month", "last_week", "last_3_months")),
        (1001, "hallA", ("last_month", "this_week")),
        (1001, "vip", ("last_week",)),
        (1002, "mahjong", ("last_month", "last_week")),
        (1002, "ktv", ("this_month",)),
        (1002, "snooker", ("last_6_months",)),
    ],
    "completejourney": [
        (None, "all", ("this_month", "last_month", "last_week", "last_quarter")),
        (None, "hallA", ("last_month", "last_week")),
        (None, "snooker", ("this_month",)),
    ],
}
_BUSY = """
    select member_id from dws.settlement
    where site_id = :site and biz_date between cast(:day as date) - 180 and cast(:day as date)
      and member_id is not null
    group by 1 having count(*) >= 6 order by md5(member_id::text) limit :count
"""
_PAIRS = """
    select assistant_id, member_id from dws.settlement
    where site_id = :site and biz_date between cast(:day as date) - 180 and cast(:day as date)
      and member_id is not null and assistant_id is not null
    group by 1, 2 having count(*) >= 4 order by md5(member_id::text || assistant_id::text) limit :count
"""
_NOTED = """
    select member_id from biz.member_notes where site_id = :site and created_at < :day
    group by 1 order by md5(member_id::text) limit :count
"""


def main() -> None:
    """Load both samples, build, write."""
    home = Path(tempfile.mkdtemp(prefix="ai_assets_grounding_"))
    home.chmod(0o755)
    try:
        engine = _loaded(embedded.start(home))
        rows = [*_finance(engine, "venue"), *_finance(engine, "completejourney"), *_members(engine)]
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (HERE / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} prompts, {sum(map(len, lines)):,} characters")


def _loaded(server_url: str) -> Engine:
    url = embedded.with_database(server_url, "grounding")
    ensure_database(url)
    upgrade(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        create_contract_tables(connection)
    load_venue(engine, sites=2, days=400, end=VENUE_LAST_DAY)
    load_completejourney(engine, sites=2)
    return engine


def _retail_sites(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        found = connection.execute(text("select site_id from biz.sites where site_id < 1000 order by 1"))
        return [row[0] for row in found]


def _finance(engine: Engine, sample: str) -> Iterator[dict[str, Any]]:
    as_of = VENUE_LAST_DAY if sample == "venue" else RETAIL_AS_OF
    for site_id, area, windows in FINANCE[sample]:
        site_id = site_id or _retail_sites(engine)[0]
        with engine.connect() as connection:
            finance = read_site_finance(connection, find_site(connection, site_id), as_of)
        app = APPS["app2_finance" if area == "all" else "app2a_finance_area"]
        for window in windows:
            prompt = app.build(finance, Subject(site_id, window, area))
            yield _row(f"{app.entry.alias}-{site_id}-{window}-{area}", app.entry.alias, sample, prompt.text)


def _members(engine: Engine) -> Iterator[dict[str, Any]]:
    retail = _retail_sites(engine)[0]
    with engine.connect() as connection:

        def found(sql: str, site: int, day: date, count: int) -> list[Any]:
            rows = connection.execute(text(sql), {"site": site, "day": day, "count": count})
            return [tuple(row) for row in rows]

        pairs = [(1001, a, m, VENUE_LAST_DAY) for a, m in found(_PAIRS, 1001, VENUE_LAST_DAY, 8)]
        alone = [
            *((1001, m, VENUE_LAST_DAY) for (m,) in found(_NOTED, 1001, VENUE_LAST_DAY, 8)),
            *((1002, m, VENUE_LAST_DAY) for (m,) in found(_BUSY, 1002, VENUE_LAST_DAY, 3)),
            *((retail, m, RETAIL_AS_OF) for (m,) in found(_BUSY, retail, RETAIL_AS_OF, 7)),
        ]
    for site, member, as_of in alone:
        yield from _prompts(engine, site, member, None, as_of)
    for site, assistant, member, as_of in pairs:
        yield from _prompts(engine, site, member, assistant, as_of)


def _prompts(
    engine: Engine, site_id: int, member: int, assistant: int | None, as_of: date
) -> Iterator[dict[str, Any]]:
    with engine.connect() as connection:
        site = find_site(connection, site_id)
    data = MemberData(engine.connect, site, as_of, member, assistant)
    sample = "venue" if site_id >= 1000 else "completejourney"
    note = data.newest_note
    subject = Subject(site_id, member_id=member, assistant_id=None)
    given: dict[str, Given] = {}

    def made(name: str, about: Subject) -> Iterator[dict[str, Any]]:
        app = APPS[name]
        prompt = app.build(MemberSource(data, note, given), about)
        given[name] = Given(
            app.answer.model_validate(answer(SEED, app.entry.alias, prompt.text)).model_dump(), MADE_AT
        )
        who = member if about.assistant_id is None else f"{about.assistant_id}_{member}"
        yield _row(f"{app.entry.alias}-{site_id}-{who}", app.entry.alias, sample, prompt.text)

    names = ["app3_clue", *(["app6_note"] if note is not None else []), "app8_consolidation", "app7_customer"]
    rows = [row for name in names for row in made(name, subject)]
    if assistant is None:
        yield from rows
        return
    pair = Subject(site_id, member_id=member, assistant_id=assistant)
    for name in ("app4_analysis", "app5_tactics"):
        yield from made(name, pair)


def _row(name: str, app: str, sample: str, prompt: str) -> dict[str, Any]:
    return {"id": name, "app": app, "sample": sample, "prompt": prompt}


if __name__ == "__main__":
    main()
